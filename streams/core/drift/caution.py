"""What is found in such numbers that another explanation is likelier: it is told, and left for a person."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from schemas.drift import DriftObserved
from streams.core.drift.findings import Drift, DriftClass, LogSide, VendorSide

#: Up to so many may well be single mishaps.
MANY = 20
_UNSEEN = (
    "so many are missing at once that the API user may no longer see them: look at its security level in Autotask; "
    "nothing is made anew"
)
_NOT_OURS = (
    "so many are of devices that neither NinjaOne nor the log knows that another Lockstep may work on this tenant: stop one of "
    "the two; these are left alone"
)


def cautious(log: LogSide, seen: VendorSide, drifts: Iterable[Drift]) -> list[Drift]:
    """The drifts, without repairs where these would do harm if the likelier explanation is true."""
    drifts = list(drifts)
    tickets = sum(
        "ticket" in incident and "ended" not in incident
        for body in log.incidents.values()
        for incident in body.get("incidents", {}).values()
    )
    items = sum("item" in body for body in log.devices.values())
    unseen = _many_of("MissingTicket", tickets, drifts) | _many_of("MissingItem", items, drifts)
    known = {*seen.devices, *seen.pending, *log.devices, *log.incidents}
    foreign = {drift.key for drift in drifts if _of_nobody(drift) and drift.key not in known}
    if len(foreign) <= MANY:
        foreign = set()
    return [
        replace(drift, repairs=(), left=_UNSEEN)
        if drift.drift in unseen and _lost(drift)
        else replace(drift, repairs=(), left=_NOT_OURS)
        if drift.key in foreign and _of_nobody(drift)
        else drift
        for drift in drifts
    ]


def _many_of(drift: DriftClass, known: int, drifts: list[Drift]) -> set[DriftClass]:
    """The class, where most of what was there is missing: nobody deletes that, and new ones would be doubles."""
    missing = sum(one.drift == drift and _lost(one) for one in drifts)
    return {drift} if missing > MANY and missing * 2 > known else set()


def _lost(drift: Drift) -> bool:
    """Whether something that was there is no longer seen, other than what the log never had."""
    return any(isinstance(repair, DriftObserved) for repair in drift.repairs)


def _of_nobody(drift: Drift) -> bool:
    """A ticket or an item that carries our mark for a device."""
    return drift.drift in ("OrphanTicket", "StaleItem") and drift.key.isdigit()
