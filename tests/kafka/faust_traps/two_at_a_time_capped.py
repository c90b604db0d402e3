"""E7: E6 with the commit capped at the lowest fact under way."""

from __future__ import annotations

import asyncio
from typing import Any

from faust.transport.drivers import aiokafka as driver

from bench.contenders.common import say
from tests.kafka.faust_traps import FACTS
from tests.kafka.faust_traps.program import app, facts, handled, run

under_way: set[int] = set()


class Consumer(driver.Consumer):
    def _new_offset(self, tp: Any) -> int | None:
        if any(acked > min(under_way, default=acked) for acked in self._acked[tp]):
            return None
        return super()._new_offset(tp)  # type: ignore[no-any-return]


class Transport(driver.Transport):
    Consumer = Consumer


app.transport = Transport(app.conf.broker, app)


@app.agent(facts, concurrency=2)
async def agent(stream: Any) -> None:
    async for event in stream.events():
        under_way.add(event.message.offset)
        if event.message.offset == 0:
            await asyncio.Event().wait()
        handled(event)
        under_way.discard(event.message.offset)


@app.timer(0.1)
async def commit_all_but_the_first() -> None:
    acked = [offset for offsets in app.consumer._acked.values() for offset in offsets]
    if len(acked) == FACTS - 1:
        await app.consumer.commit()
        say(event="committed")


if __name__ == "__main__":
    run()
