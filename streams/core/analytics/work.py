"""Rows of the tables ``commands``, ``calls`` and ``devices``: what was ordered, what it cost, what became of devices."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from streams.core.analytics.decided import Decided, Row, command_name, happened_at
from streams.core.analytics.places import Places

#: What the calls of a command are for. A withdrawal makes none.
_PURPOSES = {
    "CreateTicket": "create",
    "AdoptTicket": "take over",
    "AppendTicketNote": "note",
    "RaiseTicketPriority": "priority",
    "CompleteTicket": "complete",
    "ReopenTicket": "reopen",
    "ResetAlert": "reset",
    "UpsertConfigurationItem": "item",
    "RetireConfigurationItem": "retire",
}
_OF_DEVICE = (
    "approval_status",
    "os_name",
    "os_version",
    "manufacturer",
    "model",
    "virtual",
    "memory_bytes",
    "storage_bytes",
)
_OF_ITEM = {"UpsertConfigurationItem": "item_written", "RetireConfigurationItem": "item_retired"}


def commands(found: Decided, places: Places) -> Iterator[Row]:
    """A row for every command that was ordered, and one for a settlement that was waited for."""
    for command in found.record["commands"]:
        value = orjson.loads(command["value"])
        name = command_name(command["type"])
        yield {
            **_of(found, places),
            "event": "ordered",
            "command_id": command["id"],
            "command": name,
            "vendor": command["topic"].partition(".")[0],
            "incident": value.get("incident"),
            "company_id": value.get("company_id"),
            "ticket_id": value.get("ticket_id"),
            "item_id": value.get("item_id"),
            "queue": _text(value.get("queue")),
            "priority": _text(value.get("priority")),
        }
    if found.kind == "command.settled" and found.awaited():
        fact = found.fact
        name = command_name(fact["command_type"])
        yield {
            **_of(found, places),
            "event": "settled",
            "command_id": fact["command_id"],
            "command": name,
            "vendor": _vendor(name),
            "incident": fact["incident"],
            "company_id": fact["company_id"],
            "ticket_id": fact["ticket_id"],
            "item_id": fact["item_id"],
            "outcome": fact["outcome"],
            "how": fact["how"] or None,
            "reason": fact["reason"] or None,
            "calls": fact["calls"],
        }


def calls(found: Decided, places: Places) -> Iterator[Row]:
    """The row of a settlement that was waited for, if its command was called for."""
    if found.kind != "command.settled" or not found.awaited() or not found.fact["calls"]:
        return
    fact, name = found.fact, command_name(found.fact["command_type"])
    yield {
        **_of(found, places),
        "vendor": _vendor(name),
        "purpose": _PURPOSES.get(name, name),
        "command_id": fact["command_id"],
        "incident": fact["incident"],
        "calls": fact["calls"],
        "written": fact["written"],
        "outcome": fact["outcome"],
        "how": fact["how"] or None,
    }


def devices(found: Decided, places: Places) -> Iterator[Row]:
    """The row of a decision of the agent ``devices`` that changed something about a device or its item."""
    if found.agent != "devices" or not found.changes:
        return
    fact = found.fact
    row = {**_of(found, places), "happened_at": happened_at(found)}
    if found.kind == "device.observed":
        yield {**row, "event": "observed", **{name: _known(fact.get(name)) for name in _OF_DEVICE}}
    elif found.kind == "device.removed":
        yield {**row, "event": "removed", "reason": fact["cause"]}
    elif found.kind == "command.settled" and found.awaited():
        event = _OF_ITEM.get(command_name(fact["command_type"]))
        event = "item_refused" if event and fact["outcome"] == "Rejected" else event
        if event and fact["outcome"] in ("Succeeded", "Rejected"):
            settled = {name: fact[name] or None for name in ("company_id", "item_id", "how", "reason")}
            yield {**row, "event": event, **settled}


def _of(found: Decided, places: Places) -> Row:
    return {
        "recorded_at": found.at,
        "record": found.name,
        "key": found.key,
        **places.of(found.key),
        "rule": found.rule,
        "revision": found.revision,
    }


def _vendor(command: str) -> str | None:
    if command not in _PURPOSES:
        return None
    return "ninjaone" if command == "ResetAlert" else "autotask"


def _text(name: str | int | None) -> str | None:
    return None if name is None else str(name)


def _known(value: object) -> object:
    return None if value == "" else value
