"""The connectors role: a half that ends by itself ends the role, so that a supervisor starts it again."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from streams.kafka_options import KafkaOptions
from streams.roles.connectors import ConnectorsRole, SideError


async def role() -> ConnectorsRole:
    here = SimpleNamespace(
        options=KafkaOptions(bootstrap_servers="localhost:1"),
        kafka=None,
        clock=SimpleNamespace(now=lambda: 0),
        name="connectors",
        credentials=dict,
        settings=SimpleNamespace(secrets_path=None),
    )
    return ConnectorsRole(here)


async def test_a_half_that_fails_is_no_silence_but_the_end_of_the_role() -> None:
    connectors = await role()

    async def work() -> None:
        raise ValueError("nobody thought of this")

    connectors._run("ninjaone", work())
    with pytest.raises(SideError, match=r"the half of ninjaone ended: ValueError: nobody thought of this"):
        await asyncio.wait_for(connectors._a_side_ended(), 5)


async def test_a_half_that_is_replaced_with_its_credentials_ends_nothing() -> None:
    connectors = await role()
    connectors._run("autotask", asyncio.sleep(60))
    await connectors._end("autotask")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(connectors._a_side_ended(), 0.05)
