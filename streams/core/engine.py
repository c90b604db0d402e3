"""Drives an agent: one fact and the partition's documents in, audited decisions and commands out.

The same function decides live and when the audit is verified; everything it needs is in its arguments. A fact of the
``control`` topic first changes the partition's context (key ``~context``), then makes one decision for every key that it
concerns, in key order. A key is concerned when something changes for it, or when an operator's request names it. A fact
that does not concern the agent at all (``concerns``) makes no decision and no record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from schemas.audit import AuditedFact, AuditRecord
from schemas.drift import DriftObserved
from schemas.envelope import Envelope
from schemas.events import Event
from schemas.facts import (
    AlertAcknowledged,
    AlertGone,
    AlertObserved,
    AlertReset,
    AlertTriggered,
    CommandSettled,
    CompaniesObserved,
    ControlFact,
    DeviceObserved,
    DeviceRemoved,
    Fact,
    FieldsCreated,
    OrganizationsObserved,
    ParkedDismissed,
    ParkedRetried,
    PolicyPublished,
    TicketNoteObserved,
    TicketObserved,
    TimerFired,
)
from schemas.personal import PersonalDataErased
from schemas.storms import (
    StormCandidateLeft,
    StormCandidateSeen,
    StormJoined,
    StormListed,
    StormReleased,
    StormTicketCompleted,
)
from streams.core import devices, documents, incidents, parked, settlements
from streams.core.context import Context, decide_context, parse_context
from streams.core.decision import Draft, Issued, Told
from streams.core.documents import CONTEXT_KEY, Body, Timer
from streams.core.journal import journal
from streams.core.storms import agent as storms
from streams.core.version import DECISIONS
from streams.core.whose import organization_of, organizations_in


@dataclass(frozen=True, slots=True)
class Step:
    """One decision about one key: its audit record, its commands, what it tells another agent, the key's new document and
    all of its pending timers.

    ``value`` is the record's JSON, as it is to be published; ``record`` reads it, for those who look inside. ``state`` is never ``None`` today: a document holds the head of its key's chain, and so outlives its contents.
    """

    key: str
    value: bytes
    commands: tuple[Issued, ...]
    state: bytes
    timers: tuple[Timer, ...]
    told: tuple[Told, ...] = ()

    @property
    def record(self) -> AuditRecord:
        """The audit record as a model."""
        return AuditRecord.from_json(self.value)


@dataclass(frozen=True, slots=True)
class Agent:
    """What the engine needs to know of an agent."""

    name: str
    facts: tuple[type[Fact], ...]
    decide_into: Callable[[Draft, Context, Fact], None]
    mapping_changed: Callable[[Draft, Context], None]
    asked_by_operator: Callable[[Draft, Context, ControlFact], bool]
    timers_of: Callable[[Body], list[Timer]]


AGENTS: dict[str, Agent] = {
    incidents.AGENT: Agent(
        name=incidents.AGENT,
        facts=(
            *(
                AlertTriggered,
                AlertObserved,
                AlertReset,
                AlertAcknowledged,
                AlertGone,
                TicketObserved,
                TicketNoteObserved,
            ),
            *(CommandSettled, TimerFired, StormJoined, StormReleased, StormListed, DriftObserved),
        ),
        decide_into=incidents.decide_into,
        mapping_changed=parked.mapping_changed,
        asked_by_operator=parked.asked_by_operator,
        timers_of=settlements.timers_of,
    ),
    devices.AGENT: Agent(
        name=devices.AGENT,
        facts=(DeviceObserved, DeviceRemoved, CommandSettled, TimerFired, DriftObserved),
        decide_into=devices.decide_into,
        mapping_changed=devices.mapping_changed,
        asked_by_operator=devices.asked_by_operator,
        timers_of=devices.timers_of,
    ),
    storms.AGENT: Agent(
        name=storms.AGENT,
        facts=(StormCandidateSeen, StormCandidateLeft, StormTicketCompleted, TimerFired),
        decide_into=storms.decide_into,
        # A storm goes on as its rule was when it began, so no control fact concerns it.
        mapping_changed=lambda draft, context: None,
        asked_by_operator=lambda draft, context, fact: False,
        timers_of=storms.timers_of,
    ),
}

_CONTEXT = CONTEXT_KEY.encode()


def concerns(agent: str, fact: Fact) -> bool:
    """Whether an agent decides about a fact. All read ``timers``, ``incidents`` and ``devices`` also ``outcomes`` and ``control``:

    ``incidents`` also learns a device's item from the outcomes of device commands; ``devices`` skips the outcomes of
    ticket and reset commands; a timer is for the agent that it names.
    """
    if isinstance(fact, ControlFact):
        return agent != storms.AGENT
    if isinstance(fact, TimerFired):
        return fact.agent == agent
    if isinstance(fact, CommandSettled) and agent == devices.AGENT:
        return "configuration" in fact.command_type.lower()
    return isinstance(fact, AGENTS[agent].facts)


def decide(
    agent: str,
    event: Event[Fact],
    fact: AuditedFact,
    state: Mapping[bytes, bytes],
    *,
    decisions: int | None = DECISIONS,
    sequence: int | None = None,
) -> list[Step]:
    """The decisions of an agent about one fact. ``state`` holds the partition's documents by key; it is only read.

    ``fact`` is the same event as it was read, for the audit. The steps are in the order in which they must be written.
    ``decisions`` is the version that the records name: another than this build's only where old records are compared.
    ``sequence`` is the number of the first step's record among all of the agent in the partition; without it they have none.
    """
    if not concerns(agent, event.data):
        return []
    chosen = AGENTS[agent]
    if isinstance(event.data, ControlFact):
        return _decide_control(chosen, event.envelope, event.data, fact, state, decisions, sequence)
    context = parse_context(state.get(_CONTEXT))
    key = event.envelope.key
    body, chain = documents.read(state.get(key.encode()))
    draft = Draft(agent=agent, key=key, body=body, envelope=event.envelope)
    revision = _revision(context, event.data, body)
    chosen.decide_into(draft, context, event.data)
    return [_step(draft, chain, revision, fact, chosen.timers_of, decisions, sequence)]


def _revision(context: Context, data: Fact, body: Body) -> int:
    """The policy revision that decides about a fact, given its key's state before it."""
    return context.revision if context.canary is None else context.revision_of(organization_of(data, body))


def _decide_control(
    agent: Agent,
    envelope: Envelope,
    data: ControlFact,
    fact: AuditedFact,
    state: Mapping[bytes, bytes],
    decisions: int | None,
    sequence: int | None,
) -> list[Step]:
    body, chain = documents.read(state.get(_CONTEXT))
    draft = Draft(agent=agent.name, key=CONTEXT_KEY, body=body, envelope=envelope)
    decide_context(draft, data)
    before = parse_context(state.get(_CONTEXT))
    first = _step(draft, chain, before.revision, fact, lambda _: [], decisions, sequence)
    steps = [first]
    if draft.idle:
        return steps
    context = parse_context(first.state)
    named = {entry.key for entry in data.erased} if isinstance(data, PersonalDataErased) else set()
    asked = isinstance(data, ParkedRetried | ParkedDismissed | FieldsCreated | PersonalDataErased)
    mapped = isinstance(data, PolicyPublished | CompaniesObserved | OrganizationsObserved)
    if not asked and not mapped:
        return steps
    only = _only(before, context) if isinstance(data, PolicyPublished) else None
    for name in sorted(state):
        if name == _CONTEXT:
            continue
        if isinstance(data, PersonalDataErased) and name.decode() not in named:
            continue
        document = state[name]
        # Whatever waits says so; without that word there is nothing to read. (A device's item may change with the
        # policy at any time, so its documents are all read.)
        if (
            agent.name == incidents.AGENT
            and not named
            and b'"parked"' not in document
            and b'"suppressed"' not in document
        ):
            continue
        body, chain = documents.read(document)
        if only is not None and not only & organizations_in(body):
            continue
        draft = Draft(agent=agent.name, key=name.decode(), body=body, envelope=envelope)
        revision = _revision(context, data, body)
        if asked:
            if not agent.asked_by_operator(draft, context, data):
                continue
        else:
            agent.mapping_changed(draft, context)
            if draft.idle:
                continue
        number = None if sequence is None else sequence + len(steps)
        steps.append(_step(draft, chain, revision, fact, agent.timers_of, decisions, number))
    return steps


def _only(before: Context, after: Context) -> frozenset[int] | None:
    """The organizations that a publication concerns, ``None`` for all: a canary is nobody else's business."""
    return before.trying | after.trying if before.revision == after.revision else None


def _step(
    draft: Draft,
    chain: documents.Chain,
    revision: int,
    fact: AuditedFact,
    timers_of: Callable[[Body], list[Timer]],
    decisions: int | None,
    sequence: int | None,
) -> Step:
    body = documents.body_bytes(draft.body)
    decision = draft.decision()
    commands = [
        {
            "id": issued.envelope.id,
            "type": issued.envelope.type,
            "topic": issued.topic,
            "value": issued.command.to_json().decode(),
        }
        for issued in decision.commands
    ]
    value, after = journal(
        agent=draft.agent,
        key=draft.key,
        chain=chain,
        sequence=sequence,
        revision=revision if draft.revision is None else draft.revision,
        decisions=decisions,
        recorded_at=draft.now,
        fact=fact,
        decision=decision.document(),
        commands=commands,
        state=documents.digest(body),
    )
    return Step(
        draft.key, value, decision.commands, documents.write(body, after), tuple(timers_of(draft.body)), decision.told
    )


def timers_of(agent: str, key: str, document: bytes) -> tuple[Timer, ...]:
    """The pending timers of a stored document, for a partition that was just loaded."""
    if key == CONTEXT_KEY:
        return ()
    return tuple(AGENTS[agent].timers_of(documents.read(document)[0]))


def fold(record: AuditRecord, document: bytes | None) -> bytes:
    """The document after a recorded decision, without deciding again: how state is rebuilt from the audit."""
    body, _ = documents.read(document)
    changes: list[dict[str, Any]] = record.decision.get("changes", [])
    documents.evolve(body, changes)
    return documents.write(documents.body_bytes(body), documents.Chain(record.count, record.hash))
