"""The connectors role: pollers and webhook receiver of both vendors, and the one process that tests new credentials."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import orjson
import uvicorn

from connectors.autotask.client import AutotaskClient
from connectors.autotask.metadata import Metadata
from connectors.autotask.notes import NoteReader
from connectors.autotask.observation import TicketPublisher
from connectors.autotask.poller import AutotaskPoller, PollerSettings
from connectors.autotask.webhook import AutotaskWebhook
from connectors.autotask.webhook_setup import WebhookSetup
from connectors.ninjaone.connector import NinjaOneConnector
from connectors.ninjaone.webhook_setup import WebhookRefused
from connectors.ninjaone.webhook_setup import set_up as set_up_ninjaone
from connectors.personal import PersonalStore
from connectors.probing import ProbeResult
from connectors.receiver import create_receiver
from connectors.shadow.named import NamesApart
from connectors.shadow.tickets import OtherTickets
from schemas.facts import ConnectionName
from streams.connection_watch import ConnectionWatch
from streams.core.policy.policy import Policy, parse_policy
from streams.delivery.fatal import described
from streams.gates import ConnectionGate
from streams.limited_log import LimitedLog
from streams.personal import KeptPersonal
from streams.policy_log import first_policy, policy_in_force
from streams.receiver_port import cannot_listen
from streams.roles.surroundings import Surroundings, until_stopped
from streams.roles.webhook_upkeep import LOOK_AGAIN_S, keep_set_up, silence
from streams.vendors import (
    NoCredentials,
    autotask_client,
    jitter,
    ninjaone_config,
    ninjaone_webhook,
    probe_connection,
)

log = logging.getLogger("lockstep.connectors")

#: How long the policy's word about technicians' notes is taken as it was: reading it costs a look through ``control``.
NOTES_ASKED_MS = 300_000


@dataclass(slots=True)
class _Side:
    """One vendor's running half, replaced as a whole when its credentials change."""

    running: asyncio.Task[None] | None = None
    handle: Callable[[Mapping[str, str], bytes], Awaitable[tuple[int, str]]] | None = None
    figures: Callable[[], dict[str, Any]] = dict
    webhook: str = ""
    log: LimitedLog | None = None


class _Door:
    """What the receiver hands deliveries to: whichever half is running now."""

    def __init__(self, side: _Side) -> None:
        self._side = side

    async def handle(self, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
        """As ``connectors.receiver.WebhookHandler``; 503 while there is nothing to hand it to, so it comes again."""
        if self._side.handle is None:
            return 503, "not connected; send it again later"
        return await self._side.handle(headers, body)


class ConnectorsRole:
    """Both vendors' halves, the watch that opens and closes their gates, and the receiver."""

    def __init__(self, here: Surroundings) -> None:
        self._here = here
        self._ended: asyncio.Future[tuple[ConnectionName, BaseException]] = asyncio.get_running_loop().create_future()
        self._sides: dict[ConnectionName, _Side] = {"ninjaone": _Side(), "autotask": _Side()}
        self._personal = KeptPersonal(here.options)
        self._store = PersonalStore(here.kafka, self._personal.values, now=here.clock.now)
        self._notes_as = "ignore"
        self._notes_asked_at: int | None = None
        #: In a shadow: the tickets of the other connector that NinjaOne named so far.
        self._named: set[str] = set()
        self._watch = ConnectionWatch(
            here.options,
            here.kafka,
            now=here.clock.now,
            by=here.name,
            load=here.credentials,
            secrets_file=here.settings.secrets_path,
            test=self._test,
            on_credentials=self._renew,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Publish, poll and receive until ``stop``."""
        here = self._here
        await first_policy(here.settings, here.kafka, here.options, now=here.clock.now, tell=log.info)
        await self._personal.start()
        async with self._watch:
            try:
                for name in self._sides:
                    await self._renew(name)
                report = here.reporter(self._figures).run(stop)
                await until_stopped(
                    stop,
                    self._receive(),
                    report,
                    self._watch.failed(),
                    self._a_side_ended(),
                    self._personal.roll(here.kafka),
                )
            finally:
                await self._personal.stop()
                for name in self._sides:
                    await self._end(name)

    async def _a_side_ended(self) -> None:
        """Raise what ended a vendor's half: without it nobody polls, and only a new process gives it another chance."""
        name, error = await self._ended
        raise SideError(f"the half of {name} ended: {described(error)}")

    def _run(self, name: ConnectionName, work: Coroutine[Any, Any, None]) -> None:
        def ended(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and not self._ended.done():
                self._ended.set_result((name, task.exception() or RuntimeError("it returned")))

        running = self._sides[name].running = asyncio.create_task(work)
        running.add_done_callback(ended)

    async def _test(self, name: ConnectionName) -> ProbeResult:
        return await probe_connection(self._here.fresh_settings(), name, now=self._here.clock.now)

    async def _renew(self, name: ConnectionName) -> None:
        await self._end(name)
        side = self._sides[name]
        try:
            if name == "ninjaone":
                self._begin_ninjaone(side)
            else:
                self._begin_autotask(side)
        except NoCredentials as error:
            log.info("%s", error)

    async def _end(self, name: ConnectionName) -> None:
        side = self._sides[name]
        side.handle, side.figures = None, dict
        running, side.running = side.running, None
        if running is not None:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    def _begin_ninjaone(self, side: _Side) -> None:
        here, settings = self._here, self._here.fresh_settings()
        webhook, gate = ninjaone_webhook(settings), self._watch.gate("ninjaone")
        connector = NinjaOneConnector.create(
            ninjaone_config(settings),
            webhook,
            gate=gate,
            log=NamesApart(self._limited(side), self._named) if settings.shadowing else self._limited(side),
            now=here.clock.now,
            sleep=here.clock.sleep,
            jitter=jitter,
            last_user=self._last_user_wanted,
            personal=self._store,
        )

        async def set_up() -> str:
            return await set_up_ninjaone(connector.client, webhook)

        side.handle = connector.webhook.handle
        side.figures = lambda: {"failing": list(connector.failing.values())}
        works = [connector.run()]
        if webhook.public_url and not settings.shadowing:
            silent = partial(silence, connector.intake.webhook_fell_silent, sleep=here.clock.sleep)
            works.append(self._keep_set_up(side, gate, set_up, silent))
        self._run("ninjaone", _together(*works))

    async def _last_user_wanted(self) -> bool:
        """The last logged-on user is personal: it is read only while the policy in force asks for it by name."""
        policy = await self._policy()
        return policy is not None and "last_user" in policy.devices.fields

    async def _notes_wanted(self) -> str:
        """The texts of technicians' notes are personal too. Before the first policy there are no tickets of ours."""
        now = self._here.clock.now()
        if self._notes_asked_at is None or not 0 <= now - self._notes_asked_at < NOTES_ASKED_MS:
            policy = await self._policy()
            self._notes_as = "ignore" if policy is None else policy.notes.technicians
            self._notes_asked_at = now
        return self._notes_as

    async def _policy(self) -> Policy | None:
        current = await policy_in_force(self._here.options)
        return None if current is None else parse_policy(orjson.loads(current.document))

    def _begin_autotask(self, side: _Side) -> None:
        here, settings = self._here, self._here.fresh_settings()
        gate = self._watch.gate("autotask")
        client = autotask_client(settings, gate=gate, now=here.clock.now)
        section, kafka, metadata = settings.autotask, self._limited(side), Metadata(client)
        publisher = TicketPublisher(kafka, here.clock.now)
        poller = AutotaskPoller(
            client,
            kafka,
            sleep=here.clock.sleep,
            jitter=jitter,
            settings=PollerSettings(poll_seconds=section.poll_seconds, companies_seconds=section.companies_seconds),
            publisher=publisher,
            notes=NoteReader(client, kafka, wanted=self._notes_wanted, personal=self._store),
        )
        works = [poller.run()]
        if settings.shadowing:
            creators = settings.shadow.creators
            others = OtherTickets(client, kafka, metadata, names=self._named, creators=creators)
            works.append(poller.beside("other tickets", others.poll))
        elif section.webhook.secret is not None:
            secret = section.webhook.secret.get_secret_value()
            url = section.webhook.public_url
            setup = WebhookSetup(client, metadata, public_url=url, secret=secret) if url else None
            handler = AutotaskWebhook(
                client,
                kafka,
                secret=secret,
                sleep=asyncio.sleep,
                metadata=metadata,
                publisher=publisher,
                # A notice that the webhook was switched off makes us look, and switch it on again.
                on_deactivated=setup.ensure if setup else None,
            )
            side.handle = handler.handle
            if setup is not None:

                async def set_up() -> str:
                    known = setup.state is not None and setup.state.delivering
                    state = await (setup.check() if known else setup.ensure())
                    if known and not state.delivering:
                        state = await setup.ensure()
                    if not state.delivering:
                        raise WebhookRefused("; ".join(state.findings) or "Autotask does not deliver yet")
                    return f"Autotask sends ticket changes to {url}"

                works.append(self._keep_set_up(side, gate, set_up, partial(here.clock.sleep, LOOK_AGAIN_S)))
        side.figures = lambda: {
            "failing": [*poller.failing.values(), *([poller.notes_failing] if poller.notes_failing else [])],
            **_budget(poller),
        }
        self._run("autotask", _closing(client, _together(*works)))

    def _limited(self, side: _Side) -> LimitedLog:
        limit = self._here.settings.connectors.dead_letters.limit("connectors.dead_letters")
        side.log = LimitedLog(self._here.kafka, limit)
        return side.log

    async def _keep_set_up(
        self,
        side: _Side,
        gate: ConnectionGate,
        set_up: Callable[[], Awaitable[str]],
        due: Callable[[], Awaitable[None]],
    ) -> None:
        def tell(line: str) -> None:
            side.webhook = line

        await keep_set_up(set_up, tell, gate=gate, sleep=self._here.clock.sleep, due=due)

    def _figures(self) -> dict[str, Any]:
        return {
            name: {
                "suspended": self._watch.closed(name),
                "webhook": side.webhook,
                "stopped": list(side.log.stopped.values()) if side.log else [],
                **side.figures(),
            }
            for name, side in self._sides.items()
        }

    async def _receive(self) -> None:
        where = self._here.settings.receiver
        doors = {name: _Door(side) for name, side in self._sides.items()}
        app = create_receiver(ninjaone=doors["ninjaone"], autotask=doors["autotask"], health=self._health)
        server = _Server(
            uvicorn.Config(
                app,
                host=where.host,
                port=where.port,
                log_config=None,
                access_log=False,
                lifespan="off",
                # Deliveries in flight are answered within Kafka's acknowledgement or a few seconds.
                timeout_graceful_shutdown=5,
            )
        )
        try:
            await server.serve()
        except asyncio.CancelledError:
            server.should_exit = True
            with contextlib.suppress(Exception):
                await server.shutdown()
            raise
        except SystemExit:
            raise cannot_listen(where.host, where.port) from None

    def _health(self) -> Mapping[str, str]:
        return {name: connection.state for name, connection in self._watch.connections.items()}


class SideError(RuntimeError):
    """One vendor's half has ended though nobody asked it to; one line."""


class _Server(uvicorn.Server):
    """uvicorn without its own signal handling: the role decides when to stop."""

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        yield


async def _together(*works: Any) -> None:
    async with asyncio.TaskGroup() as group:
        for work in works:
            group.create_task(work)


async def _closing(client: AutotaskClient, work: Any) -> None:
    async with client:
        await work


def _budget(poller: AutotaskPoller) -> dict[str, Any]:
    budget = poller.budget()
    if budget is None:
        return {}
    figures = {"used": budget.used, "limit": budget.limit, "read_at": budget.read_at}
    return {"budget": figures, "polls_slower_by": poller.slower()}


async def run_connectors_role(here: Surroundings, stop: asyncio.Event) -> None:
    """Run the role until ``stop``."""
    await ConnectorsRole(here).run(stop)
