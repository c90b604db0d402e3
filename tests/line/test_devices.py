"""Devices in NinjaOne are configuration items in Autotask (M1 to M3), judged by what Autotask holds in the end."""

from __future__ import annotations

from collections import Counter

from tests.line.system import Row, System, fields_of, name_of, until, writes

SERVER, WORKSTATION, NETWORK = 10, 14, 15  # item types of the simulated tenant
MANAGED_SERVER, MANAGED_DEVICE, MANAGED_NETWORK = 29_682_953, 29_682_954, 29_682_955  # its products


def test_an_item_carries_serial_system_memory_and_addresses(system: System) -> None:
    device = system.take()[0]
    item = until("the device has an item", lambda: system.item(device))
    fields = fields_of(item)
    assert item["referenceTitle"] == name_of(device)
    assert item["serialNumber"] == device["system"]["serialNumber"]
    assert fields["Operating System"] == device["os"]["name"]
    gigabytes = device["memory"]["capacity"] // 1024**3
    assert str(gigabytes) in (fields["Memory"] or "")
    for address in device["ipAddresses"]:
        assert address in (fields["IP Addresses"] or "")
    for address in device["macAddresses"]:
        assert address.lower() in (fields["MAC Addresses"] or "").lower()


def test_type_and_product_follow_role_and_class(system: System) -> None:
    roles = {role["id"]: role["name"] for role in system.ninja.state()["roles"]}
    wanted: dict[str, tuple[int, int]] = {}
    for device in system.fleet():
        if roles[device["nodeRoleId"]] == "Windows Laptop":
            wanted[f"ls.{device['id']}"] = (NETWORK, MANAGED_NETWORK)
        elif device["nodeClass"] in ("WINDOWS_SERVER", "LINUX_SERVER", "MAC_SERVER"):
            wanted[f"ls.{device['id']}"] = (SERVER, MANAGED_SERVER)
        else:
            wanted[f"ls.{device['id']}"] = (WORKSTATION, MANAGED_DEVICE)
    found = {i["referenceNumber"]: (i["configurationItemType"], i["productID"]) for i in system.items()}
    assert {key: found[key] for key in wanted if key in found} == {key: wanted[key] for key in wanted if key in found}
    assert len(set(wanted.values())) == 3
    assert len(found) >= system.devices - 2


def test_a_rename_is_followed(system: System) -> None:
    device = system.take()[0]
    system.ninja.ask("PATCH", f"devices/{device['id']}", displayName="RENAMED-01")
    until("the item has the new name", lambda: _item(system, device)["referenceTitle"] == "RENAMED-01")


def test_a_change_of_role_changes_type_and_product(system: System) -> None:
    roles = {role["name"]: role["id"] for role in system.ninja.state()["roles"]}
    device = next(d for d in system.take(6) if d["nodeRoleId"] == roles["Windows Desktop"])
    assert _item(system, device)["configurationItemType"] == WORKSTATION
    system.ninja.ask("PATCH", f"devices/{device['id']}", nodeRoleId=roles["Windows Laptop"])
    until("the item has the other type", lambda: _item(system, device)["configurationItemType"] == NETWORK)
    assert _item(system, device)["productID"] == MANAGED_NETWORK


def test_a_device_that_moves_gets_an_item_in_the_new_company_and_the_old_one_is_retired(system: System) -> None:
    device = system.take()[0]
    old = _item(system, device)
    target = next(o["id"] for o in system.ninja.state()["organizations"] if o["id"] != device["organizationId"])
    system.ninja.ask("PATCH", f"devices/{device['id']}", organizationId=target)

    def moved() -> bool:
        rows = {row["id"]: row for row in system.psa.state()["configurationItems"]}
        active = [row for row in rows.values() if row["serialNumber"] == old["serialNumber"] and row["isActive"]]
        return not rows[old["id"]]["isActive"] and len(active) == 1 and active[0]["companyID"] != old["companyID"]

    until("there is one active item, in the new company", moved)


def test_a_deleted_device_is_retired(system: System) -> None:
    device = system.take()[0]
    item = _item(system, device)
    system.ninja.ask("DELETE", f"devices/{device['id']}")

    def retired() -> bool:
        rows = {row["id"]: row for row in system.psa.state()["configurationItems"]}
        return not rows[item["id"]]["isActive"]

    until("the item is inactive", retired)


def test_an_unchanged_device_is_not_written_over_two_sweeps(system: System) -> None:
    system.silence(1.5)
    ninja, psa = system.ninja.mark(), system.psa.mark()

    def two_sweeps() -> bool:
        return sum("devices-detailed" in call["path"] for call in system.ninja.calls(ninja)) >= 2

    until("two sweeps are over", two_sweeps)
    assert writes(system.psa.calls(psa)) == []
    reads = Counter(call["entity"] for call in system.psa.calls(psa))
    assert reads["ConfigurationItems"] == 0, "an unchanged device needs no look either"


def test_the_link_on_item_and_ticket_opens_the_device(system: System) -> None:
    device = system.take()[0]
    ticket = system.opened(system.alert(device))[0]
    link = fields_of(_item(system, device))["NinjaOne Link"]
    assert link == f"{system.ninja.base}/#/deviceDashboard/{device['id']}/overview"
    assert link in ticket["description"]
    page = system.ninja.http.get(link)
    assert page.status_code == 200
    assert "NinjaOne" in page.text
    assert "deviceDashboard" in page.text, "the page shows the device that the link's fragment names"
    assert ticket["configurationItemID"] == _item(system, device)["id"]


def test_a_missing_user_defined_field_is_named_then_made_then_filled_and_nothing_else_changes(system: System) -> None:
    policy = system.policy()
    policy["devices"]["fields"]["model"] = "Device Model"
    try:
        system.publish(policy)
        said = system.lockstep("check")
        assert said.code == 2
        assert "'Device Model'" in said.out
        assert "Memory" not in said.out
        system.silence(2)
        since = len(system.psa.history())
        said = system.lockstep("setup")
        assert said.code == 0, said
        assert "Device Model" in said.out
        models = {f"ls.{d['id']}": (d.get("system") or {}).get("model") for d in system.fleet()}

        def filled() -> bool:
            items = [item for item in system.items() if models.get(item["referenceNumber"])]
            return all(fields_of(item).get("Device Model") == models[item["referenceNumber"]] for item in items)

        # "setup" tells the running system only when no executor can still believe that the field is missing.
        until("every item has its model", filled)
        system.silence(2)
        changed = [row for row in system.psa.history(since) if row["entity"] == "ConfigurationItems"]
        assert {key for row in changed for key in row["after"]} <= {
            "userDefinedFields",
            "lastModifiedTime",
            "lastActivityPersonID",
            "lastActivityPersonType",
        }
        assert max(Counter(row["id"] for row in changed).values()) == 1, "each item once"
        assert system.lockstep("check").code == 0
    finally:
        system.publish(system.policy())


def _item(system: System, device: Row) -> Row:
    return until("the device has an item", lambda: system.item(device))
