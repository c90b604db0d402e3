"""Decides every recorded fact again and compares: decision, commands, state and chain, byte for byte.

A verifier reads the audit of one agent and one partition in order. It keeps the documents as the records make them, so
it needs nothing but the audit (and the checkpoint, where the audit begins later than the state). Records that another
version of the core decided are judged by their chain and their state; that this build would decide otherwise is
counted, and no difference. It never stops a reader that goes on after a difference, but what follows the first one is only as good as the documents were.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from schemas.audit import AuditedFact, AuditRecord
from schemas.envelope import DecodeError
from schemas.events import Event, decode_fact
from schemas.facts import Fact
from streams.core import documents
from streams.core.differing import Difference, parts_of
from streams.core.engine import Step, decide, fold
from streams.core.version import DECISIONS


class Verifier:
    """Feed it the records of one agent and partition in their order; ``finish`` compares with the live state."""

    def __init__(self, *, agent: str, state: Mapping[bytes, bytes] | None = None) -> None:
        self.agent = agent
        self.state: dict[bytes, bytes] = dict(state or {})
        #: How many decisions led to the state, and whether a record was seen that says its number among them.
        self._decided = sum(map(documents.length_of, self.state.values()))
        self._numbered = False
        #: The number of the last record from before the checkpoint.
        self._linked: int | None = None
        #: What a checkpoint holds of each key's chain, and the last link before it that was seen.
        self._began = {key: documents.read(document)[1] for key, document in self.state.items()}
        self._links: dict[str, tuple[int, str]] = {}
        self.records = 0
        self.commands = 0
        #: Records by the version of the core that decided them, where it is not this one.
        self.others: Counter[int] = Counter()
        #: How many of those this build would decide otherwise, and the first of them.
        self.otherwise = 0
        self.first_otherwise: Difference | None = None
        #: What this build makes of the last fact that another decided: the record of each key.
        self._again: dict[str, bytes] = {}
        #: How many of the records were not decided again.
        self.passed = 0
        self._expected: deque[Step] = deque()
        self._last: AuditedFact | None = None
        #: The offset of the last fact of each topic: an agent reads a topic in its order.
        self._offsets: dict[str, int] = {}

    def saved(self) -> dict[str, Any]:
        """What this knows beside ``state``, as JSON data, for ``resumed``. Not ``within`` a fact, which is decided as a whole."""
        last = self._last
        return {
            "records": self.records,
            "commands": self.commands,
            "passed": self.passed,
            "others": sorted(self.others.items()),
            "otherwise": self.otherwise,
            "first_otherwise": asdict(self.first_otherwise) if self.first_otherwise is not None else None,
            "began": {key.decode(): list(chain) for key, chain in self._began.items()},
            "links": {key: list(link) for key, link in self._links.items()},
            "numbered": self._numbered,
            "linked": self._linked,
            "again": {key: value.decode() for key, value in self._again.items()},
            "last": [last.topic, last.partition, last.offset] if last is not None else None,
            "offsets": self._offsets,
        }

    @classmethod
    def resumed(cls, *, agent: str, state: dict[bytes, bytes], saved: Mapping[str, Any]) -> Verifier:
        """A verifier that goes on where another of the same ``agent`` was: its ``state`` and what it ``saved()``.

        Raises ``KeyError``, ``TypeError``, ``ValueError`` for what none has saved.
        """
        found = cls(agent=agent)
        found.state = state
        found._decided = sum(map(documents.length_of, state.values()))
        found._numbered, found._linked = saved["numbered"], saved["linked"]
        found.records, found.commands, found.passed = saved["records"], saved["commands"], saved["passed"]
        found.others = Counter(dict(saved["others"]))
        found.otherwise = saved["otherwise"]
        found.first_otherwise = Difference(**saved["first_otherwise"]) if saved["first_otherwise"] else None
        found._began = {key.encode(): documents.Chain(*chain) for key, chain in saved["began"].items()}
        found._links = {key: (count, link) for key, (count, link) in saved["links"].items()}
        found._again = {key: value.encode() for key, value in saved["again"].items()}
        if saved["last"] is not None:
            topic, partition, offset = saved["last"]
            # Of the last fact only its place is asked for.
            found._last = AuditedFact.model_construct(
                topic=topic, partition=partition, offset=offset, headers={}, value=""
            )
        found._offsets = dict(saved["offsets"])
        return found

    def agrees(self, document: dict[str, Any], value: bytes) -> bool:
        """Whether the next record, given as JSON data and as its bytes, is byte for byte what is decided now.

        The short way, for the records that are as they should be. Where it says no, nothing has changed: ``feed`` takes the
        record apart and says what differs. Raises ``KeyError``, ``TypeError``, ``AttributeError`` for what is no record.
        """
        fact = _fact_in(document["fact"])
        version = document.get("decisions")
        sequence = document.get("sequence")
        if (
            self._cut
            or version not in (None, DECISIONS)
            or sequence != (self._next if sequence or self._numbered else None)
        ):
            return False
        if self._expected:
            steps = list(self._expected) if self._last is not None and same_place(fact, self._last) else []
        else:
            try:
                steps = decide(self.agent, event_of(fact), fact, self.state, decisions=version, sequence=sequence)
            except DecodeError:
                steps = []
        if not steps or steps[0].value != value or not self._in_order(fact):
            return False
        self._expected = deque(steps[1:])
        self._put(steps[0].key.encode(), steps[0].state, sequence)
        self.records += 1
        self.commands += len(steps[0].commands)
        self._remember(fact)
        return True

    @property
    def _next(self) -> int:
        """The number of the next record among all of the agent in the partition."""
        return self._decided + 1

    @property
    def _cut(self) -> bool:
        """Whether records are missing between the last from before the checkpoint and the first after it."""
        return not self._numbered and self._linked not in (None, self._decided)

    def _put(self, key: bytes, document: bytes, sequence: int | None) -> None:
        self.state[key] = document
        self._decided += 1
        self._numbered = sequence is not None

    @property
    def within(self) -> bool:
        """Whether the last fact concerns more keys, whose records have to come next."""
        return bool(self._expected)

    def goes_on(self, document: dict[str, Any]) -> bool:
        """Whether a record (JSON data) is about the fact of the last one. Raises ``KeyError``, ``TypeError`` for what is no record."""
        return self._last is not None and same_place(_fact_in(document["fact"]), self._last)

    def has(self, document: dict[str, Any]) -> bool:
        """Whether a record (JSON data) led to the checkpoint that this began with."""
        chain = self._began.get(document["key"].encode())
        return chain is not None and bool(document["count"] <= chain.length)

    def link(self, record: AuditRecord) -> Difference | None:
        """A record from before the checkpoint, whose state nobody has: its hash, its place in the chain, and that it leads there."""
        self.records += 1
        self.passed += 1
        chain = self._began[record.key.encode()]
        before = self._links.get(record.key)
        self._links[record.key] = (record.count, record.hash)
        follows = record.sequence if self._linked is None else self._linked + 1
        self._linked = record.sequence
        for field, recorded, expected in (
            ("hash", record.hash, record.chained()),
            ("count", record.count, record.count if before is None else before[0] + 1),
            ("previous", record.previous, record.previous if before is None else before[1]),
            ("sequence", record.sequence, follows),
            ("hash", record.hash, chain.head if record.count == chain.length else record.hash),
        ):
            if recorded != expected:
                return self._difference(record, field, str(recorded), str(expected))
        self._remember(record.fact)
        return None

    def pass_over(self, record: AuditRecord) -> Difference | None:
        """The next record, not decided again: its place in the chain, its hash, and its changes as they were recorded."""
        self.records += 1
        self.passed += 1
        self.commands += len(record.commands)
        for field, recorded, expected in (
            ("agent", record.agent, self.agent),
            ("hash", record.hash, record.chained()),
        ):
            if recorded != expected:
                return self._difference(record, field, recorded, expected)
        found = self._follow(record)
        if found is None:
            self._remember(record.fact)
        return found

    def feed(self, record: AuditRecord) -> Difference | None:
        """The next record. Returns the first difference in it, if there is one."""
        self.records += 1
        self.commands += len(record.commands)
        found = self._compare(record)
        self._remember(record.fact)
        return found

    def finish(self, live: Mapping[bytes, bytes] | None = None) -> Difference | None:
        """The end of the audit: a decision that is missing at it, or a live document that it does not lead to."""
        if self._expected and self._last is not None:
            return self._missing(self._last)
        for name in sorted({*self.state, *(live or {})}) if live is not None else ():
            mine, theirs = self.state.get(name), live.get(name) if live else None
            if mine != theirs:
                return self._other_state(name, recorded=mine, live=theirs)
        return None

    def _compare(self, record: AuditRecord) -> Difference | None:
        if record.agent != self.agent:
            return self._difference(record, "agent", record.agent, self.agent)
        if record.hash != record.chained():
            return self._difference(record, "hash", record.hash, record.chained())
        if self._expected and self._last is not None and not same_place(record.fact, self._last):
            return self._missing(self._last)
        if record.decisions not in (None, DECISIONS):
            return self._of_another_build(record, record.decisions or 0)
        if not self._expected:
            found = self._decide(record)
            if found is not None:
                return found
        if not self._in_order(record.fact):
            return self._out_of_order(record)
        step = self._expected.popleft()
        # In the usual case one comparison of bytes says it all.
        parts = parts_of(record, step.record) if record.to_json() != step.value else []
        for field, recorded, decided in parts:
            if recorded != decided:
                return self._difference(record, field, recorded, decided)
        misplaced = self._misplaced(record)
        if misplaced is not None:
            return misplaced
        self._put(step.key.encode(), step.state, record.sequence)
        return None

    def _of_another_build(self, record: AuditRecord, version: int) -> Difference | None:
        """A record that another version decided: its link, and the state that it led to."""
        # Before the state follows it: what this build would decide depends on the one that led there.
        self._would_decide(record, version)
        found = self._follow(record)
        if found is None:
            self.others[version] += 1
        return found

    def _follow(self, record: AuditRecord) -> Difference | None:
        """A record as it was decided: its place in the chain and in its topic, and the state that its changes lead to."""
        key = record.key.encode()
        chain = documents.read(self.state.get(key))[1]
        for name, recorded, follows in (
            ("count", record.count, chain.length + 1),
            ("previous", record.previous, chain.head),
        ):
            if recorded != follows:
                return self._difference(record, name, str(recorded), str(follows))
        if not self._in_order(record.fact):
            return self._out_of_order(record)
        misplaced = self._misplaced(record)
        if misplaced is not None:
            return misplaced
        document = fold(record, self.state.get(key))
        state = documents.digest(documents.body_bytes(documents.read(document)[0]))
        if state != record.state:
            return self._difference(record, "state", record.state, state)
        self._put(key, document, record.sequence)
        return None

    def _would_decide(self, record: AuditRecord, version: int) -> None:
        """Count it where this build would decide otherwise, as long as the state is the one that led there."""
        if self._last is None or not same_place(record.fact, self._last):
            try:
                event = event_of(record.fact)
                steps = decide(self.agent, event, record.fact, self.state, decisions=version, sequence=record.sequence)
            except DecodeError:
                steps = []
            self._again = {step.key: step.value for step in steps}
        value = self._again.get(record.key)
        if value is not None and value == record.to_json():
            return
        self.otherwise += 1
        if self.first_otherwise is None:
            parts = (
                parts_of(record, AuditRecord.from_json(value))
                if value is not None
                else [("record", "a decision", "none")]
            )
            name, recorded, decided = next((part for part in parts if part[1] != part[2]), parts[0])
            self.first_otherwise = self._difference(record, name, recorded, decided)

    def _in_order(self, fact: AuditedFact) -> bool:
        """Whether a fact follows those of its topic before it; one that concerns many keys stands in a record of each."""
        known = self._offsets.get(fact.topic, -1)
        return fact.offset > known or (self._last is not None and same_place(fact, self._last))

    def _misplaced(self, record: AuditRecord) -> Difference | None:
        """A record that is not the next of the agent in the partition. Records from before they were numbered may only come first."""
        if self._cut:
            return self._difference(record, "sequence", str(record.sequence or "none"), str((self._linked or 0) + 1))
        if record.sequence == (self._next if record.sequence is not None or self._numbered else None):
            return None
        return self._difference(record, "sequence", str(record.sequence or "none"), str(self._next))

    def _out_of_order(self, record: AuditRecord) -> Difference:
        after = f"after offset {self._offsets[record.fact.topic]}"
        return self._difference(record, "order", f"offset {record.fact.offset}", after)

    def _remember(self, fact: AuditedFact) -> None:
        self._last = fact
        self._offsets[fact.topic] = fact.offset

    def _decide(self, record: AuditRecord) -> Difference | None:
        try:
            event = event_of(record.fact)
        except DecodeError as error:
            return self._difference(record, "fact", "a fact that was decided", f"unreadable: {error}")
        sequence = None if record.sequence is None else self._next
        self._expected.extend(
            decide(self.agent, event, record.fact, self.state, decisions=record.decisions, sequence=sequence)
        )
        if not self._expected:
            return self._difference(record, "record", "a decision", "none, the fact does not concern this agent")
        return None

    def _missing(self, last: AuditedFact) -> Difference:
        step = self._expected[0].record
        return Difference(
            agent=self.agent,
            key=step.key,
            count=step.count,
            field="record",
            topic=last.topic,
            partition=last.partition,
            offset=last.offset,
            recorded="none",
            decided="a decision",
        )

    def _other_state(self, name: bytes, *, recorded: bytes | None, live: bytes | None) -> Difference:
        chains = [documents.read(document)[1].length for document in (recorded, live)]
        same_length = chains[0] == chains[1]
        texts = [document.decode() if document is not None else "none" for document in (recorded, live)]
        return Difference(
            agent=self.agent,
            key=name.decode(),
            count=max(chains),
            field="live state" if same_length else "end of the chain",
            topic="audit",
            partition=-1,
            offset=-1,
            recorded=texts[0] if same_length else f"{chains[0]} records",
            decided=texts[1] if same_length else f"{chains[1]} in the live state",
        )

    def _difference(self, record: AuditRecord, field: str, recorded: str, decided: str) -> Difference:
        return Difference(
            agent=self.agent,
            key=record.key,
            count=record.count,
            field=field,
            topic=record.fact.topic,
            partition=record.fact.partition,
            offset=record.fact.offset,
            recorded=recorded,
            decided=decided,
        )


def _fact_in(document: dict[str, Any]) -> AuditedFact:
    return AuditedFact.model_construct(
        topic=document["topic"],
        partition=document["partition"],
        offset=document["offset"],
        headers=document["headers"],
        value=document["value"],
    )


def event_of(fact: AuditedFact) -> Event[Fact]:
    """The recorded fact as the event that it was. Raises ``DecodeError``."""
    headers = [(name, text.encode()) for name, text in fact.headers.items()]
    return decode_fact(headers, fact.value.encode())


def same_place(one: AuditedFact, other: AuditedFact) -> bool:
    """Whether two records are about one and the same fact."""
    return (one.topic, one.partition, one.offset) == (other.topic, other.partition, other.offset)
