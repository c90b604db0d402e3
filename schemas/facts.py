"""Facts: what happened, in the past tense. Each class is the value of one CloudEvents type.

Times are epoch milliseconds, UTC. The key of a fact is the NinjaOne device id, ``l<id>`` for a location, ``o<id>``
for an organization (``schemas.identity``). A fact carries the context that its decision needs, so that no decision
reads another agent's state.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from schemas.identity import device_key, location_key, organization_key
from schemas.model import Model

ConnectionName = Literal["ninjaone", "autotask"]
ConnectionState = Literal["NotConnected", "Healthy", "Degraded", "Unhealthy"]


class Fact(Model):
    """The base of all facts; ``ce_type`` is the CloudEvents type with its schema version."""

    ce_type: ClassVar[str]


class Subject(Model):
    """Where something happened, as observed then: names and ids of device, role, location and organization.

    ``device_id`` is ``None`` for an alert of a location or organization. ``link`` opens the device in the NinjaOne
    console (``<console_url>/#/deviceDashboard/<id>/overview``). Empty text means: not known to the connector.
    ``tags`` are the device's, in order; facts from before they were kept have none. ``parent_id``: the device that NinjaOne names
    as its parent (``parentDeviceId``: a guest's host, the agent that watches a network device), with its name where it is known.
    """

    organization_id: int
    organization_name: str = ""
    location_id: int | None = None
    location_name: str = ""
    device_id: int | None = None
    device_name: str = ""
    device_uid: str | None = None
    node_class: str = ""
    role_id: int | None = None
    role_name: str = ""
    link: str = ""
    tags: tuple[str, ...] = ()
    parent_id: int | None = None
    parent_name: str = ""

    @property
    def key(self) -> str:
        """The partition key of facts about this subject."""
        if self.device_id is not None:
            return device_key(self.device_id)
        if self.location_id is not None:
            return location_key(self.location_id)
        return organization_key(self.organization_id)


class AlertFact(Fact):
    """What is common to the sightings of an active alert. ``uid`` joins alerts, activities and webhooks (seriesUid).

    ``in_maintenance``: NinjaOne showed the device in its own maintenance mode, until ``maintenance_ends_at`` if it said so.
    ``psa_ticket_id``: the ticket that NinjaOne's own PSA integration opened for it, as it names it (``psaTicketId`` of the
    list of active alerts; an activity has none).
    ``maintenance_seen_at`` is when that was seen (the connector's clock); the newest sight of it counts. ``None``: the fact
    tells of no maintenance, or is from before the time was kept.
    """

    uid: str
    subject: Subject
    raised_at: int
    source_type: str | None = None
    source_config_uid: str | None = None
    source_name: str = ""
    alert_subject: str = ""
    condition_name: str = ""
    message: str = ""
    severity: str = "NONE"
    priority: str = "NONE"
    in_maintenance: bool = False
    maintenance_ends_at: int | None = None
    psa_ticket_id: str | None = None
    maintenance_seen_at: int | None = None


class AlertTriggered(AlertFact):
    """An activity TRIGGERED, seen by webhook or by poll (the same id either way)."""

    ce_type: ClassVar[str] = "lockstep.alert.triggered.v1"
    activity_id: int


class AlertObserved(AlertFact):
    """An alert stood in the list of active alerts, which has no activity ids; counts as the trigger if none was seen.

    Told again under the same ``raised_at`` when the maintenance mode that an alert was told in is another now
    (``maintenance_seen_at``): it was switched off before its end, or its end was moved.
    """

    ce_type: ClassVar[str] = "lockstep.alert.observed.v1"


class AlertReset(Fact):
    """An activity RESET (or DISABLED, or reset by a PSA callback): the alert is no longer active."""

    ce_type: ClassVar[str] = "lockstep.alert.reset.v1"
    uid: str
    subject: Subject
    activity_id: int
    reset_at: int
    status_code: str = "RESET"
    message: str = ""


class AlertAcknowledged(Fact):
    """An activity ACKNOWLEDGED: somebody acknowledged an alert in NinjaOne, which stays active.

    ``user_id`` is NinjaOne's id of who it was, if the activity says; a name or the activity's text is not kept, for they
    are personal and nothing needs them.
    """

    ce_type: ClassVar[str] = "lockstep.alert.acknowledged.v1"
    uid: str
    subject: Subject
    activity_id: int
    acknowledged_at: int
    user_id: int | None = None


class AlertGone(Fact):
    """An alert was missing from two complete lists in a row, or its device was removed; counts as the reset.

    ``gone_at`` is when the first of the two lists was asked for. ``StormOver``: of a storm's own alert (``schemas.storms``).
    """

    ce_type: ClassVar[str] = "lockstep.alert.gone.v1"
    uid: str
    subject: Subject
    gone_at: int
    cause: Literal["MissingFromList", "DeviceRemoved", "StormOver"]


class DeviceObserved(Fact):
    """A device as NinjaOne shows it, published on change only (the connector compares ``digest``).

    Without what changes by itself (lastContact, lastUpdate, offline, free space, uptime). ``memory_bytes`` and
    ``storage_bytes`` are totals, times are epoch ms. ``last_user`` is personal: empty unless the policy asks for it by
    name, and then a token of it (``schemas.personal``; facts of older builds hold the name itself). ``serial_twins`` are the other devices that NinjaOne has with this (real) serial number; ``None``: not known,
    because not all devices were listed yet.
    """

    ce_type: ClassVar[str] = "lockstep.device.observed.v1"
    subject: Subject
    observed_at: int
    digest: str
    approval_status: str = "APPROVED"
    device_type: str = ""
    system_name: str = ""
    dns_name: str = ""
    serial: str = ""
    manufacturer: str = ""
    model: str = ""
    chassis: str = ""
    virtual: bool | None = None
    os_name: str = ""
    os_version: str = ""
    os_architecture: str = ""
    domain: str = ""
    processor: str = ""
    processor_cores: int | None = None
    memory_bytes: int | None = None
    storage_bytes: int | None = None
    ip_addresses: tuple[str, ...] = ()
    mac_addresses: tuple[str, ...] = ()
    public_ip: str = ""
    tags: tuple[str, ...] = ()
    asset_tag: str = ""
    enrolled_at: int | None = None
    warranty_start: int | None = None
    warranty_end: int | None = None
    last_user: str = ""
    serial_twins: tuple[int, ...] | None = None


class DeviceRemoved(Fact):
    """A device was deleted in NinjaOne: an activity NODE_DELETED, or missing from two complete sweeps."""

    ce_type: ClassVar[str] = "lockstep.device.removed.v1"
    device_id: int
    removed_at: int
    cause: Literal["Deleted", "MissingFromSweep"]


class TicketObserved(Fact):
    """A ticket of ours as Autotask shows it, once per change of its last activity.

    ``assigned_resource_id`` is ``None`` where nobody is assigned, and where a webhook told of the ticket, which does not say.
    ``completed`` is ``completedDate != null`` (tenants add complete-type statuses of their own).
    """

    ce_type: ClassVar[str] = "lockstep.ticket.observed.v1"
    key: str
    ticket_id: int
    ticket_number: str
    external_id: str | None
    company_id: int | None
    status: int
    completed: bool
    completed_at: int | None
    last_activity_at: int
    queue_id: int | None = None
    priority: int | None = None
    assigned_resource_id: int | None = None


class TicketNoteObserved(Fact):
    """Somebody else wrote a note on a ticket of ours. Our own notes are no facts.

    ``creator_resource_id`` is Autotask's id of who it was, never the name; ``by_contact``: a customer wrote it.
    ``internal``: not shown to the customer (``publish`` is not 1). Title and text are personal: without ``notes: {technicians: text}`` in the
    policy there are only the text's length and a digest (salted with the note's id); with it ``title`` and ``text`` are tokens
    (``schemas.personal``), and there is no digest. Facts of older builds hold the texts themselves.
    """

    ce_type: ClassVar[str] = "lockstep.ticket.note-observed.v1"
    key: str
    ticket_id: int
    external_id: str | None
    note_id: int
    created_at: int
    creator_resource_id: int | None = None
    by_contact: bool = False
    internal: bool = True
    title: str = ""
    text_length: int = 0
    text_digest: str = ""
    text: str | None = None


Settlement = Literal["Succeeded", "Rejected", "Withdrawn", "Deferred"]


class CommandSettled(Fact):
    """What became of a command. Exactly one per command id.

    ``Succeeded``: the effect is in place (``how``: by our call, found by a look-up, or nothing had to be done). ``Predicted``:
    a shadow settles so what it would have called for; ids from ``schemas.identity.FIRST_PREDICTED`` on are made up.
    ``Rejected``: the vendor refused it for good; ``reason`` is a noun, ``detail`` the vendor's own words (redacted).
    ``Withdrawn``: taken back before any call. ``Deferred``: it failed for ten minutes and comes again by timer.
    ``ticket_activity_at`` is the ticket's last activity (Autotask's clock) as read after a reopening.
    """

    ce_type: ClassVar[str] = "lockstep.command.settled.v1"
    key: str
    command_id: str
    command_type: str
    effect_key: str
    incident: str | None
    outcome: Settlement
    settled_at: int
    how: Literal["Called", "FoundByLookUp", "NothingToDo", "Predicted", ""] = ""
    reason: str = ""
    detail: str = ""
    ticket_id: int | None = None
    ticket_number: str | None = None
    ticket_activity_at: int | None = None
    item_id: int | None = None
    company_id: int | None = None
    written: bool = False
    calls: int = 0


class TimerFired(Fact):
    """A due time in an agent's state passed. ``timer`` is the name the state gave it, ``agent`` whose state it is."""

    ce_type: ClassVar[str] = "lockstep.timer.fired.v1"
    key: str
    agent: str
    timer: str
    due_at: int


class ControlFact(Fact):
    """A fact that concerns many devices: published to ``control`` once for every partition, with one id for all."""


class PolicyPublished(ControlFact):
    """A policy revision came into force. ``document`` is the policy as canonical JSON.

    ``organizations``: a canary, in force for these organizations only; everybody else keeps the previous revision. The
    same revision without organizations promotes it.
    """

    ce_type: ClassVar[str] = "lockstep.policy.published.v1"
    revision: int
    document: str
    author: str = ""
    note: str = ""
    organizations: tuple[int, ...] = ()


class Company(Model):
    """An Autotask company as the mapping needs it."""

    id: int
    name: str
    active: bool = True


class CompaniesObserved(ControlFact):
    """All Autotask companies, published when the list changed (``digest`` of the sorted list)."""

    ce_type: ClassVar[str] = "lockstep.companies.observed.v1"
    digest: str
    companies: tuple[Company, ...]


class Organization(Model):
    """A NinjaOne organization as the mapping needs it."""

    id: int
    name: str


class OrganizationsObserved(ControlFact):
    """All NinjaOne organizations, published when the list changed."""

    ce_type: ClassVar[str] = "lockstep.organizations.observed.v1"
    digest: str
    organizations: tuple[Organization, ...]


class ConnectionChanged(ControlFact):
    """A connection went from one health state to another (design section 6), with the reason in one line.

    ``epoch`` grows with every successful test; a refusal that was seen under an older epoch no longer counts.
    ``credentials`` is a salted digest that tells one set of credentials from another without revealing either.
    """

    ce_type: ClassVar[str] = "lockstep.connection.changed.v1"
    connection: ConnectionName
    previous: ConnectionState
    state: ConnectionState
    reason: str
    epoch: int
    credentials: str
    changed_at: int
    by: str = ""


class Selection(Model):
    """Which parked work an operator means: by id (incident or key), by organization, or all of it.

    ``because`` narrows any of these to what is parked for that reason (``UnmappedOrganization``).
    """

    ids: tuple[str, ...] = ()
    organization_id: int | None = None
    everything: bool = False
    because: str | None = None


class ParkedRetried(ControlFact):
    """An operator asked that parked work be decided again."""

    ce_type: ClassVar[str] = "lockstep.parked.retried.v1"
    selection: Selection
    actor: str
    note: str = ""


class ParkedDismissed(ControlFact):
    """An operator gave parked work up, with a reason."""

    ce_type: ClassVar[str] = "lockstep.parked.dismissed.v1"
    selection: Selection
    actor: str
    note: str


class FieldsCreated(ControlFact):
    """User-defined fields of configuration items were created: items that lack them are written once more."""

    ce_type: ClassVar[str] = "lockstep.fields.created.v1"
    fields: tuple[str, ...]
    actor: str


FACTS: tuple[type[Fact], ...] = (
    AlertTriggered,
    AlertObserved,
    AlertReset,
    AlertAcknowledged,
    AlertGone,
    DeviceObserved,
    DeviceRemoved,
    TicketObserved,
    TicketNoteObserved,
    CommandSettled,
    TimerFired,
    PolicyPublished,
    CompaniesObserved,
    OrganizationsObserved,
    ConnectionChanged,
    ParkedRetried,
    ParkedDismissed,
    FieldsCreated,
)
