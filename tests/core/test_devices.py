"""What becomes of devices and their configuration items, sentence by sentence."""

from __future__ import annotations

from typing import Any

from schemas.commands import RetireConfigurationItem, UpsertConfigurationItem
from schemas.facts import FieldsCreated, ParkedDismissed, ParkedRetried, Selection
from streams.core.policy.policy import parse_policy
from tests.core.spec import (
    DAY,
    HOUR,
    MINUTE,
    START,
    Scene,
    companies,
    device,
    devices,
    policy,
    removed,
    subject,
)

EVERYTHING = Selection(everything=True)
TWO_COMPANIES = {"companies": {"map": [{"organization": 17, "company": 29683}, {"organization": 18, "company": 500}]}}
AT_ONCE = {"devices": {"on_delete": "retire", "grace": "0s"}}


def upserted(**parts: Any) -> Scene:
    """A device with its item made."""
    return devices(device(), **parts).settle("UpsertConfigurationItem")


def the_upsert(scene: Scene) -> UpsertConfigurationItem:
    (command,) = scene.issued
    assert isinstance(command, UpsertConfigurationItem)
    return command


def test_a_device_becomes_an_item_with_what_the_policy_says() -> None:
    types = [{"node_class_prefix": "WINDOWS_SERVER", "type": "Server", "product": "Managed Server"}]
    parts = {"types": [*types, {"type": "PC", "product": "Managed Device"}], "fields": {"link": "NinjaOne Link"}}
    command = the_upsert(devices(device(), devices=parts))
    assert (command.company_id, command.reference_number, command.effect_key) == (29683, "ls.407", "407")
    assert (command.product, command.item_type) == ("Managed Server", "Server")
    assert (command.title, command.serial, command.hostname) == ("NW-FS01", "5CG1234XYZ", "NW-FS01")
    assert command.fields == {"NinjaOne Link": "https://eu.ninjarmm.com/#/deviceDashboard/407/overview"}


def test_an_unchanged_device_writes_nothing() -> None:
    scene = upserted().when(device(START + HOUR))
    assert (scene.kinds, scene.reasons) == ([], ["Unchanged"])


def test_a_change_that_no_field_shows_writes_nothing() -> None:
    scene = upserted(devices={"fields": {}}).when(device(START + HOUR, memory_bytes=1 << 36))
    assert (scene.kinds, scene.reasons) == ([], ["Unchanged"])


def test_a_renamed_device_is_written_with_the_item_that_is_known() -> None:
    scene = upserted().when(device(START + HOUR, where=subject(device_name="NW-FS02")))
    command = the_upsert(scene)
    assert (command.title, command.item_id) == ("NW-FS02", 700)


def test_another_role_is_another_type_and_product() -> None:
    types = [{"role": ["Hypervisor"], "type": "Host", "product": "Managed Host"}, {"type": "PC", "product": "Device"}]
    scene = upserted(devices={"types": types})
    command = the_upsert(scene.when(device(START + HOUR, where=subject(role_name="Hypervisor"))))
    assert (command.item_type, command.product) == ("Host", "Managed Host")


def test_the_same_observation_twice_is_a_duplicate() -> None:
    scene = devices(device(), device())
    assert (scene.kinds, scene.reasons) == ([], ["Duplicate"])


def test_an_older_observation_is_superseded() -> None:
    scene = devices(device(START + HOUR)).when(device(START, where=subject(device_name="OLD")))
    assert (scene.kinds, scene.reasons) == ([], ["Superseded"])


def test_a_device_that_waits_for_approval_is_left_alone() -> None:
    scene = devices(device(approval_status="PENDING"))
    assert (scene.kinds, scene.reasons) == ([], ["PendingApproval"])
    assert scene.when(device(START + HOUR)).kinds == ["UpsertConfigurationItem"]


def test_a_device_that_moves_is_retired_in_the_old_company_and_made_in_the_new() -> None:
    scene = upserted(**TWO_COMPANIES).when(device(START + HOUR, where=subject(organization=18)))
    retire, upsert = scene.issued
    assert isinstance(retire, RetireConfigurationItem)
    assert isinstance(upsert, UpsertConfigurationItem)
    assert (retire.company_id, retire.item_id, retire.reference_number) == (29683, 700, "ls.407")
    assert (upsert.company_id, upsert.item_id) == (500, None)


def test_a_device_that_moves_between_organizations_of_one_company_is_not_written() -> None:
    same = {"companies": {"map": [{"organization": 17, "company": 1}, {"organization": 18, "company": 1}]}}
    scene = upserted(**same).when(device(START + HOUR, where=subject(organization=18)))
    assert (scene.kinds, scene.reasons) == ([], ["Unchanged"])


def test_a_device_that_moves_to_an_unmapped_organization_is_retired_and_waits() -> None:
    elsewhere = subject(organization=99, organization_name="Westwind")
    scene = upserted().when(companies((1, "Elsewhere")), device(START + HOUR, where=elsewhere))
    assert scene.kinds == ["RetireConfigurationItem"]
    assert scene.body()["parked"]["upsert"]["reason"] == "UnmappedOrganization"
    assert the_upsert(scene.when(companies((6, "Westwind")))).company_id == 6
    assert "parked" not in scene.body()


def test_a_mapping_that_was_lost_retires_nothing() -> None:
    scene = upserted().when(companies((1, "Elsewhere")), policy(2, companies={"map": []}))
    assert scene.kinds == []
    assert scene.body()["parked"]["upsert"]["reason"] == "UnmappedOrganization"


def test_a_mapping_that_came_back_releases_a_device_that_is_unchanged() -> None:
    scene = upserted().when(policy(2, companies={"map": []})).when(policy(3))
    assert (scene.kinds, scene.reasons) == ([], ["Unchanged"])
    assert not scene.body().get("parked")


def test_a_refused_item_whose_mapping_was_lost_is_asked_again_when_it_is_back() -> None:
    scene = devices(device()).settle("UpsertConfigurationItem", "Rejected", reason="UnknownProduct")
    first = scene.last("UpsertConfigurationItem")
    scene.when(companies((1, "Elsewhere")), policy(2, companies={"map": []}))
    assert scene.body()["parked"]["upsert"]["reason"] == "UnmappedOrganization"
    scene.when(companies((5, "Eastwind")))
    assert scene.when(policy(3)).kinds == ["UpsertConfigurationItem"]
    assert scene.last("UpsertConfigurationItem").envelope.id != first.envelope.id
    assert "parked" not in scene.body()


def test_a_remapped_organization_moves_its_items() -> None:
    scene = upserted().when(policy(2, companies={"map": [{"organization": 17, "company": 7}]}))
    assert scene.kinds == ["RetireConfigurationItem", "UpsertConfigurationItem"]


def test_another_policy_rewrites_only_the_devices_that_it_changes() -> None:
    scene = upserted()
    scene.when(device(where=subject(device=408, node_class="MAC")), key="408")
    types = [{"node_class_prefix": "MAC", "product": "Managed Mac"}, *default_types()]
    scene.when(policy(2, devices={"types": types}))
    assert [step.key for step in scene.steps] == ["~context", "408"]
    assert scene.kinds == ["UpsertConfigurationItem"]


def default_types() -> list[dict[str, Any]]:
    return [entry.model_dump(exclude_none=True) for entry in parse_policy({"version": 1}).devices.types]


def test_devices_before_the_first_policy_wait_for_it_and_go_out_in_key_order() -> None:
    scene = Scene("devices")
    for number in (30, 4, 200):
        scene.when(device(where=subject(device=number)), key=str(number))
    scene.when(policy())
    assert [step.key for step in scene.steps] == ["~context", "200", "30", "4"]
    assert scene.kinds == ["UpsertConfigurationItem"] * 3


def test_a_deleted_device_is_retired_after_its_grace() -> None:
    scene = upserted(devices={"grace": "7d"}).when(removed())
    assert (scene.kinds, scene.reasons) == ([], ["WithinGrace"])
    assert scene.timers() == [(scene.now + 7 * DAY, "retire")]
    assert scene.fire().kinds == ["RetireConfigurationItem"]
    assert scene.timers() == []


def test_a_deleted_device_is_retired_at_once_without_grace() -> None:
    assert upserted(**AT_ONCE).when(removed()).kinds == ["RetireConfigurationItem"]


def test_a_deletion_told_twice_retires_once() -> None:
    scene = upserted(**AT_ONCE).when(removed()).when(removed(START + 2 * HOUR, cause="MissingFromSweep"))
    assert (scene.kinds, scene.reasons) == ([], ["Duplicate"])


def test_a_device_that_comes_back_within_its_grace_stays() -> None:
    scene = upserted(devices={"grace": "7d"}).when(removed()).when(device(START + 2 * HOUR))
    assert (scene.kinds, scene.reasons) == ([], ["Unchanged"])
    assert scene.timers() == []


def test_a_device_that_comes_back_after_its_retirement_is_made_again() -> None:
    scene = upserted(**AT_ONCE).when(removed()).settle("RetireConfigurationItem").when(device(START + 2 * HOUR))
    assert scene.kinds == ["UpsertConfigurationItem"]


def test_the_policy_can_keep_items_of_deleted_devices() -> None:
    scene = upserted(devices={"on_delete": "keep"}).when(removed())
    assert (scene.kinds, scene.reasons) == ([], ["KeptByPolicy"])
    assert scene.when(policy(2, **AT_ONCE)).kinds == ["RetireConfigurationItem"]


def test_a_deletion_that_is_older_than_the_last_sight_is_superseded() -> None:
    scene = upserted().when(device(START + 2 * HOUR), removed(START + HOUR))
    assert (scene.kinds, scene.reasons) == ([], ["Superseded"])


def test_a_sight_that_is_older_than_the_deletion_makes_no_item() -> None:
    scene = devices(removed()).when(device(START))
    assert (scene.kinds, scene.reasons) == ([], ["Superseded"])


def test_a_deleted_device_that_never_had_an_item_has_nothing_to_retire() -> None:
    scene = devices(removed())
    assert (scene.kinds, scene.reasons) == ([], ["NothingToRetire"])


def test_a_refused_item_is_parked_and_a_retry_asks_again() -> None:
    scene = devices(device()).settle("UpsertConfigurationItem", "Rejected", reason="UnknownProduct", detail="none")
    first = scene.last("UpsertConfigurationItem")
    assert scene.body()["parked"]["upsert"]["reason"] == "UnknownProduct"
    assert scene.when(device(START + HOUR)).reasons == ["StillParked"]
    scene.when(ParkedRetried(selection=EVERYTHING, actor="ada"), identity="r1")
    assert scene.kinds == ["UpsertConfigurationItem"]
    assert scene.last("UpsertConfigurationItem").envelope.id != first.envelope.id
    assert "parked" not in scene.body()


def test_a_refused_item_is_asked_again_when_the_device_changes() -> None:
    scene = devices(device()).settle("UpsertConfigurationItem", "Rejected", reason="UnknownProduct")
    assert scene.when(device(START + HOUR, serial="OTHER")).kinds == ["UpsertConfigurationItem"]
    assert "parked" not in scene.body()


def test_a_dismissed_item_stays_away_until_something_changes() -> None:
    scene = devices(device()).settle("UpsertConfigurationItem", "Rejected", reason="UnknownProduct")
    scene.when(ParkedDismissed(selection=EVERYTHING, actor="ada", note="lab device"))
    assert scene.reasons == ["Dismissed"]
    assert scene.when(device(START + HOUR)).reasons == ["Unchanged"]
    assert scene.when(device(START + 2 * HOUR, serial="OTHER")).kinds == ["UpsertConfigurationItem"]


def test_a_retry_for_a_reason_leaves_what_is_parked_for_another() -> None:
    scene = devices(companies((1, "Elsewhere")), device(where=subject(organization=99)))
    named = Selection(everything=True, because="UnknownProduct")
    scene.when(ParkedDismissed(selection=named, actor="ada", note="n"))
    assert scene.body()["parked"]["upsert"]["reason"] == "UnmappedOrganization"
    named = Selection(organization_id=99, because="UnmappedOrganization")
    scene.when(ParkedDismissed(selection=named, actor="ada", note="n"))
    assert "parked" not in scene.body()


def test_a_dismissed_unmapped_device_is_not_parked_again_but_goes_out_when_mapped() -> None:
    scene = devices(companies((1, "Elsewhere")), device(where=subject(organization=99, organization_name="Westwind")))
    scene.when(ParkedDismissed(selection=Selection(ids=("407",)), actor="ada", note="later"))
    scene.when(companies((5, "Eastwind")))
    assert "parked" not in scene.body()
    assert scene.when(companies((6, "Westwind"))).kinds == ["UpsertConfigurationItem"]


def test_a_deferred_item_comes_again_after_ten_minutes() -> None:
    scene = devices(device()).settle("UpsertConfigurationItem", "Deferred")
    assert [at for at, _ in scene.timers()] == [START + 10 * MINUTE]
    first = scene.last("UpsertConfigurationItem")
    assert scene.fire().kinds == ["UpsertConfigurationItem"]
    assert scene.last("UpsertConfigurationItem").envelope.id != first.envelope.id


def test_a_deferred_item_that_a_newer_write_replaced_does_not_come_again() -> None:
    scene = devices(device())
    first = scene.last("UpsertConfigurationItem")
    scene.when(device(START + HOUR, serial="OTHER")).settle_command(first, "Deferred")
    assert (scene.reasons, scene.timers()) == (["Superseded"], [])


def test_a_deferred_retirement_comes_again_and_leaves_the_new_item_alone() -> None:
    scene = upserted(**TWO_COMPANIES).when(device(START + HOUR, where=subject(organization=18)))
    scene.settle("UpsertConfigurationItem", item_id=701).settle("RetireConfigurationItem", "Deferred").fire()
    (retire,) = scene.issued
    assert isinstance(retire, RetireConfigurationItem)
    assert (retire.company_id, retire.item_id) == (29683, 700)
    assert scene.body()["written"]["company"] == 500
    assert scene.body()["item"] == {"company": 500, "id": 701}


def test_a_deferred_retirement_is_dropped_when_the_device_is_back_in_that_company() -> None:
    scene = upserted(**TWO_COMPANIES).when(device(START + HOUR, where=subject(organization=18)))
    retire = scene.last("RetireConfigurationItem")
    scene.when(device(START + 2 * HOUR)).settle_command(retire, "Deferred")
    assert scene.timers() == []


def test_a_refused_retirement_is_parked_and_can_be_retried() -> None:
    scene = upserted(**AT_ONCE).when(removed()).settle("RetireConfigurationItem", "Rejected", reason="Forbidden")
    assert scene.body()["parked"]["retire"]["reason"] == "Forbidden"
    assert scene.when(ParkedRetried(selection=EVERYTHING, actor="ada")).kinds == ["RetireConfigurationItem"]
    assert "parked" not in scene.body()


def test_outcomes_that_nobody_awaits_change_nothing() -> None:
    scene = devices(device())
    upsert = scene.last("UpsertConfigurationItem")
    scene.settle_command(upsert).settle_command(upsert)
    assert scene.reasons == ["NotAwaited"]


def test_an_item_is_written_again_when_a_field_that_it_lacked_was_created() -> None:
    scene = upserted(devices={"fields": {"link": "NinjaOne Link"}})
    assert scene.when(FieldsCreated(fields=("ninjaone link",), actor="ada")).kinds == ["UpsertConfigurationItem"]


def test_a_created_field_that_the_policy_does_not_use_writes_nothing() -> None:
    scene = upserted(devices={"fields": {"link": "NinjaOne Link"}})
    assert scene.when(FieldsCreated(fields=("Warranty",), actor="ada")).kinds == []
