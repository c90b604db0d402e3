"""A day in which a vendor is away, on the simulators' clock: what was raised meanwhile, and what must be true afterwards."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from tests.line.system import Row, Sandbox, System, is_complete

HOURS = 24
#: The clock is moved in steps. Roles follow it twice a second, so each step leaves them time to see it and to act.
STEPS, STEP_WALL_S = 96, 1.0
#: Within so many seconds of the simulators' clock everything that still matters is done.
RECOVERY_S = 600.0
#: Every so many alerts one is cleared while the vendor is still away.
CLEARED_OF = 6


def now(sandbox: Sandbox) -> float:
    """The simulators' time in epoch seconds."""
    return float(sandbox.ask("GET", "clock")["now"])


def go_away(sandbox: Sandbox) -> None:
    """No call works any more: a few run into their time-outs (real ones), some lose their connection, the rest get 503.

    Only reads are delayed: a write that arrives late has its effect, and a ticket that is there is no fault of anybody.
    """
    sandbox.ask("POST", "faults", kind="delay", match={"path": "/query$"}, count=2, params={"seconds": 35})
    sandbox.ask("POST", "faults", kind="drop_before_commit", count=20)
    sandbox.ask("POST", "faults", kind="html", count=20, params={"code": 503})
    sandbox.ask("POST", "faults", kind="status", count=-1, params={"code": 503})


@dataclass
class Day:
    """What was raised and cleared while the vendor was away."""

    system: System
    devices: list[Row]
    raised: list[str] = field(default_factory=list)
    cleared: set[str] = field(default_factory=set)

    @property
    def due(self) -> list[str]:
        """The alerts that still matter."""
        return [uid for uid in self.raised if uid not in self.cleared]

    def pass_by(self, alerts: int) -> None:
        """Let 24 hours pass in steps, with alerts evenly over them; a cleared one had six hours to be tried before."""
        per_step = alerts / STEPS
        for step in range(STEPS):
            while len(self.raised) < (step + 1) * per_step:
                self._raise(len(self.raised))
            self._clear(upto=round((step - STEPS // 4) * per_step))
            self.system.psa.ask("POST", "clock", advance=HOURS * 3600 / STEPS)
            time.sleep(STEP_WALL_S)
        self._clear(upto=len(self.raised))
        # The last resets go their way while the vendor is still away.
        time.sleep(10)

    def _raise(self, number: int) -> None:
        device = self.devices[number % len(self.devices)]
        condition = f"0b5d0f0a-0000-4000-8000-{number % 8:012d}"
        self.raised.append(
            self.system.alert(device, f"check {number} failed", sourceConfigUid=condition, subject=f"check {number}")
        )

    def _clear(self, *, upto: int) -> None:
        for uid in self.raised[: max(0, upto) : CLEARED_OF]:
            if uid not in self.cleared:
                self.system.clear(uid)
                self.cleared.add(uid)

    def recover(self) -> float:
        """The vendor is back; returns after how many seconds of the simulators' clock everything due has its ticket.

        The clock runs three times as fast as the wall's here, so back-offs of a minute do not make the test wait.
        """
        began, psa = now(self.system.psa), self.system.psa
        while True:
            opened = {row["externalID"].split(".")[2] for row in self.system.tickets() if not is_complete(row)}
            passed = now(psa) - began
            missing = [uid for uid in self.due if uid.replace("-", "") not in opened]
            if not missing:
                return passed
            assert passed < RECOVERY_S, f"{len(missing)} of {len(self.due)} are without a ticket after {passed:.0f} s"
            time.sleep(1)
            psa.ask("POST", "clock", advance=2)

    def opened_needlessly(self) -> list[Row]:
        """Tickets, open or complete, of alerts that were reset while the vendor was away."""
        gone = {uid.replace("-", "") for uid in self.cleared}
        return [row for row in self.system.tickets() if row["externalID"].split(".")[2] in gone]
