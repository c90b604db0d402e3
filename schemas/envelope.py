"""The CloudEvents 1.0 envelope in Kafka's binary mode: ``ce_*`` headers around the JSON of one model.

Source: CloudEvents specification, Kafka protocol binding (binary content mode; attributes as ``ce_`` headers, UTF-8).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Headers = tuple[tuple[str, bytes], ...]


class DecodeError(ValueError):
    """Bytes that are not one of our events; the message says which part is wrong and how.

    ``reason`` is the kind of it, as a noun: what ``lockstep parked list`` counts dead letters by.
    """

    reason = "Unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """Who said what, when, and because of what.

    ``time`` is when it happened by the vendor's clock, ``recorded`` when its publisher wrote it (set once); both are
    epoch milliseconds. ``key`` decides the partition. ``causation_id`` is the ``id`` of the event that led to this
    one, ``correlation_id`` the incident (its external id) that both belong to.
    """

    id: str
    type: str
    source: str
    time: int
    recorded: int
    key: str
    causation_id: str | None = None
    correlation_id: str | None = None

    def to_headers(self) -> list[tuple[str, bytes]]:
        """The record's headers, in a fixed order."""
        headers = [
            ("ce_specversion", b"1.0"),
            ("ce_id", self.id.encode()),
            ("ce_source", self.source.encode()),
            ("ce_type", self.type.encode()),
            ("ce_time", rfc3339(self.time).encode()),
            ("ce_recordedtime", rfc3339(self.recorded).encode()),
            ("ce_partitionkey", self.key.encode()),
            ("content-type", b"application/json"),
        ]
        if self.causation_id is not None:
            headers.append(("ce_causationid", self.causation_id.encode()))
        if self.correlation_id is not None:
            headers.append(("ce_correlationid", self.correlation_id.encode()))
        return headers

    @classmethod
    def from_headers(cls, headers: Iterable[tuple[str, bytes | None]]) -> Envelope:
        """Read the envelope back. Raises ``DecodeError`` naming the missing or broken attribute."""
        raw: dict[str, bytes] = {}
        for name, value in headers:
            if value is None:  # Kafka lets a header have no value at all, CloudEvents does not
                raise DecodeError(f"header {name} has no value")
            raw[name] = value
        try:
            if raw["ce_specversion"] != b"1.0":
                raise DecodeError(f"CloudEvents version {raw['ce_specversion']!r} is not 1.0")
            causation, correlation = raw.get("ce_causationid"), raw.get("ce_correlationid")
            return cls(
                id=raw["ce_id"].decode(),
                type=raw["ce_type"].decode(),
                source=raw["ce_source"].decode(),
                time=_header_ms(raw["ce_time"]),
                recorded=_header_ms(raw["ce_recordedtime"]),
                key=raw["ce_partitionkey"].decode(),
                causation_id=causation.decode() if causation is not None else None,
                correlation_id=correlation.decode() if correlation is not None else None,
            )
        except KeyError as missing:
            raise DecodeError(f"header {missing.args[0]} is missing") from None
        except UnicodeDecodeError:
            raise DecodeError("a ce_ header is not UTF-8") from None


def rfc3339(ms: int) -> str:
    """Epoch milliseconds as ``2026-11-24T03:00:00.123Z``: always three digits, so texts sort like instants."""
    seconds, rest = divmod(ms, 1000)
    return f"{_second(seconds)}.{rest:03d}Z"


# Facts and commands of one moment share their second; formatting one anew takes about 3 us, and a fact needs several.
@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    # isoformat, since strftime does not pad a year below 1000.
    return (_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat(timespec="seconds")


def _header_ms(value: bytes) -> int:
    """``epoch_ms`` of a header, with a short way for the form that ``rfc3339`` writes."""
    if len(value) == 24 and value[19:20] == b"." and value[23:] == b"Z" and value[20:23].isdigit():
        start = _start_of_second(value[:19])
        if start is not None:
            return start + int(value[20:23])
    return epoch_ms(value.decode())


@lru_cache(maxsize=4096)
def _start_of_second(value: bytes) -> int | None:
    try:
        return epoch_ms(f"{value.decode()}Z")
    except ValueError:
        return None


def epoch_ms(text: str) -> int:
    """An ISO 8601 instant as epoch milliseconds; without a designator it is taken as UTC (Autotask sends both forms).

    Raises ``DecodeError`` for anything else.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise DecodeError(f"'{text}' is not an ISO 8601 instant") from None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    # Whole milliseconds by integer arithmetic: a float of seconds would round some instants down by one.
    return (moment - _EPOCH) // timedelta(milliseconds=1)
