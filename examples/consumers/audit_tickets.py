"""A consumer group that reads the audit and prints what became of tickets, one line each. Needs aiokafka and nothing of Lockstep.

    python audit_tickets.py --servers 127.0.0.1:9092 --group reporting

It reads committed records only (``read_committed``): what a worker decided and could not commit never shows. Its place is the group's,
committed after its lines are out; so after a kill the last lines may come once more. ``record`` tells them, as it tells any decision.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Iterator
from typing import Any

from aiokafka import AIOKafkaConsumer

#: What a command that succeeded made of a ticket (``command_type`` of CommandSettled, docs/asyncapi.json).
DONE = {
    "lockstep.command.create-ticket.v1": "opened",
    "lockstep.command.adopt-ticket.v1": "taken over",
    "lockstep.command.complete-ticket.v1": "completed",
    "lockstep.command.reopen-ticket.v1": "reopened",
}


def tickets(record: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What one decision of the agent ``incidents`` learned of tickets."""
    if record["agent"] != "incidents":
        return
    changes = record["decision"].get("changes", [])
    fact = json.loads(record["fact"]["value"])
    name = f"{record['agent']}/{record['key']}/{record['count']}"
    if record["fact"]["headers"]["ce_type"] == "lockstep.command.settled.v1":
        # A settlement that the agent waited for ends that waiting, once.
        awaited = any(change["at"] == ["pending", fact["command_id"]] for change in changes)
        if awaited and fact["outcome"] == "Succeeded" and fact["command_type"] in DONE:
            yield {
                "record": name,
                "what": DONE[fact["command_type"]],
                "ticket": fact["ticket_id"],
                "incident": fact["incident"],
            }
    for change in changes:
        if change["change"] == "TicketCompleted":
            yield {
                "record": name,
                "what": "completed by a technician",
                "ticket": fact["ticket_id"],
                "incident": change["at"][1],
            }


async def main() -> None:
    """Read and print, until stopped; with ``--once`` until there is nothing more for a second."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--servers", required=True)
    parser.add_argument("--group", required=True)
    parser.add_argument("--topic", default="audit")
    parser.add_argument("--once", action="store_true")
    given = parser.parse_args()
    consumer = AIOKafkaConsumer(
        given.topic,
        bootstrap_servers=given.servers,
        group_id=given.group,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        while True:
            fetched = await consumer.getmany(timeout_ms=1000)
            if not fetched and given.once and consumer.assignment():
                return
            for records in fetched.values():
                for record in records:
                    for line in tickets(json.loads(record.value)):
                        print(json.dumps(line), flush=True)
            if fetched:
                await consumer.commit()
    finally:
        await consumer.stop()


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        sys.exit(130)
