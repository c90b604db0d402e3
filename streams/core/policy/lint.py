"""What a policy says that can hardly be meant: rules that are never reached, texts that do not fit, fields that clash.

``parse_policy`` refuses what has no meaning; this looks at the meaning, so it may grow without a policy in force ever
becoming unreadable. Errors keep a file from being published, warnings are told.

Two rules can never make two tickets of one ``externalID``, and one rule never the same for two incidents: it is derived
from the alert's device, its uid and a count, and no part of it comes from the policy (a test holds this). What can clash
is the other thing that a policy names twice: a user-defined field that two values are written to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches

from schemas.facts import Company
from streams.core.mapping import Companies, Organizations, Remembered, Unmapped, company_for
from streams.core.policy.findings import Finding, Path
from streams.core.policy.format import RuleSettings, TicketSettings
from streams.core.policy.lifecycle import LifecycleSettings
from streams.core.policy.policy import Policy
from streams.core.policy.reach import broader, everything
from streams.core.templates import fixed_text
from streams.core.ticketing import DESCRIPTION_LIMIT, NOTE_LIMIT, RESOLUTION_LIMIT, TITLE_LIMIT

#: Every class of device that NinjaOne's API names.
NODE_CLASSES = (
    "WINDOWS_SERVER", "WINDOWS_WORKSTATION", "LINUX_WORKSTATION", "MAC", "ANDROID", "APPLE_IOS", "APPLE_IPADOS",
    "VMWARE_VM_HOST", "VMWARE_VM_GUEST", "HYPERV_VMM_HOST", "HYPERV_VMM_GUEST", "LINUX_SERVER", "MAC_SERVER",
    "CLOUD_MONITOR_TARGET", "NMS_SWITCH", "NMS_ROUTER", "NMS_FIREWALL", "NMS_PRIVATE_NETWORK_GATEWAY", "NMS_PRINTER",
    "NMS_SCANNER", "NMS_DIAL_MANAGER", "NMS_WAP", "NMS_IPSLA", "NMS_COMPUTER", "NMS_VM_HOST", "NMS_APPLIANCE",
    "NMS_OTHER", "NMS_SERVER", "NMS_PHONE", "NMS_VIRTUAL_MACHINE", "NMS_NETWORK_MANAGEMENT_AGENT", "UNMANAGED_DEVICE",
    "MANAGED_DEVICE",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What is known of the two vendors: organizations by id, companies by id, matches by name that were made before."""

    organizations: Mapping[int, str]
    companies: Mapping[int, Company]
    remembered: Mapping[int, Remembered] | None = None


def lint(policy: Policy, observed: Observed | None = None) -> list[Finding]:
    """Every finding about a policy's meaning, in the order of the file's sections.

    With ``observed``, organizations and companies are looked up too; without, only what the file itself says counts.
    """
    return [
        *_unreachable(policy),
        *_texts(("defaults",), policy.defaults),
        *_lifecycle(("defaults", "lifecycle"), policy.defaults.lifecycle, policy.defaults.lifecycle),
        *(finding for number, rule in enumerate(policy.rules) for finding in _rule(policy, number, rule)),
        *_devices(policy),
        *(_organizations(policy, observed) if observed else _unmapped(policy)),
    ]


def _unreachable(policy: Policy) -> Iterator[Finding]:
    for number, rule in enumerate(policy.rules):
        earlier = next((other for other in policy.rules[:number] if broader(other.when, rule.when)), None)
        if earlier is None:
            continue
        if everything(rule.when):
            yield Finding(
                ("rules", number),
                f"the catch-all '{rule.name}' is never reached: rule '{earlier.name}' already takes every alert",
                f"narrow '{earlier.name}', or make it the catch-all (when: {{}})",
                "warning",
            )
        else:
            yield Finding(
                ("rules", number),
                f"rule '{rule.name}' is never reached: the earlier rule '{earlier.name}' matches all that it does",
                f"move it before '{earlier.name}', or remove it",
            )


def _rule(policy: Policy, number: int, rule: RuleSettings) -> Iterator[Finding]:
    yield from _texts(("rules", number, "ticket"), rule.ticket)
    yield from _lifecycle(("rules", number, "lifecycle"), rule.lifecycle, policy.defaults.lifecycle)
    yield from _escalation(policy, number, rule)
    yield from _storm(("rules", number), rule, policy.defaults.lifecycle)
    for position, node_class in enumerate(rule.when.node_class or ()):
        yield from _class(("rules", number, "when", "node_class", position), node_class)
    for position, prefix in enumerate(rule.when.node_class_prefix or ()):
        if not any(known.startswith(prefix.upper()) for known in NODE_CLASSES):
            yield Finding(
                ("rules", number, "when", "node_class_prefix", position),
                f"no class of NinjaOne's begins with '{prefix}'",
                "write the beginning of a class, such as WINDOWS_ or NMS_",
                "warning",
            )


def _class(path: Path, node_class: str) -> Iterator[Finding]:
    if node_class.upper() not in NODE_CLASSES:
        found = get_close_matches(node_class.upper(), NODE_CLASSES, 1)
        hint = f"did you mean '{found[0]}'?" if found else "look at a device's class in NinjaOne's API"
        yield Finding(path, f"NinjaOne's documentation has no class '{node_class}'", hint, "warning")


_LIMITS = {
    "title": TITLE_LIMIT,
    "description": DESCRIPTION_LIMIT,
    "close_text": RESOLUTION_LIMIT,
    "note_text": NOTE_LIMIT,
}


def _texts(path: Path, ticket: TicketSettings) -> Iterator[Finding]:
    for field, limit in _LIMITS.items():
        text = getattr(ticket, field)
        if text is None:
            continue
        fixed = len(fixed_text(text))
        if fixed > limit:
            yield Finding(
                (*path, field),
                f"its fixed text alone has {fixed} characters, and Autotask takes {limit}",
                "shorten it; what is over is cut off",
            )
        elif not text.strip():
            yield Finding((*path, field), "is empty", "leave the key out for the default text", "warning")


def _lifecycle(path: Path, given: LifecycleSettings, base: LifecycleSettings) -> Iterator[Finding]:
    settle = base.settle if given.settle is None else given.settle
    reopen = base.reopen_within if given.reopen_within is None else given.reopen_within
    if settle and reopen and settle > reopen:
        field = "settle" if given.settle is not None else "reopen_within"
        yield Finding(
            (*path, field),
            f"settle ({_told(settle)}) is longer than reopen_within ({_told(reopen)}): "
            "when a ticket is completed, the time to reopen it is already over",
            "make reopen_within longer than settle, or settle shorter",
        )


def _escalation(policy: Policy, number: int, rule: RuleSettings) -> Iterator[Finding]:
    priority = policy.defaults.priority if rule.ticket.priority is None else rule.ticket.priority
    if rule.lifecycle.escalate and not isinstance(priority, dict):
        yield Finding(
            ("rules", number, "lifecycle", "escalate"),
            f"has no effect: the rule has one priority ({priority}) for every severity",
            "write priority as a map, such as {CRITICAL: Critical, default: Medium}",
            "warning",
        )


def _storm(path: Path, rule: RuleSettings, base: LifecycleSettings) -> Iterator[Finding]:
    if rule.storm is not None and (rule.lifecycle.reset or base.reset) == "opening":
        field = ("lifecycle", "reset") if rule.lifecycle.reset else ("storm",)
        yield Finding(
            (*path, *field),
            "reset: opening resets no device's alert when the ticket of a storm is completed: none of them opened it",
            "write reset: all for this rule, or mean it",
            "warning",
        )


def _told(milliseconds: int) -> str:
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000)):
        if milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds // 1000}s"


def _devices(policy: Policy) -> Iterator[Finding]:
    taken: dict[str, str] = {}
    for value, field in policy.devices.fields.items():
        other = taken.setdefault(field.strip().casefold(), value)
        if other != value:
            yield Finding(
                ("devices", "fields", value),
                f"'{other}' and '{value}' are both written to the field '{field}', so one would overwrite the other",
                "give each a field of its own",
            )
    for number, entry in enumerate(policy.devices.types):
        for position, node_class in enumerate(entry.node_class or ()):
            yield from _class(("devices", "types", number, "node_class", position), node_class)
        if entry.matches_all and number != len(policy.devices.types) - 1:
            yield Finding(
                ("devices", "types", number),
                "this entry matches every device, so the entries after it are never reached",
                "move it to the end, or say for which devices it is",
            )


def _unmapped(policy: Policy) -> Iterator[Finding]:
    """Organizations that a rule names and that can have no company, by what the file alone says."""
    if policy.companies.auto_match != "never" or policy.companies.catch_all is not None:
        return
    for path, entry in _named_organizations(policy):
        if path[0] == "rules" and isinstance(entry, int) and entry not in policy.companies.by_organization:
            yield Finding(
                path,
                f"organization {entry} has no company: it is not mapped, and auto_match is never",
                f"add {{organization: {entry}, company: ID}} under companies.map",
                "warning",
            )


def _organizations(policy: Policy, observed: Observed) -> Iterator[Finding]:
    names = {name.casefold(): name for name in observed.organizations.values()}
    for path, entry in _named_organizations(policy):
        known = entry in observed.organizations if isinstance(entry, int) else entry.casefold() in names
        if not known:
            near = get_close_matches(str(entry).casefold(), names, 1) if isinstance(entry, str) else []
            yield Finding(
                path,
                f"NinjaOne has no organization {entry!r}",
                f"did you mean '{names[near[0]]}'?" if near else "write its name as NinjaOne shows it, or its id",
                "warning",
            )
    for number, mapped in enumerate(policy.companies.map):
        company = observed.companies.get(mapped.company)
        path = ("companies", "map", number)
        if mapped.organization not in observed.organizations:
            reason = f"NinjaOne has no organization {mapped.organization}"
            yield Finding((*path, "organization"), reason, "remove the entry, or correct the id", "warning")
        if company is None or not company.active:
            state = "inactive in" if company else "not a company of"
            reason = f"{mapped.company} is {state} Autotask"
            yield Finding((*path, "company"), reason, "correct the id; the company's page shows it", "warning")
    companies, organizations = Companies(observed.companies.values()), Organizations(observed.organizations)
    remembered = observed.remembered or {}
    for identity, name in sorted(observed.organizations.items()):
        found = company_for(policy, identity, name, companies, remembered.get(identity), organizations)
        if isinstance(found, Unmapped):
            what, _, todo = found.detail.partition("; ")
            yield Finding(("companies",), what, todo, "warning")


def _named_organizations(policy: Policy) -> Iterator[tuple[Path, int | str]]:
    for number, rule in enumerate(policy.rules):
        for position, entry in enumerate(rule.when.organization or ()):
            yield ("rules", number, "when", "organization", position), entry
    for number, window in enumerate(policy.maintenance):
        for position, entry in enumerate(window.organization or ()):
            yield ("maintenance", number, "organization", position), entry
