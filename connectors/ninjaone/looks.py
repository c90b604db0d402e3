"""Looks at devices that activities asked for: coalesced, and replaced by one sweep when there are many."""

from __future__ import annotations

import asyncio

from connectors.ninjaone.inventory import Inventory
from connectors.transport import Sleep

#: Hints of one change mostly come in twos and threes within a moment; one look answers them all.
_GATHER_SECONDS = 0.2

#: From so many devices on a sweep is cheaper: it reads 1000 devices a call, a look one.
_SWEEP_FROM = 25


class Looks:
    """Collects hints (from the receiver and the poller) and works them off one after another."""

    def __init__(self, inventory: Inventory, *, sleep: Sleep) -> None:
        self._inventory = inventory
        self._sleep = sleep
        self._devices: dict[int, int | None] = {}
        self._organizations = False
        self._asked = asyncio.Event()

    def device(self, device_id: int, deleted_at: int | None) -> None:
        """An activity says that a device changed, or that it was deleted (epoch ms)."""
        self._devices[device_id] = deleted_at or self._devices.get(device_id)
        self._asked.set()

    def organizations(self) -> None:
        """An activity says that organizations, locations or roles changed."""
        self._organizations = True
        self._asked.set()

    async def work(self) -> None:
        """Wait for hints and follow them. What fails stays asked for. Raises ``CallFailed``, ``CallsSuspended``."""
        await self._asked.wait()
        await self._sleep(_GATHER_SECONDS)
        self._asked.clear()
        try:
            await self._follow()
        except BaseException:
            self._asked.set()
            raise

    async def _follow(self) -> None:
        # A hint is taken out before its look begins: one that comes meanwhile asks for another look.
        if len(self._devices) >= _SWEEP_FROM:
            await self._sweep()
        if self._organizations:
            self._organizations = False
            try:
                await self._inventory.look_at_organizations()
            except BaseException:
                self._organizations = True
                raise
        while self._devices:
            device_id = next(iter(self._devices))
            deleted_at = self._devices.pop(device_id)
            try:
                await self._inventory.look(device_id, deleted_at=deleted_at)
            except BaseException:
                self.device(device_id, deleted_at)
                raise

    async def _sweep(self) -> None:
        """One sweep answers every change; deletions are still looked at one by one, to be told at once."""
        changed = [device_id for device_id, deleted_at in self._devices.items() if deleted_at is None]
        for device_id in changed:
            del self._devices[device_id]
        self._organizations = False
        try:
            await self._inventory.sweep()
        except BaseException:
            for device_id in changed:
                self.device(device_id, None)
            raise
