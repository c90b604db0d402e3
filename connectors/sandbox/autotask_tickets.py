"""Tickets and their notes: numbers, categories, completion, activity dates, history."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from connectors.sandbox.autotask_picklists import COMPLETE_STATUSES
from connectors.sandbox.autotask_rules import Actor, Row, Rules, foreign_contract, misfit
from connectors.sandbox.autotask_store import ENTITIES

_PERSON_RESOURCE = 1
#: A ticket without a due date gets one: eight hours after it was made, like a working day.
_DUE_MILLISECONDS = 8 * 3_600_000


class TicketRules(Rules):
    """The ticket life cycle as far as an integration sees it."""

    _numbered: tuple[str, int] = ("", 0)

    def fill(self, row: Row, actor: Actor) -> None:
        rules = self._category(row)
        for name, value in rules.get("defaults", {}).items():
            if row.get(name) is None:
                row[name] = value
        if row.get("ticketType") is None:
            row["ticketType"] = next(choice.value for choice in self.tenant.picklist("ticketType") if choice.default)
        if row.get("companyLocationID") is None:
            places = [place for place in self.tenant.rows["CompanyLocations"] if place["companyID"] == row["companyID"]]
            row["companyLocationID"] = places[0]["id"] if places else None

    def check(self, row: Row, before: Mapping[str, Any] | None, changed: set[str]) -> list[str]:
        errors = [f"{name} is required" for name in self._needed(row) if row.get(name) is None]
        errors += self._assignment(row)
        if before is None or changed & {"companyID", "contactID", "configurationItemID", "companyLocationID"}:
            errors += misfit(self.tenant, row, "contactID", "Contacts")
            errors += misfit(self.tenant, row, "configurationItemID", "ConfigurationItems")
            errors += self._location(row)
        if before is None or changed & {"companyID", "contractID"}:
            errors += self._contract(row)
        if before is None and self.tenant.settings["inactive_company"] == "reject":
            company = self.tenant.rows["Companies"].get(row["companyID"])
            if company is not None and not company["isActive"]:
                errors.append("Reference value on field: companyID of type: Company does not exist or is invalid.")
        return errors

    def existing(self, row: Row) -> int | None:
        rule = self.tenant.settings["duplicate_rule"]
        names = {
            "external_id": ("externalID",),
            "company_title": ("companyID", "title"),
            "configuration_item": ("configurationItemID",),
        }.get(rule, ())
        if not names or any(row.get(name) is None for name in names):
            return None
        alike = self.tenant.rows["Tickets"].where(**{name: row[name] for name in names})
        return next((ticket["id"] for ticket in alike if ticket["status"] not in COMPLETE_STATUSES), None)

    def stamp(self, row: Row, before: Mapping[str, Any] | None, changed: set[str], actor: Actor) -> None:
        now = self.tenant.now()
        if before is None:
            row.update(
                ticketNumber=self._next_number(now),
                createDate=now,
                creatorResourceID=actor.resource_id,
                creatorType=_PERSON_RESOURCE,
                impersonatorCreatorResourceID=actor.impersonator,
                dueDateTime=row.get("dueDateTime") or now + _DUE_MILLISECONDS,
            )
        touch(row, now, actor)
        row["lastTrackedModificationDateTime"] = now
        was_done = before is not None and before["status"] in COMPLETE_STATUSES
        is_done = row["status"] in COMPLETE_STATUSES
        if is_done and not was_done:
            row.update(completedDate=now, completedByResourceID=actor.resource_id, resolvedDateTime=now)
        elif was_done and not is_done:
            row.update(completedDate=None, completedByResourceID=None, resolvedDateTime=None)

    def done(self, row: Row, before: Mapping[str, Any] | None, changed: set[str], actor: Actor) -> None:
        details = ["Created"] if before is None else self._edits(before, row, changed)
        for detail in details:
            if detail:
                self.tenant.rows["TicketHistory"].insert(
                    {
                        "ticketID": row["id"],
                        "action": "Created" if before is None else "Edited",
                        "detail": detail,
                        "date": self.tenant.now(),
                        "resourceID": actor.resource_id,
                    }
                )

    def _edits(self, before: Mapping[str, Any], row: Row, changed: set[str]) -> list[str]:
        if self.tenant.settings["ticket_history"] == "creation":
            return []
        return [self._told(name, before, row) for name in sorted(changed)]

    def _told(self, name: str, before: Mapping[str, Any], row: Row) -> str:
        column = ENTITIES["Tickets"].fields.get(name)
        if column is None or column.read_only:
            return ""
        old, new = before.get(name), row.get(name)
        if column.picklist:
            old, new = self.tenant.label(column, old), self.tenant.label(column, new)
        field = f"{name}: " if self.tenant.settings["ticket_history"] == "fields" else ""
        return f"{field}{'' if old is None else old} -> {'' if new is None else new}"[:8000]

    def _category(self, row: Row) -> dict[str, Any]:
        if not self.tenant.settings["category_rules"]:
            return {}
        if row.get("ticketCategory") is None:
            defaults = (category for category in self.tenant.rows["TicketCategories"] if category["isGlobalDefault"])
            row["ticketCategory"] = next((category["id"] for category in defaults), None)
        return self.tenant.category_rules.get(row["ticketCategory"], {})

    def _needed(self, row: Row) -> list[str]:
        needed = list(self._category(row).get("required", ())) if self.tenant.settings["category_rules"] else []
        return [*needed, "dueDateTime"] if self.tenant.settings["due_date_required"] else needed

    def _assignment(self, row: Row) -> list[str]:
        resource, role = row.get("assignedResourceID"), row.get("assignedResourceRoleID")
        if resource is None and role is None:
            return []
        if resource is None or role is None:
            return ["When assigning a Resource, you must assign both a assignedResourceID and assignedResourceRoleID."]
        pairs = self.tenant.rows["ResourceRoles"].where(resourceID=resource, roleID=role, isActive=True)
        if not pairs:
            return ["The specified AssignedResourceID and AssignedRoleID combination is not currently defined"]
        return []

    def _contract(self, row: Row) -> list[str]:
        return foreign_contract(self.tenant, row)

    def _location(self, row: Row) -> list[str]:
        place = self.tenant.rows["CompanyLocations"].get(row.get("companyLocationID"))
        if place is None or place["companyID"] == row["companyID"]:
            return []
        return [
            f"The companyLocationID[{place['id']}] cannot be associated with the Ticket. "
            f"It does not belong to companyID [{row['companyID']}]."
        ]

    def _next_number(self, now: int) -> str:
        day = datetime.fromtimestamp(now / 1000, UTC).strftime("%Y%m%d")
        self._numbered = (day, self._numbered[1] + 1 if self._numbered[0] == day else 1)
        return f"T{day}.{self._numbered[1]:04d}"


class NoteRules(Rules):
    """Ticket notes: a note moves the ticket's activity date, not its tracked modification."""

    def check(self, row: Row, before: Mapping[str, Any] | None, changed: set[str]) -> list[str]:
        ticket = self.tenant.rows["Tickets"].get(row["ticketID"])
        rules = self.tenant.category_rules.get(ticket["ticketCategory"], {}) if ticket is not None else {}
        if rules.get("note_title") and self.tenant.settings["category_rules"] and row.get("title") is None:
            return ["title is required"]
        return []

    def stamp(self, row: Row, before: Mapping[str, Any] | None, changed: set[str], actor: Actor) -> None:
        now = self.tenant.now()
        row["lastActivityDate"] = now
        if before is None:
            row.update(
                createDateTime=now,
                creatorResourceID=actor.resource_id,
                impersonatorCreatorResourceID=actor.impersonator,
            )

    def done(self, row: Row, before: Mapping[str, Any] | None, changed: set[str], actor: Actor) -> None:
        ticket = self.tenant.rows["Tickets"].get(row["ticketID"])
        if ticket is not None:
            touch(ticket, self.tenant.now(), actor)


class TimeRules(Rules):
    """Time entries of tickets: somebody was active on the ticket."""

    def stamp(self, row: Row, before: Mapping[str, Any] | None, changed: set[str], actor: Actor) -> None:
        if before is None:
            who = row.get("resourceID") or actor.resource_id
            row.update(createDateTime=self.tenant.now(), creatorUserID=actor.resource_id, resourceID=who)

    def done(self, row: Row, before: Mapping[str, Any] | None, changed: set[str], actor: Actor) -> None:
        ticket = self.tenant.rows["Tickets"].get(row["ticketID"])
        if ticket is not None:
            touch(ticket, self.tenant.now(), actor)


def touch(ticket: Row, now: int, actor: Actor) -> None:
    """Somebody was active on the ticket."""
    ticket.update(
        lastActivityDate=now, lastActivityResourceID=actor.resource_id, lastActivityPersonType=_PERSON_RESOURCE
    )
