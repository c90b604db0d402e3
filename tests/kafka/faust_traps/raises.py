"""E1: an agent that raises on one fact."""

from __future__ import annotations

from typing import Any

from tests.kafka.faust_traps.program import app, facts, handled, run


@app.agent(facts)
async def agent(stream: Any) -> None:
    async for event in stream.events():
        if event.message.offset == 3:
            raise ValueError("fact 3")
        handled(event)


if __name__ == "__main__":
    run()
