"""5,000 alerts in 60 s of one organization: nothing lost, nobody else waits, and no limit of the vendor is passed."""

from __future__ import annotations

from dataclasses import asdict

from bench.storm import Storm, measure

#: From alert to ticket for the organizations that go on as always.
QUIET_P99_MS = 5_000


async def test_a_storm_of_one_organization_loses_nothing_and_holds_up_nobody_else(scale: float) -> None:
    storm = Storm(alerts=round(5_000 * scale), seconds=60 * scale)
    outcome = await measure(storm, print)
    print(asdict(storm), asdict(outcome))
    assert outcome.faults() == []
    assert outcome.quiet_p99_ms is not None
    assert outcome.quiet_p99_ms < QUIET_P99_MS, f"load average {outcome.load_average}"


async def test_beside_a_neighbour_that_used_60_percent_people_are_served_and_bulk_work_stands_still(
    scale: float,
) -> None:
    storm = Storm(alerts=round(1_000 * scale), seconds=60 * scale, neighbour=6_000)
    outcome = await measure(storm, print)
    print(asdict(storm), asdict(outcome))
    assert outcome.faults() == []
    assert outcome.most_of_the_hour >= 0.6
    assert outcome.quiet_p99_ms is not None
    assert outcome.quiet_p99_ms < QUIET_P99_MS, f"load average {outcome.load_average}"
