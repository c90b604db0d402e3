"""What a policy says that can hardly be meant: rules that are never reached, texts that do not fit, fields that clash.

``parse_policy`` refuses what has no meaning; this looks at the meaning, so it may grow without a policy in force ever
becoming unreadable. Errors keep a file from being published, warnings are told.

Two rules can never make two tickets of one ``externalID``, and one rule never the same for two incidents: it is derived
from the alert's device, its uid and a count, and no part of it comes from the policy (a test holds this). What can clash
is the other thing that a policy names twice: a user-defined field that two values are written to.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from streams.core.policy.findings import Finding, Path
from streams.core.policy.format import RuleSettings, TicketSettings
from streams.core.policy.lifecycle import LifecycleSettings
from streams.core.policy.observed import Observed, observed_findings, unmapped
from streams.core.policy.policy import Policy
from streams.core.policy.reach import broader, everything
from streams.core.policy.vocabulary import NODE_CLASSES, SOURCE_TYPE_PREFIXES, SOURCE_TYPES
from streams.core.templates import fixed_text
from streams.core.ticketing import DESCRIPTION_LIMIT, NOTE_LIMIT, RESOLUTION_LIMIT, TITLE_LIMIT


def lint(policy: Policy, observed: Observed | None = None) -> list[Finding]:
    """Every finding about a policy's meaning, in the order of the file's sections.

    With ``observed``, organizations, companies, places, roles and devices are looked up too; without, only what the file itself says counts.
    """
    return [
        *_unreachable(policy),
        *_texts(("defaults",), policy.defaults),
        *_lifecycle(("defaults", "lifecycle"), policy.defaults.lifecycle, policy.defaults.lifecycle),
        *(finding for number, rule in enumerate(policy.rules) for finding in _rule(policy, number, rule)),
        *_devices(policy),
        *(observed_findings(policy, observed) if observed else unmapped(policy)),
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
    for position, source_type in enumerate(rule.when.source_type or ()):
        yield from _source_type(("rules", number, "when", "source_type", position), source_type)
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


def _source_type(path: Path, source_type: str) -> Iterator[Finding]:
    written = source_type.upper()
    if written not in SOURCE_TYPES and not written.startswith(SOURCE_TYPE_PREFIXES):
        found = get_close_matches(written, SOURCE_TYPES, 1)
        hint = (
            f"did you mean '{found[0]}'?" if found else "`lockstep explain ALERT` shows the type of an alert that came"
        )
        yield Finding(path, f"NinjaOne's documentation has no source type '{source_type}'", hint, "warning")


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
