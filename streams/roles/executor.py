"""The executor role: the three command topics, each with an executor of its own, and the vendors' effects behind gates."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from connectors.autotask.budget import BudgetReader, allowance
from connectors.autotask.effects import AutotaskEffects
from connectors.ninjaone.client import NinjaOneClient
from connectors.ninjaone.effects import NinjaOneEffects
from connectors.pacing import keep_polling
from connectors.ports import Allowance, CallsSuspended, Effect, Effects, Gate, Verdict
from connectors.shadow.effects import PREDICTED, PredictedAutotask, PredictedNinjaOne
from connectors.transport import Limits
from schemas.commands import AdoptTicket, Command, CreateTicket
from schemas.facts import ConnectionName
from schemas.topics import CURSORS, DEVICE_COMMANDS, NINJAONE_COMMANDS, TICKET_COMMANDS, TICKETS
from streams.connection_watch import ConnectionWatch
from streams.executor.executor import Executor
from streams.executor.settings import ExecutorSettings, Patience
from streams.log import LogError
from streams.personal import FillingIn, KeptPersonal
from streams.readers import ReadError
from streams.roles.surroundings import Surroundings
from streams.settings import Settings
from streams.vendors import NoCredentials, autotask_client, jitter, ninjaone_config, predicting_client

CONNECTION_OF: dict[str, ConnectionName] = {
    TICKET_COMMANDS: "autotask",
    DEVICE_COMMANDS: "autotask",
    NINJAONE_COMMANDS: "ninjaone",
}


#: At 40 calls a second 1 % of the hour's budget is used up in 2.5 s, after which it is read anew.
LOOK_AT_BUDGET_S = 1.0
#: The key in ``cursors`` of when the log began.
BEGAN = "log/began"

log = logging.getLogger(__name__)

Build = Callable[[Settings], tuple[Effects, Callable[[], Awaitable[None]]]]


class CurrentEffects:
    """The effects of one connection under the credentials in force; rebuilt when those change."""

    def __init__(self, here: Surroundings, build: Build, kept: KeptPersonal) -> None:
        self._here = here
        self._kept = kept
        self._build = build
        self._effects: Effects | None = None
        self._close: Callable[[], Awaitable[None]] | None = None

    async def renew(self) -> None:
        """Take up the credentials as they are now; calls in flight of the old ones end with their connections."""
        await self.close()
        with contextlib.suppress(NoCredentials):
            self._effects, self._close = self._build(self._here.fresh_settings())

    async def close(self) -> None:
        """Give the connections back."""
        close, self._close, self._effects = self._close, None, None
        if close is not None:
            await close()

    async def perform(self, command: Command) -> Effect:
        """As ``Effects.perform``."""
        try:
            effect = await FillingIn(self._now(), self._kept.value).perform(command)
        except CallsSuspended as suspended:
            return _suspended(suspended)
        await self._index(command, effect)
        return effect

    async def look_up(self, command: Command) -> Effect | None:
        """As ``Effects.look_up``."""
        try:
            effect = await FillingIn(self._now(), self._kept.value).look_up(command)
        except CallsSuspended as suspended:
            return _suspended(suspended)
        if effect is not None:
            await self._index(command, effect)
        return effect

    async def complete_as_double(self, ticket_id: int, kept_number: str) -> Effect:
        """Complete the younger of two tickets with one external id (Autotask only)."""
        effects = self._now()
        if not isinstance(effects, AutotaskEffects):
            return Effect(verdict=Verdict.REJECTED, reason="NotSupported", detail="this vendor has no tickets")
        return await effects.complete_as_double(ticket_id, kept_number)

    async def _index(self, command: Command, effect: Effect) -> None:
        """Remember whose ticket this is, for the day on which somebody empties its external id."""
        gives_ticket = isinstance(command, CreateTicket | AdoptTicket) and effect.how != PREDICTED
        if gives_ticket and effect.verdict is Verdict.SUCCEEDED and effect.ticket_id is not None:
            # Missing it costs no ticket (the poll asks by external id), so it must not cost the settlement either.
            with contextlib.suppress(LogError):
                await self._here.kafka.remember(TICKETS, str(effect.ticket_id), command.key.encode())

    def _now(self) -> Effects:
        if self._effects is None:
            raise CallsSuspended("there are no credentials")
        return self._effects


class HourlyBudget:
    """The hour's budget of Autotask as this process knows it, over changes of credentials."""

    def __init__(self, here: Surroundings) -> None:
        self._here = here
        self.reader: BudgetReader | None = None

    def allowance(self) -> Allowance:
        """Which lanes may call Autotask now."""
        return allowance(None, 0) if self.reader is None else self.reader.allowance()

    def figures(self) -> dict[str, Any] | None:
        """The last reading with our calls since, for ``status``."""
        budget = self.reader.budget() if self.reader is not None else None
        return None if budget is None else {"used": budget.used, "limit": budget.limit, "read_at": budget.read_at}

    async def keep(self, gate: Gate, needed: Callable[[], bool]) -> None:
        """Read it as often as it tells itself, while ``needed`` (a standby makes no calls). Until cancelled."""

        async def look() -> None:
            gate.enter()
            if self.reader is not None and needed():
                await self.reader.refreshed()

        async def pause() -> None:
            # It mostly only looks at a clock, which may follow a sandbox that jumps.
            await asyncio.sleep(LOOK_AT_BUDGET_S)

        await keep_polling("autotask budget", look, pause, gate=gate, sleep=asyncio.sleep, jitter=jitter)


async def _nothing() -> None:
    """Where no connections are to be given back."""


def _suspended(suspended: CallsSuspended) -> Effect:
    return Effect(verdict=Verdict.SUSPENDED, reason="Suspended", detail=str(suspended))


async def _began(here: Surroundings) -> int | None:
    """When this log began, as its first executor noted it (epoch ms); ``None`` where Kafka cannot tell."""
    try:
        known = (await here.kafka.remembered(CURSORS)).get(BEGAN)
        if known is None:
            known = str(here.clock.now()).encode()
            await here.kafka.remember(CURSORS, BEGAN, known)
        return int(known)
    except (ReadError, LogError) as error:
        log.warning("when this log began cannot be read, so each ticket is looked for before one is opened: %s", error)
        return None


async def run_executor_role(here: Surroundings, stop: asyncio.Event) -> None:
    """Carry out commands until ``stop``. Later trouble ends the process with 70."""
    effects: dict[ConnectionName, CurrentEffects] = {}
    budget = HourlyBudget(here)
    began = await _began(here)
    kept = KeptPersonal(here.options)
    await kept.start()

    async def renew(name: ConnectionName) -> None:
        await effects[name].renew()

    watch = ConnectionWatch(
        here.options,
        here.kafka,
        now=here.clock.now,
        by=here.name,
        load=here.credentials,
        secrets_file=here.settings.secrets_path,
        on_credentials=renew,
    )

    def autotask(settings: Settings) -> tuple[Effects, Callable[[], Awaitable[None]]]:
        if settings.shadowing:
            predicting = predicting_client(settings, gate=watch.gate("autotask"), now=here.clock.now, in_flight=2)
            budget.reader = BudgetReader(predicting)
            return PredictedAutotask(predicting), predicting.aclose
        client = autotask_client(settings, gate=watch.gate("autotask"), now=here.clock.now, in_flight=2)
        budget.reader = BudgetReader(client)
        return AutotaskEffects(client, began=began), client.aclose

    def ninjaone(settings: Settings) -> tuple[Effects, Callable[[], Awaitable[None]]]:
        if settings.shadowing:
            return PredictedNinjaOne(), _nothing
        client = NinjaOneClient.create(
            ninjaone_config(settings),
            gate=watch.gate("ninjaone"),
            now=here.clock.now,
            sleep=asyncio.sleep,
            jitter=jitter,
            limits=Limits(in_flight=2),
        )
        return NinjaOneEffects(client), client.close

    effects["autotask"], effects["ninjaone"] = (
        CurrentEffects(here, autotask, kept),
        CurrentEffects(here, ninjaone, kept),
    )
    for current in effects.values():
        await current.renew()
    async with watch:
        executors = [
            _executor(here, topic, effects[name], watch, budget.allowance if name == "autotask" else Allowance)
            for topic, name in CONNECTION_OF.items()
        ]

        def figures() -> dict[str, Any]:
            return {
                topic: {**executor.figures(), **({"budget": budget.figures()} if name == "autotask" else {})}
                for (topic, name), executor in zip(CONNECTION_OF.items(), executors, strict=True)
            }

        def calling() -> bool:
            return any(executor.owner for executor in executors)

        reporting = asyncio.create_task(here.reporter(figures).run(stop))
        keeping = asyncio.create_task(budget.keep(watch.gate("autotask"), calling))
        running = [asyncio.create_task(executor.run()) for executor in executors]
        stopping, blind = asyncio.create_task(stop.wait()), asyncio.create_task(watch.failed())
        try:
            await asyncio.wait([stopping, blind, *running], return_when=asyncio.FIRST_COMPLETED)
            for executor in executors:
                executor.stop()
            await asyncio.gather(*running)
            if blind.done():
                blind.result()
        finally:
            stop.set()
            for task in (keeping, stopping, blind):
                task.cancel()
            await asyncio.gather(reporting, keeping, stopping, blind, return_exceptions=True)
            for current in effects.values():
                await current.close()
            await kept.stop()


def _executor(
    here: Surroundings,
    topic: str,
    effects: CurrentEffects,
    watch: ConnectionWatch,
    allowed: Callable[[], Allowance],
) -> Executor:
    chosen = here.settings.executor
    settings = ExecutorSettings(
        kafka=here.options,
        commands=topic,
        window=chosen.window,
        calls_at_once=chosen.concurrency,
        patience=Patience(
            look_up_after_s=chosen.look_up_after_seconds,
            second_look_after_s=chosen.look_again_after_seconds,
            defer_after_s=chosen.defer_after_seconds,
        ),
        instance_id=here.instance_id,
        dead_letter_limit=chosen.dead_letters.limit("executor.dead_letters"),
    )
    gate = watch.gate(CONNECTION_OF[topic])
    return Executor(settings, effects=effects, gate=gate, now=here.clock.now, jitter=jitter, allowance=allowed)
