"""Keeps a vendor's webhook set up: at the start, whenever calls may go out again, and now and then in between."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol

from connectors.errors import CallFailed, Kind
from connectors.ninjaone.webhook_setup import WebhookRefused
from connectors.ports import CallsSuspended

log = logging.getLogger("lockstep.connectors")

#: A webhook is a convenience beside the poll: one that could not be set up is tried again at this pace.
SET_UP_AGAIN_S = 60.0
#: One read so often: Autotask switches a webhook off after 25 failed deliveries, and its notice may be lost as well.
#: A refusal (the tenant allows no webhooks) is not asked about more often either.
LOOK_AGAIN_S = 900.0


class Opening(Protocol):
    """What is needed of a connection's gate (``streams.gates``)."""

    async def opened(self) -> None: ...

    async def reopened(self) -> None: ...


async def keep_set_up(
    set_up: Callable[[], Awaitable[str]],
    tell: Callable[[str], None],
    *,
    gate: Opening,
    sleep: Callable[[float], Awaitable[None]],
    due: Callable[[], Awaitable[None]],
) -> None:
    """Set up until cancelled, anew once ``due`` returns, telling what came of it in one line.

    A vendor that deactivates the user switches the user's webhooks off, and they stay off when the user is back:
    hence also whenever the gate has opened again.
    """
    told = ""
    while True:
        await gate.opened()
        waiting = due
        try:
            line = await set_up()
            if line != told:
                log.info("%s", line)
        except (WebhookRefused, CallFailed, CallsSuspended) as error:
            refused = isinstance(error, CallFailed) and error.kind is Kind.PERMANENT
            line, waiting = str(error), partial(sleep, LOOK_AGAIN_S if refused else SET_UP_AGAIN_S)
            log.warning("webhook: %s; polling goes on, and this is tried again", line)
        told = line
        tell(line)
        await _first([gate.reopened(), waiting()])


async def silence(fell_silent: Callable[[], bool], *, sleep: Callable[[float], Awaitable[None]]) -> None:
    """Return when NinjaOne pushed none of the alerts that the poll found: it tells nobody that it stopped."""
    while not fell_silent():
        await sleep(SET_UP_AGAIN_S)
    log.warning("webhook: NinjaOne pushed none of the last alerts and may have switched it off; set up again")


async def _first(works: Sequence[Awaitable[None]]) -> None:
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
