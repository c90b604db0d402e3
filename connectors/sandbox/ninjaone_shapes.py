"""What the NinjaOne control calls may carry, key by key: a slip becomes one clear line, never a row nobody can read."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.sandbox.answers import ControlError
from connectors.sandbox.ninjaone_catalogue import PRIORITIES, SEVERITIES, Row


@dataclass(frozen=True, slots=True)
class Shape:
    """One kind of value: what it is in words, and whether a value is one."""

    words: str
    accepts: Callable[[Any], bool]


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 1e12


def _id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31


def _one_of(*allowed: str) -> Shape:
    return Shape(f"one of {', '.join(allowed)}", lambda value: value in allowed)


def _list_of(words: str, kind: type) -> Shape:
    return Shape(
        f"a list of {words}",
        lambda value: isinstance(value, list) and all(isinstance(entry, kind) for entry in value),
    )


FLAG = Shape("true or false", lambda value: isinstance(value, bool))
_ID = Shape("a whole number from 1 to 2147483647", _id)
_COUNT = Shape("a number >= 0", _number)
_TEXT = Shape("a text", lambda value: isinstance(value, str))
_NAME = Shape("a text that is not empty", lambda value: isinstance(value, str) and bool(value.strip()))
_UID = Shape(
    "a text of letters, digits, '.', '_' and '-', at most 64",
    lambda value: isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9._-]{1,64}", value) is not None,
)
_OBJECT = Shape("an object", lambda value: isinstance(value, dict))
_WINDOW = Shape(
    "an object with start and end in epoch seconds",
    lambda value: isinstance(value, dict) and all(_number(value[key]) for key in ("start", "end") if key in value),
)
_PSA_TICKET = Shape(
    "a number, a text or an object",
    lambda value: isinstance(value, int | str | dict) and not isinstance(value, bool),
)
_TEXTS, _OBJECTS = _list_of("texts", str), _list_of("objects", dict)

#: ``POST /_sandbox/alerts``.
ALERT_SHAPES: Mapping[str, Shape] = {
    "deviceId": _ID,
    "organizationId": _ID,
    "sourceType": _NAME,
    "sourceConfigUid": _UID,
    "sourceName": _TEXT,
    "subject": _TEXT,
    "message": _TEXT,
    "severity": _one_of(*SEVERITIES),
    "priority": _one_of(*PRIORITIES),
    "conditionName": _TEXT,
    "uid": _UID,
    "data": _OBJECT,
    "push": FLAG,
    "allowUnknownDevice": FLAG,
    "stillTrue": FLAG,
    "psaTicketId": _PSA_TICKET,
}

#: ``POST|PATCH /_sandbox/devices``: the wire fields, and the parts that have end points of their own.
DEVICE_SHAPES: Mapping[str, Shape] = {
    **dict.fromkeys(
        ["id", "parentDeviceId", "organizationId", "locationId", "nodeRoleId", "rolePolicyId", "policyId"], _ID
    ),
    **dict.fromkeys(["uid"], _UID),
    **dict.fromkeys(["nodeClass", "deviceType"], _NAME),
    "approvalStatus": _one_of("PENDING", "STAGED", "APPROVED", "DECOMMISSIONED"),
    "offline": FLAG,
    **dict.fromkeys(
        [
            "displayName",
            "systemName",
            "dnsName",
            "netbiosName",
            "publicIP",
            "lastLoggedInUser",
            "cpuModel",
            "model",
            "name",
            "serviceTag",
            "vendor",
            "version",
            "releaseName",
            "buildNumber",
        ],
        _TEXT,
    ),
    **dict.fromkeys(["created", "lastContact", "lastUpdate", "cpuMhz", "memorySize", "cpuCores"], _COUNT),
    **dict.fromkeys(["userData", "warranty", "os", "system", "memory", "customFields"], _OBJECT),
    "maintenance": _WINDOW,
    **dict.fromkeys(["tags", "ipAddresses", "macAddresses"], _TEXTS),
    **dict.fromkeys(["notes", "processors", "volumes", "disks", "interfaces", "software", "services"], _OBJECTS),
}

#: ``POST|PATCH /_sandbox/organizations``.
ORGANIZATION_SHAPES: Mapping[str, Shape] = {
    "name": _NAME,
    "description": _TEXT,
    "nodeApprovalMode": _one_of("AUTOMATIC", "MANUAL", "REJECT"),
}

#: ``POST /_sandbox/alerts/{uid}/clear``.
CLEAR_SHAPES: Mapping[str, Shape] = {"statusCode": _NAME, "message": _TEXT}

#: ``POST /_sandbox/alerts/{uid}/repeat``, ``.../acknowledge`` and ``.../psa-ticket``.
REPEAT_SHAPES: Mapping[str, Shape] = {"severity": _one_of(*SEVERITIES)}
ACKNOWLEDGE_SHAPES: Mapping[str, Shape] = {"userId": _ID, "message": _TEXT}
PSA_TICKET_SHAPES: Mapping[str, Shape] = {"psaTicketId": _PSA_TICKET}

#: Without these no end point could show a device.
_KEPT = frozenset(
    {
        "id",
        "organizationId",
        "locationId",
        "nodeRoleId",
        "nodeClass",
        "approvalStatus",
        "created",
        "lastUpdate",
        "offline",
    }
)


def alert_spec(body: Row) -> Row:
    """The body of a raised alert; ``null`` counts as left out. Raises ``ControlError`` naming the key."""
    return {key: value for key, value in _checked("alert", body, ALERT_SHAPES).items() if value is not None}


def device_fields(body: Row, *, fixed: frozenset[str] = frozenset()) -> Row:
    """Fields of a device (``null`` removes one), but none of ``fixed``. Raises ``ControlError`` naming the key."""
    known = {key: shape for key, shape in DEVICE_SHAPES.items() if key not in fixed}
    for key, value in _checked("device", body, known, unknown="cannot be set").items():
        if value is None and key in _KEPT:
            raise ControlError(f"device: '{key}' cannot be removed")
    return dict(body)


def checked(what: str, body: Row, shapes: Mapping[str, Shape]) -> Row:
    """The body, every value of which has its shape. Raises ``ControlError`` naming the first key that is wrong."""
    for key, value in _checked(what, body, shapes).items():
        if value is None:
            raise ControlError(f"{what}: '{key}' must be {shapes[key].words}, not null")
    return body


def _checked(what: str, body: Row, shapes: Mapping[str, Shape], *, unknown: str = "") -> Row:
    for key, value in body.items():
        shape = shapes.get(key)
        if shape is None:
            slip = f"'{key}' {unknown}" if unknown else f"unknown key '{key}'"
            raise ControlError(f"{what}: {slip}; known: {', '.join(sorted(shapes))}")
        if value is not None and not shape.accepts(value):
            raise ControlError(f"{what}: {key} cannot be {value!r}; it must be {shape.words}")
    return body
