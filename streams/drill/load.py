"""The load of a drill: what goes on at an MSP, by seed, at both simulators at once.

Which alert is raised where and when comes from the seed alone; what technicians do depends on which tickets there are,
so a drill is repeated in kind, not to the byte.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

from connectors.sandbox.remote import SandboxRefused
from streams.demo.tally import is_complete, our_tickets
from streams.demo.theatre import Theatre
from streams.drill.load_lifecycle import LifecycleLoad
from streams.drill.policy import EACH, HELD, SETTLES, UNTOUCHED

Row = dict[str, Any]

#: Happenings a second: ten times what 10,000 devices have on a busy day, and what two processors take beside Kafka.
PER_SECOND = 4.0
#: A row of the simulators' history is never needed here; no history has this number.
_NO_HISTORY = 1_000_000_000

#: By source type: one that no rule of the drill's policy names, and those of its rules.
_CONDITIONS = {
    "CONDITION_AGENT_CPU": ("CPU above 95 %", "MAJOR"),
    HELD: ("The agent is offline", "CRITICAL"),
    SETTLES: ("Memory above 90 %", "MINOR"),
    EACH: ("Service Spooler is stopped", "MAJOR"),
    UNTOUCHED: ("Disk C: below 10 %", "MODERATE"),
}


class Load:
    """``await Load(theatre, seed).run(stop)``. ``happened`` counts what was done, by kind."""

    def __init__(self, theatre: Theatre, seed: int, *, per_second: float = PER_SECOND) -> None:
        self.happened: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self._ninja, self._psa = theatre.ninja, theatre.psa
        self._source = random.Random(f"lockstep load {seed}")
        self._per_second = per_second
        self._lives = LifecycleLoad(
            self._ninja, self._psa, clock=theatre.clock, source=self._source, raise_alert=self._raise
        )
        #: (uid, device, source type) of every alert that was raised here.
        self._raised: list[tuple[str, int, str]] = []
        self._devices: list[Row] = []
        self._organizations: list[int] = []
        self._kinds: dict[str, tuple[int, Callable[[], Awaitable[bool]]]] = {
            "alert": (40, self._alert),
            "clear": (18, self._clear),
            "flap": (6, self._flap),
            "relapse": (8, self._relapse),
            "come_back": (8, self._lives.come_back),
            "touch": (5, self._lives.touch),
            "maintenance": (3, self._maintain),
            "repeat": (6, self._repeat),
            "complete": (5, self._complete),
            "reopen": (3, self._reopen),
            "redeliver": (4, self._redeliver),
            "device_change": (6, self._change_device),
            "device_moves": (1, self._move_device),
            "device_added": (1, self._add_device),
            "device_deleted": (1, self._delete_device),
        }

    @property
    def events(self) -> int:
        """How much happened."""
        return self.happened.total()

    async def run(self, stop: asyncio.Event) -> None:
        """Go on until ``stop`` is set."""
        await self._look()
        names = list(self._kinds)
        weights = [weight for weight, _ in self._kinds.values()]
        loop = asyncio.get_running_loop()
        due = loop.time()
        while not stop.is_set():
            name = self._source.choices(names, weights)[0]
            try:
                self.happened[name] += await self._kinds[name][1]()
            except SandboxRefused:
                self.refused[name] += 1  # cleared meanwhile, say: what the sandbox does not take did not happen
            # By the clock and not by pauses, so that a slow machine has as much to do as a quick one.
            due += self._source.expovariate(self._per_second)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), max(due - loop.time(), 0.001))
        await self._lives.finish()

    async def close_up(self) -> None:
        """The end of a shift: a third of the active alerts are over, and a third of the open tickets are completed."""
        active = [alert["uid"] for alert in (await self._ninja.get("state", since=_NO_HISTORY))["alerts"]]
        for uid in self._source.sample(active, len(active) // 3):
            await self._at_last("clear", self._ninja.post(f"alerts/{uid}/clear"))
        tickets = our_tickets(await self._psa.get("state", since=_NO_HISTORY))
        open_ones = [ticket["id"] for ticket in tickets if not is_complete(ticket)]
        for number in self._source.sample(open_ones, len(open_ones) // 3):
            await self._at_last("complete", self._psa.post(f"tickets/{number}/complete"))

    async def _at_last(self, name: str, happening: Awaitable[Any]) -> None:
        # Where no quiet came, what is still under way may have ended it meanwhile: that is judged, and no reason to stop.
        try:
            await happening
            self.happened[name] += 1
        except SandboxRefused:
            self.refused[name] += 1

    async def _look(self) -> None:
        state = await self._ninja.get("state", since=_NO_HISTORY)
        self._devices = state["devices"]
        self._organizations = sorted({device["organizationId"] for device in self._devices})

    async def _alert(self) -> bool:
        device = self._source.choice(self._devices)
        await self._raise(device["id"], self._source.choice(list(_CONDITIONS)))
        return True

    async def _raise(self, device: int, kind: str) -> str:
        message, severity = _CONDITIONS[kind]
        # One in eight comes by poll only, as if the vendor had forgotten to call.
        push = self._source.random() > 0.125
        answer = await self._ninja.post(
            "alerts", deviceId=device, sourceType=kind, message=message, severity=severity, push=push
        )
        self._raised.append((answer["uid"], device, kind))
        self._lives.raised(answer["uid"], device, kind)
        return str(answer["uid"])

    async def _clear(self) -> bool:
        found = self._an_alert()
        if found is None:
            return False
        uid, device, kind = found
        await self._ninja.post(f"alerts/{uid}/clear", push=self._source.random() > 0.125)
        self._lives.cleared(device, kind)
        return True

    async def _repeat(self) -> bool:
        found = self._an_alert()
        if found is None:
            return False
        await self._ninja.post(f"alerts/{found[0]}/repeat")
        return True

    async def _flap(self) -> bool:
        return await self._lives.flap(self._source.choice(self._devices)["id"])

    async def _relapse(self) -> bool:
        return await self._lives.relapse(self._source.choice(self._devices)["id"])

    async def _maintain(self) -> bool:
        return await self._lives.maintain(self._source.choice(self._devices)["id"])

    def _an_alert(self) -> tuple[str, int, str] | None:
        if not self._raised:
            return None
        # Mostly recent ones: those are active still, and their tickets may just be under way.
        place = max(len(self._raised) - 1 - int(self._source.expovariate(0.1)), 0)
        return self._raised[place]

    async def _complete(self) -> bool:
        return await self._with_a_ticket("complete", complete=False)

    async def _reopen(self) -> bool:
        return await self._with_a_ticket("reopen", complete=True)

    async def _with_a_ticket(self, what: str, *, complete: bool) -> bool:
        tickets = our_tickets(await self._psa.get("state", since=_NO_HISTORY))
        found = [ticket for ticket in tickets if is_complete(ticket) == complete]
        if not found:
            return False
        await self._psa.post(f"tickets/{self._source.choice(found)['id']}/{what}")
        return True

    async def _redeliver(self) -> bool:
        order = self._source.choice(["same", "reversed"])
        await self._ninja.post("webhooks/redeliver", last=self._source.randint(2, 20), order=order)
        return True

    async def _change_device(self) -> bool:
        device = self._source.choice(self._devices)
        name = f"{device['systemName'][:24]}-{self._source.randrange(1000)}"
        await self._ninja.patch(f"devices/{device['id']}", displayName=name)
        return True

    async def _move_device(self) -> bool:
        device, organization = self._source.choice(self._devices), self._source.choice(self._organizations)
        await self._ninja.patch(f"devices/{device['id']}", organizationId=organization)
        return True

    async def _add_device(self) -> bool:
        organization = self._source.choice(self._organizations)
        await self._ninja.post("devices", organizationId=organization, nodeClass="WINDOWS_WORKSTATION")
        await self._look()
        return True

    async def _delete_device(self) -> bool:
        if len(self._devices) < 10:
            return False
        await self._ninja.delete(f"devices/{self._source.choice(self._devices)['id']}")
        await self._look()
        return True
