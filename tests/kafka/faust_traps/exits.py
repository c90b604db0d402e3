"""E8: a program that ends itself, without any clean-up, on the fact it must not mark as done."""

from __future__ import annotations

import os
from typing import Any

from tests.kafka.faust_traps.program import app, facts, handled, run


@app.agent(facts)
async def agent(stream: Any) -> None:
    async for event in stream.events():
        if event.message.offset == 3:
            os._exit(70)
        handled(event)


if __name__ == "__main__":
    run()
