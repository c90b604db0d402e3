"""Both simulators of one process: addresses, the shared clock, use from synchronous code, and how they end."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import httpx
import pytest

from connectors.sandbox.serve import running_sandbox, sandbox_in_thread, serve


def control(url: str, method: str, path: str, body: Any = None) -> Any:
    return httpx.request(method, f"{url}/_sandbox/{path}", json=body, trust_env=False).json()


async def test_serve_announces_once_what_a_client_needs_and_ends_when_told() -> None:
    announced: list[dict[str, Any]] = []
    stop = asyncio.Event()
    task = asyncio.create_task(serve(seed=3, organizations=2, devices=6, announce=announced.append, stop=stop))
    while not announced:
        await asyncio.sleep(0.005)
    (addresses,) = announced
    assert set(addresses["ninjaone"]) == {"base_url", "client_id", "client_secret"}
    assert set(addresses["autotask"]) == {"discovery_url", "username", "secret", "integration_code"}
    async with httpx.AsyncClient(trust_env=False) as client:
        ninjaone, autotask = addresses["ninjaone"], addresses["autotask"]
        form = {
            "grant_type": "client_credentials",
            "client_id": ninjaone["client_id"],
            "client_secret": ninjaone["client_secret"],
        }
        assert (await client.post(f"{ninjaone['base_url']}/ws/oauth/token", data=form)).status_code == 200
        zone = await client.get(
            f"{autotask['discovery_url']}v1.0/zoneInformation", params={"user": autotask["username"]}
        )
        assert zone.status_code == 200
    stop.set()
    await asyncio.wait_for(task, 5)
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(httpx.ConnectError):
            await client.get(f"{addresses['ninjaone']['base_url']}/_sandbox/clock")


def test_a_synchronous_test_can_use_it_from_a_thread() -> None:
    with sandbox_in_thread(organizations=2, devices=8) as sandbox:
        state = control(sandbox.ninjaone_url, "GET", "state")
        assert len(state["organizations"]) == 2
        assert len(state["devices"]) == 8


def test_both_vendors_live_by_one_clock() -> None:
    with sandbox_in_thread(devices=6) as sandbox:
        control(sandbox.ninjaone_url, "POST", "clock", {"advance": 7200})
        assert control(sandbox.autotask_url, "GET", "clock")["offset"] == 7200


def test_faults_and_settings_of_one_vendor_do_not_touch_the_other() -> None:
    with sandbox_in_thread(devices=6) as sandbox:
        control(sandbox.ninjaone_url, "POST", "faults", {"kind": "html", "count": -1})
        control(sandbox.ninjaone_url, "PATCH", "settings", {"latency_ms": 7})
        assert control(sandbox.autotask_url, "GET", "faults") == []
        assert control(sandbox.autotask_url, "GET", "settings")["latency_ms"] == 0


def test_the_fleet_has_the_customers_of_its_world() -> None:
    with sandbox_in_thread(seed=5, organizations=4, devices=6) as sandbox:
        names = {row["name"] for row in control(sandbox.ninjaone_url, "GET", "state")["organizations"]}
        assert len(names) == 4
        assert names == set(sandbox.ninjaone.store.world.organization_names())


def test_a_taken_port_is_an_os_error_and_leaves_nothing_running() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        async def start() -> None:
            async with running_sandbox(devices=6, autotask_port=port):
                raise AssertionError("must not start")

        with pytest.raises(OSError):
            asyncio.run(start())


async def test_no_secret_stands_in_its_repr() -> None:
    async with running_sandbox(devices=6) as sandbox:
        assert sandbox.client_secret not in repr(sandbox)
        assert sandbox.secret not in repr(sandbox)


async def test_two_sandboxes_run_side_by_side() -> None:
    async with running_sandbox(seed=1, devices=6) as one, running_sandbox(seed=2, devices=6) as two:
        assert one.ninjaone_url != two.ninjaone_url
        assert one.client_secret != two.client_secret
