"""A golden journal: the facts of a scenario in their order, with what was decided about each when the journal was accepted.

A file is xz over JSON lines: one for the scenario, one per fact and agent, one with the digests of the agents' last documents. These hold
the head of every audit chain, so they cover each byte of each record, also what no line repeats (hashes, counts, digests of states).
A fact's id is left out of its file where it follows from the rest of the fact, since nothing compresses it.
"""

from __future__ import annotations

import lzma
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import blake2b
from itertools import groupby
from pathlib import Path
from typing import Any

import orjson

from schemas.audit import AuditedCommand, AuditedFact, AuditRecord
from schemas.envelope import DecodeError
from streams.core.engine import decide
from streams.core.verify import event_of
from tests.golden.words import in_words, places

FOLDER = Path(__file__).parent / "journals"
#: After so many differing events the rest of a journal most likely follows from them.
_SHOWN = 3
#: A month is longer than what xz looks back at by itself, and text has no alignment: a quarter less than by its presets.
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": 1 << 27, "pb": 0, "lp": 0, "nice_len": 273}]

State = dict[bytes, bytes]


@dataclass(frozen=True, slots=True)
class Step:
    """One decision about one key."""

    key: str
    revision: int
    decision: dict[str, Any]
    commands: tuple[dict[str, str], ...]

    def data(self) -> dict[str, Any]:
        return {"key": self.key, "revision": self.revision, "decision": self.decision, "commands": list(self.commands)}


@dataclass(frozen=True, slots=True)
class Entry:
    """A fact as an agent read it, and its decisions in their order."""

    agent: str
    fact: AuditedFact
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Journal:
    """``name`` is the file's, ``story`` the scenario in a sentence, ``ends`` the digest of each agent's last documents."""

    name: str
    story: str
    entries: tuple[Entry, ...]
    ends: dict[str, str]

    @property
    def records(self) -> int:
        """How many audit records it stands for."""
        return sum(len(entry.steps) for entry in self.entries)

    def text(self) -> bytes:
        """The lines: the same journal gives the same bytes."""
        lines: list[dict[str, Any]] = [{"scenario": self.name, "story": self.story}]
        for entry in self.entries:
            fact = entry.fact
            where = {"agent": entry.agent, "topic": fact.topic, "partition": fact.partition, "offset": fact.offset}
            what = {"headers": fact.headers, "value": fact.value, "steps": [step.data() for step in entry.steps]}
            lines.append({**where, **what})
        return b"".join(orjson.dumps(line) + b"\n" for line in [*lines, {"ends": self.ends}])

    def digest(self) -> str:
        """What the list of accepted journals knows it by: over its lines, not over how they are compressed."""
        return blake2b(self.text(), digest_size=16).hexdigest()


def journal_of(name: str, story: str, records: Iterable[AuditRecord]) -> Journal:
    """The journal of recorded decisions; the records of an agent and partition have to be in their order."""

    def place(record: AuditRecord) -> tuple[str, str, int, int]:
        return record.agent, record.fact.topic, record.fact.partition, record.fact.offset

    entries = []
    for _, group in groupby(records, key=place):
        same = list(group)
        steps = [
            Step(r.key, r.revision, r.decision, tuple(command.model_dump() for command in r.commands)) for r in same
        ]
        entries.append(Entry(same[0].agent, same[0].fact, tuple(steps)))
    return again(Journal(name, story, tuple(entries), {}))


def again(journal: Journal) -> Journal:
    """The same facts, decided by the code as it is now."""
    decided = Decided()
    entries = tuple(Entry(entry.agent, entry.fact, decided.steps(entry)) for entry in journal.entries)
    return Journal(journal.name, journal.story, entries, decided.ends())


class Decided:
    """The agents of a journal, with the documents that their decisions made so far."""

    def __init__(self) -> None:
        self._states: dict[tuple[str, int], State] = {}

    def steps(self, entry: Entry) -> tuple[Step, ...]:
        """What is decided now about the next fact. A fact that can no longer be read is a decision of its own."""
        state = self._states.setdefault((entry.agent, entry.fact.partition), {})
        try:
            made = decide(entry.agent, event_of(entry.fact), entry.fact, state)
        except DecodeError as error:
            return (Step("", 0, {"reasons": [{"reason": "Unreadable", "detail": str(error)}]}, ()),)
        found = []
        for step in made:
            state[step.key.encode()] = step.state
            record = orjson.loads(step.value)
            found.append(Step(step.key, record["revision"], record["decision"], tuple(record["commands"])))
        return tuple(found)

    def ends(self) -> dict[str, str]:
        """A digest of every document, per agent and partition."""
        return {f"{agent}/{partition}": _digest(state) for (agent, partition), state in sorted(self._states.items())}


def _digest(state: State) -> str:
    whole = blake2b(digest_size=16)
    for key, document in sorted(state.items()):
        whole.update(b"%d:%b%d:%b" % (len(key), key, len(document), document))
    return whole.hexdigest()


def differences(journal: Journal) -> list[str]:
    """What the code decides otherwise than it did when the journal was accepted, in words; nothing where it is the same."""
    decided = Decided()
    lines: list[str] = []
    differing = 0
    for number, entry in enumerate(journal.entries, start=1):
        now = decided.steps(entry)
        if now != entry.steps:
            differing += 1
            if differing <= _SHOWN:
                lines += _told(journal, number, entry, now)
    if differing > _SHOWN:
        lines.append(f"and {differing - _SHOWN} more events of '{journal.name}'")
    if not differing and decided.ends() != journal.ends:
        where = ", ".join(name for name, digest in decided.ends().items() if journal.ends.get(name) != digest)
        lines.append(
            f"'{journal.name}': every decision is the same, but the audit records or documents of {where} are not"
        )
    return lines


def _told(journal: Journal, number: int, entry: Entry, now: tuple[Step, ...]) -> Iterator[str]:
    was, is_now = ([_record(entry, step) for step in steps] for steps in (entry.steps, now))
    yield f"'{journal.name}', event {number} of {len(journal.entries)}: {in_words(entry.agent, entry.fact)}"
    for word, records in (("was", was), ("now", is_now)):
        told = [line for record in records for line in _decision(record)]
        yield from (f"  {word}: {line}" for line in told or ["no decision"])
    yield from (f"  at {line}" for line in places([s.data() for s in entry.steps], [s.data() for s in now]))


def _decision(record: AuditRecord) -> list[str]:
    from streams.explaining import happening_of

    rule = f"rule {record.decision['rule']} of revision {record.revision}" if "rule" in record.decision else ""
    told = [line.strip() for line in list(happening_of(record).lines())[1:]]
    return [f"{record.key}: {line}" for line in ([rule] if rule else []) + (told or ["nothing comes of it"])]


def _record(entry: Entry, step: Step) -> AuditRecord:
    commands = tuple(AuditedCommand.model_construct(**command) for command in step.commands)
    return AuditRecord.model_construct(
        agent=entry.agent, key=step.key, count=0, previous="", hash="", revision=step.revision, recorded_at=0,
        fact=entry.fact, decision=step.decision, commands=commands, state="",
    )  # fmt: skip


def keep(journal: Journal, folder: Path = FOLDER) -> Path:
    """Write a journal's file."""
    path = folder / f"{journal.name}.jsonl.xz"
    lines = [orjson.loads(line) for line in journal.text().splitlines()]
    for line in lines[1:-1]:
        if line["headers"]["ce_id"] == _own_id(line):
            del line["headers"]["ce_id"]
    text = b"".join(orjson.dumps(line) + b"\n" for line in lines)
    path.write_bytes(lzma.compress(text, filters=_FILTERS))
    return path


def _own_id(line: dict[str, Any]) -> str:
    """The id that the tests' worlds give a fact. Not asked of the code under test, which may change."""
    digest = blake2b(digest_size=16)
    for part in (line["headers"]["ce_partitionkey"], line["headers"]["ce_type"], line["value"]):
        digest.update(b"%d:%b" % (len(part.encode()), part.encode()))
    return digest.hexdigest()


def kept(path: Path) -> Journal:
    """Read a journal's file."""
    first, *lines, last = (orjson.loads(line) for line in lzma.decompress(path.read_bytes()).splitlines())
    for line in lines:
        line["headers"] = {"ce_specversion": "1.0", "ce_id": "", **line["headers"]}
        line["headers"]["ce_id"] = line["headers"]["ce_id"] or _own_id(line)
    return Journal(first["scenario"], first["story"], tuple(_entry(line) for line in lines), last["ends"])


def _entry(line: dict[str, Any]) -> Entry:
    fact = AuditedFact.model_construct(
        topic=line["topic"],
        partition=line["partition"],
        offset=line["offset"],
        headers=line["headers"],
        value=line["value"],
    )
    steps = tuple(Step(s["key"], s["revision"], s["decision"], tuple(s["commands"])) for s in line["steps"])
    return Entry(line["agent"], fact, steps)
