"""E4: batches of four; the second fact of the first batch raises."""

from __future__ import annotations

from typing import Any

from tests.kafka.faust_traps.program import app, facts, handled, run


@app.agent(facts)
async def agent(stream: Any) -> None:
    async for events in stream.take_events(4, within=10):
        for event in events:
            if event.message.offset == 1:
                raise ValueError("fact 1")
            handled(event)


if __name__ == "__main__":
    run()
