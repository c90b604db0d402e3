"""Taking over and creating are one effect, the incident's ticket: whichever comes second knows of the first."""

from __future__ import annotations

import pytest

from connectors.ports import Effect, Verdict
from schemas.commands import AdoptTicket
from tests.streams.executor_parts import DONE, Bench, create

MISSING = Effect(verdict=Verdict.REJECTED, reason="TicketMissing", detail="Autotask has no ticket 7", calls=1)
UNKNOWN = Effect(verdict=Verdict.UNKNOWN, reason="TimedOut", calls=1)
FOUND = Effect(verdict=Verdict.SUCCEEDED, how="FoundByLookUp", ticket_id=7, ticket_number="T1", written=True, calls=1)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def adopt(number: int) -> AdoptTicket:
    made = create(number)
    known = {"key": made.key, "effect_key": made.effect_key, "incident": made.incident}
    return AdoptTicket(**known, external_id=made.external_id, company_id=1, ticket="7")


async def test_a_ticket_that_was_taken_over_is_neither_taken_over_nor_created_again(bench: Bench) -> None:
    for command in (adopt(1), adopt(1), create(1)):
        bench.send(command)
        await bench.run(1)
    assert len(bench.vendor.calls) == 1
    for command_id in ("c1", "c2"):
        fact = bench.outcome_of(command_id)
        assert (fact.outcome, fact.how, fact.ticket_id) == ("Succeeded", "NothingToDo", DONE.ticket_id)


async def test_what_could_not_be_taken_over_may_be_created_with_one_call(bench: Bench) -> None:
    bench.vendor.performing = lambda command, count: MISSING if isinstance(command, AdoptTicket) else DONE
    for command in (adopt(1), create(1)):
        bench.send(command)
        await bench.run(1)
    assert [bench.outcome_of(name).outcome for name in ("c0", "c1")] == ["Rejected", "Succeeded"]
    assert [made for made, _, _ in bench.vendor.calls] == ["perform", "perform"]


async def test_a_take_over_of_unknown_outcome_is_looked_up_and_owes_no_second_look(bench: Bench) -> None:
    bench.vendor.performing = lambda command, count: UNKNOWN
    bench.vendor.looking = lambda command, count: FOUND
    bench.send(adopt(1))
    await bench.run(1200)
    assert bench.outcome_of("c0").outcome == "Succeeded"
    assert [made for made, _, _ in bench.vendor.calls] == ["perform", "look_up"]
