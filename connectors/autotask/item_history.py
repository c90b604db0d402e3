"""What Lockstep says in an item's notes about where a device came from and went, and how it names what it found. Pure.

People write into the same notes, so a line is added below theirs, once, and never at their expense.
"""

from __future__ import annotations

from collections.abc import Sequence

from connectors.autotask import texts
from connectors.autotask.matching import Match, former_key
from schemas.autotask import ConfigurationItem
from schemas.commands import UpsertConfigurationItem
from schemas.hardware import real_serial

#: Autotask keeps 5,000 characters (vendor field metadata).
NOTES = 5000
_SHOWN = 5


def with_lines(notes: str, *lines: str) -> str:
    """The notes with each line that they do not hold yet; a line that no longer fits is left out."""
    for entry in lines:
        longer = f"{notes}\n{entry}" if notes.strip() else entry
        if entry and entry not in notes and texts.cut(longer, NOTES) == longer:
            notes = longer
    return notes


def history(command: UpsertConfigurationItem, match: Match) -> tuple[str, ...]:
    """The lines for an item that is about to be written for a device."""
    former = former_key(match.item, command) if match.item is not None else ""
    taken = (
        f"Lockstep: NinjaOne device {former} is device {command.key} now (same {_by(match.step)})." if former else ""
    )
    return (command.note, taken)


def twin_line(kept: int, command: UpsertConfigurationItem) -> str:
    """The line for a twin that is set inactive."""
    return f"Lockstep: set inactive, item {kept} is kept for NinjaOne device {command.key} (same serial number)."


def rivals_line(command: UpsertConfigurationItem, match: Match) -> str:
    """Why no item was written: each that might be the device's, and the way out."""
    return (
        f"items {named(match.rivals)} of company {command.company_id} each match device {command.key} by {_by(match.step)}; "
        f"set all but one inactive in Autotask, or give the right one the reference number {command.reference_number}, "
        f"then 'lockstep parked retry {command.key}'"
    )


def twins_line(command: UpsertConfigurationItem, twins: Sequence[ConfigurationItem]) -> str:
    """What is reported of twins that are left alone."""
    return (
        f"active too with serial number {real_serial(command.serial)}: {named(twins)}; "
        "merge them in Autotask, or let the policy's devices.twins: retire set them inactive"
    )


def named(items: Sequence[ConfigurationItem]) -> str:
    """Items by id and name."""
    shown = ", ".join(f"{item.id} '{texts.line(item.reference_title, 60)}'" for item in items[:_SHOWN])
    return shown + (f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else "")


def _by(step: str) -> str:
    return {"serial": "serial number", "device_uid": "unique id", "mac": "hardware address", "hostname": "name"}.get(
        step, step
    )
