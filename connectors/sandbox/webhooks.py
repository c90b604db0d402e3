"""How a simulated vendor delivers webhooks: retries by the sandbox clock, faults, a record of every delivery."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from connectors.sandbox.clock import Clock
from connectors.sandbox.faults import Fault, Faults, Occasion


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryPolicy:
    """Vendor rules. ``timeout`` is real seconds, ``retry_seconds`` counts on the sandbox clock; ``attempts`` >= 1.

    ``ordered``: a delivery that waits (retry, fault delay or hold) blocks those behind it; otherwise they overtake.
    ``at_once`` deliveries of one queue are under way side by side, unless it is ordered.
    """

    timeout: float
    attempts: int
    retry_seconds: float
    ordered: bool
    at_once: int = 1


@dataclass(slots=True, kw_only=True)
class Delivery:
    """One webhook message. ``outcome``: pending, delivered, failed, lost, held or cancelled.

    ``callout`` names whose queue it is in (the webhook's id); ``attempts`` holds ``{t, status | error}`` rows.
    ``copies`` is how often it goes out; ``delay`` real seconds during which others may overtake it.
    """

    id: int
    t: float
    callout: str
    url: str
    body: bytes
    headers: Mapping[str, str]
    entity: str
    item_id: str | int | None
    status_code: str | int | None
    copies: int = 1
    delay: float = 0.0
    outcome: str = "pending"
    attempts: list[dict[str, Any]] = field(default_factory=list)

    def shown(self) -> dict[str, Any]:
        """For ``state``: without the values of the headers, which hold secrets."""
        return {
            "id": self.id,
            "t": self.t,
            "callout": self.callout,
            "url": self.url,
            "headers": sorted(self.headers),
            "entity": self.entity,
            "itemId": self.item_id,
            "statusCode": self.status_code,
            "outcome": self.outcome,
            "attempts": self.attempts,
        }


class WebhookSender:
    """Delivers in the order of ``send``, one queue per callout, until stopped.

    ``on_settled`` is told of each delivery that ended as delivered or failed, for rules like "disable after 25
    failures". ``still_wanted`` is asked before each attempt: a disabled or deleted callout cancels what waits.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        faults: Faults,
        policy: Callable[[], DeliveryPolicy],
        on_settled: Callable[[Delivery], None],
        still_wanted: Callable[[Delivery], bool],
    ) -> None:
        self._clock = clock
        self._faults = faults
        self._policy = policy
        self._on_settled = on_settled
        self._still_wanted = still_wanted
        self._deliveries: list[Delivery] = []
        self._queues: dict[str, asyncio.Queue[Delivery]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._client: httpx.AsyncClient | None = None
        self._started = False

    async def start(self) -> None:
        """Begin to take messages. The HTTP client is made with the first one: most sandboxes never send any."""
        self._started = True

    async def stop(self) -> None:
        """Cancel everything under way and close the client."""
        self._started = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    def send(
        self,
        *,
        callout: str,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        entity: str,
        item_id: str | int | None = None,
        status_code: str | int | None = None,
        copies: int = 1,
        delay: float = 0.0,
        lost: bool = False,
    ) -> Delivery:
        """Queue a message; returns its record. Must be called inside the sandbox's event loop, after ``start``.

        ``lost`` keeps the record and sends nothing.
        """
        delivery = Delivery(
            id=len(self._deliveries) + 1,
            t=self._clock.now(),
            callout=callout,
            url=url,
            body=body,
            headers=dict(headers),
            entity=entity,
            item_id=item_id,
            status_code=status_code,
            copies=copies,
            delay=delay,
            outcome="lost" if lost else "pending",
        )
        self._deliveries.append(delivery)
        if lost:
            return delivery
        if callout not in self._queues:
            self._queues[callout] = asyncio.Queue()
            self._spawn(self._drain(self._queues[callout]))
        self._queues[callout].put_nowait(delivery)
        return delivery

    def shown(self) -> list[dict[str, Any]]:
        """All deliveries for ``state``, oldest first."""
        return [delivery.shown() for delivery in self._deliveries]

    def recent(self, count: int) -> list[Delivery]:
        """The last ``count`` deliveries, oldest first."""
        return self._deliveries[-count:] if count > 0 else []

    def _spawn(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _drain(self, queue: asyncio.Queue[Delivery]) -> None:
        under_way: set[asyncio.Task[None]] = set()
        while True:
            delivery = await queue.get()
            fault = self._faults.strike_delivery(
                Occasion(
                    method="POST",
                    path=urlsplit(delivery.url).path,
                    entity=delivery.entity,
                    status_code=delivery.status_code,
                )
            )
            waits = delivery.delay > 0 or (fault is not None and fault.kind in ("webhook_hold", "webhook_delay"))
            policy = self._policy()
            if waits and not policy.ordered:
                self._spawn(self._deliver(delivery, fault))
            elif policy.at_once > 1 and not policy.ordered:
                under_way.add(self._spawn(self._deliver(delivery, fault)))
                while len(under_way) >= policy.at_once:
                    _, under_way = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            else:
                await self._deliver(delivery, fault)

    async def _deliver(self, delivery: Delivery, fault: Fault | None) -> None:
        kind = fault.kind if fault is not None else None
        if kind == "webhook_lost":
            delivery.outcome = "lost"
            return
        if delivery.delay > 0:
            await asyncio.sleep(delivery.delay)
        if fault is not None and kind == "webhook_delay":
            with suppress(TimeoutError):
                await asyncio.wait_for(fault.released.wait(), fault.params["seconds"])
        if fault is not None and kind == "webhook_hold":
            delivery.outcome = "held"
            await fault.released.wait()
            delivery.outcome = "pending"
        for _ in range(delivery.copies - 1 + (kind == "webhook_double")):
            await self._attempt(delivery)
        await self._attempts(delivery)

    async def _attempts(self, delivery: Delivery, tried: int = 0) -> None:
        while self._still_wanted(delivery):
            tried += 1
            delivered = await self._attempt(delivery)
            policy = self._policy()
            if delivered or tried >= policy.attempts:
                delivery.outcome = "delivered" if delivered else "failed"
                self._on_settled(delivery)
                return
            if tried == 1 and not policy.ordered:
                self._spawn(self._later(delivery, tried))
                return
            await self._clock.sleep(policy.retry_seconds)
        delivery.outcome = "cancelled"

    async def _later(self, delivery: Delivery, tried: int) -> None:
        """The further attempts of a delivery that does not block its queue."""
        await self._clock.sleep(self._policy().retry_seconds)
        await self._attempts(delivery, tried)

    async def _attempt(self, delivery: Delivery) -> bool:
        if not self._started:
            raise RuntimeError("the webhook sender was not started, or was stopped")
        if self._client is None:
            # Environment proxies are ignored: receivers are on loopback.
            self._client = httpx.AsyncClient(trust_env=False)
        row: dict[str, Any] = {"t": self._clock.now()}
        delivery.attempts.append(row)
        try:
            response = await self._client.post(
                delivery.url,
                content=delivery.body,
                headers={"Content-Type": "application/json", **delivery.headers},
                timeout=self._policy().timeout,
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            row["error"] = type(error).__name__
            return False
        row["status"] = response.status_code
        return response.is_success
