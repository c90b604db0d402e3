"""What faults and load act upon: the running installation, and what a drill has to remember of what it did to it."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from connectors.sandbox.remote import Remote, SandboxRefused
from streams.broker import EmbeddedBroker
from streams.demo.theatre import Theatre, until
from streams.supervisor import Supervisor

#: A role that was just killed several times is started again after at most 30 s; a busy machine takes some more.
ROLE_IS_BACK_S = 90.0

Work = Callable[[], Awaitable[object]]


@dataclass(slots=True)
class Scene:
    """One drill in progress. ``planted``: (topic, partition, offset) of every record that no agent can decode, and what
    it was. ``trouble``: what did not come back although its fault was healed, a line each. ``at_end``: what is healed after the clock was put forward at the end. ``operator_tests`` counts, per
    connection, the tests that were needed to get it out of Unhealthy.
    """

    theatre: Theatre
    tell: Callable[[str], None]
    planted: dict[tuple[str, int, int], str] = field(default_factory=dict)
    at_end: list[Work] = field(default_factory=list)
    operator_tests: Counter[str] = field(default_factory=Counter)
    trouble: list[str] = field(default_factory=list)

    @property
    def supervisor(self) -> Supervisor:
        """Who keeps the roles running."""
        assert self.theatre.installation.supervisor is not None
        return self.theatre.installation.supervisor

    def remote(self, vendor: str) -> Remote:
        """The control surface of ``ninjaone`` or ``autotask``."""
        return self.theatre.ninja if vendor == "ninjaone" else self.theatre.psa

    async def pid(self, role: str) -> int:
        """The process of a role, once it runs. Raises ``StoryFailed``."""

        async def running() -> int | None:
            child = self.supervisor.children.get(role)
            process = child.process if child is not None else None
            return process.pid if process is not None and process.returncode is None else None

        pid: int = await until(f"role {role} runs", running, seconds=ROLE_IS_BACK_S)
        return pid

    def broker(self, number: int) -> EmbeddedBroker:
        """The broker of this number, from 1; where there is one only, that."""
        brokers = self.theatre.brokers
        return brokers[(number - 1) % len(brokers)]

    async def broker_pid(self, number: int) -> int:
        """The process of a broker, once it runs. Raises ``StoryFailed``."""

        async def running() -> int | None:
            return self.broker(number).pid

        pid: int = await until("the broker runs", running, seconds=ROLE_IS_BACK_S)
        return pid

    async def operator_tests_until_it_works(self, connection: str, *, seconds: float = ROLE_IS_BACK_S * 2) -> None:
        """``lockstep test``, as an operator would after mending an account; again while other faults get in its way.

        Where it never does, that is trouble.
        """
        deadline = time.monotonic() + seconds
        while True:
            self.operator_tests[connection] += 1
            code, said = await self.theatre.lockstep("test", connection)
            if code == 0:
                return
            if time.monotonic() > deadline:
                self.trouble.append(f"NotMended: {connection}: after {seconds:g} s 'lockstep test' still says: {said}")
                return
            await asyncio.sleep(1)

    async def lift(self, vendor: str, fault: str) -> None:
        """Take a planned fault of a simulator away; one that is gone already does no harm."""
        with contextlib.suppress(SandboxRefused):
            await self.remote(vendor).delete(f"faults/{fault}")
