"""A machine through its life, from the decisions of the agent to the sandbox's items: one active item, history followed.

The agent ``devices`` decides facts, its commands are executed against the Autotask sandbox over real HTTP, and the
outcomes are facts again; there is no broker in between.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from connectors.ports import Verdict
from schemas.facts import DeviceObserved, DeviceRemoved, Fact
from streams.core.decision import Issued
from tests.connectors.autotask_lab import Lab, lab
from tests.connectors.autotask_tenant import FIRST_COMPANY, SECOND_COMPANY, Board, device, running_board
from tests.core.spec import DAY, HOUR, START, Scene, policy, subject
from tests.core.spec import device as seen

pytestmark = pytest.mark.asyncio(loop_scope="module")

SERIAL = "5CG1234XYZ"
UID, OTHER_UID = "0d0b7a53-2a35-4b0e-9a0e-5b6c6e3f1a10", "aaaaaaaa-2a35-4b0e-9a0e-5b6c6e3f1a10"
ELSEWHERE = 18


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def board() -> AsyncIterator[Board]:
    async with running_board() as running:
        yield running


@dataclass
class Line:
    """The agent and the tenant. ``when`` tells facts and lets every command of theirs be executed and settled."""

    lab: Lab
    scene: Scene
    effects: Any = None
    details: list[str] = field(default_factory=list)

    async def when(self, *facts: Fact) -> Line:
        for fact in facts:
            key = str(fact.device_id if isinstance(fact, DeviceRemoved) else fact.subject.device_id)  # type: ignore[attr-defined]
            before = len(self.scene.commands)
            self.scene.when(fact, key=key)
            await self._execute(self.scene.commands[before:])
        return self

    async def fire(self, key: str = "407") -> Line:
        before = len(self.scene.commands)
        self.scene.fire(key)
        await self._execute(self.scene.commands[before:])
        return self

    async def _execute(self, issued: list[Issued]) -> None:
        for one in issued:
            effect = await self.effects.perform(one.command)
            self.details.append(f"{effect.reason} {effect.detail}".strip())
            outcome = "Succeeded" if effect.verdict is Verdict.SUCCEEDED else "Rejected"
            assert effect.verdict in (Verdict.SUCCEEDED, Verdict.REJECTED), effect
            found = {"item_id": effect.item_id, "company_id": effect.company_id, "how": effect.how}
            self.scene.settle_command(one, outcome, reason=effect.reason, detail=effect.detail, **found)

    async def items(self, **values: Any) -> list[dict[str, Any]]:
        conditions = [{"op": "eq", "field": name, "value": value} for name, value in values.items()]
        return await self.lab.api.rows(
            "ConfigurationItems", *(conditions or [{"op": "gte", "field": "id", "value": 0}])
        )

    async def active(self, **values: Any) -> list[dict[str, Any]]:
        return await self.items(isActive=True, **values)

    async def the_item(self) -> dict[str, Any]:
        (only,) = await self.active()
        return only


@pytest_asyncio.fixture(loop_scope="module")
async def it(board: Board) -> AsyncIterator[Line]:
    companies = {
        "map": [{"organization": 17, "company": FIRST_COMPANY}, {"organization": 18, "company": SECOND_COMPANY}]
    }
    devices = {
        "grace": "7d",
        "types": [{"product": "Managed Server"}],
        "fields": {
            "link": "NinjaOne Link",
            "device_uid": "NinjaOne Device GUID",
            "warranty_end": "warrantyExpirationDate",
        },
    }
    async with lab(board) as running:
        await running.api.control("POST", "udfs", name="NinjaOne Device GUID")
        scene = Scene("devices", policy(companies=companies, devices=devices))
        yield Line(running, scene, running.effects)


def machine(number: int = 407, at: int = START, organization: int = 17, **more: Any) -> DeviceObserved:
    """A device of the serial of this file, alone with it unless told otherwise."""
    where = {name: more.pop(name) for name in ("device_uid", "device_name") if name in more}
    fields: dict[str, Any] = {"serial": SERIAL, "serial_twins": (), **more}
    return seen(at, where=subject(device=number, organization=organization, **where), **fields)


def deleted(number: int = 407, at: int = START + HOUR) -> DeviceRemoved:
    return DeviceRemoved(device_id=number, removed_at=at, cause="Deleted")


async def test_a_machine_that_is_enrolled_anew_within_the_grace_time_keeps_its_item(it: Line) -> None:
    await it.when(machine(), deleted(), machine(500, START + 2 * HOUR, device_uid=OTHER_UID))
    item = await it.the_item()
    assert item["referenceNumber"] == "ls.500"
    assert "NinjaOne device 407 is device 500 now (same serial number)" in item["notes"]
    await it.fire("407")
    assert (await it.the_item())["id"] == item["id"], (
        "the end of the old one's grace time touches what is another's now"
    )
    assert it.details[-1].startswith("AdoptedByAnotherDevice")
    assert len(await it.items()) == 1


async def test_a_machine_that_is_enrolled_anew_after_the_grace_time_keeps_its_item(it: Line) -> None:
    await it.when(machine(), deleted())
    await it.fire()
    assert await it.active() == []
    await it.when(machine(500, START + 8 * DAY))
    assert (await it.the_item())["referenceNumber"] == "ls.500"
    assert len(await it.items()) == 1


async def test_a_machine_that_is_enrolled_anew_with_its_unique_id_keeps_its_item_without_a_serial(it: Line) -> None:
    await it.when(machine(serial="Default string", mac_addresses=()), deleted())
    await it.when(machine(500, START + 2 * HOUR, serial="Default string", mac_addresses=()))
    assert (await it.the_item())["referenceNumber"] == "ls.500"


async def test_while_it_is_not_known_who_else_has_the_serial_no_living_item_is_taken_over(it: Line) -> None:
    await it.when(machine(), machine(500, START + HOUR, device_uid=OTHER_UID, serial_twins=None))
    assert sorted(row["referenceNumber"] for row in await it.active()) == ["ls.407", "ls.500"]


async def test_an_image_put_on_the_machine_anew_changes_its_unique_id_only(it: Line) -> None:
    await it.when(machine())
    before = await it.the_item()
    await it.when(machine(at=START + HOUR, device_uid=OTHER_UID, os_name="Windows Server 2025"))
    after = await it.the_item()
    assert after["id"] == before["id"]
    assert {pair["name"]: pair["value"] for pair in after["userDefinedFields"]}["NinjaOne Device GUID"] == OTHER_UID


async def test_an_image_that_enrols_while_the_old_entry_stands_gets_its_own_item_until_that_is_deleted(
    it: Line,
) -> None:
    await it.when(machine(), machine(500, START + HOUR, device_uid=OTHER_UID, serial_twins=(407,)))
    assert len(await it.active()) == 2
    await it.when(deleted(at=START + 2 * HOUR))
    await it.fire()
    assert (await it.the_item())["referenceNumber"] == "ls.500"


async def test_a_new_mainboard_changes_the_serial_number_of_the_same_item(it: Line) -> None:
    await it.when(machine())
    before = await it.the_item()
    await it.when(machine(at=START + HOUR, serial="NEW-BOARD-77", mac_addresses=("00:15:5D:AA:BB:CC",)))
    after = await it.the_item()
    assert (after["id"], after["serialNumber"]) == (before["id"], "NEW-BOARD-77")


async def test_two_living_machines_with_one_serial_have_one_item_each(it: Line) -> None:
    await it.when(machine(serial_twins=(408,)), machine(408, device_name="CLONE", serial_twins=(407,)))
    await it.when(machine(at=START + HOUR, os_name="A", serial_twins=(408,)))
    await it.when(machine(408, START + HOUR, device_name="CLONE", os_name="B", serial_twins=(407,)))
    assert sorted(row["referenceNumber"] for row in await it.active()) == ["ls.407", "ls.408"]
    assert len(await it.items()) == 2


async def test_a_renamed_machine_renames_its_item(it: Line) -> None:
    await it.when(machine(), machine(at=START + HOUR, device_name="NW-FS02"))
    assert (await it.the_item())["referenceTitle"] == "NW-FS02"


async def test_a_machine_that_changes_hands_has_a_new_item_and_both_say_so(it: Line) -> None:
    await it.when(machine())
    old = await it.the_item()
    await it.when(machine(at=START + HOUR, organization=ELSEWHERE))
    new = await it.the_item()
    assert (new["companyID"], new["referenceNumber"]) == (SECOND_COMPANY, "ls.407")
    assert f"moved here on 2026-11-24 from company {FIRST_COMPANY} (item {old['id']})" in new["notes"]
    (retired,) = await it.items(companyID=FIRST_COMPANY)
    assert (retired["id"], retired["isActive"]) == (old["id"], False)
    assert (
        f"moved on 2026-11-24 to NinjaOne organization 18 'Nordwind GmbH', company {SECOND_COMPANY}" in retired["notes"]
    )


async def test_a_machine_that_comes_back_to_its_former_owner_gets_its_former_item_back(it: Line) -> None:
    await it.when(machine())
    old = await it.the_item()
    await it.when(machine(at=START + HOUR, organization=ELSEWHERE), machine(at=START + 2 * HOUR))
    assert (await it.the_item())["id"] == old["id"]
    assert len(await it.items()) == 2


async def test_notes_that_people_wrote_stay_and_history_is_told_once(it: Line) -> None:
    await it.when(machine())
    number = (await it.the_item())["id"]
    await it.lab.api.control("PATCH", f"configuration-items/{number}", notes="Stands in the cellar")
    for day in (1, 3):
        away = machine(at=START + day * HOUR, organization=ELSEWHERE)
        await it.when(away, machine(at=START + (day + 1) * HOUR))
    lines = (await it.the_item())["notes"].splitlines()
    assert lines[0] == "Stands in the cellar"
    assert len(lines) == len(set(lines))


async def test_a_deleted_machine_that_returns_within_its_grace_time_is_not_written(it: Line) -> None:
    await it.when(machine(), deleted())
    mark = await it.lab.mark()
    await it.when(machine(at=START + 2 * HOUR))
    assert await it.lab.made(mark) == []
    assert (await it.the_item())["referenceNumber"] == "ls.407"


async def test_a_deleted_machine_that_returns_later_has_its_item_back_which_says_it_was_gone(it: Line) -> None:
    await it.when(machine())
    before = await it.the_item()
    await it.when(deleted())
    await it.fire()
    await it.when(machine(at=START + 9 * DAY))
    after = await it.the_item()
    assert after["id"] == before["id"]
    assert "the device was removed from NinjaOne on 2026-11-24" in after["notes"]


async def test_a_machine_that_returns_beside_the_one_that_took_its_item_over_gets_an_item_again(it: Line) -> None:
    await it.when(machine(), deleted(), machine(500, START + 2 * HOUR, device_uid=OTHER_UID))
    await it.when(machine(at=START + 3 * HOUR, serial_twins=(500,)))
    assert sorted(row["referenceNumber"] for row in await it.active()) == ["ls.407", "ls.500"]


async def test_a_machine_entered_twice_in_autotask_waits_until_a_person_says_which_one_it_is(it: Line) -> None:
    twins = [await it.lab.api.create("ConfigurationItems", **device(serialNumber=SERIAL)) for _ in range(2)]
    await it.when(machine())
    parked = it.scene.body()["parked"]["upsert"]
    assert parked["reason"] == "AmbiguousItem"
    assert all(str(number) in parked["detail"] for number in twins)
    assert len(await it.items()) == 2, "nothing was made beside them"


async def test_a_second_item_beside_ours_is_told_and_left_alone(it: Line) -> None:
    await it.when(machine())
    await it.lab.api.create("ConfigurationItems", **device(serialNumber=SERIAL, referenceTitle="by hand"))
    await it.when(machine(at=START + HOUR, os_name="other"), machine(at=START + 2 * HOUR, device_name="X"))
    assert len(await it.active()) == 2
    assert "TwinInAutotask" in it.details[-1]
    assert "'by hand'" in it.details[-1]


async def test_a_second_item_beside_ours_is_set_inactive_where_the_policy_says_so(it: Line) -> None:
    await it.when(machine())
    ours = await it.the_item()
    twin = await it.lab.api.create("ConfigurationItems", **device(serialNumber=SERIAL, referenceTitle="by hand"))
    merged = policy(2, companies={"map": [{"organization": 17, "company": FIRST_COMPANY}]}, devices={
        "twins": "retire", "types": [{"product": "Managed Server"}]})  # fmt: skip
    before = len(it.scene.commands)
    it.scene.when(merged)
    await it._execute(it.scene.commands[before:])
    assert (await it.the_item())["id"] == ours["id"]
    row = await it.lab.api.item("ConfigurationItems", twin)
    assert f"item {ours['id']} is kept for NinjaOne device 407" in row["notes"]


async def test_the_twin_of_a_serial_that_another_living_machine_has_is_left_for_that_one(it: Line) -> None:
    await it.when(machine(serial_twins=(408,)))
    theirs = await it.lab.api.create("ConfigurationItems", **device(serialNumber=SERIAL, referenceTitle="CLONE"))
    await it.when(machine(at=START + HOUR, device_name="X", serial_twins=(408,)))
    assert "TwinInAutotask" not in it.details[-1]
    await it.when(machine(408, device_name="CLONE", device_uid=OTHER_UID, serial_twins=(407,)))
    row = await it.lab.api.item("ConfigurationItems", theirs)
    assert row["referenceNumber"] == "ls.408"


async def test_a_field_of_the_policy_may_be_one_of_the_items_own_columns(it: Line) -> None:
    await it.when(machine(warranty_end=START))
    item = await it.the_item()
    assert item["warrantyExpirationDate"].startswith("2026-11-24T00:00:00")
    mark = await it.lab.mark()
    await it.when(machine(at=START + HOUR, warranty_end=START, asset_tag="A-1"))
    assert [call for call in await it.lab.made(mark) if call.startswith("PATCH")] == []
    await it.when(machine(at=START + 2 * HOUR, warranty_end=None))
    assert (await it.the_item())["warrantyExpirationDate"] == item["warrantyExpirationDate"], "not known erases nothing"
