"""Configuration item commands as calls: one read, and a write only where something differs.

The read asks for every candidate at once (our key, the serial, the name, a hardware address, one user-defined field), so
that the first sync of a large fleet costs two calls a device and an unchanged device one. Sources: vendor REST help
(ConfigurationItems: no delete, ``companyID`` is fixed at creation), "one UDF per query" of the query page.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any
from weakref import WeakValueDictionary

from connectors.autotask import texts
from connectors.autotask.client import AutotaskClient, Filter, any_of, condition, eq
from connectors.autotask.contracts import Contracts
from connectors.autotask.item_history import history, rivals_line, twin_line, twins_line, with_lines
from connectors.autotask.matching import Match, Wanted, choose, differences, masked
from connectors.autotask.metadata import FRESH_MS, Metadata
from connectors.autotask.outcome import join
from connectors.errors import CallFailed, Situation
from connectors.ports import Effect, Verdict
from schemas.autotask import ITEM_COLUMNS, ConfigurationItem, UserDefinedFieldInfo
from schemas.commands import RetireConfigurationItem, UpsertConfigurationItem
from schemas.hardware import plain_mac, real_serial
from schemas.identity import EXTERNAL_ID_PREFIX

ENTITY = "ConfigurationItems"
#: Several items might be the device's, or one machine has a second item that is nobody's.
AMBIGUOUS, TWIN = "AmbiguousItem", "TwinInAutotask"
#: Hardware addresses that are looked for: a machine has two or three cards, virtual ones add dozens.
_MACS = 4


class Items:
    """Creates, updates, adopts and retires items. Methods raise ``CallFailed``, ``CallsSuspended``, ``NameRefused``."""

    def __init__(self, client: AutotaskClient, metadata: Metadata) -> None:
        self._client = client
        self._metadata = metadata
        self._contracts = Contracts(client)
        #: Whether user-defined fields that a PATCH leaves out stay as they are; ``None`` until seen once.
        self._keeps_others: bool | None = None
        self._locks: WeakValueDictionary[tuple[int, str], asyncio.Lock] = WeakValueDictionary()

    async def upsert(self, command: UpsertConfigurationItem) -> Effect:
        """Make the item look as commanded; see ``UpsertConfigurationItem``."""
        async with self._alone(command):
            known = await self._metadata.user_defined(ENTITY)
            try:
                return await self._upsert(command)
            except CallFailed as failure:
                if failure.situation is not Situation.REFUSED_INPUT:
                    raise
                # A field that was taken away in Autotask must not stop the sync of everything else.
                fresh = await self._metadata.user_defined(ENTITY, max_age_ms=FRESH_MS)
                if not any(name.lower() in known and name.lower() not in fresh for name in command.fields):
                    raise
                return await self._upsert(command)

    async def _upsert(self, command: UpsertConfigurationItem) -> Effect:
        wanted, remarks = await self._wanted(command)
        match = await self._match(command, wanted)
        remarks.extend(match.remarks)
        if match.item is None and match.rivals:
            return Effect(verdict=Verdict.REJECTED, reason=AMBIGUOUS, detail=rivals_line(command, match))
        if match.item is None:
            item_id = await self._create(command, wanted, remarks)
            return _done(command, item_id, written=True, detail=join("created", *remarks))
        return await self._update(command, match.item, wanted, match, remarks)

    async def foreign(self, command: UpsertConfigurationItem, item: ConfigurationItem) -> list[str]:
        """The names of what is ours of an item and differs from what was commanded; no call but for metadata."""
        wanted, _ = await self._wanted(command)
        changed, _ = differences(item, wanted, ours=True)
        pairs = changed.pop("userDefinedFields", None)
        fields = [str(pair["name"]) for pair in pairs] if isinstance(pairs, list) else []
        return [*changed, *fields]

    async def find_upserted(self, command: UpsertConfigurationItem) -> Effect | None:
        """The item with our key, where nothing differs any more."""
        wanted, remarks = await self._wanted(command)
        match = await self._match(command, wanted)
        if match.item is None or match.step != "device_key" or match.doubles or _to_retire(command, match):
            return None
        changed, hidden = differences(match.item, wanted, ours=True)
        if changed:
            return None
        detail = join(*remarks, _hidden(hidden))
        return replace(_done(command, match.item.id, written=True, detail=detail), how="FoundByLookUp")

    async def retire(self, command: RetireConfigurationItem) -> Effect:
        """Set the item with our key inactive; an item that has another device's key by now is left alone."""
        ours = await self._query([eq("companyID", command.company_id), eq("referenceNumber", command.reference_number)])
        mine = [item for item in ours if item.reference_number == command.reference_number]
        active = [item for item in mine if item.is_active]
        for item in active:
            await self._client.patch(ENTITY, {"id": item.id, "isActive": False, **_noted(item, command.note)})
        if active:
            return _retired(command, active[0].id, written=True)
        if mine:
            return _retired(command, mine[0].id, reason="AlreadyInactive")
        return await self._retire_by_hint(command)

    async def find_retired(self, command: RetireConfigurationItem) -> Effect | None:
        """Whether no active item has our key. The read is the same as the one that begins a retirement."""
        rows = await self._query([eq("companyID", command.company_id), eq("referenceNumber", command.reference_number)])
        mine = [item for item in rows if item.reference_number == command.reference_number]
        if not mine or any(item.is_active for item in mine):
            return None
        return replace(_retired(command, mine[0].id, written=True), how="FoundByLookUp")

    async def _retire_by_hint(self, command: RetireConfigurationItem) -> Effect:
        row = await self._client.get(ENTITY, command.item_id) if command.item_id is not None else None
        if row is None:
            return _retired(command, None, reason="NoSuchItem", detail="no item carries this device's key any more")
        item = self._client.rows(ConfigurationItem, [row], endpoint=ENTITY)[0]
        if item.reference_number.startswith(EXTERNAL_ID_PREFIX):
            detail = f"item {item.id} now belongs to device {item.reference_number.removeprefix(EXTERNAL_ID_PREFIX)}"
            return _retired(command, item.id, reason="AdoptedByAnotherDevice", detail=detail)
        detail = f"item {item.id} no longer carries this device's key (referenceNumber '{item.reference_number}'); left alone"
        return _retired(command, item.id, reason="NoLongerOurs", detail=detail)

    async def _update(
        self,
        command: UpsertConfigurationItem,
        item: ConfigurationItem,
        wanted: Wanted,
        match: Match,
        remarks: list[str],
    ) -> Effect:
        lines = with_lines(item.notes, *history(command, match))
        if lines != item.notes:
            wanted = replace(wanted, columns={**wanted.columns, "notes": lines})
        changed, hidden = differences(item, wanted, ours=match.step == "device_key")
        remarks.append(_hidden(hidden))
        if match.step not in ("device_key", "item_id"):
            remarks.append(f"adopted by {match.step}")
        if changed:
            await self._change(item, changed, remarks)
        for double in match.doubles:
            # Two creates after a lost answer: never two active items for one device.
            await self._client.patch(ENTITY, {"id": double.id, "isActive": False})
            remarks.append(f"item {double.id} was a double and is inactive now")
        written = bool(changed or match.doubles)
        for twin in _to_retire(command, match):
            note = _noted(twin, twin_line(item.id, command))
            await self._client.patch(ENTITY, {"id": twin.id, "isActive": False, **note})
            remarks.append(f"item {twin.id} had the same serial number and is inactive now")
            written = True
        if match.twins and not _to_retire(command, match):
            remarks.append(twins_line(command, match.twins))
        effect = _done(command, item.id, written=written, detail=join(*remarks))
        return replace(effect, how=effect.how if written else "NothingToDo", reason=TWIN if match.twins else "")

    async def _change(self, item: ConfigurationItem, changed: dict[str, object], remarks: list[str]) -> None:
        """Write the differences. User-defined fields that are left out stay, says the vendor's own example, and others warn.

        So the first time it is looked whether they did; where they did not, they are restored, and from then on sent along.
        """
        pairs = changed.get("userDefinedFields")
        others = await self._others(item, pairs) if isinstance(pairs, list) else []
        if not isinstance(pairs, list) or not others:
            await self._patch({"id": item.id, **changed}, remarks)
            return
        whole = {"userDefinedFields": [*pairs, *others]}
        await self._patch({"id": item.id, **changed, **(whole if self._keeps_others is False else {})}, remarks)
        if self._keeps_others is None:
            try:
                row = await self._client.get(ENTITY, item.id)
            except CallFailed:
                return  # what was to be written is written; the next one looks
            if row is None:
                return
            after = self._client.rows(ConfigurationItem, [row], endpoint=ENTITY)[0]
            self._keeps_others = all(after.field(str(pair["name"])) for pair in others)
            if not self._keeps_others:
                await self._patch({"id": item.id, **whole}, remarks)

    async def _others(self, item: ConfigurationItem, pairs: Sequence[dict[str, object]]) -> list[dict[str, object]]:
        """The item's user-defined values that we do not change and could write."""
        known = await self._metadata.user_defined(ENTITY)
        named = {str(pair["name"]).lower() for pair in pairs}
        return [
            {"name": entry.name, "value": entry.value}
            for entry in item.user_defined_fields
            if entry.value and entry.name.lower() not in named and not masked(entry.value)
            if (info := known.get(entry.name.lower())) is not None and not info.is_read_only
        ]

    async def _match(self, command: UpsertConfigurationItem, wanted: Wanted) -> Match:
        known = await self._metadata.user_defined(ENTITY)
        uid_field = _field_holding(command.device_uid or "", wanted)
        mac_field = _field_holding(", ".join(command.mac_addresses), wanted)
        alternatives = [eq("referenceNumber", command.reference_number), *await self._alternatives(command)]
        if "device_uid" in command.match and command.device_uid and uid_field and _queryable(known, uid_field):
            alternatives.append(eq(uid_field, command.device_uid, udf=True))
        found = await self._query([eq("companyID", command.company_id), any_of(*alternatives)])
        match = choose(command, found, uid_field=uid_field, mac_field=mac_field)
        if match.item is None and "mac" in command.match and mac_field and _queryable(known, mac_field):
            # A second query, since only one user-defined field may stand in each.
            wanted_macs = [condition("contains", mac_field, mac, udf=True) for mac in command.mac_addresses[:1] if mac]
            if wanted_macs:
                found = [*found, *await self._query([eq("companyID", command.company_id), *wanted_macs])]
                match = choose(command, found, uid_field=uid_field, mac_field=mac_field)
        return match if match.item is not None else await self._by_hint(command, match)

    async def _by_hint(self, command: UpsertConfigurationItem, match: Match) -> Match:
        """The item of an earlier outcome, whose key or name somebody changed in Autotask."""
        row = await self._client.get(ENTITY, command.item_id) if command.item_id is not None else None
        if row is None:
            return match
        item = self._client.rows(ConfigurationItem, [row], endpoint=ENTITY)[0]
        taken = item.reference_number.startswith(EXTERNAL_ID_PREFIX) and item.is_active
        if item.company_id != command.company_id or taken:
            return match
        return Match(item, "item_id", remarks=match.remarks)

    async def _alternatives(self, command: UpsertConfigurationItem) -> list[Filter]:
        columns = await self._metadata.fields(ENTITY)
        found: list[Filter] = []
        serial = real_serial(command.serial)
        if "serial" in command.match and serial:
            found.append(eq("serialNumber", serial))
        if "hostname" in command.match:
            names = dict.fromkeys(name.strip() for name in (command.hostname, command.title) if name.strip())
            found.extend(eq("referenceTitle", texts.line(name, texts.ITEM_TITLE)) for name in names)
        audit = columns.get("rmmdeviceauditmacaddress")
        if "mac" in command.match and audit is not None and audit.is_queryable:
            # Filled by the vendor's own RMM, whose way of writing an address is not ours to choose.
            for mac in [plain for plain in map(plain_mac, command.mac_addresses) if plain][:_MACS]:
                pairs = [mac[at : at + 2].upper() for at in range(0, 12, 2)]
                for written in (":".join(pairs), "-".join(pairs), "".join(pairs)):
                    found.append(condition("contains", "rmmDeviceAuditMacAddress", written))
        return found

    async def _wanted(self, command: UpsertConfigurationItem) -> tuple[Wanted, list[str]]:
        columns: dict[str, object] = {
            "referenceTitle": texts.line(command.title, texts.ITEM_TITLE),
            "referenceNumber": command.reference_number,
            "isActive": True,
            "productID": await self._metadata.row_named(command.product, entity="Products", what="product"),
        }
        if command.item_type is not None:
            columns["configurationItemType"] = await self._metadata.picked(
                command.item_type, entity=ENTITY, field="configurationItemType", what="configuration item type"
            )
        if command.category is not None:
            columns["configurationItemCategoryID"] = await self._metadata.row_named(
                command.category, entity="ConfigurationItemCategories", what="configuration item category"
            )
        serial = real_serial(command.serial)
        if serial:
            columns["serialNumber"] = texts.line(serial, texts.SERIAL)
        columns.update(_columns(command))
        fields, missing = await self._fields(command)
        remarks = (
            [
                f"without the user-defined fields {', '.join(missing)}: they do not exist in Autotask; 'lockstep setup' creates them"
            ]
            if missing
            else []
        )
        where_empty: dict[str, object] = {}
        if command.contract == "default":
            contract, why = await self._contracts.default_of(command.company_id)
            if contract is None:
                remarks.append(f"without a contract: {why}")
            else:
                where_empty["contractID"] = contract
        elif command.contract is not None:
            columns["contractID"] = command.contract
        return Wanted(columns=columns, fields=fields, where_empty=where_empty), remarks

    async def _fields(self, command: UpsertConfigurationItem) -> tuple[dict[str, str], list[str]]:
        """The user-defined fields under their real names, cut to their lengths, and the names that do not exist."""
        known = await self._metadata.user_defined(ENTITY)
        ours = [name for name in command.fields if name not in ITEM_COLUMNS]
        if any(name.lower() not in known for name in ours):
            known = await self._metadata.user_defined(ENTITY, max_age_ms=FRESH_MS)
        missing = [name for name in ours if name.lower() not in known]
        fields: dict[str, str] = {}
        for name, text in command.fields.items():
            info = known.get(name.lower())
            if info is not None and name in ours:
                fields[info.name] = texts.cut(text, info.length or 255)
        return fields, missing

    async def _create(self, command: UpsertConfigurationItem, wanted: Wanted, remarks: list[str]) -> int:
        pairs = [{"name": name, "value": text} for name, text in wanted.fields.items() if text]
        body: dict[str, Any] = {"companyID": command.company_id, **wanted.columns, **wanted.where_empty}
        if command.note:
            body["notes"] = with_lines("", command.note)
        if pairs:
            body["userDefinedFields"] = pairs
        try:
            return await self._client.create(ENTITY, _on_the_wire(body))
        except CallFailed as failure:
            self._doubt_metadata(failure)
            _spare_contract(body, failure, remarks)
            return await self._client.create(ENTITY, _on_the_wire(body))

    async def _patch(self, body: dict[str, object], remarks: list[str]) -> None:
        try:
            await self._client.patch(ENTITY, _on_the_wire(body))
        except CallFailed as failure:
            self._doubt_metadata(failure)
            _spare_contract(body, failure, remarks)
            if set(body) != {"id"}:
                await self._client.patch(ENTITY, _on_the_wire(body))

    def _doubt_metadata(self, failure: CallFailed) -> None:
        """A refused write may mean that what we know of the tenant is old: fields, types and products are read anew."""
        if failure.situation is Situation.REFUSED_INPUT:
            for entity in (ENTITY, "Products", "ConfigurationItemCategories"):
                self._metadata.forget(entity)

    async def _query(self, filters: Sequence[Filter]) -> list[ConfigurationItem]:
        return self._client.rows(ConfigurationItem, await self._client.query(ENTITY, filters), endpoint=ENTITY)

    @asynccontextmanager
    async def _alone(self, command: UpsertConfigurationItem) -> AsyncIterator[None]:
        """Writes for one serial, name or address in one company never overlap: two devices would adopt one item.

        Taken in one order, so that two commands that share several of them cannot wait for each other.
        """
        names = {f"n {command.title.lower()}", f"n {command.hostname.lower()}", f"k {command.reference_number}"}
        names |= {f"m {plain}" for plain in map(plain_mac, command.mac_addresses) if plain}
        if serial := real_serial(command.serial):
            names.add(f"s {serial.lower()}")
        # Held here while anybody waits or works; the weak table forgets a lock that nobody holds.
        locks = [
            self._locks.setdefault(key, asyncio.Lock()) for key in sorted((command.company_id, name) for name in names)
        ]
        async with AsyncExitStack() as stack:
            for lock in locks:
                await stack.enter_async_context(lock)
            yield


def _field_holding(value: str, wanted: Wanted) -> str | None:
    """The user-defined field that the policy fills with this value: where the same value is looked for."""
    return next((name for name, text in wanted.fields.items() if value and text == value), None)


def _queryable(known: dict[str, UserDefinedFieldInfo], name: str) -> bool:
    info = known.get(name.lower())
    return info is not None and info.is_queryable


def _columns(command: UpsertConfigurationItem) -> dict[str, str]:
    """The item's own columns among the policy's fields. What is not known leaves what people wrote there."""
    return {name: texts.line(text, 100) for name in ITEM_COLUMNS if (text := command.fields.get(name))}


def _on_the_wire(body: dict[str, Any]) -> dict[str, Any]:
    """Days as the instants that the vendor's date columns take."""
    days = {name: f"{body[name]}T00:00:00Z" for name in ITEM_COLUMNS if name.endswith("Date") and name in body}
    return {**body, **days}


def _spare_contract(body: dict[str, Any], failure: CallFailed, remarks: list[str]) -> None:
    """Take a contract that does not fit out of a refused write and say so; raises the failure where it is about something else.

    An item that is not in step is worse than one without its contract.
    """
    if "contractID" not in body or not failure.is_about("contract"):
        raise failure
    remarks.append(f"without its contract {body.pop('contractID')}: {failure.detail}")


def _to_retire(command: UpsertConfigurationItem, match: Match) -> tuple[ConfigurationItem, ...]:
    """The twins that the policy wants inactive; none while it is not known which other devices have the serial."""
    return match.twins if command.twins == "retire" and command.alive is not None else ()


def _noted(item: ConfigurationItem, line: str) -> dict[str, object]:
    """The change of an item's notes that adds a line, empty where it stands there already."""
    lines = with_lines(item.notes, line)
    return {} if lines == item.notes else {"notes": lines}


def _hidden(names: Sequence[str]) -> str:
    if not names:
        return ""
    return f"without {', '.join(names)}: protected data that the API user may not see"


def _done(command: UpsertConfigurationItem, item_id: int, *, written: bool, detail: str) -> Effect:
    return Effect(
        verdict=Verdict.SUCCEEDED, item_id=item_id, company_id=command.company_id, written=written, detail=detail
    )


def _retired(
    command: RetireConfigurationItem, item_id: int | None, *, written: bool = False, reason: str = "", detail: str = ""
) -> Effect:
    return Effect(
        verdict=Verdict.SUCCEEDED,
        how="Called" if written else "NothingToDo",
        item_id=item_id,
        company_id=command.company_id,
        written=written,
        reason=reason,
        detail=detail,
    )
