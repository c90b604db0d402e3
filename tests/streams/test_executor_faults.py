"""Whatever vendor, connection, operator and process do: each effect once, each command settled once, in order per device."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from connectors.ports import Effect, Verdict
from schemas.commands import Command, CreateTicket
from tests.streams.executor_parts import Bench, Crash, complete, create, withdraw


@dataclass
class Tenant:
    """A vendor that keeps its word: what it committed it finds again, and it may do anything to the answer."""

    bench: Bench
    fates: list[str]
    done: dict[str, int] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)

    def fate(self) -> str:
        return self.fates.pop(0) if self.fates else "works"

    def perform(self, command: Command, count: int) -> Effect:
        fate = self.fate()
        if fate in ("works", "lost answer", "raises after"):
            self.done[command.effect_key] = self.done.get(command.effect_key, 0) + 1
            self.order.append(command.effect_key)
        if fate.startswith("raises"):
            raise ValueError("an answer that nobody foresaw")
        if fate == "works":
            return Effect(verdict=Verdict.SUCCEEDED, ticket_id=1, written=True, calls=1)
        return self.failure(fate)

    def look_up(self, command: Command, count: int) -> Effect | None:
        fate = self.fate()
        if fate in ("works", "refused"):
            if command.effect_key not in self.done:
                return None
            return Effect(verdict=Verdict.SUCCEEDED, how="FoundByLookUp", ticket_id=1, calls=1)
        return self.failure(fate)

    def failure(self, fate: str) -> Effect:
        return {
            "lost answer": Effect(verdict=Verdict.UNKNOWN, reason="TimedOut", calls=1),
            "lost call": Effect(verdict=Verdict.UNKNOWN, reason="TimedOut", calls=1),
            "raises": Effect(verdict=Verdict.UNKNOWN, reason="Odd", calls=1),
            "raises after": Effect(verdict=Verdict.UNKNOWN, reason="Odd", calls=1),
            "down": Effect(verdict=Verdict.TRANSIENT, reason="ConnectionRefused", calls=1),
            "busy": Effect(verdict=Verdict.THROTTLED, reason="ThreadLimit", calls=1),
            "closed": Effect(verdict=Verdict.SUSPENDED, reason="Suspended"),
            "refused": Effect(verdict=Verdict.REJECTED, reason="InvalidValue", calls=1),
        }[fate]


FATES = st.sampled_from(
    ["works", "lost answer", "lost call", "raises", "raises after", "down", "busy", "closed", "refused"]
)
#: (kind, number): three devices, a create and its completion each; withdrawals of whatever is there.
SENT = st.lists(st.tuples(st.sampled_from(["create", "complete", "withdraw"]), st.integers(0, 5)), max_size=14)
EVENTS = st.lists(
    st.sampled_from(["", "close", "open", "attempt_written", "call_returned", "outcome_recorded", "settled"]),
    max_size=8,
)


def command_of(kind: str, number: int) -> Command:
    key = str(number % 3 + 1)
    match kind:
        case "create":
            return create(number, key=key, organization=number % 2)
        case "complete":
            return complete(number, key=key, organization=number % 2)
    return withdraw(f"c{number}", key=key)


async def play(sent: list[tuple[str, int]], fates: list[str], events: list[str]) -> tuple[Bench, Tenant]:
    bench = Bench(window=6)
    tenant = Tenant(bench, list(fates))
    bench.vendor.performing, bench.vendor.looking = tenant.perform, tenant.look_up
    unread = [command_of(kind, number) for kind, number in sent]

    def feed() -> None:
        while unread and bench.engine.window.room:
            bench.send(unread.pop(0))

    for event in events:
        feed()
        if event in ("close", "open"):
            bench.gate.why = "Unhealthy" if event == "close" else None
        elif event:
            bench.crash_at = event
        try:
            await bench.run(7)
        except Crash:
            await bench._bury()
            bench.restart()
        bench.crash_at = None
        # ``run`` ends by giving up what is under way, like a process that is killed.
        bench.restart()
    bench.gate.why = None
    while unread or len(bench.engine.window):
        feed()
        assert bench.time.seconds < 20_000, "it never comes to an end"
        await bench.run(400)
        bench.restart()
    return bench, tenant


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(SENT, st.lists(FATES, max_size=25), EVENTS)
def test_each_effect_happens_once_and_each_command_is_settled_once(
    sent: list[tuple[str, int]], fates: list[str], events: list[str]
) -> None:
    bench, tenant = asyncio.run(play(sent, fates, events))
    assert bench.engine.window.position == len(sent)
    outcomes = {entry.command_id: bench.outcome_of(entry.command_id) for entry in bench.topic}
    for entry in bench.topic:
        made = tenant.done.get(entry.command.effect_key, 0)
        alike = [other for other in bench.topic if other.command.effect_key == entry.command.effect_key]
        fact = outcomes[entry.command_id]
        if isinstance(entry.command, CreateTicket):
            assert made <= 1, "two tickets"
        elif len(alike) == 1:
            assert made <= 1
        if fact.outcome == "Succeeded" and "withdraw" not in fact.command_type:
            assert made >= 1
        if len(alike) == 1 and fact.outcome in ("Withdrawn", "Rejected"):
            assert made == 0, f"{fact.outcome}, and yet it happened"
    firsts: dict[str, list[int]] = {}
    for effect_key in dict.fromkeys(tenant.order):
        entry = next(entry for entry in bench.topic if entry.command.effect_key == effect_key)
        firsts.setdefault(entry.command.key, []).append(entry.offset)
    if len({entry.command.effect_key for entry in bench.topic}) == len(bench.topic):
        for offsets in firsts.values():
            assert offsets == sorted(offsets), "a device's commands went out in another order"
