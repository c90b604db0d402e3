"""``rebuild --from-facts``: state decided anew from the fact topics alone, in the order of recorded time. Pure, and calls nobody.

What is decided does not follow the recorded decisions, only the facts: so it shows whether the order in which an agent happened to read its
topics made any difference to a ticket or an item, and what the facts that are still kept lead to.

A fact that causes another one has no later recorded time, but an outcome names the command that it settles, and a command's id names
the fact that caused it. Where another fact caused the same effect here, the outcome is that of the same effect; a timer likewise.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.audit import AuditedFact
from schemas.commands import COMMANDS
from schemas.events import Event
from schemas.facts import CommandSettled, Fact, TimerFired
from schemas.topics import (
    AGENT_INPUTS,
    AUTOTASK_TICKETS,
    CONTROL,
    NINJAONE_ALERTS,
    NINJAONE_DEVICES,
    NINJAONE_RESETS,
    OUTCOMES,
    STORM_CANDIDATES,
    STORM_VERDICTS,
    TIMERS,
)
from streams.core import devices, documents, incidents
from streams.core.documents import CONTEXT_KEY
from streams.core.engine import decide, timers_of
from streams.core.incident import status_of

#: Of facts recorded in the same millisecond the one that can cause another comes first.
TOPICS = (
    *(CONTROL, NINJAONE_DEVICES, NINJAONE_ALERTS, NINJAONE_RESETS, AUTOTASK_TICKETS),
    *(OUTCOMES, STORM_CANDIDATES, STORM_VERDICTS, TIMERS),
)

#: A fact's topic and offset, within one partition.
Place = tuple[str, int]

_KINDS: dict[str, str] = {model.ce_type: model.__name__ for model in COMMANDS}
#: An incident awaits its ticket under one name, wherever it is to come from.
_KINDS |= {ce_type: "CreateTicket" for ce_type, name in _KINDS.items() if name == "AdoptTicket"}


class FromFacts:
    """One partition of an agent. Feed it the facts of its topics in the order of recorded time."""

    def __init__(self, agent: str) -> None:
        self.agent = agent
        self.state: dict[bytes, bytes] = {}
        self.facts = 0

    def feed(self, event: Event[Fact], topic: str, partition: int, offset: int) -> None:
        """The next fact."""
        if topic not in AGENT_INPUTS[self.agent]:
            return
        self.facts += 1
        fitted = Event(event.envelope, self._fitted(event.envelope.key, event.data))
        # Nobody reads these records: only the documents are wanted.
        read = AuditedFact.model_construct(topic=topic, partition=partition, offset=offset, headers={}, value="")
        for step in decide(self.agent, fitted, read, self.state):
            self.state[step.key.encode()] = step.state

    def _fitted(self, key: str, fact: Fact) -> Fact:
        document = self.state.get(key.encode())
        if document is None:
            return fact
        if isinstance(fact, CommandSettled):
            body, _ = documents.read(document)
            identity = _awaited(body.get("pending", {}), fact)
            return fact if identity == fact.command_id else fact.model_copy(update={"command_id": identity})
        if isinstance(fact, TimerFired) and fact.agent == self.agent:
            due = [timer.at for timer in timers_of(self.agent, key, document) if timer.timer == fact.timer]
            return fact if not due or fact.due_at in due else fact.model_copy(update={"due_at": due[0]})
        return fact


def _awaited(pending: Mapping[str, Any], fact: CommandSettled) -> str:
    """The command that an outcome settles: the one that it names, else the first that waits for the same effect."""
    if fact.command_id in pending:
        return fact.command_id
    same = (
        identity
        for identity, entry in pending.items()
        if "due" not in entry
        and entry["type"] == _KINDS.get(fact.command_type)
        and entry.get("incident") == fact.incident
        and entry.get("uid") in (None, fact.effect_key)
    )
    return next(same, fact.command_id)


def standing_in(agent: str, document: bytes | None) -> dict[str, str]:
    """What is at the vendors by a document: every ticket by its external id, ``open`` or ``completed``; the item, by its id."""
    body, _ = documents.read(document)
    if agent == incidents.AGENT:
        return {
            f"ticket {name}": f"{incident['ticket']}, {'completed' if status_of(incident) == 'completed' else 'open'}"
            for name, incident in body.get("incidents", {}).items()
            if "ticket" in incident
        }
    if agent == devices.AGENT and "item" in body:
        return {"item": f"{body['item']['id']} of company {body['item']['company']}"}
    return {}


@dataclass(frozen=True, slots=True)
class Standing:
    """A ticket or an item that is not the same on both sides; ``None``: there is none."""

    agent: str
    key: str
    what: str
    live: str | None
    facts: str | None

    def line(self, cause: str) -> str:
        """For people."""
        sides = f"{self.live or 'none'} in the recorded state, {self.facts or 'none'} from the facts"
        return f"{self.agent} {self.key}: {self.what}: {sides} ({cause})"


@dataclass(frozen=True, slots=True)
class Compared:
    """Two states of an agent and partition: how many tickets and items are the same, those that are not, and how many documents
    differ in nothing that a vendor has (notes, times, reasons)."""

    same: int
    different: list[Standing]
    otherwise: int


def compared(agent: str, live: Mapping[bytes, bytes], facts: Mapping[bytes, bytes]) -> Compared:
    """What both sides have at the vendors."""
    same, otherwise = 0, 0
    different: list[Standing] = []
    for name in sorted({*live, *facts}):
        key = name.decode()
        if key == CONTEXT_KEY:
            continue
        one, other = standing_in(agent, live.get(name)), standing_in(agent, facts.get(name))
        same += sum(other.get(what) == value for what, value in one.items())
        found = [
            Standing(agent, key, what, one.get(what), other.get(what))
            for what in sorted({*one, *other})
            if one.get(what) != other.get(what)
        ]
        different += found
        otherwise += not found and documents.read(live.get(name))[0] != documents.read(facts.get(name))[0]
    return Compared(same, different, otherwise)


def cause_of(recorded: Sequence[Place], kept: Sequence[Place], first: Mapping[str, int]) -> str:
    """Why the facts come to something else: ``recorded`` are the places of those that were decided (of the key and of
    the context, in the order of the audit), ``kept`` those that the topics have, in the order of recorded time; ``first`` is where each topic begins.
    """
    missing = [place for place in _once(recorded) if place not in set(kept)]
    cut = [place for place in missing if place[1] < first.get(place[0], 0)]
    if cut:
        return f"retention: {cut[0][0]} begins at {first[cut[0][0]]}, {len(cut)} of its facts are older"
    if missing:
        topic, offset = missing[0]
        return (
            f"compaction: {topic} no longer has {offset}, and {len(missing) - 1} more facts"
            if missing[1:]
            else f"compaction: {topic} no longer has {offset}"
        )
    known = set(recorded)
    more = [place for place in kept if place not in known]
    if more:
        return f"not decided then: {more[0][0]}@{more[0][1]} has no decision in the audit"
    if list(_once(recorded)) != list(kept):
        first_apart = next(pair for pair in zip(_once(recorded), kept, strict=False) if pair[0] != pair[1])
        (topic, offset), (other, place) = first_apart
        return f"order: {topic}@{offset} was read before {other}@{place}, which was recorded earlier"
    return "decided otherwise: the same facts in the same order; `lockstep audit verify` says where"


def _once(places: Iterable[Place]) -> list[Place]:
    return list(dict.fromkeys(places))
