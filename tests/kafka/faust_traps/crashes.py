"""E5: a supervisor that ends the program when an agent raises."""

from __future__ import annotations

from typing import Any

from mode import CrashingSupervisor

from tests.kafka.faust_traps.program import app, facts, handled, run


@app.agent(facts, supervisor_strategy=CrashingSupervisor)
async def agent(stream: Any) -> None:
    async for event in stream.events():
        if event.message.offset == 3:
            raise ValueError("fact 3")
        handled(event)


if __name__ == "__main__":
    run()
