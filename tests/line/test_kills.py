"""SIGKILL and changes of membership in the middle of a burst: nothing lost, one ticket each, the audit whole."""

from __future__ import annotations

import time
from collections.abc import Callable

from tests.line.system import Row, System, is_complete, until

#: A killed worker's session ends after 6 s; the executor looks up what was under way; and the machine is shared.
RECOVERY_S = 75.0


class Burst:
    """Alerts in quick succession on devices of their own, each a condition of its own, so that each has a ticket."""

    def __init__(self, system: System, devices: int, node_class: str = "WINDOWS_SERVER") -> None:
        self.system = system
        self.devices = system.take(devices, node_class)
        self.uids: list[str] = []
        self.cleared: set[str] = set()
        self.completed: set[str] = set()

    def run(self, count: int, between: dict[int, Callable[[], object]]) -> None:
        """Raise alerts; call ``between[n]`` before the n-th. Every fifth is cleared soon after, every fifth ticket
        that exists by then is completed by a technician."""
        for number in range(count):
            if number in between:
                between[number]()
            device = self.devices[number % len(self.devices)]
            condition = f"0b5d0f0a-0000-4000-8000-{number:012d}"
            self.uids.append(self.system.alert(device, f"Check {number} failed", sourceConfigUid=condition))
            if number % 5 == 4:
                self._clear(self.uids[number - 4])
                self._complete(self.uids[number - 3])
            time.sleep(0.05)

    def _clear(self, uid: str) -> None:
        self.system.clear(uid)
        self.cleared.add(uid)

    def _complete(self, uid: str) -> None:
        ticket = self.system.ticket_of(uid)
        if ticket is not None and not is_complete(ticket):
            self.system.complete(ticket)
            self.completed.add(uid)

    def settled(self) -> bool:
        """Whether both sides agree: an active alert has its open ticket, all others have none that is open."""
        tickets = {ticket["externalID"].split(".")[2]: ticket for ticket in self.system.tickets()}
        active = self.system.active()
        if (self.cleared | self.completed) & active:
            return False
        for uid in self.uids:
            ticket = tickets.get(uid.replace("-", ""))
            if uid in active and (ticket is None or is_complete(ticket)):
                return False
            if uid not in active and ticket is not None and not is_complete(ticket):
                return False
        return True

    def judge(self) -> None:
        """Nothing lost, nothing doubled, nothing reset that nobody ended; and the audit says the same."""
        system = self.system
        until("both sides agree", self.settled, seconds=RECOVERY_S)
        system.silence(2)
        assert self.settled()
        mine = [row for row in system.tickets() if self._mine(row)]
        assert len({row["externalID"] for row in mine}) == len(mine), "two tickets of one incident"
        assert set(self.uids) - system.active() == self.cleared | self.completed
        without = [uid for uid in self.uids if system.ticket_of(uid) is None]
        assert set(without) <= self.cleared, "only an alert that was over before anybody looked may have no ticket"
        for uid in self.completed:
            assert len([c for c in system.resets(uid) if c["status"] in (200, 204)]) == 1
        said = system.lockstep("audit", "verify")
        assert said.code == 0, said

    def _mine(self, row: Row) -> bool:
        return row["externalID"].split(".")[2] in {uid.replace("-", "") for uid in self.uids}


def test_worker_executor_and_connectors_killed_in_a_burst_lose_and_double_nothing(system: System) -> None:
    burst = Burst(system, 8)
    burst.run(
        60,
        {
            15: lambda: system.kill("worker-1"),
            28: lambda: system.kill("executor"),
            42: lambda: system.kill("connectors"),
        },
    )
    burst.judge()
    roles = {role["name"]: role for role in system.status()["roles"]}
    for name in ("worker-1", "executor", "connectors"):
        assert roles[name]["restarts"] >= 1
        assert "SIGKILL" in roles[name]["last_reason"]


def test_four_workers_share_six_partitions_and_two_leave_again_in_a_burst(system: System) -> None:
    burst = Burst(system, 8)
    extra = [system.worker("worker-3"), system.worker("worker-4")]
    until("four workers hold two or one partitions each", lambda: _shared(system, 4), seconds=RECOVERY_S)
    burst.run(40, {20: extra[0].terminate, 25: extra[1].kill})
    assert extra[0].wait(30) == 0
    burst.judge()
    until("two workers hold them all", lambda: _shared(system, 2), seconds=RECOVERY_S)


def _shared(system: System, workers: int) -> bool:
    held = [partitions for partitions in system.partitions().values() if partitions]
    return len(held) == workers and sorted(p for part in held for p in part) == [0, 1, 2, 3, 4, 5]
