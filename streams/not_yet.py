"""Why the log may know nothing of something that a vendor has: when it is read next, and by what."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from streams.clock import machine_now
from streams.kafka_options import KafkaOptions
from streams.reporter import roles
from streams.settings import Settings

#: An alert's uid as NinjaOne writes it, or its 32 digits.
_UID = re.compile(r"[0-9a-fA-F]{8}-?(?:[0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}")
#: A ticket's number (``T20261128.0012``).
_NUMBER = re.compile(r"T\d{8}\.\d+")


async def not_yet(settings: Settings, options: KafkaOptions, identity: str) -> str:
    """One clause about the reading that would bring it; empty where the id has no form that a reading brings. Raises ``ReadError``."""
    return hint(settings, await roles(options, now=machine_now()), identity)


def hint(settings: Settings, reports: Sequence[Mapping[str, Any]], identity: str) -> str:
    """``not_yet`` from the reports of the roles (``streams.reporter.roles``)."""
    if _UID.fullmatch(identity):
        what, vendor, poll = "an alert", "ninjaone", settings.ninjaone.poll_seconds
        url = settings.ninjaone.webhook.public_url
    elif _NUMBER.fullmatch(identity):
        what, vendor, poll = "a ticket of ours", "autotask", settings.autotask.poll_seconds
        url = settings.autotask.webhook.public_url
    elif identity.isascii() and identity.isdigit():
        what, vendor, poll, url = "a device", "ninjaone", settings.ninjaone.inventory_seconds, None
    else:
        return ""
    reading = [report for report in reports if report["role"] == "connectors" and report["state"] == "running"]
    if not reading:
        return f"no connectors run, so {what} that is new is not read: 'lockstep status' says why"
    figures: Mapping[str, Any] = next((r["figures"].get(vendor) for r in reading if r["figures"].get(vendor)), {})
    if figures.get("suspended"):
        return f"{what} that is new is not read at the moment: {figures['suspended']}"
    slower = figures.get("polls_slower_by", 1)
    by_poll = f"{_told(poll * slower)} at most ({_POLLS[what]})"
    if url is not None and url in figures.get("webhook", ""):
        return f"{what} that is new comes by webhook within seconds (the receiver runs), else by the poll, {by_poll}"
    return f"{what} that is new is read by the next poll, in {by_poll}" + (
        "" if what == "a device" else "; no webhook is set up"
    )


#: The setting that says how often.
_POLLS = {
    "an alert": "ninjaone.poll_seconds",
    "a ticket of ours": "autotask.poll_seconds",
    "a device": "ninjaone.inventory_seconds",
}


def _told(seconds: float) -> str:
    return f"{seconds / 60:g} min" if seconds >= 120 else f"{seconds:g} s"
