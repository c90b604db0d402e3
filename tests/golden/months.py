"""The long scenarios: a noisy month of 400 devices, and a week in which much fails."""

from __future__ import annotations

from typing import Any

from schemas.facts import DeviceObserved, DeviceRemoved, Subject
from tests.core.spec import DAY, HOUR, MINUTE, START, companies, device, organizations, policy, subject
from tests.golden.fleet import Fleet
from tests.golden.scenarios import Records, scenario

_ORGANIZATIONS = {number: f"Customer {number}" for number in range(17, 25)}
#: What is raised on devices: the alert, how often it is drawn, and how long it lasts at most.
_KINDS: tuple[tuple[dict[str, Any], int, int], ...] = (
    ({"source_type": "CONDITION_AGENT_CPU", "source_name": "CPU", "alert_subject": "", "severity": "MINOR", "message": "CPU above 95 %"}, 9, 20 * MINUTE),
    ({"source_type": "CONDITION_AGENT_MEMORY", "source_name": "Memory", "alert_subject": "", "severity": "MODERATE", "message": "Memory above 90 %"}, 5, 3 * HOUR),
    ({"alert_subject": "C:"}, 4, 2 * DAY),
    ({"alert_subject": "D:", "severity": "MAJOR"}, 2, 4 * DAY),
    ({"source_type": "CONDITION_WINDOWS_SERVICE", "source_name": "Spooler", "alert_subject": "Spooler", "severity": "MAJOR", "message": "Service stopped"}, 3, 2 * HOUR),
    ({"source_type": "AGENT_OFFLINE", "source_name": "", "alert_subject": "", "message": "Device is offline"}, 3, 5 * HOUR),
)  # fmt: skip
_OFFLINE = _KINDS[-1][0]


def place(number: int) -> Subject:
    """Where a device of the fleet stands; two locations an organization."""
    organization = 17 + number % 8
    return subject(
        number, organization, organization_name=_ORGANIZATIONS[organization], location_id=organization * 10 + number // 8 % 2,
        location_name="Main Office" if number // 8 % 2 else "Branch", device_name=f"PC-{number}",
        device_uid=None, node_class="WINDOWS_SERVER" if number % 10 == 0 else "WINDOWS_WORKSTATION",
    )  # fmt: skip


def rules() -> dict[str, Any]:
    """A policy as an MSP has it after a year: something of everything."""
    return {
        "companies": {"auto_match": "normalized", "map": [{"organization": 17, "company": 29683}]},
        "defaults": {"lifecycle": {"note_every": "1h"}},
        "devices": {"grace": "1d"},
        "rules": [
            {"name": "cpu", "when": {"source_type": ["CONDITION_AGENT_CPU"]}, "lifecycle": {"hold": "10m", "repeat": "count"}},
            {"name": "offline", "when": {"source_type": ["AGENT_OFFLINE"]}, "storm": {"devices": 8, "within": "2m"}, "lifecycle": {"settle": "5m"}},
            {"name": "disks", "when": {"source_type": ["CONDITION_AGENT_DISK_FREE_SPACE"]}, "lifecycle": {"reopen_within": "24h", "close_if": "untouched", "escalate": True}},
            {"name": "rest", "when": {}, "lifecycle": {"settle": "2m"}},
        ],
        "maintenance": [{"name": "patch-night", "organization": [18], "weekly": {"days": ["sat"], "from": "22:00", "to": "04:00", "timezone": "Europe/Berlin"}}],
    }  # fmt: skip


class Month:
    """Schedules what happens to a fleet."""

    def __init__(self, fleet: Fleet, devices: int, days: int) -> None:
        self.fleet, self.devices, self.end = fleet, devices, START + days * DAY
        self._uids = 0

    def begin(self, *, published: dict[str, Any]) -> None:
        """Policy, companies, organizations, and a first sweep."""
        fleet = self.fleet
        listed = [
            (29683, "Customer 17"),
            *((30000 + n, name) for n, name in _ORGANIZATIONS.items() if n not in (17, 24)),
        ]
        for fact in (policy(1, **published), companies(*listed), organizations(*_ORGANIZATIONS.items())):
            fleet.publish(fact, "control")
        # The company of the last organization is made a week later: until then its work is parked.
        whole = companies(*listed, (30024, "Customer 24"))
        fleet.at(START + 7 * DAY, lambda: fleet.publish(whole, "control"))
        for number in range(1, self.devices + 1):
            fleet.after(0, HOUR, lambda number=number: self.sweep(number))  # type: ignore[misc]

    def sweep(self, number: int, **more: Any) -> None:
        seen: DeviceObserved = device(self.fleet.now, where=place(number), serial=f"S{number:06d}", **more)
        self.fleet.publish(seen, str(number))

    def noise(self, alerts: int) -> None:
        """So many alerts, on few devices more than on others; some of them flap."""
        weights = [weight for _, weight, _ in _KINDS]
        for _ in range(alerts):
            number = 1 + int(self.devices * self.fleet.random.random() ** 1.2)
            (kind, _, longest), at = self.fleet.random.choices(_KINDS, weights)[0], self.moment()
            for turn in range(3 if self.fleet.random.random() < 0.08 else 1):
                self.alert(number, kind, at + turn * 6 * MINUTE, self.fleet.random.randint(MINUTE, longest))

    def alert(self, number: int, kind: dict[str, Any], at: int, lasts: int) -> None:
        self._uids += 1
        uid = f"{number:08x}-{self._uids % 0x10000:04x}-4000-8000-{self._uids:012x}"
        self.fleet.at(at, lambda: self.fleet.raise_alert(uid, place(number), **kind))
        if self.fleet.random.random() < 0.07:
            self.fleet.at(at + lasts // 2, lambda: self.technician(uid, number))
        self.fleet.at(at + lasts, lambda: self.fleet.clear_alert(uid))

    def technician(self, uid: str, number: int) -> None:
        """Somebody takes the ticket and works on it, or completes it."""
        name = f"ls.{number}.{uid.replace('-', '')}"
        ticket = self.fleet.tickets.get(name)
        if ticket is None:
            return
        ticket.touched = True
        if self.fleet.random.random() < 0.6:
            self.fleet.complete(name)

    def outages(self, count: int) -> None:
        """A whole location goes offline for a while."""
        for _ in range(count):
            at, first = self.moment(), self.fleet.random.randint(1, 16)
            for number in range(first, self.devices, 16):
                kind, away = _OFFLINE, self.fleet.random.randint(10 * MINUTE, HOUR)
                self.alert(number, kind, at + self.fleet.random.randint(0, 90_000), away)

    def changes(self, count: int) -> None:
        """Devices get more memory, and a few are deleted."""
        for turn in range(count):
            number, memory = self.fleet.random.randint(1, self.devices), (turn + 1) << 30
            self.fleet.at(self.moment(), lambda n=number, m=memory: self.sweep(n, memory_bytes=m))  # type: ignore[misc]
        for number in self.fleet.random.sample(range(1, self.devices + 1), count // 40):
            gone = DeviceRemoved(device_id=number, removed_at=self.end - 3 * DAY, cause="Deleted")
            self.fleet.at(self.end - 3 * DAY, lambda g=gone: self.fleet.publish(g, str(g.device_id)))  # type: ignore[misc]

    def moment(self) -> int:
        return self.fleet.random.randint(START + 2 * HOUR, self.end)


@scenario(
    "A noisy month of 400 devices in eight organizations: flapping, outages of sites, technicians, a canary, a patch night."
)
def noisy_month_of_400_devices() -> Records:
    fleet = Fleet(seed=7)
    month = Month(fleet, devices=400, days=30)
    month.begin(published=rules())
    month.noise(6500)
    month.outages(6)
    month.changes(900)
    tried = {**rules(), "defaults": {"queue": "NOC", "lifecycle": {"note_every": "4h", "hold": "1m"}}}
    canary = policy(2, **tried).model_copy(update={"organizations": (18, 19)})
    fleet.at(START + 10 * DAY, lambda: fleet.publish(canary, "control"))
    fleet.at(START + 20 * DAY, lambda: fleet.publish(policy(2, **tried), "control"))
    return fleet.run().records


@scenario("A week in which one call in ten fails for a while and items are refused.")
def week_of_failing_calls() -> Records:
    fleet = Fleet(seed=11, defers=0.1, rejects=0.05)
    week = Month(fleet, devices=40, days=7)
    week.begin(published=rules())
    week.noise(300)
    week.outages(2)
    week.changes(60)
    return fleet.run().records
