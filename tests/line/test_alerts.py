"""Alerts become tickets by rule, and closings travel both ways once (M4, M5), judged by what the vendors were asked."""

from __future__ import annotations

import json
import os
import time

import pytest

from tests.line.system import System, is_complete, name_of, until, writes

NOC, MONITORING, TRIAGE = 29_683_355, 29_683_354, 29_683_378
#: How long nothing may be written after the last closing; the acceptance run takes 60 s.
SILENCE_S = float(os.environ.get("LOCKSTEP_TEST_SILENCE", "10"))


def test_two_rules_choose_queue_priority_status_type_and_source(system: System) -> None:
    server, workstation = system.take(1, "WINDOWS_SERVER")[0], system.take()[0]
    uids = [
        system.alert(server, "The agent is offline", sourceType="AGENT_OFFLINE", severity="CRITICAL"),
        system.alert(workstation, "CPU above 95 %", severity="MAJOR"),
    ]
    offline, other = system.opened(*uids)
    names = ("queueID", "priority", "status", "ticketType", "source")
    assert [offline[name] for name in names] == [NOC, 4, 10, 5, -2]
    assert [other[name] for name in names] == [MONITORING, 1, 1, 2, 8]
    organizations = {o["id"]: o["name"] for o in system.ninja.state()["organizations"]}
    assert offline["title"] == f"{name_of(server)} offline at {organizations[server['organizationId']]}"


def test_a_changed_rule_takes_effect_without_a_restart(system: System) -> None:
    pids = system.pids()
    policy = system.policy()
    policy["rules"].insert(
        0, {"name": "printers", "when": {"message": {"matches": "(?i)paper jam"}}, "ticket": {"queue": "Triage"}}
    )
    try:
        system.publish(policy)
        ticket = system.opened(system.alert(system.take()[0], "Paper jam in tray 2"))[0]
        assert ticket["queueID"] == TRIAGE
    finally:
        system.publish(system.policy())
    ticket = system.opened(system.alert(system.take()[0], "Paper jam in tray 3"))[0]
    assert ticket["queueID"] == MONITORING
    assert system.pids() == pids


def test_a_policy_is_compared_before_it_is_published_listed_and_rolled_back(system: System) -> None:
    revisions = json.loads(system.lockstep("policy", "list", "--json").out)
    good = revisions[-1]["revision"]
    assert [each["in_force"] for each in revisions] == [False] * (len(revisions) - 1) + [True]
    assert system.lockstep("policy", "diff").code == 0
    policy = system.policy()
    policy["rules"].insert(0, {"name": "mistaken", "when": {"severity": ["MINOR"]}, "ticket": {"queue": "NOC"}})
    policy["defaults"]["priority"]["MAJOR"] = "Low"
    try:
        system.write_policy(policy)
        said = system.lockstep("policy", "diff")
        assert said.err == ""
        assert (said.code, said.out.splitlines()[:2]) == (
            2,
            [
                '~ defaults.priority.MAJOR: "High" -> "Low"',
                '+ rules[mistaken]: {"name": "mistaken", "ticket": {"queue": "NOC"}, "when": {"severity": ["MINOR"]}}',
            ],
        )
        system.publish(policy)
        said = system.lockstep("policy", "rollback", str(good), "--note", "too much in NOC")
        assert (said.code, said.out.splitlines()[0]) == (
            0,
            f"policy revision {good + 2} is in force and says what revision {good} said",
        )
        last = json.loads(system.lockstep("policy", "list", "--json").out)[-1]
        assert (last["revision"], last["why"]) == (good + 2, f"as revision {good}: too much in NOC")
        assert json.loads(system.lockstep("status", "--json").out)["policy_revision"] == good + 2
        said = system.lockstep("policy", "rollback", "4711")
        assert (said.code, said.err.startswith("lockstep: there is no revision 4711; there are 1, ")) == (1, True)
    finally:
        system.publish(system.policy())
    assert system.lockstep("policy", "diff", "--from", str(good), "--to", str(good + 2)).code == 0


def test_a_broken_policy_is_refused_with_file_and_line_and_does_not_come_into_force(system: System) -> None:
    broken = system.folder / "broken.yaml"
    broken.write_text("version: 1\nrules:\n  - name: all\n    when: {}\n    ticket:\n      quue: NOC\n")
    for verb, code in (("check", 2), ("publish", 1)):
        said = system.lockstep("policy", verb, str(broken))
        assert said.code == code
        assert f"{broken}:6:" in said.err
        assert "did you mean 'queue'" in said.err
    ticket = system.opened(system.alert(system.take()[0]))[0]
    assert ticket["queueID"] == MONITORING


def test_each_closing_travels_once_and_then_there_is_silence(system: System) -> None:
    cleared, completed = system.take(2)
    uids = [system.alert(cleared), system.alert(completed)]
    first, second = system.opened(*uids)
    psa, ninja = system.psa.mark(), system.ninja.mark()

    system.clear(uids[0])
    system.complete(second)
    system.completed(first)
    until("the alert is reset", lambda: uids[1] not in system.active())
    system.silence(SILENCE_S)

    written = writes(system.psa.calls(psa))
    assert [(call["method"], call["entity"], call["itemId"]) for call in written] == [("PATCH", "Tickets", first["id"])]
    assert [uids[1] in call["path"] for call in writes(system.ninja.calls(ninja))] == [True]
    history = [row for row in system.psa.history() if row["entity"] == "Tickets" and row["id"] == second["id"]]
    assert [row["by"] for row in history] == ["api", "control"], "nobody wrote to the ticket that the technician closed"


def test_a_ticket_that_a_technician_reopens_stays_open(system: System) -> None:
    uid = system.alert(system.take()[0])
    ticket = system.opened(uid)[0]
    system.clear(uid)
    system.completed(ticket)
    system.psa.ask("POST", f"tickets/{ticket['id']}/reopen")
    said = until("the line has seen it", lambda: _seen_reopened(system, uid))
    assert said
    system.silence(3)
    again = system.ticket_of(uid)
    assert again is not None
    assert not is_complete(again)
    assert again["status"] == 8


def _seen_reopened(system: System, uid: str) -> bool:
    return "status 8" in system.lockstep("explain", uid).out


def test_a_completed_ticket_resets_every_alert_that_it_gathered(system: System) -> None:
    device = system.take()[0]
    same = {"sourceConfigUid": "0b5d0f0a-0000-4000-8000-00000000c0de", "subject": "C:"}
    uids = [system.alert(device, text, **same) for text in ("Disk C: below 10 %", "Disk C: below 5 %")]
    ticket = system.opened(uids[0])[0]

    def noted() -> bool:
        return any(note["ticketID"] == ticket["id"] for note in system.psa.state()["ticketNotes"])

    until("the second alert is a note", noted)
    system.complete(ticket)
    until("both alerts are reset", lambda: not set(uids) & system.active())
    assert [len(system.resets(uid)) for uid in uids] == [1, 1]
    assert system.ticket_of(uids[1]) is None


def test_doubled_late_lost_and_reversed_deliveries_change_nothing(system: System) -> None:
    devices = system.take(4)
    system.ninja.ask("POST", "faults", kind="webhook_double", match={}, count=1)
    system.ninja.ask("POST", "faults", kind="webhook_lost", match={}, count=1)
    system.ninja.ask("POST", "faults", kind="webhook_delay", match={}, count=1, params={"seconds": 2})
    try:
        uids = [system.alert(device, f"Memory above {90 + n} %") for n, device in enumerate(devices)]
        tickets = system.opened(*uids)
        system.clear(uids[0])
        system.complete(tickets[1])
        system.completed(tickets[0])
        until("the alert is reset", lambda: uids[1] not in system.active())
        system.silence(3)
        before = system.written()
        system.ninja.ask("POST", "webhooks/redeliver", last=20, order="reversed")
        system.ninja.ask("POST", "webhooks/redeliver", last=20, order="same")
        system.silence(3)
        assert system.written() == before
    finally:
        system.ninja.ask("DELETE", "faults")
    assert system.doubled() == 0
    assert {t["id"] for t in system.opened(*uids) if is_complete(t)} == {tickets[0]["id"], tickets[1]["id"]}
    assert set(uids) & system.active() == {uids[2], uids[3]}


def test_the_normal_path_costs_one_call_each_and_polling_one_read_a_page(system: System) -> None:
    devices = system.take(3)
    system.silence(1)
    psa, ninja, begun = system.psa.mark(), system.ninja.mark(), time.monotonic()
    uids = [system.alert(device) for device in devices]
    tickets = system.opened(*uids)
    system.clear(uids[0])
    system.completed(tickets[0])
    system.complete(tickets[1])
    until("the alert is reset", lambda: uids[1] not in system.active())
    calls, elapsed = system.psa.calls(psa), time.monotonic() - begun

    written = [(call["method"], call["entity"]) for call in writes(calls)]
    assert sorted(written) == [("PATCH", "Tickets")] + [("POST", "Tickets")] * 3
    assert len(writes(system.ninja.calls(ninja))) == 1
    # Fewer than 500 tickets changed, so every poll is one read; whatever is beyond the polls would be a look-up.
    reads = [call for call in calls if call["path"].endswith("/Tickets/query")]
    assert len(reads) <= elapsed / 1.0 + 2
    # A poll that finds tickets changed reads what others wrote on them, one read for all: five changes here.
    notes = [call for call in calls if call["path"].endswith("/TicketNotes/query")]
    assert len(notes) <= min(len(reads), 5)
    rest = {call["entity"] for call in calls if call not in notes} - {"Tickets", "Companies", "ThresholdInformation"}
    assert rest == set(), "everything else is known already"


@pytest.mark.parametrize("kind", ["drop_after_commit", "drop_before_commit"])
def test_a_create_without_an_answer_becomes_one_ticket(system: System, kind: str) -> None:
    uid = None
    system.psa.ask("POST", "faults", kind=kind, match={"method": "POST", "path": "/Tickets$"}, count=1)
    try:
        uid = system.alert(system.take()[0])
        system.opened(uid)
    finally:
        system.psa.ask("DELETE", "faults")
    assert system.doubled() == 0
    system.reaches("autotask", "Healthy")
    system.clear(uid)
    system.completed(*system.opened(uid))
