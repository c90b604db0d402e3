"""Alerts that carry a ticket of NinjaOne's own integration: that ticket is taken over, so that there is never a second one.

``psa`` in an alert's entry is how NinjaOne named the ticket (``id``), of the alert as it was raised when (``at``), and
whether that alert is ``over``; ``adopts`` in an incident's entry is the ticket that shall be the incident's. What cannot be
taken over (missing, complete, another company's) is parked with its reason; the rule may open a ticket of ours instead
(``takeover: adopt_or_open``) or leave such alerts to the other integration (``ignore``).
"""

from __future__ import annotations

from typing import Any

from schemas.facts import AlertFact
from streams.core.alerts import Alert, outlives, stored
from streams.core.decision import Draft
from streams.core.incident import Incident, dispose, find_command, send
from streams.core.policy.policy import Rule
from streams.core.ticketing import adopt_ticket

#: The reason of an alert whose rule leaves it to the integration that opened its ticket.
LEFT = "LeftToOtherIntegration"
_NONE: dict[str, Any] = {"id": None, "at": -1}


def patch_of(alert: Alert, fact: AlertFact) -> dict[str, Any]:
    """What a sighting tells about the alert's ticket; empty where it is no news."""
    named = fact.psa_ticket_id
    if named is None or fact.raised_at <= alert.get("psa", _NONE)["at"] or not outlives(alert, fact.raised_at):
        return {}
    return {"psa": {"id": named, "at": fact.raised_at}}


def ticket_to_take_over(draft: Draft, uid: str) -> str | None:
    """The ticket that an alert without a place carries; ``None`` for one whose incident here is over: it had its turn."""
    entry = draft.body["alerts"][uid].get("psa", _NONE)
    named = None if "over" in entry else entry["id"]
    if named is None or any("ended" in incident for incident in _adopters(draft, named)):
        return None
    return str(named)


def incident_of_ticket(draft: Draft, named: str) -> str | None:
    """The open incident of this key that takes this ticket over: two alerts with one ticket are one incident."""
    for identity, incident in draft.body.get("incidents", {}).items():
        if incident.get("adopts") == named and "ended" not in incident:
            return str(identity)
    return None


def left_alone(draft: Draft, rule: Rule, fact: AlertFact, named: str) -> bool:
    """Leave an alert to the integration that opened its ticket, where the rule says so; says whether it did."""
    if rule.takeover != "ignore":
        return False
    dispose(draft, fact.uid, "suppressed", LEFT, detail=f"PSA ticket {named}", fact=stored(fact))
    return True


def ticket_named(draft: Draft, rule: Rule, fact: AlertFact) -> None:
    """A ticket shows at an alert that has its incident already: it is taken over where the incident has none yet."""
    alert = draft.body["alerts"][fact.uid]
    external_id = alert.get("incident")
    incident: Incident | None = draft.body.get("incidents", {}).get(external_id)
    named = alert["psa"]["id"]
    if incident is None or "ended" in incident or incident.get("adopts") == named:
        return draft.reason("TicketNamed", fact.uid, f"PSA ticket {named}")
    if not {"ticket", "adopts"} & incident.keys() and rule.takeover != "ignore":
        return draft.change("TicketToTakeOver", {"adopts": named}, "incidents", external_id)
    return draft.reason("TicketElsewhere", fact.uid, f"PSA ticket {named} stands beside the incident's own")


def ask_for_it(draft: Draft, external_id: str, *, company_id: int, ordinal: int) -> None:
    """Ask for the ticket that the incident shall take over, as the company's that its organization has now."""
    incident = draft.body["incidents"][external_id]
    if incident.get("company") != company_id:
        draft.change("CompanyChosen", {"company": company_id}, "incidents", external_id)
    command = adopt_ticket(
        key=draft.key,
        external_id=external_id,
        company_id=company_id,
        organization_id=incident["organization"],
        ticket=incident["adopts"],
    )
    # It is awaited as what it stands for: the incident's ticket, wherever it comes from.
    send(draft, command, external_id, ordinal=ordinal, type="CreateTicket", adopts=incident["adopts"])


def create_in_the_way(draft: Draft, external_id: str) -> tuple[str, dict[str, Any]] | None:
    """A create that was ordered before the incident's ticket showed, and waits at its executor."""
    if "adopts" not in draft.body["incidents"][external_id]:
        return None
    under_way = find_command(draft, "CreateTicket", external_id)
    return None if under_way is None or {"adopts", "due"} & under_way[1].keys() else under_way


def was_too_late(draft: Draft, external_id: str) -> None:
    """The create could not be taken back any more: the incident has a ticket of ours, and another one stands beside it."""
    named = draft.body["incidents"][external_id]["adopts"]
    draft.reason("TicketElsewhere", external_id, f"PSA ticket {named} stands beside the incident's own")
    draft.change("TicketNotTakenOver", {"adopts": None}, "incidents", external_id)


def opens_instead(rule: Rule, incident: Incident) -> bool:
    """Whether a ticket of ours is opened where the other integration's could not be taken over."""
    return rule.takeover == "adopt_or_open" and "adopts" in incident


def _adopters(draft: Draft, named: str) -> list[Incident]:
    return [entry for entry in draft.body.get("incidents", {}).values() if entry.get("adopts") == named]
