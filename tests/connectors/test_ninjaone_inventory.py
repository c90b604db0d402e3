"""Devices: told on change only, removed only when really gone, the same ids after a crash, new ones after A, B, A."""

import orjson
import pytest

from connectors.autotask.unreadable import RowReader
from connectors.errors import CallFailed
from connectors.ninjaone.client import Unreadable
from connectors.ninjaone.device_fact import device_observed
from connectors.ninjaone.unreadable import UnreadableRows
from connectors.personal import without_personal
from schemas.autotask import TicketNote
from schemas.facts import AlertGone, DeviceObserved, DeviceRemoved, OrganizationsObserved, Subject
from schemas.ninjaone import DeviceRow
from schemas.personal import PersonalValue, kind_of_token
from schemas.topics import PERSONAL
from tests.connectors.memory_log import MemoryLog
from tests.connectors.ninja_connected import bench, started


async def change(made, device_id, **fields):
    await made.lab.control("PATCH", f"devices/{device_id}", fields)


async def delete(made, device_id):
    await made.lab.control("DELETE", f"devices/{device_id}")


async def test_the_first_sweep_tells_every_device_once_with_its_hardware():
    async with bench(devices=8) as made, started(made) as connector:
        publications = made.log.of(DeviceObserved)
        assert len(publications) == 8
        assert len({entry.id for entry in publications}) == 8
        one = next(entry for entry in publications if entry.key == "1001")
        row = made.lab.vendor.store.fleet.devices[1001].row
        assert one.topic == "ninjaone.devices"
        assert one.fact.serial == row["system"]["serialNumber"]
        assert one.fact.memory_bytes == row["memory"]["capacity"]
        assert one.fact.os_name == row["os"]["name"]
        assert set(one.fact.ip_addresses) == set(row["ipAddresses"])
        assert one.fact.subject.role_name
        await connector.inventory.sweep()
        assert len(made.log.of(DeviceObserved)) == 8


async def test_a_restart_tells_nothing_that_did_not_change():
    async with bench() as made:
        async with started(made):
            pass
        told = len(made.log.publications)
        async with started(made):
            pass
        assert len(made.log.publications) == told


async def test_what_changes_by_itself_is_no_change():
    async with bench() as made, started(made) as connector:
        told = len(made.log.publications)
        row = made.lab.vendor.store.fleet.devices[1001].row
        row["offline"] = not row["offline"]
        row["lastContact"] = row["lastUpdate"] = made.now() / 1000
        row["os"] = {**row["os"], "lastBootTime": made.now() / 1000, "needsReboot": True}
        row["volumes"] = [{**volume, "freeSpace": 1} for volume in row["volumes"]]
        row["lastLoggedInUser"] = "SOMEBODY\\else"
        row["ipAddresses"] = list(reversed(row["ipAddresses"]))
        await connector.inventory.sweep()
        assert len(made.log.publications) == told


async def test_a_device_that_returns_to_an_earlier_look_gets_a_new_id_each_time():
    async with bench() as made, started(made) as connector:
        name = made.lab.vendor.store.fleet.devices[1001].row["displayName"]
        for text in ("B", name, "B", name):
            await change(made, 1001, displayName=text)
            await connector.inventory.sweep()
        looks = [entry for entry in made.log.of(DeviceObserved) if entry.key == "1001"]
        assert [entry.fact.subject.device_name for entry in looks] == [name, "B", name, "B", name]
        assert len({entry.id for entry in looks}) == 5


async def test_a_crash_between_telling_and_remembering_repeats_the_same_id():
    async with bench() as made:
        async with started(made) as connector:
            kept = dict(made.log.compacted["device-digests"])
            await change(made, 1001, displayName="NEW-NAME")
            await connector.inventory.sweep()
        made.log.compacted["device-digests"] = kept
        async with started(made):
            pass
        ids = [entry.id for entry in made.log.of(DeviceObserved) if entry.fact.subject.device_name == "NEW-NAME"]
        assert len(ids) == 2
        assert len(set(ids)) == 1


async def test_it_is_remembered_only_after_it_was_acknowledged():
    async with bench() as made, started(made) as connector:
        await change(made, 1001, displayName="NEW-NAME")
        made.log.refusing = ConnectionError("no broker")
        with pytest.raises(ConnectionError):
            await connector.inventory.sweep()
        made.log.refusing = None
        await connector.inventory.sweep()
        assert [fact.subject.device_name for fact in made.log.facts(DeviceObserved)].count("NEW-NAME") == 1
        first, second = (
            made.log.writes.index(f"{verb} 1001") for verb in ("publish DeviceObserved", "remember device-digests")
        )
        assert first < second


async def test_a_change_of_role_or_organization_is_told():
    async with bench() as made, started(made) as connector:
        fleet = made.lab.vendor.store.fleet
        role = next(id_ for id_ in fleet.roles if id_ != fleet.devices[1001].row["nodeRoleId"])
        other = next(id_ for id_ in fleet.organizations if id_ != fleet.devices[1001].row["organizationId"])
        await change(made, 1001, nodeRoleId=role)
        await connector.inventory.sweep()
        await change(made, 1001, organizationId=other, locationId=fleet.locations_of(other)[0]["id"])
        await connector.inventory.sweep()
        subjects = [fact.subject for fact in made.log.facts(DeviceObserved) if fact.subject.device_id == 1001]
        assert [subject.role_id for subject in subjects][1:] == [role, role]
        assert subjects[-1].organization_id == other


async def test_a_device_missing_from_two_sweeps_is_removed_with_its_alerts():
    async with bench() as made, started(made) as connector:
        uid = await made.lab.alert(deviceId=1002)
        await connector.poller.poll()
        del made.lab.vendor.store.fleet.devices[1002]
        await connector.inventory.sweep()
        assert made.log.facts(DeviceRemoved) == []
        await connector.inventory.sweep()
        [removed], [gone] = made.log.facts(DeviceRemoved), made.log.facts(AlertGone)
        assert (removed.device_id, removed.cause) == (1002, "MissingFromSweep")
        assert (gone.uid, gone.cause, gone.subject.device_id) == (uid, "DeviceRemoved", 1002)
        await connector.inventory.sweep()
        assert len(made.log.facts(DeviceRemoved)) == 1


async def test_a_failed_sweep_between_starts_the_count_anew():
    async with bench() as made, started(made) as connector:
        row = made.lab.vendor.store.fleet.devices.pop(1002)
        await connector.inventory.sweep()
        fault = await made.lab.fault("truncated", count=-1, match={"path": "/v2/devices-detailed"})
        with pytest.raises(CallFailed):
            await connector.inventory.sweep()
        await made.lab.control("DELETE", f"faults/{fault}")
        await connector.inventory.sweep()
        assert made.log.facts(DeviceRemoved) == []
        made.lab.vendor.store.fleet.devices[1002] = row


async def test_a_device_that_comes_back_is_told_again_under_a_new_id():
    async with bench() as made, started(made) as connector:
        device = made.lab.vendor.store.fleet.devices.pop(1002)
        await connector.inventory.sweep()
        await connector.inventory.sweep()
        made.lab.vendor.store.fleet.devices[1002] = device
        await connector.inventory.sweep()
        looks = [entry for entry in made.log.publications if entry.key == "1002"]
        assert [type(entry.fact) for entry in looks] == [DeviceObserved, DeviceRemoved, DeviceObserved]
        assert len({entry.id for entry in looks}) == 3


async def test_activities_of_one_device_lead_to_one_look_and_a_deletion_is_told_at_once():
    async with bench() as made, started(made) as connector:
        await connector.poller.poll()
        await change(made, 1001, displayName="ONE")
        await change(made, 1001, displayName="TWO")
        await delete(made, 1002)
        await connector.poller.poll()
        before = len(await made.calls("devices"))
        await connector.looks.work()
        assert len(await made.calls("devices")) - before == 2
        assert [fact.subject.device_name for fact in made.log.facts(DeviceObserved)][-1] == "TWO"
        [removed] = made.log.facts(DeviceRemoved)
        assert (removed.device_id, removed.cause) == (1002, "Deleted")
        assert made.naps.taken[-1] == 0.2


async def test_a_look_that_fails_is_made_again():
    async with bench() as made, started(made) as connector:
        await change(made, 1001, displayName="ONE")
        connector.looks.device(1001, None)
        fault = await made.lab.fault("status", count=-1, match={"path": "/v2/device/1001"}, params={"code": 502})
        with pytest.raises(CallFailed):
            await connector.looks.work()
        await made.lab.control("DELETE", f"faults/{fault}")
        await connector.looks.work()
        assert [fact.subject.device_name for fact in made.log.facts(DeviceObserved)][-1] == "ONE"


async def test_many_changed_devices_are_one_sweep_instead_of_many_looks():
    async with bench(devices=40) as made, started(made) as connector:
        before = len(await made.calls())
        for device_id in range(1001, 1031):
            await change(made, device_id, displayName=f"N{device_id}")
            connector.looks.device(device_id, None)
        await connector.looks.work()
        assert len(await made.calls()) - before < 15
        assert len([fact for fact in made.log.facts(DeviceObserved) if fact.subject.device_name.startswith("N1")]) == 30


async def test_a_look_and_the_next_sweep_see_the_same_device_the_same():
    async with bench() as made, started(made) as connector:
        told = len(made.log.publications)
        for device_id in range(1001, 1009):
            await connector.inventory.look(device_id)
        await made.lab.setting(references_on_detailed="present")
        await connector.inventory.sweep()
        assert len(made.log.publications) == told


async def test_organizations_are_told_when_their_list_changes():
    async with bench() as made, started(made) as connector:
        [first] = made.log.of(OrganizationsObserved)
        assert first.topic == "control"
        assert len(first.fact.organizations) == 2
        await connector.inventory.sweep()
        organization = next(iter(made.lab.vendor.store.fleet.organizations.values()))
        name, organization["name"] = organization["name"], "Renamed & Sons"
        await connector.inventory.sweep()
        organization["name"] = name
        await connector.inventory.sweep()
        told = made.log.of(OrganizationsObserved)
        assert len({entry.id for entry in told}) == len(told) == 3
        assert told[0].fact.digest == told[2].fact.digest


async def test_the_digests_on_record_name_no_person():
    async with bench() as made, started(made):
        value = orjson.loads(made.log.compacted["device-digests"]["1001"])
        assert set(value) == {"count", "digest", "at"}
        devices = made.lab.vendor.store.fleet.devices.values()
        users = [device.row["lastLoggedInUser"] for device in devices if "lastLoggedInUser" in device.row]
        told = b"".join(entry.fact.to_json() for entry in made.log.publications).decode()
        assert users
        assert not [user for user in users if user.split("\\")[-1] in told]


def test_a_virtual_machine_host_is_read_from_its_flat_fields():
    row = DeviceRow.model_validate(
        {"id": 5, "deviceType": "VMHost", "vendor": "Example", "model": "H1", "serviceTag": "ST9", "cpuModel": "C",
         "cpuCores": 16, "memorySize": 1024, "version": "8.0", "buildNumber": "42", "releaseName": "ESXi"}
    )  # fmt: skip
    fact = device_observed(row, Subject(organization_id=1, device_id=5), observed_at=7)
    assert (fact.serial, fact.manufacturer, fact.os_name, fact.os_version) == ("ST9", "Example", "ESXi", "8.0 (42)")
    assert (fact.processor, fact.processor_cores, fact.memory_bytes) == ("C", 16, 1024)


def test_the_time_of_looking_is_not_part_of_the_digest():
    row, subject = DeviceRow(id=5), Subject(organization_id=1, device_id=5)
    first, second = (device_observed(row, subject, observed_at=at) for at in (1, 2))
    assert first.digest == second.digest


async def asked_for() -> bool:
    return True


def users_told(made) -> list[str]:
    return [fact.last_user for fact in made.log.facts(DeviceObserved) if fact.subject.device_id == 1001]


async def user_is(made, name: str) -> None:
    made.lab.vendor.store.fleet.devices[1001].row["lastLoggedInUser"] = name


async def test_the_last_user_is_told_only_while_it_is_asked_for_and_only_as_a_token():
    async with bench() as made, started(made) as connector:
        assert not any(fact.last_user for fact in made.log.facts(DeviceObserved))
        assert made.log.compacted[PERSONAL] == {}
        await user_is(made, "ACME\\zoe")
        connector.inventory._last_user_wanted = asked_for
        await connector.inventory.sweep()
        token = users_told(made)[-1]
        record = PersonalValue.from_json(made.log.compacted[PERSONAL][f"1001/{token}"])
        assert (record.value, record.kind, record.organization_id) == ("ACME\\zoe", "last_user", 11)
        assert kind_of_token(token) == "last_user"
        assert b"zoe" not in b"".join(entry.fact.to_json() for entry in made.log.publications)
        assert b"zoe" not in b"".join(made.log.compacted["device-digests"].values())


async def test_an_unchanged_user_is_no_news_and_a_former_one_is_forgotten():
    async with bench() as made, started(made) as connector:
        connector.inventory._last_user_wanted = asked_for
        await user_is(made, "ACME\\zoe")
        await connector.inventory.sweep()
        told = len(made.log.publications)
        await connector.inventory.sweep()
        assert len(made.log.publications) == told
        await user_is(made, "ACME\\max")
        await connector.inventory.sweep()
        await user_is(made, "ACME\\zoe")
        await connector.inventory.sweep()
        first, second, third = users_told(made)[-3:]
        assert first == third != second
        mine = [name for name in made.log.compacted[PERSONAL] if name.startswith("1001/")]
        assert mine == [f"1001/{third}"]


async def test_the_value_is_kept_before_the_fact_and_a_value_that_cannot_be_kept_is_not_told():
    async with bench() as made, started(made) as connector:
        connector.inventory._last_user_wanted = asked_for
        made.log.writes.clear()
        await connector.inventory.sweep()
        order = [entry for entry in made.log.writes if "personal" in entry or "DeviceObserved" in entry]
        assert "personal" in order[0]
        assert "DeviceObserved" in order[-1]
        assert not [entry for at, entry in enumerate(order) if at and "personal" in entry and "Device" in order[at - 1]]


async def test_of_a_device_that_is_removed_no_user_is_kept():
    async with bench() as made, started(made) as connector:
        connector.inventory._last_user_wanted = asked_for
        await user_is(made, "ACME\\zoe")
        await connector.inventory.sweep()
        assert [name for name in made.log.compacted[PERSONAL] if name.startswith("1001/")]
        await delete(made, 1001)
        await connector.inventory.look(1001, deleted_at=made.now())
        assert not [name for name in made.log.compacted[PERSONAL] if name.startswith("1001/")]


async def test_after_an_erasure_the_same_user_has_another_token():
    async with bench() as made, started(made) as connector:
        connector.inventory._last_user_wanted = asked_for
        await user_is(made, "ACME\\zoe")
        await connector.inventory.sweep()
        made.log.compacted[PERSONAL].clear()
        await connector.inventory.sweep()
        before, after = users_told(made)[-2:]
        assert before != after


async def test_a_row_that_cannot_be_read_is_kept_without_its_user():
    log = MemoryLog()
    row = orjson.dumps({"id": "odd", "lastLoggedInUser": "ACME\\zoe"})
    await UnreadableRows(log, "ninjaone devices").report([Unreadable(value=row, error="id: not a number")])
    await RowReader(log, "autotask-ticket-notes").read(TicketNote, [{"id": "odd", "description": "by zoe"}])
    assert len(log.dead_letters) == 2
    kept = b"".join(letter.value for letter in log.dead_letters)
    assert b"lastLoggedInUser" in kept
    assert b"zoe" not in kept


def test_what_may_be_about_a_person_is_left_out_of_whole_and_of_broken_json():
    whole = b'{"id": 5, "email" : "a@b.example", "note": {"Description": "said \\"no\\""}, "lastLoggedInUser": null}'
    left = orjson.loads(without_personal(whole))
    assert left == {"id": 5, "email": "[left out]", "note": {"Description": "[left out]"}, "lastLoggedInUser": None}
    assert without_personal(b'{"userName": "zoe.quar') == b'{"userName": "[left out]"'


async def test_a_device_names_the_others_with_its_serial_until_they_are_deleted():
    async with bench() as made, started(made) as connector:
        fleet = made.lab.vendor.store.fleet.devices
        one, other = [row.row for row in fleet.values() if row.row.get("deviceType") == "AgentDevice"][:2]
        other["system"] = {**other["system"], "serialNumber": one["system"]["serialNumber"]}
        await connector.inventory.sweep()
        assert made.log.facts(DeviceObserved)[-1].serial_twins == (one["id"],)
        await delete(made, one["id"])
        await connector.inventory.look(one["id"], deleted_at=made.now())
        await change(made, other["id"], displayName="NEW")
        await connector.inventory.sweep()
        assert made.log.facts(DeviceObserved)[-1].serial_twins == ()


@pytest.mark.parametrize("by_sweep", [False, True])
async def test_a_machine_that_is_enrolled_anew_before_its_deletion_is_heard_of_has_no_twin(by_sweep):
    async with bench() as made, started(made) as connector:
        old = made.lab.vendor.store.fleet.devices[1001].row
        serial, place = old["system"]["serialNumber"], old["organizationId"]
        await delete(made, 1001)
        new = await made.lab.control("POST", "devices", {"organizationId": place, "system": {"serialNumber": serial}})
        await (connector.inventory.sweep() if by_sweep else connector.inventory.look(new["id"]))
        told = next(fact for fact in made.log.facts(DeviceObserved) if fact.subject.device_id == new["id"])
        assert told.serial_twins == ()
        assert made.log.facts(DeviceRemoved) == []
        await connector.inventory.look(1001, deleted_at=made.now())
        assert [fact.device_id for fact in made.log.facts(DeviceRemoved)] == [1001]
        clone = await made.lab.control("POST", "devices", {"organizationId": place, "system": {"serialNumber": serial}})
        await connector.inventory.look(clone["id"])
        told = next(fact for fact in made.log.facts(DeviceObserved) if fact.subject.device_id == clone["id"])
        assert told.serial_twins == (new["id"],)
