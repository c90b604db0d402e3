"""The connections (M6 to M8): tested in exact words, left alone while Unhealthy, and nothing that waited is lost."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.line.system import Sandbox, System, until, writes

SUCCESS = "Status: Connection succeeded with provided credentials."


@pytest.mark.parametrize("vendor", ["autotask", "ninjaone"])
def test_a_working_connection_answers_with_the_guides_own_line(system: System, vendor: str) -> None:
    said = system.lockstep("test", vendor)
    assert (said.code, said.out) == (0, SUCCESS)


@pytest.mark.parametrize(
    ("change", "undo"), [({"locked": True}, {"locked": False}), ({"active": False}, {"active": True})]
)
def test_a_locked_or_inactive_api_user_is_left_alone_until_a_test_and_then_all_goes_out_once(
    system: System, change: dict[str, bool], undo: dict[str, bool]
) -> None:
    devices = system.take(4)
    open_alert = system.alert(devices[0])
    ticket = system.opened(open_alert)[0]
    system.psa.ask("PATCH", "api-user", **change)
    try:
        state = system.reaches("autotask", "Unhealthy")
        for word in ("Active", "Locked", "secret"):
            assert word in state["reason"], state
        assert state["since"]
        uids = [system.alert(device) for device in devices[1:]]
        system.clear(open_alert)
        time.sleep(1)
        mark = system.psa.mark()
        time.sleep(2)
        waiting = {entry["topic"]: entry for entry in system.status()["waiting"]}
        assert waiting["autotask.ticket-commands"]["count"] == 4
        assert "Unhealthy" in waiting["autotask.ticket-commands"]["why"]
    finally:
        system.psa.ask("PATCH", "api-user", **undo)
    time.sleep(1)
    assert system.psa.calls(mark) == [], "not even a probe"
    said = system.lockstep("test", "autotask")
    assert (said.code, said.out) == (0, SUCCESS)
    system.opened(*uids)
    system.completed(ticket)
    system.silence(1.5)
    assert [call["entity"] for call in writes(system.psa.calls(mark))] == ["Tickets"] * 4
    assert system.connection("autotask")["state"] == "Healthy"
    assert system.doubled() == 0


def test_an_inactive_ninjaone_client_waits_too(system: System) -> None:
    uid = system.alert(system.take()[0])
    ticket = system.opened(uid)[0]
    system.ninja.ask("PATCH", "client", active=False)
    try:
        assert system.reaches("ninjaone", "Unhealthy")["reason"]
        time.sleep(1)
        system.complete(ticket)
        mark = system.ninja.mark()
        time.sleep(2)
    finally:
        system.ninja.ask("PATCH", "client", active=True)
    time.sleep(1)
    assert system.ninja.calls(mark) == []
    assert system.lockstep("test", "ninjaone").out == SUCCESS
    until("the alert is reset", lambda: uid not in system.active())
    assert len(system.resets(uid)) == 1


def test_a_wrong_secret_is_refused_by_connect_and_nothing_is_stored(system: System) -> None:
    before, mark = system.secrets.read_bytes(), system.psa.mark()
    said = system.lockstep("connect", "autotask", "--secret-stdin", stdin="not-the-secret\n")
    assert said.code == 1
    assert "nothing was stored" in said.err
    assert "not-the-secret" not in said.all
    assert system.secrets.read_bytes() == before
    refused = [call for call in system.psa.calls(mark) if call["auth"] != "ok" and call["refusedWhy"]]
    assert len(refused) == 1, "a test stops at its first refusal"
    assert system.connection("autotask")["state"] == "Healthy", "the credentials in force still work"


@pytest.mark.parametrize("vendor", ["autotask", "ninjaone"])
def test_a_changed_secret_is_taken_by_the_running_system_at_once(system: System, vendor: str) -> None:
    sandbox, resource, key = _control(system, vendor)
    old = system.given[vendor][key]
    pids = system.pids()
    sandbox.ask("PATCH", resource, secret="another-secret-0123456789")
    try:
        system.reaches(vendor, "Unhealthy")
        said = system.lockstep("connect", vendor, "--secret-stdin", stdin="another-secret-0123456789\n")
        assert said.code == 0, said
        assert SUCCESS in said.out
        mark = sandbox.mark()
        until("the running system polls again", lambda: _good(sandbox, mark), seconds=2.5)
        assert system.connection(vendor)["state"] == "Healthy"
        assert (system.secrets.stat().st_mode & 0o777) == 0o600
    finally:
        sandbox.ask("PATCH", resource, secret=old)
        assert system.lockstep("connect", vendor, "--secret-stdin", stdin=f"{old}\n").code == 0
        system.reaches(vendor, "Healthy")
    assert system.pids() == pids
    system.opened(system.alert(system.take()[0]))


def test_a_disconnected_system_calls_nobody_and_goes_on_when_connected_again(system: System) -> None:
    given = system.given["autotask"]
    said = system.lockstep("disconnect", "autotask")
    assert said.code == 0
    try:
        assert "Not connected" in said.out
        assert system.connection("autotask")["state"] == "NotConnected"
        assert given["secret"] not in system.secrets.read_text()
        time.sleep(1)
        mark = system.psa.mark()
        uid = system.alert(system.take()[0])
        time.sleep(2.5)
        assert system.psa.calls(mark) == []
        assert "Not connected" in system.lockstep("status").out
    finally:
        options = ["--username", given["username"], "--integration-code", given["integration_code"], "--secret-stdin"]
        said = system.lockstep("connect", "autotask", *options, stdin=given["secret"])
    assert said.code == 0, said
    system.opened(uid)


@pytest.fixture(scope="module")
def tenant(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Sandboxes and a configuration, nothing else: testing a connection needs no running system."""
    alone = System(tmp_path_factory.mktemp("tenant"), devices=3, organizations=1)
    try:
        alone.start_sandbox()
        yield alone
    finally:
        alone.close()


@pytest.mark.parametrize(
    ("variable", "value", "beginning", "word"),
    [
        ("LOCKSTEP_AUTOTASK__USERNAME", "nobody@sandbox.example", "Status: user:", "nobody@sandbox.example"),
        ("LOCKSTEP_AUTOTASK__SECRET", "wrong", "Status: ", "secret"),
        ("LOCKSTEP_AUTOTASK__INTEGRATION_CODE", "WRONGCODE", "Status: tracking identifier:", "tracking identifier"),
        ("LOCKSTEP_AUTOTASK__DISCOVERY_URL", "http://127.0.0.1:9/", "Status: zone:", "discovery_url"),
    ],
)
def test_a_test_of_autotask_names_the_step_that_fails(
    tenant: System, variable: str, value: str, beginning: str, word: str
) -> None:
    said = tenant.lockstep("test", "autotask", **{variable: value})
    assert said.code == 1
    assert said.out.startswith(beginning)
    assert word in said.out
    assert len(said.out.splitlines()) == 1


def test_wrong_secret_locked_and_inactive_look_alike_so_one_line_names_all_three_in_the_guides_order(
    tenant: System,
) -> None:
    lines = set()
    for change in ({"active": False}, {"locked": True}, {"secret": "changed-by-somebody"}):
        tenant.psa.ask("PATCH", "api-user", **change)
        mark = tenant.psa.mark()
        said = tenant.lockstep("test", "autotask")
        tenant.psa.ask("PATCH", "api-user", active=True, locked=False, secret=tenant.given["autotask"]["secret"])
        assert said.code == 1
        assert said.out.index("Active") < said.out.index("Locked") < said.out.rindex("secret")
        assert sum(bool(call["refusedWhy"]) for call in tenant.psa.calls(mark)) == 1
        lines.add(said.out)
    assert len(lines) == 1
    assert tenant.lockstep("test", "autotask").out == SUCCESS


def test_a_missing_permission_names_the_entity_and_what_is_not_allowed(tenant: System) -> None:
    tenant.psa.ask("PATCH", "api-user", permissions={"Tickets": {"create": False}})
    said = tenant.lockstep("test", "autotask")
    tenant.psa.ask("PATCH", "api-user", permissions={"Tickets": {"create": True}})
    assert said.code == 1
    assert said.out.startswith("Status: permissions:")
    assert "create Tickets" in said.out
    assert "ConfigurationItems" not in said.out


def test_a_missing_user_defined_field_is_a_finding_beside_the_success(tenant: System) -> None:
    tenant.psa.ask("DELETE", "udfs/Memory")
    said = tenant.lockstep("test", "autotask")
    tenant.psa.ask("POST", "udfs", name="Memory")
    assert said.code == 2
    assert said.out.splitlines()[0] == SUCCESS
    assert "'Memory'" in said.out
    assert "lockstep setup" in said.out


@pytest.mark.parametrize(
    ("variable", "value", "beginning"),
    [
        ("LOCKSTEP_NINJAONE__CLIENT_ID", "nobody", "Status: client id:"),
        ("LOCKSTEP_NINJAONE__CLIENT_SECRET", "wrong", "Status: client secret:"),
        ("LOCKSTEP_NINJAONE__BASE_URL", "http://127.0.0.1:9", "Status: host:"),
    ],
)
def test_a_test_of_ninjaone_names_the_step_that_fails(
    tenant: System, variable: str, value: str, beginning: str
) -> None:
    said = tenant.lockstep("test", "ninjaone", **{variable: value})
    assert said.code == 1
    assert said.out.startswith(beginning)
    assert len(said.out.splitlines()) == 1


def test_a_missing_scope_of_the_ninjaone_client_is_named(tenant: System) -> None:
    tenant.ninja.ask("PATCH", "settings", client_scopes="monitoring")
    said = tenant.lockstep("test", "ninjaone")
    tenant.ninja.ask("PATCH", "settings", client_scopes="monitoring management control")
    assert said.code == 1
    assert said.out.startswith("Status: scope:")
    assert "management" in said.out


def _control(system: System, vendor: str) -> tuple[Sandbox, str, str]:
    if vendor == "autotask":
        return system.psa, "api-user", "secret"
    return system.ninja, "client", "client_secret"


def _good(sandbox: Sandbox, mark: int) -> bool:
    return any(call["status"] == 200 for call in sandbox.calls(mark))
