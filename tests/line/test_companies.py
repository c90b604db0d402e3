"""Organizations find their companies and machines keep their items, on the whole line.

Every rule of the mapping is in ``tests/core/test_mapping.py`` and ``tests/connectors/test_autotask_identity.py``; here
the ones that matter on the first day meet both vendors.
"""

from __future__ import annotations

import json

from tests.line.system import Row, System, until


def organization(system: System, name: str) -> Row:
    """A customer that is new in NinjaOne."""
    return system.ninja.ask("POST", "organizations", name=name)


def parked(system: System) -> list[Row]:
    return json.loads(system.lockstep("parked", "list", "--json").out)["parked"]


def company_id(system: System, name: str) -> int:
    return next(c["id"] for c in system.psa.state()["companies"] if c["companyName"] == name)


def items_with(system: System, **values: object) -> list[Row]:
    rows = system.psa.state()["configurationItems"]
    return [row for row in rows if row["isActive"] and all(row[name] == value for name, value in values.items())]


def test_work_of_a_customer_without_a_company_waits_visibly_and_goes_out_once_there_is_one(system: System) -> None:
    customer = organization(system, "Latecomers")
    machine = system.add(organizationId=customer["id"])
    uid = system.alert(machine, "Somebody should look")
    waiting = until(
        "the alert is parked", lambda: [row for row in parked(system) if row["organization_id"] == customer["id"]]
    )
    assert {row["reason"] for row in waiting} == {"UnmappedOrganization"}
    other = system.opened(system.alert(system.take()[0], "Of somebody else"))[0]
    assert system.ticket_of(uid) is None
    made = system.psa.ask("POST", "companies", companyName="Latecomers, Inc.")
    ticket = system.opened(uid)[0]
    assert ticket["companyID"] == made["itemId"]
    assert other["companyID"] != ticket["companyID"]
    until("its machine has an item", lambda: system.item(machine))
    assert [row for row in parked(system) if row["organization_id"] == customer["id"]] == []


def test_neither_a_rename_in_ninjaone_nor_one_in_autotask_moves_a_customer(system: System) -> None:
    customer = organization(system, "Before The Merger")
    made = system.psa.ask("POST", "companies", companyName="Before The Merger")
    machine = system.add(organizationId=customer["id"])
    assert system.opened(system.alert(machine, "First"))[0]["companyID"] == made["itemId"]
    system.ninja.ask("PATCH", f"organizations/{customer['id']}", name="After The Merger")
    system.psa.ask("PATCH", f"companies/{made['itemId']}", companyName="Something Else Altogether")

    def renamed() -> bool:
        mapping = json.loads(system.lockstep("explain", f"o{customer['id']}", "--json").out)
        return "renamed" in json.dumps(mapping)

    until("the mapping says that it was renamed", renamed)
    assert system.opened(system.alert(machine, "Second", subject="another condition"))[0]["companyID"] == made["itemId"]
    assert len(items_with(system, referenceNumber=f"ls.{machine['id']}", companyID=made["itemId"])) == 1


def test_the_map_of_the_policy_wins_over_a_name_that_fits(system: System) -> None:
    customer = organization(system, "Twice The Same")
    system.psa.ask("POST", "companies", companyName="Twice The Same")
    payer = system.psa.ask("POST", "companies", companyName="Who Pays For It")
    policy = system.policy()
    policy["companies"] = {
        **policy.get("companies", {}),
        "map": [{"organization": customer["id"], "company": payer["itemId"]}],
    }
    try:
        system.publish(policy)
        machine = system.add(organizationId=customer["id"])
        assert system.opened(system.alert(machine, "To whom?"))[0]["companyID"] == payer["itemId"]
    finally:
        system.publish(system.policy())


def test_two_companies_that_fit_are_not_guessed_between(system: System) -> None:
    customer = organization(system, "Same Name")
    for name in ("Same Name GmbH", "Same Name Ltd."):
        system.psa.ask("POST", "companies", companyName=name)
    uid = system.alert(system.add(organizationId=customer["id"]), "Whose?")
    until(
        "all its work is parked, for this reason",
        lambda: (
            {row["reason"] for row in parked(system) if row["organization_id"] == customer["id"]}
            == {"AmbiguousCompany"}
        ),
    )
    assert system.ticket_of(uid) is None


def test_an_item_that_autotask_has_is_adopted_and_not_doubled(system: System) -> None:
    place = system.take()[0]["organizationId"]
    company = next(i["companyID"] for i in system.items() if i["referenceNumber"] == f"ls.{_any(system, place)}")
    known = system.psa.ask(
        "POST", "configuration-items", companyID=company, serialNumber="ADOPT-ME-4711", referenceTitle="By hand"
    )
    machine = system.add(organizationId=place, system={"serialNumber": "ADOPT-ME-4711"})
    item = until("the machine has an item", lambda: system.item(machine))
    assert item["id"] == known["itemId"]
    assert len(items_with(system, serialNumber="ADOPT-ME-4711")) == 1


def test_a_machine_that_is_enrolled_anew_keeps_its_item_and_two_with_one_serial_have_two(system: System) -> None:
    policy = system.policy()
    policy["devices"]["grace"] = "1h"
    try:
        system.publish(policy)
        place = system.take()[0]["organizationId"]
        first = system.add(organizationId=place, system={"serialNumber": "ENROL-0815"})
        item = until("the machine has an item", lambda: system.item(first))
        system.ninja.ask("DELETE", f"devices/{first['id']}")
        again = system.add(organizationId=place, system={"serialNumber": "ENROL-0815"})
        kept = until("the machine keeps its item", lambda: system.item(again))
        assert kept["id"] == item["id"]
        clone = system.add(organizationId=place, system={"serialNumber": "ENROL-0815"})
        other = until("the clone has an item of its own", lambda: system.item(clone))
        assert other["id"] != kept["id"]
        assert system.item(again) is not None
    finally:
        system.publish(system.policy())


def _any(system: System, place: int) -> int:
    return next(d["id"] for d in system.fleet() if d["organizationId"] == place and system.item(d) is not None)
