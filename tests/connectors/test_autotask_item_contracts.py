"""Contracts of configuration items over real HTTP: set by id, filled by default, spared where they do not fit."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from connectors.ports import Verdict
from tests.connectors.autotask_lab import Lab, lab, upsert
from tests.connectors.autotask_tenant import FIRST_COMPANY, SECOND_COMPANY, Board, running_board

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def board() -> AsyncIterator[Board]:
    async with running_board() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def it(board: Board) -> AsyncIterator[Lab]:
    async with lab(board) as running:
        yield running


async def contract(it: Lab, company: int = FIRST_COMPANY, **values: Any) -> int:
    made = await it.api.control("POST", "contracts", 200, companyID=company, **values)
    return int(made["itemId"])


async def contract_of(it: Lab, item_id: int | None) -> int | None:
    row = await it.api.item("ConfigurationItems", item_id or 0)
    return None if row["contractID"] is None else int(row["contractID"])


async def test_an_item_stands_under_the_contract_that_its_type_names_and_follows_it(it: Lab) -> None:
    first, second = await contract(it), await contract(it)
    made = await it.effects.perform(upsert(contract=first))
    assert (made.detail, await contract_of(it, made.item_id)) == ("created", first)
    await it.effects.perform(upsert(contract=second))
    assert await contract_of(it, made.item_id) == second
    assert not (await it.effects.perform(upsert(contract=second))).written


async def test_the_default_contract_fills_an_item_without_one_and_replaces_nobodys_choice(it: Lab) -> None:
    chosen, default = await contract(it), await contract(it, isDefaultContract=True)
    made = await it.effects.perform(upsert())
    assert await contract_of(it, made.item_id) is None
    await it.effects.perform(upsert(contract="default"))
    assert await contract_of(it, made.item_id) == default
    await it.effects.perform(upsert(contract=chosen))
    assert not (await it.effects.perform(upsert(contract="default"))).written
    assert await contract_of(it, made.item_id) == chosen


async def test_a_contract_of_another_company_costs_the_contract_and_not_the_item(it: Lab) -> None:
    foreign = await contract(it, SECOND_COMPANY)
    made = await it.effects.perform(upsert(contract=foreign))
    assert made.verdict is Verdict.SUCCEEDED
    assert f"without its contract {foreign}: " in made.detail
    changed = await it.effects.perform(upsert(contract=foreign, title="SRV02"))
    assert changed.verdict is Verdict.SUCCEEDED
    assert f"without its contract {foreign}: " in changed.detail
    row = await it.api.item("ConfigurationItems", made.item_id or 0)
    assert (row["contractID"], row["referenceTitle"]) == (None, "SRV02")


async def test_without_a_default_contract_the_item_says_so(it: Lab) -> None:
    made = await it.effects.perform(upsert(contract="default"))
    assert f"without a contract: company {FIRST_COMPANY} has no default one" in made.detail
