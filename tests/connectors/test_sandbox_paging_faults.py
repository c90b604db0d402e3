"""Lists that go wrong on a later page: the page before once more, a place half a page back, a token that ends in between."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from connectors.sandbox.serve import RunningSandbox, running_sandbox


@pytest.fixture
async def sandbox() -> AsyncIterator[RunningSandbox]:
    async with running_sandbox(devices=8) as running:
        yield running


async def ids(client: httpx.AsyncClient, after: int | None, *, status: int = 200) -> list[int]:
    params = {"pageSize": 4} if after is None else {"pageSize": 4, "after": after}
    answer = await client.get("/v2/devices", params=params)
    assert answer.status_code == status
    return [row["id"] for row in answer.json()] if status == 200 else []


@asynccontextmanager
async def signed_in(sandbox: RunningSandbox) -> AsyncIterator[httpx.AsyncClient]:
    form = {"grant_type": "client_credentials", "client_id": sandbox.client_id, "client_secret": sandbox.client_secret}
    async with httpx.AsyncClient(base_url=sandbox.ninjaone_url, trust_env=False) as client:
        answer = await client.post("/ws/oauth/token", data={**form, "scope": "monitoring"})
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield client


async def plan(client: httpx.AsyncClient, kind: str) -> None:
    (await client.post("/_sandbox/faults", json={"kind": kind, "match": {"path": "/v2/devices"}})).raise_for_status()


async def test_the_page_before_comes_again_once(sandbox: RunningSandbox) -> None:
    async with signed_in(sandbox) as client:
        await plan(client, "repeat_page")
        first = await ids(client, None)  # a first page has none before it: the fault waits
        assert await ids(client, first[-1]) == first
        second = await ids(client, first[-1])
        assert len(second) == 4
        assert not set(first) & set(second)


async def test_the_place_in_the_list_jumps_back_by_half_a_page(sandbox: RunningSandbox) -> None:
    async with signed_in(sandbox) as client:
        await plan(client, "cursor_back")
        first = await ids(client, None)
        assert (await ids(client, first[-1]))[:2] == first[2:]


async def test_the_token_ends_between_two_pages(sandbox: RunningSandbox) -> None:
    async with signed_in(sandbox) as client:
        await plan(client, "expired_token")
        first = await ids(client, None)
        await ids(client, first[-1], status=401)


async def test_a_vendor_that_does_not_page_by_place_refuses_such_a_fault(sandbox: RunningSandbox) -> None:
    async with httpx.AsyncClient(base_url=sandbox.autotask_url, trust_env=False) as client:
        answer = await client.post("/_sandbox/faults", json={"kind": "repeat_page"})
    assert answer.status_code == 400
    assert "unknown kind 'repeat_page'" in answer.json()["error"]
