"""Which audit records are meant: by time, by place in the topic, by device, organization or incident. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson

from schemas.identity import key_of_external_id, organization_key
from schemas.topics import CONTROL


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """What all given parts hold for. ``since`` and ``until`` are recorded times (epoch ms, both included), ``first`` and ``last`` offsets of
    the audit (both included; they need a ``partition``), ``key`` a device, location or organization that has decisions of its own,
    ``organization`` also its devices and locations, ``incident`` an external id.
    """

    since: int | None = None
    until: int | None = None
    partition: int | None = None
    first: int | None = None
    last: int | None = None
    key: str | None = None
    organization: int | None = None
    incident: str | None = None

    @property
    def whole(self) -> bool:
        """Whether every record is meant."""
        return self == Range()

    def over(self, offset: int, recorded_at: int) -> bool:
        """Whether a record of a partition comes after the range, in place or in time."""
        return (self.last is not None and offset > self.last) or (self.until is not None and recorded_at > self.until)

    def told(self) -> str:
        """The parts that name what is meant, for a message that says that there is none."""
        parts = {"device": self.key, "organization": self.organization, "incident": self.incident}
        return ", ".join(f"{name} {value}" for name, value in parts.items() if value is not None)


class Chooser:
    """The records of a range. Show it every record of a partition in order: it learns which organization a key belongs to."""

    def __init__(self, wanted: Range) -> None:
        self._wanted = wanted
        #: What was learned so far: whoever goes on from a kept place gives it back.
        self.organizations: dict[str, int] = {}
        self._named = None if wanted.incident is None else re.compile(_whole(wanted.incident))

    def takes(self, record: dict[str, Any], offset: int) -> bool:
        """Whether the record (JSON data) is within the range."""
        wanted, key = self._wanted, record["key"]
        if wanted.organization is not None and not self._is_of(record, key, wanted.organization):
            return False
        at = record["recorded_at"]
        return (
            (wanted.since is None or at >= wanted.since)
            and (wanted.first is None or offset >= wanted.first)
            and not wanted.over(offset, at)
            and (wanted.key is None or key == wanted.key)
            and (self._named is None or self._named.search(_texts(record)) is not None)
        )

    def decides(self, record: dict[str, Any], offset: int) -> bool:
        """Whether the record has to be decided to judge the range: of an incident all that its device had, and whatever has one
        decision for many keys, since that is decided as a whole.
        """
        if record["fact"]["topic"] == CONTROL:
            wanted = self._wanted
            early = wanted.since is not None and record["recorded_at"] < wanted.since
            return not early and not (wanted.first is not None and offset < wanted.first)
        if self._named is not None:
            return bool(record["key"] == key_of_external_id(self._wanted.incident))
        return self.takes(record, offset)

    def _is_of(self, record: dict[str, Any], key: str, organization: int) -> bool:
        if key == organization_key(organization):
            return True
        text = record["fact"]["value"]
        if '"subject":' in text:
            fact = orjson.loads(text)
            # What is told of a storm's candidate holds its alert.
            subject = fact.get("subject") or fact.get("alert", {}).get("subject")
            if subject:
                self.organizations[key] = subject["organization_id"]
        return self.organizations.get(key) == organization


def _whole(name: str) -> str:
    return rf"(?<![0-9A-Za-z.-]){re.escape(name)}(?![0-9A-Za-z.-])"


def _texts(record: dict[str, Any]) -> str:
    commands = (command["value"] for command in record["commands"])
    return "\n".join([record["fact"]["value"], *commands, orjson.dumps(record["decision"]).decode()])
