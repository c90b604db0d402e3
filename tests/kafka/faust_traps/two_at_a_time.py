"""E6: two at a time; the first fact never ends, the others do."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.kafka.faust_traps.program import app, facts, handled, run


@app.agent(facts, concurrency=2)
async def agent(stream: Any) -> None:
    async for event in stream.events():
        if event.message.offset == 0:
            await asyncio.Event().wait()
        handled(event)


if __name__ == "__main__":
    run()
