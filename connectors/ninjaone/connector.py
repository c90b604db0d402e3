"""NinjaOne's side of the connectors role: built here from plain settings, run as three loops, fed by the receiver."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field

from connectors.ninjaone.alertbook import AlertBook
from connectors.ninjaone.client import NinjaOneClient
from connectors.ninjaone.conditions import Conditions
from connectors.ninjaone.config import NinjaOneConfig, WebhookConfig
from connectors.ninjaone.directory import Directory
from connectors.ninjaone.intake import Intake
from connectors.ninjaone.inventory import Inventory, LastUserWanted
from connectors.ninjaone.looks import Looks
from connectors.ninjaone.poller import AlertPoller
from connectors.ninjaone.rounds import AlertRounds
from connectors.ninjaone.webhook import NinjaOneWebhook
from connectors.pacing import keep_polling
from connectors.personal import PersonalStore
from connectors.ports import Gate, Log, Now
from connectors.transport import Jitter, Limits, Sleep

Work = Callable[[], Awaitable[None]]

#: Alerts wait for the first list of devices at most this long: after it each device costs a call of its own.
_LISTED_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class NinjaOneConnector:
    """The parts, for tests and for the role. New credentials need a new connector: cancel ``run`` and build another."""

    config: NinjaOneConfig
    client: NinjaOneClient
    directory: Directory
    inventory: Inventory
    poller: AlertPoller
    looks: Looks
    webhook: NinjaOneWebhook
    intake: Intake
    gate: Gate
    sleep: Sleep
    jitter: Jitter
    #: The lists that lastingly fail, each with its line (``connectors.pacing``).
    failing: dict[str, str] = field(default_factory=dict)

    @classmethod
    def create(
        cls,
        config: NinjaOneConfig,
        webhook: WebhookConfig,
        *,
        gate: Gate,
        log: Log,
        now: Now,
        sleep: Sleep,
        jitter: Jitter,
        last_user: LastUserWanted | None = None,
        personal: PersonalStore | None = None,
    ) -> NinjaOneConnector:
        """Put the parts together; makes no call. Pollers and receiver read one at a time per endpoint.

        ``last_user`` is asked before every sweep whether the last logged-on user is wanted; it is not unless said so,
        and never without ``personal``, where it is kept.
        """
        client = NinjaOneClient.create(
            config, gate=gate, now=now, sleep=sleep, jitter=jitter, webhook=webhook, limits=Limits(in_flight=1)
        )
        directory = Directory(client, config, now=now)
        conditions = Conditions(client)
        book = AlertBook()
        asked = {} if last_user is None else {"last_user": last_user}
        inventory = Inventory(client, directory=directory, book=book, log_=log, now=now, personal=personal, **asked)
        looks = Looks(inventory, sleep=sleep)
        intake = Intake(
            directory=directory,
            conditions=conditions,
            book=book,
            now=now,
            on_device=looks.device,
            on_organizations=looks.organizations,
        )
        poller = AlertPoller(
            client,
            directory=directory,
            conditions=conditions,
            book=book,
            intake=intake,
            log_=log,
            now=now,
            backfill=config.backfill == "active",
        )
        return cls(
            config=config,
            client=client,
            directory=directory,
            inventory=inventory,
            poller=poller,
            looks=looks,
            webhook=NinjaOneWebhook(intake, log_=log, config=webhook),
            intake=intake,
            gate=gate,
            sleep=sleep,
            jitter=jitter,
        )

    async def load(self) -> None:
        """Read what earlier processes remembered in Kafka. Once, before anything else."""
        await self.inventory.load()
        await self.poller.load()

    async def run(self) -> None:
        """Load, then poll until cancelled; closes the client at the end."""
        try:
            await self.load()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._loop("ninjaone devices", self.inventory.sweep, self.config.inventory_seconds))
                tasks.create_task(self._loop("ninjaone looks", self.looks.work, 0.0))
                tasks.create_task(self._alerts())
        finally:
            await self.client.close()

    async def _alerts(self) -> None:
        # One list of all devices instead of one call per device with an alert.
        with suppress(TimeoutError):
            async with asyncio.timeout(_LISTED_SECONDS):
                await self.directory.listed.wait()
        rounds = AlertRounds(self.poller, self.intake.lag, seconds=self.config.poll_seconds, sleep=self.sleep)
        try:
            await self._keep("ninjaone alerts", rounds.work, rounds.pause)
        finally:
            await rounds.stop()

    async def _loop(self, name: str, work: Work, seconds: float) -> None:
        async def pause() -> None:
            await self.sleep(seconds)

        await self._keep(name, work, pause)

    async def _keep(self, name: str, work: Work, pause: Work) -> None:
        await keep_polling(
            name, work, pause, gate=self.gate, sleep=self.sleep, jitter=self.jitter, failing=self.failing
        )
