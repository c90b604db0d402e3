"""The small scenarios of devices and their configuration items, and what was recorded on a real run."""

from __future__ import annotations

import orjson

from schemas.audit import AuditRecord
from schemas.facts import FieldsCreated, ParkedRetried, Selection
from schemas.topics import AUDIT
from tests.core.spec import DAY, HOUR, START, companies, device, devices, organizations, policy, removed, subject
from tests.faults.evidence_builder import healthy
from tests.golden.scenarios import Records, scenario

_TWO = {"companies": {"map": [{"organization": 17, "company": 29683}, {"organization": 18, "company": 500}]}}


@scenario("A device becomes an item, is renamed, gets more memory, is deleted and retired after its grace.")
def device_and_its_item() -> Records:
    scene = devices(device(), devices={"grace": "7d"}).settle("UpsertConfigurationItem")
    scene.when(device(START + HOUR, where=subject(device_name="NW-FS02"))).settle("UpsertConfigurationItem")
    scene.when(device(START + 2 * HOUR, memory_bytes=1 << 36)).later(DAY).when(removed(START + DAY))
    return scene.fire().settle("RetireConfigurationItem").records


@scenario("A device moves to another organization, to one without a company, and back.")
def organization_move() -> Records:
    scene = devices(device(), **_TWO).settle("UpsertConfigurationItem")
    scene.when(device(START + HOUR, where=subject(organization=18))).settle("RetireConfigurationItem")
    scene.settle("UpsertConfigurationItem", item_id=701, company_id=500)
    scene.when(device(START + 2 * HOUR, where=subject(organization=99, organization_name="Westwind")))
    scene.settle("RetireConfigurationItem").when(companies((6, "Westwind"))).settle(
        "UpsertConfigurationItem", item_id=702
    )
    return (
        scene.when(device(START + 3 * HOUR)).settle("RetireConfigurationItem").settle("UpsertConfigurationItem").records
    )


@scenario("A machine is cloned: two devices with the same serial, each with its own item.")
def clone_with_the_same_serial() -> Records:
    scene = devices(device(serial_twins=())).settle("UpsertConfigurationItem")
    clone = subject(device=408, device_name="NW-FS01-CLONE", device_uid="1e1e7a53-2a35-4b0e-9a0e-5b6c6e3f1a11")
    scene.when(device(START + HOUR, where=clone, serial_twins=(407,)), key="408")
    scene.settle("UpsertConfigurationItem", item_id=701).when(device(START + 2 * HOUR, serial_twins=(408,)))
    return scene.later(DAY).when(removed(START + DAY)).records


@scenario("Organizations and companies are matched by name, renamed, taken apart, and mapped by the policy.")
def names_and_renames() -> Records:
    scene = devices(
        organizations((17, "Nordwind GmbH"), (18, "Südwind")), companies((29683, "Nordwind"), (6, "Suedwind"))
    )
    other = subject(device=408, organization=18, organization_name="Südwind")
    scene.when(device(where=other), key="408").when(organizations((17, "Nordwind GmbH"), (18, "Südwind AG")))
    scene.when(companies((29683, "Nordwind"), (6, "Südwind Holding"), (7, "Südwind"))).when(policy(2, **_TWO))
    return scene.when(companies((29683, "Nordwind"))).records


@scenario("A product is unknown: the item is parked, retried, and its fields are created later.")
def refused_item() -> Records:
    scene = devices(device()).settle("UpsertConfigurationItem", "Rejected", reason="UnknownProduct")
    scene.when(ParkedRetried(selection=Selection(everything=True), actor="kim")).settle("UpsertConfigurationItem")
    scene.when(FieldsCreated(fields=("NinjaOne Link",), actor="kim"))
    return scene.when(policy(2, devices={"types": [{"type": "PC", "product": "Managed Mac"}]})).records


@scenario("A real run over both simulators: both ways of closing, a locked API user, every life of a ticket.")
def recorded_on_a_real_run() -> Records:
    rows = sorted(healthy().topics[AUDIT], key=lambda raw: (raw.partition, raw.offset))
    return [AuditRecord.from_json(raw.value or b"") for raw in rows if orjson.loads(raw.value or b"")["agent"]]
