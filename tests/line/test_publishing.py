"""From a policy file to what is in force, on the whole line: compared with the tenant, tried by one customer, tested."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.line.system import Row, System, is_complete, until, writes

MONITORING, NOC = 29683354, 29683355


@pytest.fixture(autouse=True)
def back(system: System) -> Iterator[None]:
    """Each test leaves the policy that it found."""
    yield
    system.publish(system.policy())


def organization_of(system: System, device: Row) -> int:
    return int(device["organizationId"])


def test_a_policy_with_a_name_that_the_tenant_does_not_have_is_not_published_unless_told_so(system: System) -> None:
    wrong = system.policy()
    wrong["rules"][0]["ticket"]["queue"] = "NOCK"
    system.write_policy(wrong)
    revision = system.status()["policy_revision"]
    said = system.lockstep("policy", "publish")
    assert said.code == 1
    assert "rules.0.ticket.queue: queue 'NOCK' does not exist in Autotask; did you mean 'NOC'?" in said.err
    assert said.err.splitlines()[-1].startswith("lockstep: nothing was published")
    assert system.status()["policy_revision"] == revision
    assert system.lockstep("policy", "check", "--tenant").code == 2
    assert system.lockstep("policy", "publish", "--anyway").code == 0
    assert system.status()["policy_revision"] == revision + 1


def test_what_the_running_system_knows_is_told_by_a_check_of_the_file(system: System) -> None:
    wrong = system.policy()
    wrong["companies"]["map"] = [{"organization": 4711, "company": 29683}]
    wrong["rules"].insert(0, {"name": "typo", "when": {"role": ["Windows Servr"], "tags": ["no-such-tag"]}})
    system.write_policy(wrong)
    said = system.lockstep("policy", "check")
    assert said.code == 2
    assert "companies.map.0.organization: warning: NinjaOne has no organization 4711" in said.err
    assert "no device that was seen has the role 'Windows Servr'; did you mean 'Windows Server'?" in said.err


def test_publishing_calls_nobody_while_the_connection_is_not_healthy_and_says_so(system: System) -> None:
    assert system.lockstep("pause", "autotask", "--reason", "patch night").code == 0
    try:
        until("the pause is seen", lambda: system.connection("autotask")["paused"])
        mark = system.psa.mark()
        wrong = system.policy()
        wrong["rules"][0]["ticket"]["queue"] = "NOCK"
        system.write_policy(wrong)
        said = system.lockstep("policy", "publish")
        assert said.code == 0
        assert "Autotask is paused by" in said.err
        assert "the policy was not compared with the tenant" in said.err
        said = system.lockstep("check")
        assert (said.code, len(said.err.splitlines())) == (1, 1)
        assert system.psa.calls(mark) == []
    finally:
        assert system.lockstep("resume", "autotask").code == 0


def test_a_canary_counts_for_one_customer_until_it_is_taken_back(system: System) -> None:
    (mine,) = system.take()
    elsewhere = {device["organizationId"] for device in system.fleet()} - {mine["organizationId"]}
    other = system.add(organizationId=min(elsewhere))
    tried = system.policy()
    tried["defaults"]["queue"] = "NOC"
    system.write_policy(tried)
    assert "has no organization 4711" in system.lockstep("policy", "publish", "--canary", "4711").err
    said = system.lockstep("policy", "publish", "--canary", str(organization_of(system, mine)))
    assert said.code == 0, said
    assert "everybody else keeps the previous one" in said.out
    status = system.status()
    assert status["policy_canary"]["organizations"] == [organization_of(system, mine)]
    one = system.alert(mine)
    first, second = system.opened(one, system.alert(other))
    assert (first["queueID"], second["queueID"]) == (NOC, MONITORING)
    (row,) = [row for row in system.lockstep("policy", "list", "--json").json() if row["canary"]]
    assert row["revision"] == status["policy_canary"]["revision"] == status["policy_revision"] + 1
    assert system.lockstep("policy", "rollback").code == 0
    assert system.status()["policy_canary"] is None
    system.clear(one)
    system.completed(first)
    third = system.opened(system.alert(mine, "again"))[0]
    assert third["queueID"] == MONITORING
    assert system.lockstep("audit", "verify", "--json").json()["verified"]


def test_a_canary_is_promoted_for_all(system: System) -> None:
    devices = system.take(2)
    tried = system.policy()
    tried["defaults"]["queue"] = "NOC"
    system.write_policy(tried)
    assert system.lockstep("policy", "publish", "--canary", str(organization_of(system, devices[0]))).code == 0
    revision = system.status()["policy_canary"]["revision"]
    assert system.lockstep("policy", "promote").code == 0
    status = system.status()
    assert (status["policy_revision"], status["policy_canary"]) == (revision, None)
    assert [ticket["queueID"] for ticket in system.opened(*map(system.alert, devices))] == [NOC, NOC]
    assert "no canary is in force" in system.lockstep("policy", "promote").err


def test_a_test_alert_goes_the_whole_way_and_leaves_a_completed_ticket_and_nothing_at_ninjaone(system: System) -> None:
    mark = system.ninja.mark()
    before = {ticket["id"] for ticket in system.tickets()}
    organization = system.fleet()[0]["organizationId"]
    said = system.lockstep("send-test-alert", "--organization", str(organization), "--json")
    assert said.code == 0, said
    document = said.json()
    (made,) = [ticket for ticket in system.tickets() if ticket["id"] not in before]
    assert (document["outcome"], document["ticket"]["number"]) == ("completed", made["ticketNumber"])
    assert is_complete(made)
    assert "Lockstep test alert, please ignore" in made["title"]
    assert made["externalID"] == document["external_id"]
    assert made["externalID"].startswith(f"ls.o{organization}.")
    system.silence(3)
    assert writes(system.ninja.calls(mark)) == []
    assert "send-test-alert" in system.lockstep("send-test-alert", "--help").out


def test_a_technician_who_completes_a_kept_test_ticket_ends_its_alert(system: System) -> None:
    organization = str(system.fleet()[0]["organizationId"])
    document = system.lockstep("send-test-alert", "--organization", organization, "--keep", "--json").json()
    assert document["outcome"] == "kept"
    (ticket,) = [ticket for ticket in system.tickets() if ticket["externalID"] == document["external_id"]]
    assert not is_complete(ticket)
    system.complete(ticket)
    until(
        "the alert is closed",
        lambda: "closed (TicketCompleted)" in system.lockstep("explain", document["uid"]).out,
    )
    system.silence(3)


def test_a_test_alert_for_an_organization_that_does_not_exist_is_one_line(system: System) -> None:
    said = system.lockstep("send-test-alert", "--organization", "No Such Customer")
    assert said.code == 1
    assert said.err.startswith("lockstep: NinjaOne has no organization 'No Such Customer'; ")


def test_a_test_alert_is_not_sent_while_it_would_only_wait(system: System) -> None:
    organization = str(organization_of(system, system.fleet()[0]))
    assert system.lockstep("pause", "autotask", "--reason", "patch night").code == 0
    try:
        said = system.lockstep("send-test-alert", "--organization", organization)
        assert said.code == 1
        assert "Autotask is paused by" in said.err
        assert "none was sent" in said.err
    finally:
        assert system.lockstep("resume", "autotask").code == 0


def test_a_test_alert_whose_sender_is_terminated_is_taken_back(system: System) -> None:
    policy = system.policy()
    policy["rules"].insert(
        0, {"name": "slow", "when": {"source_type": ["LOCKSTEP_TEST"]}, "lifecycle": {"hold": "60s"}}
    )
    system.publish(policy)
    organization = str(organization_of(system, system.fleet()[0]))
    there = {ticket["id"] for ticket in system.tickets()}
    sender = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "streams.main",
            "send-test-alert",
            "--organization",
            organization,
            "--config",
            str(system.config),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=system.environment,
    )
    assert sender.stdout is not None
    until("it is held", lambda: "Holding" in sender.stdout.readline())  # type: ignore[union-attr]
    sender.send_signal(signal.SIGTERM)
    out, err = sender.communicate(timeout=60)
    assert (sender.returncode, "interrupted" in err) == (143, True), (out, err)
    assert "alert.gone" in out
    assert {ticket["id"] for ticket in system.tickets()} == there
