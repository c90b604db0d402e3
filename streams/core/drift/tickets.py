"""Every open ticket of ours belongs to an incident that wants it open, once, and looks as it was opened."""

from __future__ import annotations

from collections.abc import Set
from typing import Any

from schemas.autotask import Ticket
from schemas.drift import DriftObserved, MendableDrift
from schemas.identity import external_id as external_id_of
from schemas.identity import key_of_external_id
from streams.core.drift.findings import Body, Comparison, Drift, LogSide, Tell, VendorSide, under_way
from streams.core.incident import Incident, status_of


def compare_tickets(log: LogSide, seen: VendorSide, found: Comparison) -> None:
    """Judge every open ticket, then every incident whose ticket was deleted."""
    owners = {
        incident["ticket"]: (key, name)
        for key, body in log.incidents.items()
        for name, incident in body.get("incidents", {}).items()
        if "ticket" in incident
    }
    # By the alerts' comparison, which came before.
    closes = {drift.external_id for drift in found.drifts if drift.drift in ("MissedClose", "MissedChange")}
    apart = {drift.ticket_id for drift in found.drifts}
    for _, ticket in sorted(seen.tickets.items()):
        if not ticket.is_complete:
            found.open.add(ticket.id)
            _Look(log, seen, found, ticket, owners.get(ticket.id)).judge(closes)
        elif ticket.id in owners and ticket.id not in apart:
            _completed(log.incidents[owners[ticket.id][0]], *owners[ticket.id], ticket, found)
    for number in sorted(seen.deleted & owners.keys()):
        key, name = owners[number]
        _deleted(log.incidents[key], key, name, number, seen, found)


class _Look:
    """One open ticket."""

    def __init__(
        self, log: LogSide, seen: VendorSide, found: Comparison, ticket: Ticket, owner: tuple[str, str] | None
    ) -> None:
        self.log, self.seen, self.found, self.ticket = log, seen, found, ticket
        written = ticket.external_id or ""
        self.key, self.name = owner or (key_of_external_id(written) or "", written)
        self.body: Body = log.incidents.get(self.key, {})
        self.incident: Incident | None = self.body.get("incidents", {}).get(self.name)
        self.organization: int | None = self.incident["organization"] if self.incident is not None else None

    def judge(self, closes: Set[str | None]) -> None:
        """Exactly one drift or one explanation, or nothing for a ticket whose alerts are active; an edit comes on top."""
        if not self.key:
            return self.explain("NotOurs")
        command = under_way(self.body, self.name)
        if command is not None:
            return self.explain(f"Waiting:{command}")
        if self.incident is None:
            return self.orphan()
        own = self.incident.get("ticket")
        if own is None:
            return self.changed("Autotask has its ticket, the log does not know it")
        if own != self.ticket.id:
            other = self.seen.tickets.get(own)
            kept = (other.ticket_number if other is not None else "") or self.incident.get("number") or own
            line = f"ticket {self.number} is a double of {kept} ({self.name})"
            return self.drift("DoubledTicket", line, self.fact("DoubledTicket"))
        self.edited()
        return self.standing(self.incident, closes)

    @property
    def number(self) -> str:
        return self.ticket.ticket_number or str(self.ticket.id)

    def orphan(self) -> None:
        """No incident knows it. Where its alert is active and was never heard of, the ticket is taken over."""
        uid = next(
            (
                uid
                for uid, alert in self.seen.alerts.items()
                if alert.key == self.key and uid not in self.body.get("alerts", {}) and _same(self.key, uid, self.name)
            ),
            None,
        )
        if uid is not None:
            self.organization = self.seen.alerts[uid].organization_id
            line = f"ticket {self.number} ({self.name}) belongs to an active alert that the log never heard of"
            return self.drift("OrphanTicket", line, Tell("alert", uid, ticket_id=self.ticket.id), uids=(uid,))
        line = f"ticket {self.number} ({self.name}) belongs to no incident that is known"
        device = self.seen.devices.get(self.key)
        self.organization = device.organization_id if device is not None else self.organization
        return self.drift("OrphanTicket", line, self.fact("OrphanTicket"))

    def edited(self) -> None:
        """What is ours of the ticket and is not as it was when it was opened."""
        assert self.incident is not None
        asked = self.log.asked.get(self.name)
        company = asked.company_id if asked is not None else self.incident.get("company")
        fields: list[str] = []
        if self.ticket.external_id != self.name:
            fields.append("externalID")
        if company is not None and self.ticket.company_id != company:
            fields.append("companyID")
        item = asked.configuration_item_id if asked is not None else None
        known = self.body.get("item")
        # What a repair gives it (``_restore``): the device's item of today, if that is of the ticket's company.
        today = known["id"] if known and known["company"] == company else item
        present = self.ticket.configuration_item_id
        accepted = {item, today, known["id"] if known else item} - self.seen.lost_items
        wrong = item is not None and present not in accepted
        if wrong and today not in self.seen.lost_items:
            fields.append("configurationItemID")
        if fields:
            line = f"ticket {self.number} was changed where it is ours: {', '.join(fields)}"
            if present in self.seen.lost_items and fields == ["configurationItemID"]:
                line = f"ticket {self.number} carries the configuration item {present}, which was deleted; its device has {today}"
            fact = self.fact("ForeignEdit", fields=tuple(fields), company_id=company, item_id=item)
            self.drift("ForeignEdit", line, fact, fields=tuple(fields))
        elif wrong and self._gets_an_item(company):
            gone = (
                "has no configuration item"
                if present is None
                else f"carries the configuration item {present}, which was deleted"
            )
            self.drift(
                "ForeignEdit",
                f"ticket {self.number} {gone}",
                fields=("configurationItemID",),
                left="its device has no item at the moment; the ticket gets the one that is made",
                waits=True,
            )

    def _gets_an_item(self, company: int | None) -> bool:
        """Whether the device is to have an item in the ticket's company; after a move or a removal there is none to point to."""
        device = self.log.devices.get(self.key, {})
        if "observed" not in device or "dismissed" in device:
            return False
        return bool(device.get("written", {}).get("company", company) == company)

    def standing(self, incident: Incident, closes: Set[str | None]) -> None:
        """Whether the incident wants its ticket open."""
        if "parked" in incident:
            return self.explain(incident["parked"]["reason"])
        if "ended" not in incident:
            if not incident["active"]:
                return self.explain(_why_open(incident))
            if self.ticket.id in self.found.standing or self.name in closes:
                return None
            if any(uid in self.seen.alerts for uid in incident["active"]):
                return self.explain("AlertExplained")
            # A storm's ticket and a test alert's have no alert in NinjaOne.
            return self.explain("Storm" if self._storms(incident) else "TestAlert")
        if incident["ended"] == "Dismissed":
            return self.explain("Dismissed")
        at = self.ticket.last_activity_date or 0
        if at > incident.get("open_seen", 0) and status_of({**incident, "open_seen": at}) == "reopened":
            return self.changed("somebody reopened it, and the log did not hear of that")
        ours = incident.get("ours")
        if ours is not None and at > max(ours["at"], ours["covers"]):
            # So soon after our completion the agent takes an open ticket for a late sight of it (clocks differ). Here it is open long after,
            # and somebody touched it since: what a technician reopened is the technician's.
            return self.explain("ReopenedByTechnician")
        line = f"ticket {self.number} is open although {self.name} is over ({incident['ended']})"
        return self.drift("MissedClose", line, self.fact("MissedClose"))

    def _storms(self, incident: Incident) -> bool:
        alerts = self.body.get("alerts", {})
        return any("storms_own" in alerts.get(uid, {}) for uid in incident["active"])

    def changed(self, why: str) -> None:
        """The log is behind: what is seen of the ticket is told, and decided like any other change."""
        self.drift("MissedChange", f"ticket {self.number}: {why}", Tell("ticket", str(self.ticket.id)))

    def explain(self, reason: str) -> None:
        self.found.explain("ticket", self.number, self.key, reason, self.organization)

    def drift(self, drift: Any, what: str, *repairs: Tell | DriftObserved, **more: Any) -> None:
        self.found.drifts.append(
            Drift(
                drift=drift,
                key=self.key,
                what=what,
                organization_id=self.organization,
                external_id=self.name or None,
                ticket_id=self.ticket.id,
                ticket_number=self.ticket.ticket_number,
                repairs=repairs,
                **more,
            )
        )

    def fact(self, drift: MendableDrift, **more: Any) -> DriftObserved:
        return DriftObserved(
            key=self.key,
            drift=drift,
            observed_at=self.seen.asked_at,
            organization_id=self.organization,
            external_id=self.name,
            ticket_id=self.ticket.id,
            ticket_number=self.ticket.ticket_number,
            **more,
        )


def _same(key: str, uid: str, name: str) -> bool:
    try:
        return external_id_of(key, uid) == name
    except ValueError:
        return False


def _why_open(incident: Incident) -> str:
    """Why the ticket of an incident without active alerts is open, and rightly so."""
    if "settling" in incident:
        return "Settling"
    if "left" in incident:
        return str(incident["left"])
    return "ReopenedByTechnician"


def _completed(body: Body, key: str, name: str, ticket: Ticket, found: Comparison) -> None:
    """A complete ticket whose incident the log takes for open, and whose alerts are no drift of their own (a storm's, say)."""
    incident = body["incidents"][name]
    if "ended" in incident or "parked" in incident or under_way(body, name) is not None:
        return
    found.drifts.append(
        Drift(
            drift="MissedChange",
            key=key,
            organization_id=incident["organization"],
            external_id=name,
            ticket_id=ticket.id,
            ticket_number=ticket.ticket_number,
            what=f"ticket {ticket.ticket_number or ticket.id} was completed, and the log did not hear of that",
            repairs=(Tell("ticket", str(ticket.id)),),
        )
    )


def _deleted(body: Body, key: str, name: str, number: int, seen: VendorSide, found: Comparison) -> None:
    """Only a ticket that is still needed is missed: an alert of its open incident is active, and no command of it is under way."""
    incident = body["incidents"][name]
    uids = tuple(uid for uid in incident["active"] if uid in seen.alerts)
    if "ended" in incident or "parked" in incident or not uids or under_way(body, name) is not None:
        return
    shown = incident.get("number") or str(number)
    found.drifts.append(
        Drift(
            drift="MissingTicket",
            key=key,
            organization_id=incident["organization"],
            uids=uids,
            external_id=name,
            ticket_id=number,
            ticket_number=incident.get("number") or "",
            what=f"ticket {shown} ({name}) was deleted in Autotask while its incident is open",
            repairs=(
                DriftObserved(
                    key=key,
                    drift="MissingTicket",
                    observed_at=seen.asked_at,
                    organization_id=incident["organization"],
                    external_id=name,
                    ticket_id=number,
                    ticket_number=incident.get("number") or "",
                ),
            ),
        )
    )
