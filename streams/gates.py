"""The gate of one connection in one process: may a call go out, and what did the last one show.

A gate is open while its connection is Healthy or Degraded, nobody paused it, and this process holds the very credentials
that were tested; a refusal closes it in this process before anything is published.
"""

from __future__ import annotations

from typing import Protocol

from connectors.ports import CallsSuspended, Now
from schemas.facts import ConnectionName
from streams.core import connection as machine
from streams.core.connection import Connection, Strain
from streams.health import Decide


class Desk(Protocol):
    """What a gate needs of the process's watch (``streams.connection_watch``)."""

    now: Now
    by: str

    def connection(self, name: ConnectionName) -> Connection: ...

    def closed(self, name: ConnectionName) -> str | None: ...

    def close_here(self, name: ConnectionName, reason: str, epoch: int) -> None: ...

    async def changed(self) -> None: ...

    async def publish(self, name: ConnectionName, decide: Decide) -> None: ...


class ConnectionGate:
    """One connection, as the code that makes its calls sees it. Satisfies ``connectors.ports.Gate``."""

    def __init__(self, desk: Desk, name: ConnectionName) -> None:
        self.connection: ConnectionName = name
        self._desk = desk
        self._strain = Strain()

    def enter(self) -> int:
        """The current epoch. Raises ``CallsSuspended`` with the reason and since when."""
        reason = self.closed()
        if reason is not None:
            raise CallsSuspended(reason)
        return self._desk.connection(self.connection).epoch

    def closed(self) -> str | None:
        """Why no call may go out, in one line; ``None`` while calls may."""
        return self._desk.closed(self.connection)

    async def opened(self) -> None:
        """Wait until calls may go out."""
        while self.closed() is not None:
            await self._desk.changed()

    async def reopened(self) -> None:
        """Wait until calls were stopped and may go out again."""
        while self.closed() is None:
            await self._desk.changed()
        await self.opened()

    async def refused(self, reason: str, epoch: int) -> None:
        """These credentials do not work: closes this process's gate at once, then tells all others."""
        self._desk.close_here(self.connection, reason, epoch)
        now, by = self._desk.now(), self._desk.by
        await self._desk.publish(
            self.connection, lambda c: machine.refused(c, reason=reason, epoch=epoch, at=now, by=by)
        )

    async def troubled(self, reason: str) -> None:
        """A call failed in a way that is not about credentials. Enough of them make the connection Degraded."""
        now, by = self._desk.now(), self._desk.by
        self._strain = self._strain.trouble(now)
        if self._strain.is_degraded(now) and self._desk.connection(self.connection).state == "Healthy":
            await self._desk.publish(self.connection, lambda c: machine.degraded(c, reason=reason, at=now, by=by))

    async def worked(self) -> None:
        """A call got a usable answer. Enough of them make a Degraded connection Healthy."""
        now, by = self._desk.now(), self._desk.by
        self._strain = self._strain.work()
        current = self._desk.connection(self.connection)
        if self._strain.is_recovered() and machine.recovered(current, at=now, by=by) is not None:
            await self._desk.publish(self.connection, lambda c: machine.recovered(c, at=now, by=by))
