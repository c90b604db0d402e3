"""A policy against the tenant that it is for: every name that it writes, looked up in Autotask, with the key that wrote it.

The one implementation behind ``lockstep check``, ``policy check --tenant`` and ``policy publish``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from connectors.autotask.client import AutotaskClient
from connectors.autotask.foreign_tickets import foreign_tickets
from connectors.autotask.metadata import Metadata
from connectors.autotask.tenant_check import Finding as Missing
from connectors.autotask.tenant_check import NameKind, TenantCheck
from schemas.commands import Name
from streams.core.policy.findings import Finding
from streams.core.policy.format import TicketSettings
from streams.core.policy.policy import Path, Policy

#: The values of ``devices.fields`` that are days, which a date field takes as well as a text.
_DAYS = ("enrolled", "warranty_start", "warranty_end")

_KINDS: dict[str, NameKind] = {
    "queue": "queue",
    "status": "opening status",
    "complete_status": "complete status",
    "ticket_type": "ticket type",
    "source": "source",
    "category": "ticket category",
    "note_type": "note type",
}


@dataclass(frozen=True, slots=True)
class Named:
    """A name that must exist in Autotask, and the key of the policy that it stands at."""

    path: Path
    kind: NameKind
    name: Name


@dataclass(frozen=True, slots=True)
class TenantFinding:
    """What the tenant lacks, and the same as a finding about the policy's key. ``path`` is its key."""

    missing: Missing
    path: Path

    @property
    def finding(self) -> Finding:
        """As findings about a policy are told."""
        return Finding(self.path, self.missing.what, self.missing.suggestion, self.missing.level)


def named_in(policy: Policy) -> list[Named]:
    """Every name of a policy that must exist in Autotask, in the order of the file's sections."""
    found = list(_of_ticket(("defaults",), policy.defaults))
    for number, rule in enumerate(policy.rules):
        found += _of_ticket(("rules", number, "ticket"), rule.ticket)
    for path, lifecycle in (
        (("defaults", "lifecycle"), policy.defaults.lifecycle),
        *((("rules", number, "lifecycle"), rule.lifecycle) for number, rule in enumerate(policy.rules)),
    ):
        if lifecycle.reopen_status is not None:
            found.append(Named((*path, "reopen_status"), "opening status", lifecycle.reopen_status))
        for position, status in enumerate(lifecycle.never_reopen or ()):
            found.append(Named((*path, "never_reopen", position), "status", status))
    for number, entry in enumerate(policy.devices.types):
        at: Path = ("devices", "types", number)
        found.append(Named((*at, "product"), "product", entry.product))
        if entry.type is not None:
            found.append(Named((*at, "type"), "item type", entry.type))
        if entry.category is not None:
            found.append(Named((*at, "category"), "item category", entry.category))
    return found


def _of_ticket(path: Path, ticket: TicketSettings) -> Iterator[Named]:
    for field, kind in _KINDS.items():
        value = getattr(ticket, field)
        if value is not None:
            yield Named((*path, field), kind, value)
    if isinstance(ticket.priority, dict):
        for severity, value in ticket.priority.items():
            yield Named((*path, "priority", severity), "priority", value)
    elif ticket.priority is not None:
        yield Named((*path, "priority"), "priority", ticket.priority)


async def tenant_findings(
    client: AutotaskClient, policy: Policy, *, known_tickets: Collection[str] | None = None
) -> list[TenantFinding]:
    """Everything that the policy needs and the tenant does not have. Raises ``CallFailed``, ``CallsSuspended``.

    ``known_tickets``: the external ids of our incidents, where a running system tells them; then open tickets that
    carry our mark and are not among them are told too.
    """
    look = TenantCheck(client, Metadata(client))
    fields = policy.devices.fields
    found = [
        TenantFinding(missing, ("devices", "fields", _value_of(fields, missing.name)))
        for missing in await look.fields(list(fields.values()), dates=day_fields(policy))
    ]
    named = named_in(policy)
    for missing in await look.names([(entry.kind, entry.name) for entry in named]):
        found += [
            TenantFinding(missing, entry.path)
            for entry in named
            if (entry.kind, str(entry.name)) == (missing.kind, missing.name)
        ]
    combined = list(_combined(policy))
    for position, missing in await look.pairs([{entry.kind: entry.name for entry in one} for one in combined]):
        path = next(entry.path for entry in combined[position] if entry.kind == missing.kind)
        if all(told.path != path for told in found):
            found.append(TenantFinding(missing, path))
    if known_tickets is not None:
        found += [TenantFinding(missing, ()) for missing in await foreign_tickets(client, known_tickets)]
    return found


def day_fields(policy: Policy) -> set[str]:
    """The user-defined fields that hold nothing but days."""
    return {name for value, name in policy.devices.fields.items() if value in _DAYS}


def _value_of(fields: Mapping[str, str], name: str) -> str:
    return next(value for value, field in fields.items() if field == name)


def _combined(policy: Policy) -> Iterator[list[Named]]:
    """The names that come together on one ticket: each rule's over the defaults, with each of its priorities."""
    base = list(_of_ticket(("defaults",), policy.defaults))
    for number, rule in enumerate(policy.rules):
        own = list(_of_ticket(("rules", number, "ticket"), rule.ticket))
        kinds = {entry.kind for entry in own}
        names = own + [entry for entry in base if entry.kind not in kinds]
        rest = [entry for entry in names if entry.kind != "priority"]
        for priority in (entry for entry in names if entry.kind == "priority"):
            yield [*rest, priority]
