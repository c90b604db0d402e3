"""Values are filled in at the moment of the call, over HTTP against the sandbox; what is told of it names tokens only."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from connectors.personal import Personal, PersonalStore
from connectors.ports import Effect, Verdict
from schemas.commands import Command
from schemas.personal import PersonalValue, record_key, token_of
from schemas.topics import PERSONAL
from streams.personal import FillingIn
from streams.readers import ReadError
from tests.connectors.autotask_lab import DEVICE, Lab, lab, upsert
from tests.connectors.autotask_tenant import Board, running_board
from tests.connectors.memory_log import MemoryLog

pytestmark = pytest.mark.asyncio(loop_scope="module")

SALT, USER = "5a" * 16, "ACME\\zoe"
TOKEN = token_of("last_user", SALT, USER)
FIELDS = {"Last User": TOKEN, "Operating System": "Windows Server 2022"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def board() -> AsyncIterator[Board]:
    async with running_board() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def it(board: Board) -> AsyncIterator[Lab]:
    async with lab(board) as running:
        await running.api.control("POST", "udfs", name="Last User")
        yield running


def filling(inner: Any, kept: dict[str, str]) -> FillingIn:
    async def value(key: str, token: str) -> str | None:
        return kept.get(record_key(key, token))

    return FillingIn(inner, value)


async def user_of(it: Lab, item: int | None) -> str | None:
    row = await it.api.item("ConfigurationItems", item or 0)
    return next(pair["value"] for pair in row["userDefinedFields"] if pair["name"] == "Last User")


async def test_the_item_gets_the_value_and_the_outcome_does_not_name_it(it: Lab) -> None:
    effects = filling(it.effects, {record_key(DEVICE, TOKEN): USER})
    effect = await effects.perform(upsert(fields=FIELDS))
    assert effect.verdict is Verdict.SUCCEEDED
    assert await user_of(it, effect.item_id) == USER
    assert "zoe" not in repr(effect)
    found = await effects.look_up(upsert(fields=FIELDS))
    assert found is not None
    assert found.how == "FoundByLookUp"


async def test_an_erased_value_is_left_out_what_stands_in_the_item_stays_and_the_outcome_says_so(it: Lab) -> None:
    made = await filling(it.effects, {record_key(DEVICE, TOKEN): USER}).perform(upsert(fields=FIELDS))
    effect = await filling(it.effects, {}).perform(upsert(fields={**FIELDS, "Operating System": "Windows 12"}))
    assert (effect.verdict, effect.written) == (Verdict.SUCCEEDED, True)
    assert effect.detail == "without Last User: the personal value is no longer kept"
    assert await user_of(it, made.item_id) == USER


async def test_a_value_of_another_device_is_not_filled_in(it: Lab) -> None:
    effect = await filling(it.effects, {record_key("9", TOKEN): USER}).perform(upsert(fields=FIELDS))
    assert "no longer kept" in effect.detail
    assert not await user_of(it, effect.item_id)


class Refusing:
    """A vendor that repeats what it refuses."""

    async def perform(self, command: Command) -> Effect:
        return Effect(verdict=Verdict.REJECTED, reason="Refused", detail=f"'{command.fields['Last User']}' is too long")  # type: ignore[attr-defined]

    async def look_up(self, command: Command) -> Effect | None:
        return None


async def test_a_refusal_that_repeats_the_value_is_told_with_its_token() -> None:
    effects = filling(Refusing(), {record_key(DEVICE, TOKEN): USER})
    assert (await effects.perform(upsert(fields=FIELDS))).detail == f"'{TOKEN}' is too long"
    assert await effects.look_up(upsert(fields=FIELDS)) is None


async def test_while_the_values_cannot_be_read_no_call_is_made(it: Lab) -> None:
    async def value(key: str, token: str) -> str | None:
        raise ReadError("topic personal: no broker")

    mark = await it.mark()
    effect = await FillingIn(it.effects, value).perform(upsert(fields=FIELDS))
    assert (effect.verdict, effect.reason) == (Verdict.TRANSIENT, "PersonalDataUnread")
    assert await it.made(mark) == []


async def test_one_key_has_one_salt_also_where_two_keep_at_once() -> None:
    log = MemoryLog()
    store = PersonalStore(log, log.compacted.setdefault(PERSONAL, {}), now=lambda: 5)
    texts = ("rang Zoe", "rang Max", "")
    tokens = await asyncio.gather(
        *(store.keep([Personal(key="407", kind="note_text", value=text, incident="i")]) for text in texts),
        store.keep([Personal(key="9", kind="note_text", value=texts[0])]),
    )
    records = {name: PersonalValue.from_json(value) for name, value in log.compacted[PERSONAL].items()}
    assert tokens[2] == [""]
    assert tokens[0] != tokens[3], "the same text on another device has another token"
    assert len({record.salt for name, record in records.items() if name.startswith("407/")}) == 1
    assert len({record.salt for record in records.values()}) == 2


async def test_a_device_that_moves_takes_its_value_to_the_other_organization() -> None:
    log = MemoryLog()
    store = PersonalStore(log, log.compacted.setdefault(PERSONAL, {}), now=lambda: 5)
    (first,) = await store.keep([Personal(key="407", kind="last_user", value=USER, organization_id=17)])
    (second,) = await store.keep([Personal(key="407", kind="last_user", value=USER, organization_id=18)])
    assert first == second
    (record,) = log.compacted[PERSONAL].values()
    assert PersonalValue.from_json(record).organization_id == 18
