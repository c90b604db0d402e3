"""E3: batches that nobody acknowledges; one fact raises."""

from __future__ import annotations

from typing import Any

from bench.contenders.common import say
from tests.kafka.faust_traps import FACTS
from tests.kafka.faust_traps.program import app, facts, handled, run


@app.agent(facts)
async def agent(stream: Any) -> None:
    async for events in stream.noack_take(1, within=10):
        for event in events:
            if event.message.offset == 3:
                raise ValueError("fact 3")
            handled(event)
            if event.message.offset == FACTS - 1:
                await app.consumer.commit()
                say(event="committed")


if __name__ == "__main__":
    run()
