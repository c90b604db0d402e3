"""A policy is compared with what can be reached: nobody is called through a connection that is not known to work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from schemas.facts import Company
from streams import policy_check, vendors
from streams.core.connection import Connection
from streams.core.mapping import Remembered
from streams.core.policy.observed import Observed
from streams.kafka_options import KafkaOptions
from streams.operations import Pause
from streams.policy_check import TenantAway, check_policy
from streams.policy_file import PolicyFile, read_policy
from streams.settings import Settings

pytestmark = pytest.mark.asyncio

RUNNING = KafkaOptions(bootstrap_servers="127.0.0.1:1")


@pytest.fixture
def file(tmp_path: Path) -> PolicyFile:
    path = tmp_path / "policy.yaml"
    path.write_text("version: 1\nrules:\n  - {name: a, when: {organization: [99]}}\n  - {name: rest, when: {}}\n")
    return read_policy(path)


class Known:
    """What the running system says, instead of its topics."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.state, self.switches = "Healthy", dict[str, bytes]()
        self.observed: Observed | None = None

        async def connections(options: KafkaOptions) -> dict[str, Connection]:
            return {"autotask": Connection(name="autotask", state=self.state, reason="locked")}  # type: ignore[arg-type]

        async def switches(options: KafkaOptions) -> dict[str, bytes]:
            return self.switches

        async def observed(options: KafkaOptions) -> Observed | None:
            return self.observed

        async def known_tickets(options: KafkaOptions) -> set[str]:
            return set()

        def client(*arguments: Any, **more: Any) -> None:
            raise AssertionError("Autotask was to be called")

        monkeypatch.setattr("streams.health.connections", connections)
        monkeypatch.setattr("streams.operations.switches", switches)
        monkeypatch.setattr("streams.policy_known.observed", observed)
        monkeypatch.setattr("streams.policy_known.known_tickets", known_tickets)
        monkeypatch.setattr(vendors, "autotask_client", client)


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> Known:
    return Known(monkeypatch)


@pytest.mark.parametrize("state", ["NotConnected", "Degraded", "Unhealthy"])
async def test_publishing_makes_no_call_unless_the_connection_is_healthy_and_says_so(
    known: Known, file: PolicyFile, state: str
) -> None:
    known.state = state
    checked = await check_policy(Settings(), file, tenant="if healthy", options=RUNNING)
    assert any("the policy was not compared with the tenant" in note for note in checked.notes)
    assert checked.errors() == []


async def test_a_tenant_that_must_be_asked_is_not_while_the_connection_is_unhealthy(
    known: Known, file: PolicyFile
) -> None:
    known.state = "Unhealthy"
    with pytest.raises(TenantAway, match=r"Autotask is Unhealthy \(locked\); no call is made before 'lockstep test"):
        await check_policy(Settings(), file, tenant="must", options=RUNNING)


async def test_a_paused_connection_is_not_used_for_a_check_either(known: Known, file: PolicyFile) -> None:
    known.switches = {"pause:all": Pause(what="all", since=1, by="ann", reason="patch night").to_json()}
    with pytest.raises(TenantAway, match="Autotask is paused by ann: patch night"):
        await check_policy(Settings(), file, tenant="must", options=RUNNING)


async def test_what_the_running_system_knows_is_compared_too(known: Known, file: PolicyFile) -> None:
    nobody = {5: Company(id=5, name="Else")}
    known.observed = Observed(organizations={17: "Contoso"}, companies=nobody)
    checked = await check_policy(Settings(), file, tenant="no", options=RUNNING)
    assert [(each.key, each.line, each.level) for each in checked.all()] == [
        ("companies", 1, "warning"),
        ("rules.0.when.organization.0", 3, "warning"),
    ]
    assert "has no company" in checked.all()[0].reason
    remembered = {17: Remembered(5, "exact", "Else", "Else")}
    known.observed = Observed(organizations={17: "Contoso"}, companies=nobody, remembered=remembered)
    checked = await check_policy(Settings(), file, tenant="no", options=RUNNING)
    assert [each.key for each in checked.all()] == ["rules.0.when.organization.0"], (
        "a renamed customer keeps its company"
    )


async def test_before_both_vendors_were_read_that_is_said(known: Known, file: PolicyFile) -> None:
    checked = await check_policy(Settings(), file, tenant="no", options=RUNNING)
    assert (checked.findings, len(checked.notes)) == ([], 1)


async def test_where_no_system_runs_the_file_alone_counts(monkeypatch: pytest.MonkeyPatch, file: PolicyFile) -> None:
    monkeypatch.setattr(policy_check.broker_folder, "running", lambda data_dir: None)
    checked = await check_policy(Settings(), file, tenant="no")
    assert (checked.all(), checked.notes) == ([], [])
