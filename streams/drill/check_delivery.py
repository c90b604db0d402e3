"""Every fact, command and settlement accounted for, once and in order: judged by the topics alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from schemas.facts import ControlFact
from schemas.identity import derived_id
from schemas.topics import AGENT_INPUTS
from streams.drill.check_connections import waiting_topics
from streams.drill.finding import Finding
from streams.drill.reading import CONTEXT, EXECUTE, Decided, FactAt, Place, Reading, SettlementAt

#: Reports of a second ticket come beside a command's settlement, under an id of their own.
DOUBLED = "DoubledTicket"


def check_facts(reading: Reading) -> Iterator[Finding]:
    """Every fact has exactly one decision per key and agent concerned, about the bytes that it has."""
    decisions: dict[tuple[str, Place], list[Decided]] = defaultdict(list)
    for decided in reading.decided:
        decisions[decided.agent, decided.fact].append(decided)
    for place, fact in reading.facts.items():
        agents = fact.agents()
        if not agents:
            yield Finding("LostFact", str(place), f"no agent decides a {fact.event.envelope.type} here")
        for agent in agents:
            yield from _decided_once(fact, agent, decisions.get((agent, place), []))
    for (agent, place), found in decisions.items():
        row = reading.facts.get(place)
        if row is None or agent not in row.agents():
            yield Finding("UnknownFact", found[0].shown, f"{place} is no fact for {agent}")
        elif any(decided.document["fact"]["value"].encode() != row.raw.value for decided in found):
            yield Finding("ChangedFact", found[0].shown, f"it keeps other bytes than {place} has")


def _decided_once(fact: FactAt, agent: str, found: list[Decided]) -> Iterator[Finding]:
    control = isinstance(fact.event.data, ControlFact)
    key = CONTEXT if control else fact.event.envelope.key
    keys = Counter(decided.key for decided in found)
    if key not in keys:
        yield Finding("LostFact", str(fact.place), f"{fact.event.envelope.type} was not decided by {agent} for {key}")
    for other, count in keys.items():
        if count > 1:
            yield Finding("DoubledDecision", str(fact.place), f"decided {count} times by {agent} for {other}")
        if other != key and not control:
            yield Finding("UnknownFact", f"{agent} {other}", f"{fact.place} is about {key}")


def check_silence(reading: Reading) -> Iterator[Finding]:
    """A decision that changes nothing and orders nothing says why."""
    for decided in reading.decided:
        decision = decided.document["decision"]
        if not (decision.get("changes") or decision.get("reasons") or decided.document["commands"]):
            yield Finding("NoReason", decided.shown, f"nothing came of {decided.fact}, and nothing says why")


def check_order(reading: Reading) -> Iterator[Finding]:
    """The facts of a partition are without gap, and every agent decided them in their order, so each device's too."""
    for topic in reading.fact_topics:
        last: dict[int, int] = {}
        for raw in reading.records(topic):
            before = last.get(raw.partition)
            if before is not None and raw.offset != before + 1:
                place = Place(topic, raw.partition, raw.offset)
                yield Finding("GapInFacts", str(place), f"it follows offset {before}")
            last[raw.partition] = raw.offset
    reached: dict[tuple[str, Place], Decided] = {}
    for decided in reading.decided:
        stream = (decided.agent, decided.fact._replace(offset=0))
        before_it = reached.get(stream)
        if before_it is not None and decided.fact.offset < before_it.fact.offset:
            yield Finding("OrderBroken", decided.shown, f"{decided.fact} was decided after {before_it.fact}")
        if decided.at.partition != decided.fact.partition:
            yield Finding(
                "OrderBroken", decided.shown, f"{decided.fact} was decided in partition {decided.at.partition}"
            )
        reached[stream] = decided


def check_dead_letters(reading: Reading) -> Iterator[Finding]:
    """What nobody can decode is kept, by each who met it; and nothing else is."""
    for place, error in reading.unreadable.items():
        readers = [agent for agent, topics in AGENT_INPUTS.items() if place.topic in topics] or [EXECUTE]
        if place not in reading.evidence.poison:
            yield Finding("UnreadableRecord", str(place), error)
        for stage in readers:
            count = reading.dead[place, stage]
            if not count:
                yield Finding("MissingDeadLetter", str(place), f"{stage} did not keep it: {error}")
            # An executor keeps it outside any transaction: once more after a crash is no harm.
            elif count > 1 and stage != EXECUTE:
                yield Finding("DoubledDeadLetter", str(place), f"{stage} kept it {count} times")
    for planted in sorted(reading.evidence.poison - set(reading.unreadable)):
        yield Finding("MissingDeadLetter", str(Place(*planted)), "planted poison is not in its topic any more")
    good = reading.facts.keys() | {command.place for command in reading.commands}
    for place, stage in reading.dead:
        if place in good:
            yield Finding("NeedlessDeadLetter", str(place), f"{stage} kept it, although it can be decoded")


def check_commands(reading: Reading) -> Iterator[Finding]:
    """What the decisions order is what the command topics hold, once each and byte for byte."""
    ordered = {command["id"]: (row, command) for row in reading.decided for command in row.document["commands"]}
    counts = Counter(command.event.envelope.id for command in reading.commands)
    held = {command.event.envelope.id: command for command in reading.commands}
    for identity, (decided, wanted) in ordered.items():
        command = held.get(identity)
        if command is None:
            yield Finding("LostCommand", identity, f"{decided.shown} ordered a {wanted['type']} for {wanted['topic']}")
        elif (command.place.topic, command.raw.value) != (wanted["topic"], wanted["value"].encode()):
            yield Finding("ChangedCommand", identity, f"{command.place} is not what {decided.shown} ordered")
        elif command.event.envelope.causation_id != decided.document["fact"]["headers"].get("ce_id"):
            yield Finding("ChangedCommand", identity, f"{command.place} names another cause than {decided.shown}")
    for identity, command in held.items():
        if identity not in ordered:
            yield Finding("UnknownCommand", identity, f"no decision orders {command.place}")
        if counts[identity] > 1:
            yield Finding("DoubledCommand", identity, f"it is {counts[identity]} times in {command.place.topic}")


def check_settlements(reading: Reading) -> Iterator[Finding]:
    """Every command is settled, once; or it waits behind a connection that is closed, which is said."""
    waiting = waiting_topics(reading)
    known = {command.event.envelope.id: command for command in reading.commands}
    for identity, command in known.items():
        told = first_settlements(reading.settlements.get(identity, []))
        if not told and command.place.topic not in waiting:
            yield Finding("UnsettledCommand", identity, f"{command.event.envelope.type} at {command.place}")
        if len({(settlement.id, settlement.value) for settlement in told}) > 1:
            outcomes = ", ".join(sorted(settlement.fact.outcome for settlement in told))
            yield Finding("SettledTwice", identity, f"{command.event.envelope.type}: {outcomes}")
    for identity in reading.settlements:
        if identity not in known:
            yield Finding("UnknownSettlement", identity, "no such command was issued")


def first_settlements(told: list[SettlementAt]) -> list[SettlementAt]:
    """Settlements of a command without later reports of a second ticket."""
    return [s for s in told if s.id != derived_id("settled", s.fact.command_id, s.fact.outcome, DOUBLED)]


def redelivered(reading: Reading) -> int:
    """Facts that were published more than once: absorbed, or the other checks found what came of it."""
    counts = Counter((row.place.topic, row.place.partition, row.event.envelope.id) for row in reading.facts.values())
    return sum(count - 1 for count in counts.values())


def check_closing_order(reading: Reading) -> Iterator[Finding]:
    """No closing is ordered before the opening of the same incident."""
    opened: set[str | None] = set()
    for command in reading.commands:
        kind, incident = type(command.event.data).__name__, command.event.data.incident
        if kind in ("CreateTicket", "AdoptTicket"):
            opened.add(incident)
        elif kind in ("CompleteTicket", "ReopenTicket") and incident not in opened:
            detail = f"{command.place} is a {kind}, and nobody had ordered a ticket opened"
            yield Finding("CloseBeforeCreate", str(incident), detail)
