"""Which credentials a process holds, whatever order the answers about them come in."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from streams.credentials import Credentials, Holding, digest_of

GIVEN: Credentials = {"username": "api@msp.example", "secret": "s3cret-of-this-test"}
BEFORE, AFTER = digest_of(GIVEN), digest_of(GIVEN)


async def one_at_a_time() -> None:
    """Comparing is done in threads; with a single one they end in the order in which they began."""
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))


@pytest.mark.parametrize("order", [(BEFORE, AFTER), (AFTER, BEFORE)], ids=["in order", "the older answer comes last"])
async def test_the_same_credentials_connected_again_match_the_newest_test(order: tuple[str, str]) -> None:
    """Disconnected and connected with the same secret: both digests are of the set that is held.

    The comparison with the digest before may end after the one with the digest now, and must not undo it: the gate
    would stay closed, as nothing asks again.
    """
    await one_at_a_time()
    holding = Holding(lambda: {"autotask": GIVEN}, None)
    assert await asyncio.gather(*(holding.compare("autotask", digest) for digest in order)) == [True, True]
    assert holding.match("autotask", AFTER)


async def test_other_credentials_match_nothing() -> None:
    holding = Holding(lambda: {"autotask": {**GIVEN, "secret": "another"}}, None)
    assert not await holding.compare("autotask", AFTER)
    assert not holding.match("autotask", AFTER)
    assert not await holding.compare("ninjaone", AFTER)
    assert not await holding.compare("autotask", "")
