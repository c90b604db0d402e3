"""The topic catalogue: every topic, what its key means, how many partitions it has and how long it keeps what.

``partitions`` is ``None`` where the number is a setting (``kafka.partitions``): all topics that one agent reads, and
the audit, have the same number. Command topics have exactly one partition, so one executor owns each.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

NINJAONE_ALERTS = "ninjaone.alerts"
NINJAONE_RESETS = "ninjaone.resets"
NINJAONE_DEVICES = "ninjaone.devices"
AUTOTASK_TICKETS = "autotask.tickets"
OUTCOMES = "outcomes"
TIMERS = "timers"
CONTROL = "control"
STORM_CANDIDATES = "storms.candidates"
STORM_VERDICTS = "storms.verdicts"
HANDOFFS = "handoffs"
SHADOW = "shadow"
#: The header of a record in ``handoffs`` that names the topic that it is for.
FOR_TOPIC = "for_topic"
TICKET_COMMANDS = "autotask.ticket-commands"
DEVICE_COMMANDS = "autotask.device-commands"
NINJAONE_COMMANDS = "ninjaone.commands"
AUDIT = "audit"
CHECKPOINTS = "checkpoints"
DEAD_LETTERS = "dead-letters"
ATTEMPTS = "attempts"
TICKETS = "tickets"
DEVICE_DIGESTS = "device-digests"
CURSORS = "cursors"
CONNECTIONS = "connections"
OPERATIONS = "operations"
PERSONAL = "personal"
ROLES = "roles"
INCIDENTS_STATE = "incidents.state"
DEVICES_STATE = "devices.state"
STORMS_STATE = "storms.state"


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One entry of the catalogue.

    ``kept``: for how long, which is a setting for ``facts`` (``kafka.retention_days``) and ``audit``
    (``kafka.audit_retention_days``). A compacted topic keeps the last record of each key; with ``compact,delete`` no longer
    than ``kept`` either. ``personal`` says what of a record may be about a person.
    """

    name: str
    key: str
    holds: str
    partitions: int | None
    cleanup: Literal["delete", "compact", "compact,delete"] = "delete"
    kept: Literal["facts", "audit", "for ever"] = "facts"
    transactional: bool = False
    personal: str = ""


def _facts(name: str, holds: str, personal: str = "") -> Topic:
    # Written without transactions and never compacted: the offsets of what an agent reads must be contiguous,
    # so that a gap is seen as a gap (design section 5, rule 2).
    return Topic(name=name, key="device, location or organization", holds=holds, partitions=None, personal=personal)


_TOKENS = "tokens of what stands in personal"
_ALERT = "names of devices; an alert's own text, which may name somebody"

CATALOGUE: tuple[Topic, ...] = (
    _facts(NINJAONE_ALERTS, "AlertTriggered, AlertObserved, AlertAcknowledged", _ALERT),
    _facts(NINJAONE_RESETS, "AlertReset, AlertGone"),
    _facts(
        NINJAONE_DEVICES,
        "DeviceObserved, DeviceRemoved, DriftObserved about an item",
        f"names of devices; {_TOKENS}",
    ),
    _facts(
        AUTOTASK_TICKETS,
        "TicketObserved, TicketNoteObserved, DriftObserved about a ticket",
        f"ids of resources; {_TOKENS}",
    ),
    _facts(OUTCOMES, "CommandSettled", "ids of resources"),
    _facts(TIMERS, "TimerFired"),
    _facts(
        CONTROL,
        "PolicyPublished, CompaniesObserved, OrganizationsObserved, ConnectionChanged, ParkedRetried, PersonalDataErased, ...",
        "names of companies and organizations; who published, retried, erased (the operator's user name)",
    ),
    _facts(STORM_CANDIDATES, "StormCandidateSeen, StormCandidateLeft, StormTicketCompleted"),
    _facts(STORM_VERDICTS, "StormDeclared, StormListed, StormJoined, StormReleased, AlertGone of a storm"),
    Topic(
        name=HANDOFFS,
        key="key of the receiver",
        holds="facts of one agent for another, before they are forwarded",
        partitions=1,
        transactional=True,
        personal=_ALERT,
    ),
    Topic(
        name=SHADOW,
        key="alert uid or ticket id",
        holds="AlertTicketNamed, OtherTicketObserved: what another connector does, in a shadow",
        personal="titles of the other connector's tickets, which may name somebody",
        partitions=1,
    ),
    Topic(
        name=TICKET_COMMANDS,
        key="device key",
        holds="ticket commands",
        partitions=1,
        transactional=True,
        personal=_ALERT,
    ),
    Topic(
        name=DEVICE_COMMANDS,
        key="device key",
        holds="configuration item commands",
        partitions=1,
        transactional=True,
        personal=f"names of devices; {_TOKENS}",
    ),
    Topic(name=NINJAONE_COMMANDS, key="device key", holds="ResetAlert", partitions=1, transactional=True),
    Topic(
        name=AUDIT,
        key="device key",
        holds="AuditRecord",
        partitions=None,
        kept="audit",
        transactional=True,
        personal="as the facts that it holds",
    ),
    Topic(
        name=CHECKPOINTS,
        key="checkpoint",
        holds="all state documents, once a day",
        partitions=None,
        kept="audit",
        personal="as the states: names of devices; tokens of what stands in personal",
    ),
    Topic(
        name=DEAD_LETTERS,
        key="as the original",
        holds="original bytes with error headers",
        partitions=1,
        personal="vendors' rows without their personal members",
    ),
    Topic(
        name=ATTEMPTS,
        key="effect key",
        holds="attempts of effects",
        partitions=1,
        cleanup="compact",
        transactional=True,
    ),
    Topic(name=TICKETS, key="ticket id", holds="the device key of a ticket", partitions=1, cleanup="compact"),
    Topic(
        name=DEVICE_DIGESTS, key="device id", holds="digest of the last DeviceObserved", partitions=1, cleanup="compact"
    ),
    Topic(name=CURSORS, key="poller", holds="how far a poller has read", partitions=1, cleanup="compact"),
    Topic(name=CONNECTIONS, key="connection", holds="ConnectionChanged", partitions=1, kept="for ever"),
    Topic(
        name=OPERATIONS,
        key="switch",
        holds="operator switches (pause), live or shadow",
        partitions=1,
        cleanup="compact",
        personal="the operator's user name",
    ),
    # No longer than the facts that name its tokens; one partition, so that one record is enough to close a segment.
    Topic(
        name=PERSONAL,
        key="device key and token",
        holds="personal values that the policy asks for, with their salts",
        partitions=1,
        cleanup="compact,delete",
        personal="last logged-on users, titles and texts of notes: only where the policy asks for them",
    ),
    Topic(name=ROLES, key="role and process", holds="figures of running roles", partitions=1, cleanup="compact"),
    Topic(
        name=INCIDENTS_STATE,
        key="device key",
        holds="state of agent incidents",
        partitions=None,
        cleanup="compact",
        transactional=True,
        personal=_ALERT,
    ),
    Topic(
        name=DEVICES_STATE,
        key="device key",
        holds="state of agent devices",
        partitions=None,
        cleanup="compact",
        transactional=True,
        personal=f"names of devices; {_TOKENS}",
    ),
    Topic(
        name=STORMS_STATE,
        key="location or organization",
        holds="state of agent storms",
        partitions=None,
        cleanup="compact",
        transactional=True,
        personal=_ALERT,
    ),
)

BY_NAME: dict[str, Topic] = {topic.name: topic for topic in CATALOGUE}

#: What each agent reads, and where its state lives.
AGENT_INPUTS: dict[str, tuple[str, ...]] = {
    "incidents": (NINJAONE_ALERTS, NINJAONE_RESETS, AUTOTASK_TICKETS, OUTCOMES, TIMERS, CONTROL, STORM_VERDICTS),
    "devices": (NINJAONE_DEVICES, OUTCOMES, TIMERS, CONTROL),
    "storms": (STORM_CANDIDATES, TIMERS),
}
AGENT_STATE: dict[str, str] = {"incidents": INCIDENTS_STATE, "devices": DEVICES_STATE, "storms": STORMS_STATE}
COMMAND_TOPICS: tuple[str, ...] = (TICKET_COMMANDS, DEVICE_COMMANDS, NINJAONE_COMMANDS)
