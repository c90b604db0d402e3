"""What can go wrong at the vendors' side, as the bodies that the simulators' ``POST /_sandbox/faults`` take.

A kind has several bodies; a schedule draws one. Each is lifted when the fault is healed, spent or not. Where the two
vendors differ, reads and writes are both among the choices: a refused read delays, an unanswered write is the danger.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

Body = Mapping[str, Any]
Choices = Mapping[str, tuple[Literal["ninjaone", "autotask"], Sequence[Body]]]

#: Autotask's writes: creating, changing and noting tickets; items. NinjaOne's: a reset (DELETE of an alert).
_CREATE = {"method": "POST", "entity": "Tickets", "path": "/Tickets$"}
_CHANGE = {"method": "PATCH", "entity": "Tickets"}
_TICKETS = {"entity": "Tickets"}
_ITEM = {"entity": "ConfigurationItems"}
_RESET = {"method": "DELETE", "path": "/alert/"}
_ANY: Body = {}

#: Longer than the 20 s a write may take and the 30 s of a read would cost a short drill its load; the client's
#: connect and read limits are what is tested, so one of these delays lies beyond each.
_LONG_S = 25.0


def _status(code: int, match: Body, *, count: int = 2, body: Any = None, after: bool = False) -> dict[str, Any]:
    params: dict[str, Any] = {"code": code}
    if body is not None:
        params["body"] = body
    if after:
        params["after_commit"] = True
    return {"kind": "status", "match": match, "count": count, "params": params}


def _fault(kind: str, match: Body, *, count: int = 2, **params: Any) -> dict[str, Any]:
    return {"kind": kind, "match": match, "count": count, "params": params}


_ERROR_WITH_ID = {"errors": ["An unexpected error occurred while processing this request. Error ID: 3f1c0c1e."]}
_THREADS = {"errors": ["Thread Threshold Exceeded"]}

VENDOR_FAULTS: Choices = {
    # The danger itself: the write is done, its answer never comes.
    "create_reply_lost": ("autotask", [_fault("drop_after_commit", _CREATE), _status(500, _CREATE, after=True)]),
    "change_reply_lost": ("autotask", [_fault("drop_after_commit", _CHANGE), _status(503, _CHANGE, after=True)]),
    "item_reply_lost": ("autotask", [_fault("drop_after_commit", {**_ITEM, "method": "POST"}, count=1)]),
    "reset_reply_lost": ("ninjaone", [_fault("drop_after_commit", _RESET), _status(502, _RESET, after=True)]),
    "request_lost": ("autotask", [_fault("drop_before_commit", _CREATE), _fault("drop_before_commit", _CHANGE)]),
    "reset_request_lost": ("ninjaone", [_fault("drop_before_commit", _RESET)]),
    "error_500_with_id": ("autotask", [_status(500, _TICKETS, body=_ERROR_WITH_ID)]),
    "error_500": ("autotask", [_status(500, _TICKETS), _status(500, _ITEM)]),
    "error_502": ("autotask", [_status(502, _TICKETS), _status(502, _ITEM)]),
    "error_503": ("autotask", [_status(503, _ANY, count=4)]),
    "ninjaone_500": ("ninjaone", [_status(500, _ANY, count=3), _status(500, _RESET)]),
    "ninjaone_503": ("ninjaone", [_status(503, _ANY, count=4)]),
    "time_out": ("autotask", [_fault("delay_after_commit", _CREATE, count=1, seconds=_LONG_S)]),
    "slow": ("autotask", [_fault("delay", _ANY, count=4, seconds=2.0)]),
    "ninjaone_slow": ("ninjaone", [_fault("delay", _ANY, count=4, seconds=2.0)]),
    "truncated": (
        "autotask",
        [_fault("truncated", _TICKETS), _fault("truncated", _CREATE), _fault("truncated", _ITEM)],
    ),
    "ninjaone_truncated": ("ninjaone", [_fault("truncated", {"path": "/v2/(alerts|activities|devices)"})]),
    "overload_page": ("autotask", [_fault("html", _ANY, count=3), _fault("html", _CREATE, code=503)]),
    "ninjaone_overload_page": ("ninjaone", [_fault("html", _ANY, count=3)]),
    "throttled": ("autotask", [_fault("throttle", _ANY, count=3, retry_after=1)]),
    "throttled_bare": ("autotask", [_fault("throttle", _ANY, count=3)]),
    "ninjaone_throttled": ("ninjaone", [_fault("throttle", _ANY, count=3, retry_after=1)]),
    # What another integration of the tenant costs us, since it uses the same threads.
    "thread_answer": (
        "autotask",
        [_status(429, _TICKETS, body=_THREADS, count=4), _status(500, _CREATE, body=_THREADS, count=3)],
    ),
    "token_expired": ("ninjaone", [{**_fault("expired_token", {"path": "/v2/"}, count=1), "skip": 1}]),
    "repeated_page": (
        "ninjaone",
        [_fault("repeat_page", {"path": "/v2/(devices|organizations|locations|activities)"})],
    ),
    "cursor_back": ("ninjaone", [_fault("cursor_back", {"path": "/v2/(devices|organizations|locations|activities)"})]),
}

#: Deliveries. ``webhook_reversed`` holds some until it is healed, so that later ones come first; what
#: ``webhook_hour_late`` holds comes after the drill, an hour later by the sandbox's clock.
WEBHOOK_FAULTS: Choices = {
    "webhook_lost": ("ninjaone", [_fault("webhook_lost", _ANY, count=5)]),
    "webhook_double": ("ninjaone", [_fault("webhook_double", _ANY, count=5)]),
    "webhook_reversed": ("ninjaone", [_fault("webhook_hold", _ANY, count=5)]),
    "webhook_hour_late": ("ninjaone", [_fault("webhook_hold", _ANY, count=3)]),
    "ticket_webhook_lost": ("autotask", [_fault("webhook_lost", _ANY, count=3)]),
    "ticket_webhook_double": ("autotask", [_fault("webhook_double", _ANY, count=3)]),
    "ticket_webhook_reversed": ("autotask", [_fault("webhook_hold", _ANY, count=3)]),
}
