"""What can go wrong at a vendor, as data: signs by which a situation is recognised, and what each situation means.

Two tables, read from top to bottom, the first row that fits wins: ``SIGNS`` turns an answer (status, shape and text of
its body) into a ``Situation``; ``RULINGS`` turns (vendor, situation) into a ``Kind``, apart for reads and writes, since
the same time-out means "try again" after a read and "it may have happened" after a write. Sources: the vendors' error
answers as collected in NinjaOne's and Autotask's public references (probed, captured or documented).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from connectors.ports import Effect, Verdict
from schemas.facts import ConnectionName


class Kind(Enum):
    """What to do about a failure."""

    PERMANENT = "permanent"  # the same call would be refused again
    TRANSIENT = "transient"  # surely without effect; try again later
    FLOW_CONTROL = "flow control"  # surely without effect; the vendor asks to go slower
    CREDENTIALS = "credentials"  # these credentials do not work: stop at once
    UNKNOWN = "unknown outcome"  # a write was sent and its answer is missing or unusable: it may have happened


class Situation(Enum):
    """What was seen; the value is the noun for reasons, audit and console."""

    NOT_SENT = "HostUnreachable"
    TIMED_OUT = "TimedOut"
    CUT_OFF = "ConnectionLost"
    BROKEN_BODY = "BrokenAnswer"
    HTML_PAGE = "OverloadPage"
    TOO_LARGE = "AnswerTooLarge"
    REDIRECTED = "Redirected"
    UNAUTHORIZED = "Unauthorized"
    UNKNOWN_CLIENT = "UnknownClient"
    UNKNOWN_USER = "UnknownUser"
    WRONG_SECRET = "WrongSecret"
    SCOPE_REFUSED = "ScopeRefused"
    NO_TOKEN = "NoToken"  # the token address does not answer like one
    WRONG_ZONE = "WrongZone"
    WRONG_TRACKING_IDENTIFIER = "WrongTrackingIdentifier"
    LOCKED = "UserLocked"
    FORBIDDEN = "PermissionMissing"
    NOT_FOUND = "NotFound"
    REFUSED_INPUT = "RefusedInput"
    THROTTLED = "Throttled"
    THREAD_LIMIT = "ThreadLimit"
    SERVER_ERROR = "ServerError"


class Shape(Enum):
    """The form of an error body, as far as it tells situations apart."""

    ANY = "any"
    ERRORS = "errors"  # {"errors": [...]} without errorId: Autotask's answer to bad input and missing rights
    ERRORS_WITH_ID = "errors with errorId"  # Autotask's internal error


@dataclass(frozen=True, slots=True)
class Sign:
    """One row: an answer of ``vendor`` (``None``: either) with a status in ``low..high``, and a text in its body."""

    vendor: ConnectionName | None
    low: int
    high: int
    situation: Situation
    text: re.Pattern[str] | None = None
    shape: Shape = Shape.ANY


def _text(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


#: The words on record are "IntegrationCode is invalid." and "does not have the adequate permissions"; the others are
#: the same said otherwise, since texts change and the status (500) says nothing.
_CODE = r"(integration ?code|tracking identifier).{0,20}(invalid|not valid|unknown)|invalid.{0,10}integration ?code"
#: What the server of another zone says is not public; that it refuses is. A "time zone" is something else.
_ZONE = r"(user|tenant|database|company).{0,40}(?<!time )zone|(wrong|incorrect|another) zone"
_RIGHTS = r"adequate permission|insufficient (permission|right)|not have (the )?permission|permission denied"

SIGNS: tuple[Sign, ...] = (
    # NinjaOne: an unknown client id is often the right one at the wrong region (probed: 404 with this resultCode).
    Sign("ninjaone", 400, 404, Situation.UNKNOWN_CLIENT, _text("client app not exist")),
    # OAuth's own names (RFC 6749, 5.2); the HTTP status of NinjaOne's answer is not settled publicly.
    Sign("ninjaone", 400, 403, Situation.WRONG_SECRET, _text(r'"invalid_client"')),
    Sign("ninjaone", 400, 403, Situation.SCOPE_REFUSED, _text(r'"(invalid_scope|unauthorized_client)"')),
    Sign(
        "ninjaone", 400, 403, Situation.SCOPE_REFUSED, _text(r'"error"\s*:\s*"(invalid_grant|unsupported_grant_type)"')
    ),
    # The API says no in JSON. A web page with such a status is a gateway's, and says nothing about alert or device.
    Sign("ninjaone", 403, 410, Situation.HTML_PAGE, _text(r"\A\s*<")),
    # Autotask's zone lookup does not know the user (measured by others: 500 with this text).
    Sign("autotask", 400, 500, Situation.UNKNOWN_USER, _text("zone information could not be"), Shape.ERRORS),
    Sign("autotask", 400, 500, Situation.WRONG_ZONE, _text(_ZONE), Shape.ERRORS),
    # Autotask answers 500 to bad codes, missing rights and bad input alike; the text tells them apart.
    Sign("autotask", 200, 500, Situation.WRONG_TRACKING_IDENTIFIER, _text(_CODE), Shape.ERRORS),
    Sign("autotask", 401, 500, Situation.LOCKED, _text("account (has been|is) locked|user is locked")),
    Sign(
        "autotask",
        400,
        599,
        Situation.THREAD_LIMIT,
        _text(r"thread (count|threshold|limit)|concurrent (thread|request)"),
    ),
    Sign("autotask", 400, 599, Situation.THROTTLED, _text(r"(request|usage) (threshold|limit)|exceeded .*threshold")),
    Sign("autotask", 200, 500, Situation.FORBIDDEN, _text(_RIGHTS), Shape.ERRORS),
    Sign("autotask", 200, 500, Situation.NOT_FOUND, _text("no matching records found"), Shape.ERRORS),
    # These statuses speak for themselves, whatever texts come along.
    Sign("autotask", 401, 401, Situation.UNAUTHORIZED),
    Sign("autotask", 403, 403, Situation.FORBIDDEN),
    Sign("autotask", 404, 404, Situation.NOT_FOUND),
    Sign("autotask", 429, 429, Situation.THROTTLED),
    Sign("autotask", 200, 500, Situation.REFUSED_INPUT, shape=Shape.ERRORS),
    Sign("autotask", 200, 299, Situation.SERVER_ERROR, shape=Shape.ERRORS_WITH_ID),
    Sign(None, 300, 399, Situation.REDIRECTED),
    Sign(None, 401, 401, Situation.UNAUTHORIZED),
    Sign(None, 403, 403, Situation.FORBIDDEN),
    Sign(None, 404, 404, Situation.NOT_FOUND),
    Sign(None, 410, 410, Situation.NOT_FOUND),
    Sign(None, 408, 408, Situation.SERVER_ERROR),
    Sign(None, 429, 429, Situation.THROTTLED),
    Sign(None, 400, 499, Situation.REFUSED_INPUT),
    Sign(None, 500, 599, Situation.SERVER_ERROR),
)


@dataclass(frozen=True, slots=True)
class Ruling:
    """What a situation means at ``vendor`` (``None``: at either), after a read and after a write."""

    vendor: ConnectionName | None
    situation: Situation
    read: Kind
    write: Kind


RULINGS: tuple[Ruling, ...] = (
    # No byte of the request left this machine, so nothing can have happened.
    Ruling(None, Situation.NOT_SENT, Kind.TRANSIENT, Kind.TRANSIENT),
    Ruling(None, Situation.TIMED_OUT, Kind.TRANSIENT, Kind.UNKNOWN),
    Ruling(None, Situation.CUT_OFF, Kind.TRANSIENT, Kind.UNKNOWN),
    Ruling(None, Situation.BROKEN_BODY, Kind.TRANSIENT, Kind.UNKNOWN),
    Ruling(None, Situation.HTML_PAGE, Kind.TRANSIENT, Kind.UNKNOWN),
    Ruling(None, Situation.SERVER_ERROR, Kind.TRANSIENT, Kind.UNKNOWN),
    # A larger answer would be as large the next time; after a write it still says that something was done.
    Ruling(None, Situation.TOO_LARGE, Kind.PERMANENT, Kind.UNKNOWN),
    Ruling("ninjaone", Situation.REDIRECTED, Kind.PERMANENT, Kind.PERMANENT),
    # An old zone may point to the new one; nothing was done, and the next call asks for the zone anew.
    Ruling("autotask", Situation.REDIRECTED, Kind.TRANSIENT, Kind.TRANSIENT),
    Ruling(None, Situation.WRONG_ZONE, Kind.CREDENTIALS, Kind.CREDENTIALS),
    Ruling(None, Situation.UNAUTHORIZED, Kind.CREDENTIALS, Kind.CREDENTIALS),
    Ruling(None, Situation.UNKNOWN_CLIENT, Kind.CREDENTIALS, Kind.CREDENTIALS),
    Ruling(None, Situation.UNKNOWN_USER, Kind.CREDENTIALS, Kind.CREDENTIALS),
    Ruling(None, Situation.WRONG_SECRET, Kind.CREDENTIALS, Kind.CREDENTIALS),
    # Of the token only: the call that it was for was not made.
    Ruling(None, Situation.NO_TOKEN, Kind.TRANSIENT, Kind.TRANSIENT),
    Ruling(None, Situation.SCOPE_REFUSED, Kind.CREDENTIALS, Kind.CREDENTIALS),
    Ruling(None, Situation.WRONG_TRACKING_IDENTIFIER, Kind.CREDENTIALS, Kind.CREDENTIALS),
    Ruling(None, Situation.LOCKED, Kind.CREDENTIALS, Kind.CREDENTIALS),
    # One missing right does not make the credentials wrong: other entities still work.
    Ruling(None, Situation.FORBIDDEN, Kind.PERMANENT, Kind.PERMANENT),
    Ruling(None, Situation.NOT_FOUND, Kind.PERMANENT, Kind.PERMANENT),
    Ruling(None, Situation.REFUSED_INPUT, Kind.PERMANENT, Kind.PERMANENT),
    Ruling(None, Situation.THROTTLED, Kind.FLOW_CONTROL, Kind.FLOW_CONTROL),
    Ruling(None, Situation.THREAD_LIMIT, Kind.FLOW_CONTROL, Kind.FLOW_CONTROL),
)

_VERDICTS: Mapping[Kind, Verdict] = {
    Kind.PERMANENT: Verdict.REJECTED,
    Kind.TRANSIENT: Verdict.TRANSIENT,
    Kind.FLOW_CONTROL: Verdict.THROTTLED,
    Kind.CREDENTIALS: Verdict.SUSPENDED,
    Kind.UNKNOWN: Verdict.UNKNOWN,
}


class CallFailed(Exception):
    """A call without a usable answer. ``detail`` is one redacted line: what was asked, what came back, what to do.

    ``status`` and ``body`` are the answer's, if there was one; ``retry_after`` is in seconds, if the vendor named a
    time; ``calls`` counts the HTTP calls made, retries included.
    """

    def __init__(
        self,
        *,
        vendor: ConnectionName,
        situation: Situation,
        write: bool,
        detail: str,
        status: int | None = None,
        body: bytes = b"",
        retry_after: float | None = None,
        calls: int = 1,
    ) -> None:
        super().__init__(detail)
        self.vendor: ConnectionName = vendor
        self.situation = situation
        self.write = write
        self.kind = kind_of(vendor, situation, write=write)
        self.detail = detail
        self.status = status
        self.body = body
        self.retry_after = retry_after
        self.calls = calls

    def as_situation(self, situation: Situation) -> CallFailed:
        """The same failure, seen as another situation by somebody who knows more about the call."""
        return CallFailed(
            vendor=self.vendor,
            situation=situation,
            write=self.write,
            detail=self.detail,
            status=self.status,
            body=self.body,
            retry_after=self.retry_after,
            calls=self.calls,
        )

    def is_about(self, word: str) -> bool:
        """Whether it is a refusal for good that names this (in lower case), by the vendor's own words."""
        return self.kind is Kind.PERMANENT and word in self.body.decode("utf-8", "replace").lower()

    def effect(self, *, calls: int | None = None) -> Effect:
        """This failure as the result of an effect; ``calls`` when more were made than this one."""
        return Effect(
            verdict=_VERDICTS[self.kind],
            reason=self.situation.value,
            detail=self.detail,
            retry_after=self.retry_after,
            calls=self.calls if calls is None else calls,
        )


def kind_of(vendor: ConnectionName, situation: Situation, *, write: bool) -> Kind:
    """What a situation means for a read or a write at this vendor."""
    for ruling in RULINGS:
        if ruling.situation is situation and ruling.vendor in (None, vendor):
            return ruling.write if write else ruling.read
    raise LookupError(f"no ruling for {vendor} {situation.name}")


#: What a person is to do about refused credentials, where the vendor's own answer says little (Autotask: 401, no body).
COUNSEL: Mapping[tuple[ConnectionName, Situation], str] = {
    ("autotask", Situation.UNAUTHORIZED): (
        "Autotask refused the API user (401, which does not say why); check in Autotask, in this order, that it is "
        "Active, that it is not Locked, that the secret is right (and last the tracking identifier), then 'lockstep test "
        "autotask'"
    ),
    ("autotask", Situation.LOCKED): (
        "Autotask says that the API user is locked; unlock it there, then 'lockstep test autotask'"
    ),
    ("autotask", Situation.UNKNOWN_USER): (
        "Autotask does not know the user name; compare it with the Username (Key) of the API user, then "
        "'lockstep connect autotask'"
    ),
    ("autotask", Situation.WRONG_ZONE): (
        "the Autotask server that was called does not keep this tenant (any more); 'lockstep test autotask' asks anew which "
        "one does"
    ),
    ("autotask", Situation.WRONG_TRACKING_IDENTIFIER): (
        "Autotask does not accept the tracking identifier; copy it from the API user's page, then 'lockstep connect autotask'"
    ),
    ("ninjaone", Situation.UNAUTHORIZED): (
        "NinjaOne refused the client app's token, a renewed one too; check the app at Administration > Apps > API, then "
        "'lockstep test ninjaone'"
    ),
    ("ninjaone", Situation.UNKNOWN_CLIENT): (
        "NinjaOne does not know the client id; it was removed or belongs to another region; see Administration > Apps > "
        "API, then 'lockstep test ninjaone'"
    ),
    ("ninjaone", Situation.WRONG_SECRET): (
        "NinjaOne refused the client secret; create a new one at Administration > Apps > API, then 'lockstep connect ninjaone'"
    ),
}


def counsel(failure: CallFailed) -> str:
    """Why the credentials do not work, and what to do, in one line: the table's words, else the vendor's."""
    return COUNSEL.get((failure.vendor, failure.situation), failure.detail)


def recognise(vendor: ConnectionName, *, status: int, body: bytes, document: Any) -> Situation | None:
    """The situation of an answer, or ``None`` where it is a success. ``document`` is the decoded body, if it is JSON."""
    shape = shape_of(document)
    if 200 <= status <= 299 and shape is Shape.ANY:
        return None
    # 4096 bytes hold every error text on record several times over, and bound the search in a hostile body.
    text = body[:4096].decode("utf-8", "replace")
    for sign in SIGNS:
        if sign.vendor not in (None, vendor) or not sign.low <= status <= sign.high:
            continue
        if sign.shape not in (Shape.ANY, shape) or (sign.text is not None and not sign.text.search(text)):
            continue
        return sign.situation
    return None


def shape_of(document: Any) -> Shape:
    """Which of the forms that tell situations apart a decoded body has."""
    errors = _member(document, "errors")
    if not isinstance(errors, list | str) or not errors:
        return Shape.ANY
    return Shape.ERRORS if _member(document, "errorId") is None else Shape.ERRORS_WITH_ID


def _member(document: Any, name: str) -> Any:
    if not isinstance(document, dict):
        return None
    return next((value for key, value in document.items() if str(key).lower() == name.lower()), None)


def vendor_words(document: Any) -> str:
    """What an error body says, in one text: the fields that the vendors' error families use, lenient about form."""
    if isinstance(document, str):
        return document
    if not isinstance(document, dict):
        return ""
    words: list[str] = []
    for name in (
        "resultCode",
        "error",
        "errorCode",
        "error_description",
        "errorMessage",
        "errorDetails",
        "message",
        "Message",
    ):
        value = document.get(name)
        if isinstance(value, dict):
            value = value.get("code")
        if value not in (None, "") and str(value) not in words:
            words.append(str(value))
    errors = _member(document, "errors")
    if isinstance(errors, list | str):
        words.extend(str(entry) for entry in ([errors] if isinstance(errors, str) else errors[:3]))
    incident = document.get("incidentId") or _member(document, "errorId")
    if incident is not None:
        words.append(f"(incident {incident})")
    return " ".join(words)
