"""``explain``: everything that happened to an alert, a ticket or a device, in order, and how it stood at a moment; from the audit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import orjson

from schemas.audit import AuditRecord
from schemas.envelope import rfc3339
from schemas.identity import is_key
from schemas.personal import tokens_in
from schemas.topics import AUDIT
from streams.core.engine import fold
from streams.core.stands import stands
from streams.kafka_options import KafkaOptions
from streams.personal import shown, values_of
from streams.readers import read_all
from streams.wording import cut, cut_between, one_line

#: Ticket numbers, uids and external ids are longer; anything shorter would be found in half of the log.
_SHORTEST = 6
#: What is learned gets this much of a line, or the rule a line of its own.
_ROOM = 40


@dataclass(frozen=True, slots=True)
class Happening:
    """One decision: what was learned, what came of it and why."""

    at: int
    agent: str
    key: str
    count: int
    fact: str
    about: str
    reasons: tuple[str, ...]
    dispositions: dict[str, Any]
    rule: str | None
    revision: int
    commands: tuple[dict[str, Any], ...]
    told: tuple[dict[str, Any], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For JSON output."""
        return {
            "time": rfc3339(self.at),
            "agent": self.agent,
            "key": self.key,
            "count": self.count,
            "fact": self.fact,
            "about": self.about,
            "reasons": list(self.reasons),
            "dispositions": self.dispositions,
            "rule": self.rule,
            "revision": self.revision,
            "commands": list(self.commands),
            "told": list(self.told),
        }

    def lines(self, width: int | None = None, *, keyed: bool = False) -> Iterator[str]:
        """For people. With a ``width`` each is cut to it at a word; the rule is kept, for it is what people look for.

        ``keyed`` says of which key it is, where those of several are shown.
        """
        rule = f"rule {self.rule} of policy revision {self.revision}" if self.rule else ""
        key = f"{self.key:<5} " if keyed else ""
        head, about = f"{rfc3339(self.at)}  {key}{self.fact}: ", one_line(self.about)
        if rule and width is not None and width < len(head) + len(rule) + _ROOM:
            yield cut(head + about, width)
            yield cut(f"    {rule}", width)
        else:
            yield cut_between(head, about, f"; {rule}" if rule else "", width)
        for line in self._came_of_it():
            yield one_line(line) if width is None else cut(one_line(line), width)

    def _came_of_it(self) -> Iterator[str]:
        for uid, (disposition, reason) in self.dispositions.items():
            yield f"    alert {uid}: {disposition} ({reason})"
        for reason in self.reasons:
            yield f"    {reason}"
        for command in self.commands:
            yield f"    -> {command['command']} {command['about']}"
        for told in self.told:
            yield f"    tells {told['key']}: {told['fact']} {told['about']}"


@dataclass(frozen=True, slots=True)
class Story:
    """What happened, and how what it is about stood at a moment (empty where none was asked for)."""

    happenings: list[Happening]
    stands: list[str]


async def explain(options: KafkaOptions, wanted: str, *, since: int | None = None, as_of: int | None = None) -> Story:
    """What the audit says about an id: an alert's uid, an external id, a ticket's number or id, or a device's id.

    ``since`` and ``as_of`` (epoch ms) cut what happened by recorded time; ``as_of`` also asks how it stood then. Reads the audit once;
    records of one key are in order, and the result is in the order of time.
    """
    records = [AuditRecord.from_json(raw.value or b"") async for raw in read_all(options, AUDIT)]
    story = told(records, wanted, since=since, as_of=as_of)
    # Personal values stand apart from the log; an erased one is shown as such.
    lines = [*(happening.about for happening in story.happenings), *story.stands]
    values = await values_of(options, (token for line in lines for token in tokens_in(line)))
    return Story(
        [replace(happening, about=shown(happening.about, values)) for happening in story.happenings],
        [shown(line, values) for line in story.stands],
    )


def told(records: list[AuditRecord], wanted: str, *, since: int | None = None, as_of: int | None = None) -> Story:
    """The story of an id from all records of the audit."""
    about = chosen(records, wanted)
    within = [
        record
        for record in about
        if (since is None or record.recorded_at >= since) and (as_of is None or record.recorded_at <= as_of)
    ]
    happenings = sorted((happening_of(record) for record in within), key=lambda happening: happening.at)
    return Story(happenings, [] if as_of is None else _stood(records, about, wanted, as_of))


def _stood(records: list[AuditRecord], about: list[AuditRecord], wanted: str, as_of: int) -> list[str]:
    names = None
    if not any(record.key == wanted for record in about):
        # What had no name then, a ticket's number say, is found by the name that it got since.
        names = {wanted} | {name for record in about for name in _incidents_in(record)}
        names |= {uid for record in about for uid in record.decision.get("dispositions", {}) if _same(uid, wanted)}
    documents: dict[tuple[str, str], bytes] = {}
    places = {(record.agent, record.key) for record in about}
    for record in records:
        place = (record.agent, record.key)
        if place in places and record.recorded_at <= as_of:
            documents[place] = fold(record, documents.get(place))
    facts = [orjson.loads(record.fact.value) for record in about]
    numbers = {fact["ticket_id"]: fact["ticket_number"] for fact in facts if fact.get("ticket_number")}
    return [
        line
        for (agent, key), document in sorted(documents.items())
        for line in stands(agent, key, document, names, numbers)
    ]


def _same(uid: str, wanted: str) -> bool:
    return uid.replace("-", "").lower() == wanted.replace("-", "").lower()


def chosen(records: list[AuditRecord], wanted: str) -> list[AuditRecord]:
    """The records that an id means, in their order: those of a key, else those of an incident. Parts of names mean nothing."""
    found = _of_device(records, wanted) if is_key(wanted) else []
    return _of_incident(records, wanted) if not found and (wanted.isdigit() or not is_key(wanted)) else found


def _of_device(records: list[AuditRecord], wanted: str) -> list[AuditRecord]:
    return [record for record in records if record.key == wanted]


def _of_incident(records: list[AuditRecord], wanted: str) -> list[AuditRecord]:
    """Records that name the id, and then those that name the incidents or alerts found there."""
    if len(wanted) < _SHORTEST and not wanted.isdigit():
        return []
    names = {wanted, wanted.replace("-", "")} if len(wanted.replace("-", "")) == 32 else {wanted}
    # A number is a ticket's id, not any number; a name is whole, not a part of another one.
    written = rf'"ticket(?:_id)?":{wanted}(?!\d)' if wanted.isdigit() else _whole(names)
    named = [record for record in records if _names(record, re.compile(written))]
    for record in named:
        names |= _incidents_in(record)
    keys = {record.key for record in named}
    either = re.compile(f"{written}|{_whole(names - {wanted})}" if names - {wanted} else written)
    return [record for record in records if record.key in keys and _names(record, either)]


def _whole(names: set[str]) -> str:
    parts = []
    for name in sorted(names):
        # A uid stands within external ids; anything else is whole with its dots and dashes.
        beside = "[0-9A-Za-z]" if len(name.replace("-", "")) == 32 else "[0-9A-Za-z.-]"
        parts.append(rf"(?<!{beside}){re.escape(name)}(?!{beside})")
    return "|".join(parts)


def _names(record: AuditRecord, written: re.Pattern[str]) -> bool:
    texts = [record.fact.value, *(command.value for command in record.commands), orjson.dumps(record.decision).decode()]
    return any(written.search(text) for text in texts)


def _incidents_in(record: AuditRecord) -> set[str]:
    found = {
        change["at"][1]
        for change in record.decision.get("changes", [])
        if change["at"] and change["at"][0] == "incidents"
    }
    value = orjson.loads(record.fact.value)
    found |= {str(value[name]) for name in ("incident", "external_id") if value.get(name)}
    return found


def happening_of(record: AuditRecord) -> Happening:
    """One audit record for people."""
    value = orjson.loads(record.fact.value)
    kind = record.fact.headers.get("ce_type", "")
    reasons = []
    for reason in record.decision.get("reasons", []):
        text = reason["reason"] + (f" of {reason['of']}" if "of" in reason else "")
        reasons.append(text + (f": {reason['detail']}" if "detail" in reason else ""))
    return Happening(
        at=record.recorded_at,
        agent=record.agent,
        key=record.key,
        count=record.count,
        fact=kind.removeprefix("lockstep.").rpartition(".v")[0],
        about=_about(value),
        reasons=tuple(reasons),
        dispositions=dict(record.decision.get("dispositions", {})),
        rule=record.decision.get("rule"),
        revision=record.revision,
        commands=tuple(
            {
                "id": command.id,
                "command": command.type.removeprefix("lockstep.command.").rpartition(".v")[0],
                "about": _about(orjson.loads(command.value)),
            }
            for command in record.commands
        ),
        told=tuple(
            {
                "id": told["id"],
                "key": told["key"],
                "fact": told["type"].removeprefix("lockstep.").rpartition(".v")[0],
                "about": _about(orjson.loads(told["value"])),
            }
            for told in record.decision.get("told", [])
        ),
    )


_TELLING = (
    "outcome", "command_type", "how", "reason", "detail", "ticket_number", "ticket_id", "external_id", "uid", "message",
    "title", "severity", "revision", "author", "status", "completed", "cause", "queue", "priority", "company_id", "item_id", "calls", "timer", "state",
    "connection", "storm", "devices", "why", "last_user", "text", "actor", "selection", "drift", "fields",
)  # fmt: skip


_LABELS = {"command_type": "command"}
_TYPE = re.compile(r"lockstep\.(?:command\.)?(.+)\.v\d+")


def _written(value: Any) -> str:
    """A value of a fact or command for people: words and numbers, not a program's notation of them."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return "; ".join(f"{name} {_written(each)}" for name, each in value.items())
    if isinstance(value, list):
        return "; ".join(_written(each) for each in value)
    kind = _TYPE.fullmatch(str(value))
    return kind[1] if kind else " ".join(str(value).split())


def _about(value: dict[str, Any]) -> str:
    subject = value.get("subject") or {}
    # A device that NinjaOne no longer has comes without a name.
    name = subject.get("device_name") or subject.get("device_id")
    parts = [f"device {name}"] if name else []
    parts += [
        f"{_LABELS.get(field) or field.replace('_', ' ')} {_written(value[field])}"
        for field in _TELLING
        if value.get(field) not in (None, "", [], {})
    ]
    return ", ".join(parts)
