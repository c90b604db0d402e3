"""The third place at an endpoint: pollers and tools are several processes, and read one at a time."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

from connectors import turns
from connectors.turns import Turns

HOLDER = """
import fcntl, os, sys
file = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


async def test_two_clients_never_call_one_endpoint_together(tmp_path: Path) -> None:
    inside = most = 0

    async def call(client: Turns) -> None:
        nonlocal inside, most
        async with client.turn("Tickets"):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    poller, tool = Turns(tmp_path / "turns"), Turns(tmp_path / "turns")
    await asyncio.gather(*[call(client) for client in (poller, tool) * 5])
    assert most == 1


async def test_endpoints_do_not_wait_for_each_other(tmp_path: Path) -> None:
    them = Turns(tmp_path)
    async with asyncio.timeout(5), them.turn("Tickets"), them.turn("Companies"):
        pass


async def test_another_process_is_waited_for_and_one_that_is_killed_frees_its_turn(tmp_path: Path) -> None:
    them = Turns(tmp_path)
    other = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        HOLDER,
        str(tmp_path / "Tickets.lock"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert other.stdout is not None
    assert await other.stdout.readline() == b"held\n"

    async def taken() -> None:
        async with them.turn("Tickets"):
            pass

    waiting = asyncio.create_task(taken())
    await asyncio.sleep(3 * turns.LOOK_S)
    assert not waiting.done()
    other.kill()
    await asyncio.wait_for(waiting, 10)
    await other.wait()


async def test_who_sleeps_with_the_turn_in_hand_does_not_silence_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "LONGEST_S", 0.05)
    async with asyncio.timeout(5), Turns(tmp_path).turn("Tickets"), Turns(tmp_path).turn("Tickets"):
        pass


async def test_a_folder_that_cannot_be_made_holds_nobody_up(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    async with asyncio.timeout(5), Turns(tmp_path / "file" / "turns").turn("Tickets"):
        pass
