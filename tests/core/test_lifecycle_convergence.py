"""Any order, any duplicates, under every setting of a lifecycle: the same machine as in ``test_convergence``."""

from __future__ import annotations

from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.core.spec import START, observed
from tests.core.test_convergence import CONDITIONS, AnyOrder

_FAST = settings(
    max_examples=50,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate, Phase.shrink],
)
#: The vendors' clock goes on by a second with everything that happens.
_SHORT, _LONG = "8s", "1d"


class Held(AnyOrder):
    """Alerts are held back a while."""

    lifecycle: ClassVar[dict[str, Any]] = {"hold": _SHORT}


class Settling(AnyOrder):
    """Tickets settle a while before they are completed."""

    lifecycle: ClassVar[dict[str, Any]] = {"settle": _SHORT}


class SettlingEach(AnyOrder):
    """The same with a ticket per alert."""

    repeat = "ticket"
    lifecycle: ClassVar[dict[str, Any]] = {"settle": _SHORT, "reopen_within": _LONG}


class Reopening(AnyOrder):
    """What we completed is reopened."""

    lifecycle: ClassVar[dict[str, Any]] = {"reopen_within": _LONG}


class ReopeningSoon(AnyOrder):
    """What we completed is reopened for a short time only."""

    lifecycle: ClassVar[dict[str, Any]] = {"reopen_within": _SHORT}


class ReopeningAny(AnyOrder):
    """What anybody completed is reopened."""

    lifecycle: ClassVar[dict[str, Any]] = {"reopen_within": _LONG, "reopen": "any"}


class ReopeningRefused(AnyOrder):
    """Autotask never lets a ticket be reopened."""

    refuses_reopenings = True
    lifecycle: ClassVar[dict[str, Any]] = {"reopen_within": _LONG, "reopen": "any"}


class Counting(AnyOrder):
    """Repeats are counted."""

    repeat = "count"
    lifecycle: ClassVar[dict[str, Any]] = {"repeat": "count"}


class Untouched(AnyOrder):
    """What a technician touched stays open; the assignment shows."""

    lifecycle: ClassVar[dict[str, Any]] = {"close_if": "untouched"}


class UntouchedUnseen(AnyOrder):
    """What a technician touched stays open; only the executor sees it."""

    tells_assignments = False
    lifecycle: ClassVar[dict[str, Any]] = {"close_if": "untouched", "reopen_within": _LONG}


class Never(AnyOrder):
    """Nothing is completed."""

    lifecycle: ClassVar[dict[str, Any]] = {"close_if": "never"}


class OpeningOnly(AnyOrder):
    """Only the opening alert is reset."""

    lifecycle: ClassVar[dict[str, Any]] = {"reset": "opening"}


class InMaintenance(AnyOrder):
    """Part of the time is a maintenance window."""

    maintenance: ClassVar[list[dict[str, Any]]] = [
        {"name": "early", "from": "2026-11-24T03:00:05Z", "to": "2026-11-24T03:00:20Z"},
        {"name": "later", "device": [407], "from": "2026-11-24T03:00:15Z", "to": "2026-11-24T03:00:30Z"},
    ]


class InNinjaOnesMaintenance(AnyOrder):
    """NinjaOne's own maintenance mode begins, ends early and gets other ends."""

    @rule(seconds=st.sampled_from([0, 5, 20, None]))
    def the_maintenance_mode_changes(self, seconds: int | None) -> None:
        """``None``: it has no end; 0: it is switched off. The connector tells every active alert of it anew."""
        at = self.vendors.tick()
        self.vendors.maintenance = {
            "in_maintenance": seconds != 0,
            "maintenance_ends_at": at + seconds * 1000 if seconds else None,
            "maintenance_seen_at": at,
        }
        for uid, raised in self.vendors.active.items():
            self.on_the_way.append(observed(uid, raised, alert_subject=CONDITIONS[uid], **self.vendors.maintenance))


class InNinjaOnesMaintenanceWithHold(InNinjaOnesMaintenance):
    """The same with alerts that are held afterwards, and the policy's windows besides."""

    lifecycle: ClassVar[dict[str, Any]] = {"hold": "3s", "settle": _SHORT}
    maintenance = InMaintenance.maintenance


class Everything(InMaintenance):
    """All of it at once."""

    tells_assignments = False
    lifecycle: ClassVar[dict[str, Any]] = {
        "hold": "3s",
        "settle": _SHORT,
        "reopen_within": _LONG,
        "reopen": "any",
        "close_if": "untouched",
        "reset": "opening",
        "note_every": 0,
    }


assert START == 1_795_489_200_000, "the windows above are about the first half minute"

TestHeld = Held.TestCase
TestSettling = Settling.TestCase
TestSettlingWithATicketPerAlert = SettlingEach.TestCase
TestReopening = Reopening.TestCase
TestReopeningSoon = ReopeningSoon.TestCase
TestReopeningWhatAnybodyCompleted = ReopeningAny.TestCase
TestReopeningRefused = ReopeningRefused.TestCase
TestCounting = Counting.TestCase
TestUntouched = Untouched.TestCase
TestUntouchedUnseen = UntouchedUnseen.TestCase
TestNever = Never.TestCase
TestOpeningOnly = OpeningOnly.TestCase
TestInMaintenance = InMaintenance.TestCase
TestInNinjaOnesMaintenance = InNinjaOnesMaintenance.TestCase
TestInNinjaOnesMaintenanceWithHold = InNinjaOnesMaintenanceWithHold.TestCase
TestEverything = Everything.TestCase
for _case in [value for name, value in dict(globals()).items() if name.startswith("Test")]:
    _case.settings = _FAST
# A test case is collected under any name.
del _case
