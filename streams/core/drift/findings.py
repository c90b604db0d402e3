"""What a comparison works on and what it comes to: both sides, drifts with their repairs, and what is explained."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from schemas.autotask import ConfigurationItem, Ticket, TicketHistoryRow
from schemas.commands import CreateTicket, UpsertConfigurationItem
from schemas.drift import DriftObserved

Body = dict[str, Any]

DriftClass = Literal[
    "MissedOpen",
    "MissedClose",
    "MissedReset",
    "MissedChange",
    "MissingTicket",
    "OrphanTicket",
    "DoubledTicket",
    "ForeignEdit",
    "ItemTwin",
    "StaleItem",
    "MissingItem",
    "Unmapped",
]
CLASSES: tuple[DriftClass, ...] = (
    *("MissedOpen", "MissedClose", "MissedReset", "MissedChange"),
    *("MissingTicket", "OrphanTicket", "DoubledTicket", "ForeignEdit"),
    *("ItemTwin", "StaleItem", "MissingItem", "Unmapped"),
)


#: The reason of what one look showed and the next did not: a webhook, a poll or a command was about to bring it.
UNDER_WAY = "UnderWay"


def told(drift: str) -> str:
    """A class as the command line writes it: ``missed-close``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", drift).lower()


@dataclass(frozen=True, slots=True)
class SeenAlert:
    """An alert in NinjaOne's list of active ones; ``raised_at`` is the vendor's time (epoch ms)."""

    uid: str
    key: str
    organization_id: int
    raised_at: int


@dataclass(frozen=True, slots=True)
class SeenDevice:
    """An approved device in NinjaOne. ``digest`` is that of the fact that would be told of it."""

    key: str
    organization_id: int
    digest: str
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSide:
    """What the log knows: the agents' bodies by key, and what stands beside them.

    ``unmapped``: organizations without a company, each with one line what to do. ``untold``: alerts from before the first start
    with ``backfill: none``. ``asked``: the command that opened each ticket, by external id. ``wanted``: the item that each device
    should have, by key, where no command of it is due.
    """

    incidents: Mapping[str, Body]
    devices: Mapping[str, Body]
    unmapped: Mapping[int, str] = field(default_factory=dict)
    untold: frozenset[str] = frozenset()
    asked: Mapping[str, CreateTicket] = field(default_factory=dict)
    wanted: Mapping[str, UpsertConfigurationItem] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class VendorSide:
    """What both vendors showed. ``asked_at`` (epoch ms, our clock) is when NinjaOne was asked for its active alerts.

    ``pending``: keys of devices that NinjaOne has and does not list (not approved). ``deleted``: tickets that were asked for by id and
    are gone. ``foreign``: what of a device's item is not as it was written, by key. ``lost_items``: items that open tickets of
    ours carry, or should, and that do not exist. ``pasts``: the history of tickets, where it was asked for; ``None``: it could not be read.
    ``status_names``: what the tenant calls a status, where that was asked for.
    """

    asked_at: int
    alerts: Mapping[str, SeenAlert] = field(default_factory=dict)
    devices: Mapping[str, SeenDevice] = field(default_factory=dict)
    pending: frozenset[str] = frozenset()
    tickets: Mapping[int, Ticket] = field(default_factory=dict)
    deleted: frozenset[int] = frozenset()
    items: Mapping[int, ConfigurationItem] = field(default_factory=dict)
    foreign: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lost_items: frozenset[int] = frozenset()
    pasts: Mapping[int, tuple[TicketHistoryRow, ...] | None] = field(default_factory=dict)
    status_names: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tell:
    """A fact of a vendor that shall be published: what was seen of an alert, ticket or device, named ``of``.

    ``again``: the alert counts as raised when it was seen. ``ticket_id``: the alert has this ticket already.
    """

    kind: Literal["alert", "gone", "ticket", "device", "removed"]
    of: str
    again: bool = False
    ticket_id: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """One thing that is apart. ``what`` is one line; without ``repairs`` it is left, and ``left`` says why.

    ``waits``: its repair needs what another one brings about first. ``doubt``: one line why the repair may be wrong; it is
    carried out only where the class was named.
    """

    drift: DriftClass
    key: str
    what: str
    organization_id: int | None = None
    uids: tuple[str, ...] = ()
    external_id: str | None = None
    ticket_id: int | None = None
    ticket_number: str = ""
    item_ids: tuple[int, ...] = ()
    fields: tuple[str, ...] = ()
    repairs: tuple[Tell | DriftObserved, ...] = ()
    left: str = ""
    waits: bool = False
    doubt: str = ""

    def but(self, **changes: Any) -> Drift:
        """The same with other fields."""
        return replace(self, **changes)

    def where_named(self, classes: Collection[str]) -> Drift:
        """Without repairs where they may be wrong and nobody named the class."""
        if not self.doubt or self.drift in classes:
            return self
        return replace(self, repairs=(), left=self.doubt)

    @property
    def identity(self) -> tuple[Any, ...]:
        """What makes two looks' drifts the same."""
        return self.drift, self.key, self.uids, self.ticket_id, self.item_ids, self.fields


@dataclass(frozen=True, slots=True)
class Explained:
    """Something that looks apart and is not: why, as a noun. ``of`` is ``alert``, ``ticket`` or ``item``."""

    of: Literal["alert", "ticket", "item"]
    name: str
    key: str
    reason: str
    organization_id: int | None = None


@dataclass(slots=True)
class Comparison:
    """What came of comparing. ``with_ticket`` are active alerts that stand for an open ticket each; ``apart`` those in a drift."""

    drifts: list[Drift] = field(default_factory=list)
    explained: list[Explained] = field(default_factory=list)
    with_ticket: list[SeenAlert] = field(default_factory=list)
    apart: list[SeenAlert] = field(default_factory=list)
    active: int = 0
    #: The open tickets, by id.
    open: set[int] = field(default_factory=set)
    #: The open tickets that ``with_ticket`` stands for.
    standing: set[int] = field(default_factory=set)

    @property
    def open_tickets(self) -> int:
        """How many open tickets there are."""
        return len(self.open)

    def explain(
        self, of: Literal["alert", "ticket", "item"], name: str, key: str, reason: str, org: int | None
    ) -> None:
        """Nothing is apart, for this reason."""
        self.explained.append(Explained(of, name, key, reason, org))

    def reasons(self, of: str) -> dict[str, int]:
        """How many are explained by which reason, the most frequent first."""
        return dict(Counter(entry.reason for entry in self.explained if entry.of == of).most_common())

    def keep(self, stays: Callable[[Drift], bool]) -> list[Drift]:
        """Only the drifts that stay; all others are under way, and what they are about is explained by that."""
        passing = [drift for drift in self.drifts if not stays(drift)]
        self.drifts = [drift for drift in self.drifts if stays(drift)]
        uids = {uid for drift in self.drifts for uid in drift.uids}
        for alert in self.apart:
            if alert.uid not in uids:
                self.explain("alert", alert.uid, alert.key, UNDER_WAY, alert.organization_id)
        self.apart = [alert for alert in self.apart if alert.uid in uids]
        told = self.standing | {drift.ticket_id for drift in self.drifts if drift.ticket_id is not None}
        for drift in passing:
            if drift.ticket_id in self.open and drift.ticket_id not in told:
                told.add(drift.ticket_id)
                self.explain("ticket", drift.ticket_number, drift.key, UNDER_WAY, drift.organization_id)
        return self.drifts


def under_way(body: Body, external_id: str) -> str | None:
    """The type of a command of an incident that has not settled yet."""
    for entry in body.get("pending", {}).values():
        if entry.get("incident") == external_id:
            return str(entry["type"])
    return None
