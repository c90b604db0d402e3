"""The tables of the export as a contract: what a row is, its key, its columns with types and units.

A row tells of something that happened and is never changed afterwards, so the same log gives the same rows however often it is
exported. Instants are epoch milliseconds, UTC, in both formats. A column is never taken away or given another meaning; a later
version may add some. Nothing personal and no text of people or vendors stands in any of them: no messages, titles, notes, names of
persons, addresses or serial numbers. Names of organizations, locations and devices do, as NinjaOne showed them then.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Literal

from schemas import topics

#: ``texts`` is a list of texts. How each is written is the business of the format (docs/analytics.md).
ColumnType = Literal["instant", "integer", "text", "texts", "boolean"]


@dataclass(frozen=True, slots=True)
class Column:
    """One column; any may be null where ``says`` does not hold for the row."""

    name: str
    type: ColumnType
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table. ``key`` names the columns that tell its rows apart, ``topics`` where they come from."""

    name: str
    row: str
    key: tuple[str, ...]
    columns: tuple[Column, ...]
    topics: tuple[str, ...] = (topics.AUDIT,)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its columns, in order."""
        return tuple(column.name for column in self.columns)


AT = Column(
    "recorded_at", "instant", "when the fact was recorded, by which it was decided; its UTC day is the partition"
)
RECORD = Column("record", "text", "the audit record, the proof of the row: agent/key/number in their chain")
_KEY = Column("key", "text", "the device (407), location (l31) or organization (o17)")
_HAPPENED = Column("happened_at", "instant", "when it happened by the vendor's clock")
_INCIDENT = Column("incident", "text", "the incident: the ticket's externalID")
_RULE = Column("rule", "text", "the policy's rule that was asked last")
_REVISION = Column("revision", "integer", "the policy revision that decided")
_TICKET = Column("ticket_id", "integer", "Autotask's id of the ticket")
_NUMBER = Column("ticket_number", "text", "Autotask's number of the ticket")
_COMPANY = Column("company_id", "integer", "Autotask's company, where the record names it")
_HOW = Column("how", "text", "Called, FoundByLookUp or NothingToDo")
_REASON = Column("reason", "text", "a noun: why")

#: Where it happened: of the fact itself, else as the device was last seen before, in the order of the audit.
PLACE: tuple[Column, ...] = (
    Column("organization_id", "integer", "NinjaOne's organization"),
    Column("organization_name", "text", "its name then"),
    Column("location_id", "integer", "NinjaOne's location"),
    Column("location_name", "text", "its name then"),
    Column("device_id", "integer", "NinjaOne's device; null for an alert of a location or organization"),
    Column("device_name", "text", "its name then"),
    Column("node_class", "text", "NinjaOne's class of device"),
    Column("role_name", "text", "NinjaOne's role of the device"),
)

ALERTS = Table(
    name="alerts",
    row="a decision that learned something of an alert or changed its disposition",
    key=("record", "uid"),
    columns=(
        *(AT, RECORD, _KEY),
        Column("uid", "text", "NinjaOne's id of the alert"),
        Column("event", "text", "triggered, observed, reset, gone, acknowledged, storm; decided: without such a fact"),
        _HAPPENED,
        *PLACE,
        Column("condition", "text", "a digest that is the same for the same condition, whatever the device"),
        Column("condition_name", "text", "the condition's name in NinjaOne"),
        Column("source_name", "text", "what raised it, as NinjaOne names it"),
        Column("source_type", "text", "NinjaOne's source type"),
        Column("source_config_uid", "text", "NinjaOne's id of the condition"),
        Column("severity", "text", "NinjaOne's severity"),
        Column("priority", "text", "NinjaOne's priority"),
        Column("in_maintenance", "boolean", "NinjaOne showed the device in maintenance"),
        Column(
            "disposition",
            "text",
            "held, ticketed, appended, suppressed, parked, closed, superseded, rejected; if it changed",
        ),
        _REASON,
        *(_INCIDENT, _RULE, _REVISION),
    ),
)

INCIDENTS = Table(
    name="incidents",
    row="a decision that changed an incident",
    key=("record", "incident"),
    columns=(
        *(AT, RECORD, _KEY, _INCIDENT),
        Column("changes", "texts", "what changed, in order: IncidentOpened, TicketKnown, AlertLeft, ..."),
        Column("cause", "text", "the kind of fact that led to it, such as alert.triggered"),
        *PLACE,
        _COMPANY,
        Column("opened_by", "text", "the uid of the alert that opened it, when it was opened"),
        Column("alerts_active", "integer", "how many of its alerts are active now, if that changed"),
        Column("ended", "text", "AlertsCleared, TicketCompleted or Dismissed, if it ended"),
        *(_TICKET, _NUMBER),
        Column("parked", "text", "why it was parked, if it was"),
        *(_RULE, _REVISION),
    ),
)

TICKETS = Table(
    name="tickets",
    row="something that became of a ticket, or that was seen of it",
    key=("record", "event", "incident"),
    columns=(
        *(AT, RECORD, _KEY, _INCIDENT),
        Column(
            "event",
            "text",
            "opened, taken_over, merged, doubled, noted, priority_raised, completed, left_open, reopened, refused, observed, note",
        ),
        Column("done_by", "text", "lockstep, technician, customer, or somebody: it was done already"),
        _HAPPENED,
        *(_TICKET, _NUMBER),
        *PLACE,
        _COMPANY,
        Column("queue_id", "integer", "Autotask's queue, as observed"),
        Column("status_id", "integer", "Autotask's status, as observed"),
        Column("priority_id", "integer", "Autotask's priority, as observed"),
        Column("completed", "boolean", "complete, as observed"),
        Column("assigned", "boolean", "somebody is assigned, as observed"),
        Column("command", "text", "the command that settled, such as CreateTicket"),
        *(_HOW, _REASON, _RULE, _REVISION),
    ),
)

COMMANDS = Table(
    name="commands",
    row="a command that was ordered, or one that settled",
    key=("command_id", "event", "record"),
    columns=(
        *(AT, RECORD, _KEY),
        Column("event", "text", "ordered or settled"),
        Column("command_id", "text", "the command's id, the same in both rows"),
        Column("command", "text", "its type, such as CreateTicket"),
        Column("vendor", "text", "autotask or ninjaone"),
        _INCIDENT,
        *PLACE,
        _COMPANY,
        _TICKET,
        Column("item_id", "integer", "Autotask's id of the configuration item"),
        Column("queue", "text", "the queue that was ordered, a name or an id"),
        Column("priority", "text", "the priority that was ordered, a name or an id"),
        Column("outcome", "text", "Succeeded, Rejected, Withdrawn or Deferred"),
        *(_HOW, _REASON),
        Column("calls", "integer", "how many calls it took"),
        *(_RULE, _REVISION),
    ),
)

CALLS = Table(
    name="calls",
    row="the calls that one command took until it settled; polls, tests and tokens are not in the log and not here",
    key=("record",),
    columns=(
        *(AT, RECORD, _KEY),
        Column("vendor", "text", "autotask or ninjaone"),
        Column("purpose", "text", "create, take over, note, priority, complete, reopen, reset, item or retire"),
        Column("command_id", "text", "the command"),
        _INCIDENT,
        *PLACE,
        Column("calls", "integer", "how many, reads and look-ups among them"),
        Column("written", "boolean", "something was changed at the vendor"),
        Column("outcome", "text", "Succeeded, Rejected, Withdrawn or Deferred"),
        _HOW,
    ),
)

DEVICES = Table(
    name="devices",
    row="a device that was seen changed or removed, or what became of its configuration item",
    key=("record",),
    columns=(
        *(AT, RECORD, _KEY),
        Column("event", "text", "observed, removed, item_written, item_retired or item_refused"),
        _HAPPENED,
        *PLACE,
        _COMPANY,
        Column("item_id", "integer", "Autotask's id of the configuration item"),
        Column("approval_status", "text", "NinjaOne's approval status"),
        Column("os_name", "text", "operating system"),
        Column("os_version", "text", "its version"),
        Column("manufacturer", "text", "maker"),
        Column("model", "text", "model"),
        Column("virtual", "boolean", "a virtual machine"),
        Column("memory_bytes", "integer", "memory, in bytes"),
        Column("storage_bytes", "integer", "storage, in bytes"),
        *(_HOW, _REASON, _REVISION),
    ),
)

HEALTH = Table(
    name="health",
    row="a change of a connection's state, as it was told",
    key=("kafka_offset",),
    topics=(topics.CONNECTIONS,),
    columns=(
        Column("recorded_at", "instant", "when it was told; its UTC day is the partition"),
        Column("changed_at", "instant", "when it changed"),
        Column("kafka_offset", "integer", "the place in the topic connections"),
        Column("id", "text", "the fact's id; told twice it is the same"),
        Column("connection", "text", "ninjaone or autotask"),
        Column("previous", "text", "the state before"),
        Column("state", "text", "NotConnected, Healthy, Degraded or Unhealthy"),
        Column("epoch", "integer", "grows with every successful test"),
    ),
)

DECISIONS = Table(
    name="audit",
    row="an audit record, without the fact's and the commands' contents",
    key=("kafka_partition", "kafka_offset"),
    columns=(
        AT,
        Column("kafka_partition", "integer", "the place in the topic audit: partition"),
        Column("kafka_offset", "integer", "and offset"),
        RECORD,
        Column("agent", "text", "incidents, devices or storms"),
        _KEY,
        Column("chain_count", "integer", "its number in the chain of agent and key"),
        Column("organization_id", "integer", "NinjaOne's organization"),
        Column("device_id", "integer", "NinjaOne's device"),
        Column("fact_id", "text", "the id of the fact"),
        Column("fact_type", "text", "its type, with version"),
        Column("fact_topic", "text", "where it stands: topic"),
        Column("fact_partition", "integer", "partition"),
        Column("fact_offset", "integer", "and offset"),
        _HAPPENED,
        Column("changes", "texts", "what changed, in order"),
        Column("reasons", "texts", "why nothing, or not more, came of it"),
        Column("commands", "texts", "the ids of the commands"),
        *(_RULE, _REVISION),
        Column("previous", "text", "the hash of the record before"),
        Column("hash", "text", "the hash of this one"),
    ),
)

FACTS = Table(
    name="facts",
    row="a fact where it stands in its topic, without its contents",
    key=("topic", "kafka_partition", "kafka_offset"),
    topics=tuple(sorted({topic for read in topics.AGENT_INPUTS.values() for topic in read})),
    columns=(
        Column("recorded_at", "instant", "when its publisher recorded it; its UTC day is the partition"),
        Column("topic", "text", "where it stands: topic"),
        Column("kafka_partition", "integer", "partition"),
        Column("kafka_offset", "integer", "and offset"),
        Column("id", "text", "the fact's id; told twice it is the same"),
        Column("type", "text", "its type, with version"),
        Column("source", "text", "who published it"),
        _KEY,
        _HAPPENED,
        Column("organization_id", "integer", "NinjaOne's organization, where the fact names it"),
        Column("device_id", "integer", "NinjaOne's device, where the fact names it"),
    ),
)

TABLES: dict[str, Table] = {
    table.name: table for table in (ALERTS, INCIDENTS, TICKETS, COMMANDS, CALLS, DEVICES, HEALTH, DECISIONS, FACTS)
}
#: What is exported where nothing else is asked for; ``audit`` and ``facts`` are large and have to be asked for by name.
USUAL: tuple[str, ...] = ("alerts", "incidents", "tickets", "commands", "calls", "devices", "health")


def text() -> str:
    """All tables with their columns, as docs/analytics/columns.md has them."""
    lines = [
        "# The tables of an export",
        "",
        "Made from `schemas/tables.py` by `python -m schemas.tables > docs/analytics/columns.md`.",
        "",
    ]
    for table in TABLES.values():
        lines += [f"## {table.name}", ""]
        lines += [f"A row is {table.row}. Key: {', '.join(f'`{name}`' for name in table.key)}.", ""]
        lines += ["| column | type | says |", "|---|---|---|"]
        lines += [f"| `{column.name}` | {column.type} | {column.says} |" for column in table.columns]
        lines.append("")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(text())
