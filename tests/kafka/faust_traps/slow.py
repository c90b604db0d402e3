"""E9: a fact that takes long, and a SIGTERM meanwhile."""

from __future__ import annotations

import asyncio
from typing import Any

from bench.contenders.common import say
from tests.kafka.faust_traps.program import app, facts, handled, run


@app.agent(facts)
async def agent(stream: Any) -> None:
    async for event in stream.events():
        if event.message.offset == 3:
            say(event="slow")
            await asyncio.sleep(3)
        handled(event)


if __name__ == "__main__":
    run()
