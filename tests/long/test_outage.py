"""Autotask, or both vendors, away for a day: what still matters is handled within ten minutes, the rest opens nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.line.system import System, until
from tests.long.outage import Day, go_away

#: Raised while the vendor is away; five of six still matter when it is back: 1,200.
ALERTS = 1_440


@pytest.mark.parametrize("both", [False, True], ids=["autotask", "both"])
def test_a_day_without_the_vendor_is_made_good_within_ten_minutes(tmp_path: Path, scale: float, both: bool) -> None:
    system = System(tmp_path / "line", devices=90)
    try:
        system.start_sandbox()
        system.environment["LOCKSTEP_CLOCK"] = system.psa.base
        system.start_up()
        until("every device has an item", system._all_items, seconds=180)
        # The vendor's slow-down is real time, and the day is not.
        system.psa.ask("PATCH", "settings", latency_scale=0)
        approved = [device for device in system.fleet() if device["approvalStatus"] == "APPROVED"]
        day = Day(system, approved[:30])
        go_away(system.psa)
        if both:
            go_away(system.ninja)
            # While it is away it sends nothing either: the activities tell afterwards.
            system.ninja.ask("POST", "faults", kind="webhook_lost", count=-1)
        before = system.status()
        day.pass_by(round(ALERTS * scale))
        assert system.tickets() == []
        shown = system.status()
        assert shown["connections"]["autotask"]["state"] == "Degraded"
        assert [role["restarts"] for role in shown["roles"]] == [role["restarts"] for role in before["roles"]]
        for vendor in (system.psa, system.ninja):
            vendor.ask("DELETE", "faults")
        took = day.recover()
        system.silence(5)
        print(
            f"{len(day.due)} due, {len(day.cleared)} reset meanwhile; handled {took:.0f} simulated seconds after recovery"
        )
        assert day.opened_needlessly() == []
        assert system.doubled() == 0
        assert len(system.tickets()) == len(day.due)
        said = system.lockstep("audit", "verify")
        assert said.code == 0, said
    finally:
        system.close()
