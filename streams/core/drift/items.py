"""Every approved device has one active configuration item that looks as the policy says; nothing else of ours is active."""

from __future__ import annotations

from typing import Any

from schemas.autotask import ConfigurationItem
from schemas.drift import DriftObserved, MendableDrift
from schemas.hardware import real_serial
from schemas.identity import EXTERNAL_ID_PREFIX, is_key, reference_number
from streams.core.drift.findings import Body, Comparison, Drift, DriftClass, LogSide, SeenDevice, Tell, VendorSide


def compare_items(log: LogSide, seen: VendorSide, found: Comparison) -> None:
    """Judge every device that NinjaOne, the log or an item names."""
    mine: dict[str, list[ConfigurationItem]] = {}
    serials: dict[str, list[ConfigurationItem]] = {}
    for _, item in sorted(seen.items.items()):
        if item.reference_number.startswith(EXTERNAL_ID_PREFIX):
            mine.setdefault(item.reference_number, []).append(item)
        elif item.is_active:
            serials.setdefault(real_serial(item.serial_number).lower(), []).append(item)
    named = {number.removeprefix(EXTERNAL_ID_PREFIX) for number in mine}
    for key in sorted({key for key in named if is_key(key)} | seen.devices.keys() | log.devices.keys()):
        _Look(log, seen, found, key, mine.get(reference_number(key), []), serials).judge()


class _Look:
    """One device and what has its key in Autotask."""

    def __init__(
        self,
        log: LogSide,
        seen: VendorSide,
        found: Comparison,
        key: str,
        mine: list[ConfigurationItem],
        serials: dict[str, list[ConfigurationItem]],
    ) -> None:
        self.log, self.seen, self.found, self.key, self.mine, self.serials = log, seen, found, key, mine, serials
        self.body: Body = log.devices.get(key, {})
        self.device: SeenDevice | None = seen.devices.get(key)
        self.active = [item for item in self.mine if item.is_active]
        observed = self.body.get("observed", {}).get("subject", {}).get("organization_id")
        self.organization: int | None = self.device.organization_id if self.device is not None else observed
        self.name = self.device.name if self.device is not None and self.device.name else f"device {key}"

    def judge(self) -> None:
        """One drift or one explanation at most."""
        if "pending" in self.body:
            types = sorted(entry["type"] for entry in self.body["pending"].values())
            return self.explain(f"Waiting:{types[0]}")
        if self.device is not None:
            return self._alive(self.device)
        if self.key in self.seen.pending:
            return self.explain("PendingApproval")
        return self._gone()

    def _alive(self, device: SeenDevice) -> None:
        observed = self.body.get("observed")
        if "parked" in self.body:
            return self.explain(next(iter(self.body["parked"].values()))["reason"])
        if "dismissed" in self.body:
            return self.explain("Dismissed")
        if observed is None and "seen" in self.body and "removed" not in self.body:
            return self.changed("is approved in NinjaOne, and the log did not hear of that", Tell("device", self.key))
        if observed is None:
            why = (
                "NinjaOne has it, and the log takes it for removed"
                if "removed" in self.body
                else "the log never heard of it"
            )
            return self.drift("MissingItem", f"{self.name} has no item by the log: {why}", Tell("device", self.key))
        if observed.get("digest") != device.digest:
            return self.changed("has changed in NinjaOne, and the log did not hear of that", Tell("device", self.key))
        written = self.body.get("written")
        if written is None:
            return self.drift("MissingItem", f"{self.name} has no item", self.fact("MissingItem"))
        return self._item(written["company"])

    def _item(self, company: int) -> None:
        here = [item for item in self.active if item.company_id == company]
        elsewhere = [item for item in self.active if item.company_id != company]
        if elsewhere:
            retire = [
                self.fact("ItemTwin", company_id=other, item_id=_of(elsewhere, other))
                for other in sorted({item.company_id for item in elsewhere})
            ]
            if here:
                line = f"{self.name} has active items in several companies: {_ids(self.active)}"
                return self.drift("ItemTwin", line, *retire, items=self.active)
            line = f"{self.name}'s item {_ids(elsewhere)} is in another company than {company}"
            again = self.fact("ForeignEdit", company_id=company, fields=("companyID",))
            return self.drift("ForeignEdit", line, *retire, again, items=elsewhere, fields=("companyID",))
        if len(here) > 1:
            line = f"{self.name} has {len(here)} active items: {_ids(here)}"
            return self.drift("ItemTwin", line, self.fact("ItemTwin", company_id=company), items=here)
        if here:
            fields = self.seen.foreign.get(self.key, ())
            if fields:
                line = f"{self.name}'s item {here[0].id} was changed where it is ours: {', '.join(fields)}"
                fact = self.fact("ForeignEdit", company_id=company, item_id=here[0].id, fields=fields)
                return self.drift("ForeignEdit", line, fact, items=here, fields=fields)
            return self._serial_twins(here[0])
        if self.mine:
            line = f"{self.name} lives, and its item {_ids(self.mine)} is inactive"
            return self.drift("StaleItem", line, self.fact("StaleItem", company_id=company), items=self.mine)
        hint = self.seen.items.get(self.body.get("item", {}).get("id", -1))
        if hint is None:
            line = f"{self.name} has no item in Autotask any more"
            return self.drift("MissingItem", line, self.fact("MissingItem", company_id=company))
        other = hint.reference_number
        if other.startswith(EXTERNAL_ID_PREFIX) and hint.is_active:
            line = f"{self.name}'s item {hint.id} carries another device's key ({other})"
            return self.drift("MissingItem", line, self.fact("MissingItem", company_id=company), items=[hint])
        fields = ("referenceNumber", *self.seen.foreign.get(self.key, ()))
        line = f"{self.name}'s item {hint.id} was changed where it is ours: {', '.join(dict.fromkeys(fields))}"
        fact = self.fact("ForeignEdit", company_id=company, item_id=hint.id, fields=("referenceNumber",))
        return self.drift("ForeignEdit", line, fact, items=[hint], fields=tuple(dict.fromkeys(fields)))

    def _serial_twins(self, item: ConfigurationItem) -> None:
        """Nobody's active items with the device's serial number beside its own: apart only where the policy retires them."""
        command = self.log.wanted.get(self.key)
        serial = real_serial(command.serial).lower() if command is not None else ""
        if command is None or not serial or command.alive:
            return None
        twins = [
            other for other in self.serials.get(serial, []) if other.company_id == item.company_id and other != item
        ]
        if not twins:
            return None
        if command.twins != "retire" or command.alive is None:
            return self.explain("TwinInAutotask")
        line = f"{self.name} has item {item.id}, and {_ids(twins)} with the same serial number"
        fact = self.fact("ItemTwin", company_id=item.company_id, item_id=item.id)
        return self.drift("ItemTwin", line, fact, items=[item, *twins])

    def _gone(self) -> None:
        """NinjaOne has no such device."""
        if "observed" in self.body:
            if not self.active:
                why = Tell("removed", self.key)
                return self.changed("is gone from NinjaOne, and the log did not hear of that", why)
            line = f"device {self.key} is gone from NinjaOne, and its item {_ids(self.active)} is active"
            return self.drift("StaleItem", line, Tell("removed", self.key), items=self.active)
        if not self.active:
            return None
        if "parked" in self.body:
            return self.explain(next(iter(self.body["parked"].values()))["reason"])
        if "retire_at" in self.body:
            return self.explain("WithinGrace")
        if "written" in self.body:
            return self.explain("KeptByPolicy")
        line = f"item {_ids(self.active)} is active, and NinjaOne has no device {self.key}"
        retire = [
            self.fact("StaleItem", company_id=company, item_id=_of(self.active, company))
            for company in sorted({item.company_id for item in self.active})
        ]
        return self.drift("StaleItem", line, *retire, items=self.active)

    def changed(self, what: str, tell: Tell) -> None:
        self.drift("MissedChange", f"{self.name} {what}", tell)

    def explain(self, reason: str) -> None:
        self.found.explain("item", self.key, self.key, reason, self.organization)

    def drift(
        self,
        drift: DriftClass,
        what: str,
        *repairs: Tell | DriftObserved,
        items: list[ConfigurationItem] | None = None,
        fields: tuple[str, ...] = (),
    ) -> None:
        self.found.drifts.append(
            Drift(
                drift=drift,
                key=self.key,
                what=what,
                organization_id=self.organization,
                item_ids=tuple(item.id for item in items or []),
                fields=fields,
                repairs=repairs,
            )
        )

    def fact(self, drift: MendableDrift, **more: Any) -> DriftObserved:
        return DriftObserved(
            key=self.key,
            drift=drift,
            observed_at=self.seen.asked_at,
            organization_id=self.organization,
            **more,
        )


def _ids(items: list[ConfigurationItem]) -> str:
    return ", ".join(str(item.id) for item in items)


def _of(items: list[ConfigurationItem], company: int) -> int:
    return next(item.id for item in items if item.company_id == company)
