"""The verbs that look and the verbs that hold, over a running system."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from schemas.envelope import rfc3339
from streams.kafka_options import KafkaOptions
from streams.readers import read_all
from tests.line.system import System, until, writes
from tests.schemas.stranger import Stranger


def test_explain_tells_the_whole_way_of_an_alert_by_any_of_its_names(system: System) -> None:
    device = system.take()[0]
    uid = system.alert(device)
    ticket = system.opened(uid)[0]
    system.clear(uid)
    system.completed(ticket)
    time.sleep(1)
    said = system.lockstep("explain", uid)
    assert said.code == 0
    told = [said.out.index(word) for word in ("alert.triggered", "create-ticket", "alert.reset", "complete-ticket")]
    assert told == sorted(told)
    assert "rule everything-else" in said.out
    for identity in (ticket["ticketNumber"], str(device["id"])):
        assert uid in system.lockstep("explain", identity).out
    document = system.lockstep("explain", uid, "--json").json()
    assert document["id"] == uid
    assert document["happenings"]


def test_explain_of_something_unknown_says_what_it_takes(system: System) -> None:
    for identity, words in (
        ("server", "it takes an alert's uid, a ticket's number, the id of a device"),
        ("T19700101.0001", "a ticket of ours that is new is read by the next poll, in 1 s at most"),
        (
            "0" * 32,
            "an alert that is new comes by webhook within seconds (the receiver runs), else by the poll, 1 s at",
        ),
        ("999999", " devices are known: "),
    ):
        said = system.lockstep("explain", identity)
        assert (said.code, said.out) == (1, "")
        assert words in said.err, said
        assert len(said.err.splitlines()) == 1


def test_status_has_the_documented_shape(system: System) -> None:
    status = system.status()
    assert {"connections", "roles", "waiting", "parked"} <= set(status)
    assert set(status["connections"]) == {"ninjaone", "autotask"}
    for connection in status["connections"].values():
        assert connection["state"] == "Healthy"
        assert {"state", "since", "reason"} <= set(connection)
    running = {role["name"] for role in status["roles"] if role["state"] == "running"}
    assert running >= {"connectors", "executor", "worker-1", "worker-2"}
    assert system.lockstep("status", "--role", "worker").code == 0


def test_the_state_can_be_rebuilt_from_the_audit_now_and_as_of_an_earlier_moment(system: System) -> None:
    device = system.take()[0]
    uid = system.alert(device)
    ticket = system.opened(uid)[0]
    time.sleep(1)
    before = rfc3339(round(time.time() * 1000))
    system.clear(uid)
    system.completed(ticket)
    system.silence(2)
    said = system.lockstep("rebuild", "--json")
    assert said.code == 0, said
    found = said.json()
    assert (found["compared_with_live_state"], found["differences"]) == (True, [])
    assert found["documents"] > 0
    file = system.folder / "documents.jsonl"
    key = str(device["id"])
    then = system.lockstep("rebuild", "--as-of", before, "--key", key, "--output", str(file), "--json")
    assert then.code == 0, then
    [shown] = [row for row in then.json()["shown"] if row["agent"] == "incidents"]
    assert shown["body"]["alerts"][uid]["disposition"] == "ticketed"
    assert then.json()["compared_with_live_state"] is False
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    assert {row["agent"] for row in rows} == {"incidents", "devices"}
    unknown = system.lockstep("rebuild", "--key", "999999")
    assert unknown.code == 1
    assert "the audit has no decision about '999999'" in unknown.err


def test_a_moment_can_be_asked_for_by_any_name_and_a_part_of_the_audit_verified(system: System) -> None:
    device = system.take()[0]
    key = str(device["id"])
    uid = system.alert(device)
    ticket = system.opened(uid)[0]
    number, external_id = ticket["ticketNumber"], ticket["externalID"]
    seen = f"incident {external_id}: ticket {number}, open, 1 active alert"
    until("the ticket is seen", lambda: seen in system.lockstep("explain", uid, "--as-of", "0s").out)
    before = rfc3339(round(time.time() * 1000))
    system.clear(uid)
    system.completed(ticket)
    system.silence(2)
    for name in (uid, number):
        then = system.lockstep("explain", name, "--as-of", before, "--json").json()
        assert seen in then["stands"], then["stands"]
        assert all(happening["time"] <= before for happening in then["happenings"])
    assert f"incident {external_id}: ticket {number}, completed" in system.lockstep("explain", uid, "--as-of", "0s").out
    mapped = system.lockstep("explain", f"o{device['organizationId']}", "--as-of", before, "--json").json()
    assert mapped["mapping"]["state"] == "ok"
    status = system.lockstep("status", "--as-of", before, "--json").json()
    assert {name: one["state"] for name, one in status["connections"].items()} == dict.fromkeys(
        ("ninjaone", "autotask"), "Healthy"
    )
    assert status["alerts"]["ticketed"] > 0
    assert status["policy_revision"] > 0
    long_ago = system.lockstep("status", "--as-of", "2020-01-01")
    assert "ninjaone: Not connected: never tested" in long_ago.out
    for part in (["--device", key, "--since", before], ["--incident", external_id, "--until", before]):
        verified = system.lockstep("audit", "verify", *part, "--json").json()
        assert verified["verified"] is True, verified
        assert 0 < verified["decided_again"] <= verified["records"]
    told = system.lockstep(
        "audit", "tail", "--no-follow", "--device", key, "--until", before, "--json"
    ).out.splitlines()
    assert {json.loads(line)["key"] for line in told} == {key}


def test_the_facts_alone_lead_to_the_same_tickets_and_items(system: System) -> None:
    cleared, finished = (system.alert(device) for device in system.take(2))
    tickets = system.opened(cleared, finished)
    system.clear(cleared)
    system.complete(tickets[1])
    system.completed(tickets[0])
    system.silence(2)
    said = system.lockstep("rebuild", "--from-facts", "--json")
    found = said.json()
    assert (said.code, found["differences"]) == (0, []), said
    assert found["tickets_and_items_the_same"] > system.devices
    assert found["begins"] == []
    assert "tickets and items are the same" in system.lockstep("rebuild", "--from-facts", "--as-of", "1s").out


def test_a_stranger_reads_every_topic_of_a_running_system_by_the_document_alone(system: System) -> None:
    ticket = system.opened(system.alert(system.take()[0]))[0]
    system.complete(ticket)
    system.silence(2)
    said = system.lockstep("topics", "--asyncapi")
    stranger = Stranger(said.json())
    servers = json.loads((system.folder / "kafka" / "broker.json").read_text())["bootstrap_servers"]
    options = KafkaOptions(bootstrap_servers=servers)

    async def look() -> dict[str, int]:
        counts = dict.fromkeys(stranger.addresses, 0)
        # What nobody could read, because another test wrote it, is kept as a dead letter that says where it stood.
        unreadable = set()
        async for letter in read_all(options, "dead-letters"):
            about = {name: value.decode() for name, value in letter.headers if name.startswith("dead_")}
            if "dead_offset" in about:
                unreadable.add((about["dead_topic"], int(about["dead_partition"]), int(about["dead_offset"])))
        for topic in stranger.addresses:
            async for record in read_all(options, topic):
                if (topic, record.partition, record.offset) in unreadable:
                    continue
                stranger.read(topic, record.headers, record.key, record.value)
                counts[topic] += 1
        return counts

    counts = asyncio.run(look())
    # What only happens in a storm, on a timer, once a day or to an operator's word may not have happened here.
    rare = {
        "dead-letters",
        "checkpoints",
        "operations",
        "timers",
        "handoffs",
        "storms.candidates",
        "storms.verdicts",
        "storms.state",
        "shadow",
        "personal",
    }
    assert {topic for topic, count in counts.items() if count == 0} <= rare


def test_a_draft_is_compared_with_what_really_happened_and_calls_nobody(system: System) -> None:
    system.publish(system.policy())
    system.silence(2)
    begin = rfc3339(round(time.time() * 1000))
    uid = system.alert(system.take()[0])
    ticket = system.opened(uid)[0]
    system.clear(uid)
    system.completed(ticket)
    system.silence(2)
    calls = system.psa.mark()
    same = system.lockstep("whatif", "--policy", str(system.policy_path), "--since", begin, "--json")
    assert (same.code, same.json()["changes"]) == (0, []), same
    assert same.json()["live"]["tickets"] == same.json()["draft"]["tickets"] > 0
    draft = system.folder / "draft.yaml"
    draft.write_text("version: 1\nrules:\n  - {name: patient, when: {}, lifecycle: {hold: 12h}}\n")
    said = system.lockstep("whatif", "--policy", str(draft), "--since", begin)
    assert said.code == 2, said
    assert f"- {ticket['externalID']}: not opened" in said.out
    assert "0 opened" in said.out
    assert writes(system.psa.calls(calls)) == []


def test_the_audit_verifies_and_can_be_followed(system: System) -> None:
    system.silence(1)
    result = system.lockstep("audit", "verify", "--json")
    assert result.code == 0, result
    document = result.json()
    assert document["verified"] is True
    assert document["difference"] is None
    assert document["records"] >= system.devices
    uid = system.alert(system.take()[0])
    system.opened(uid)
    time.sleep(1)
    said = system.lockstep("audit", "tail", "--no-follow", "--lines", "30", "--json")
    assert said.code == 0
    records = [json.loads(line) for line in said.out.splitlines()]
    assert any(uid in json.dumps(record) for record in records)


def test_topics_shows_what_each_holds_and_who_lags(system: System) -> None:
    rows = {row["topic"]: row for row in system.lockstep("topics", "--json").json()}
    assert rows["ninjaone.alerts"]["partitions"] == 6
    assert rows["autotask.ticket-commands"]["partitions"] == 1
    assert rows["attempts"]["cleanup"] == "compact"
    assert all(row["exists"] for row in rows.values())
    assert "lockstep.incidents" in rows["ninjaone.alerts"]["lag"]
    told = system.lockstep("topics").out.splitlines()
    assert told[0].split()[-2:] == ["LAG", "(lockstep.*)"]
    assert any(line.startswith("ninjaone.alerts ") and "incidents " in line for line in told)


@pytest.mark.parametrize("vendor", ["autotask", "ninjaone"])
def test_a_paused_vendor_is_not_called_and_the_rest_goes_on(system: System, vendor: str) -> None:
    sandbox = system.psa if vendor == "autotask" else system.ninja
    uid = system.alert(system.take()[0])
    ticket = system.opened(uid)[0]
    assert system.lockstep("pause", vendor, "--reason", "patch night").code == 0
    try:
        time.sleep(1)
        mark = sandbox.mark()
        if vendor == "autotask":
            system.clear(uid)
        else:
            system.complete(ticket)
        time.sleep(2.5)
        assert sandbox.calls(mark) == []
        connection = system.connection(vendor)
        assert connection["paused"] is True
        assert "patch night" in connection["reason"]
    finally:
        assert system.lockstep("resume", vendor).code == 0
    if vendor == "autotask":
        system.completed(ticket)
        assert [call["itemId"] for call in writes(sandbox.calls(mark))] == [ticket["id"]]
    else:
        deadline = time.monotonic() + 20
        while uid in system.active() and time.monotonic() < deadline:
            time.sleep(0.2)
        assert len(system.resets(uid)) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["nonsense"], 64, "nonsense"),
        (["shadow"], 1, "shadow"),
        (["explain"], 64, "ID"),
        (["connect", "ninjaone", "--username", "x"], 64, "--client-id"),
        (["parked", "dismiss", "no-such-id", "--reason", "x"], 1, "parked list"),
        (["parked", "retry"], 64, "--organization"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_64(system: System, arguments: list[str], code: int, word: str) -> None:
    said = system.lockstep(*arguments)
    assert said.code == code
    assert word in said.err


def test_a_system_that_does_not_run_says_so(system: System) -> None:
    elsewhere = system.folder / "elsewhere" / "lockstep.yaml"
    elsewhere.parent.mkdir(exist_ok=True)
    elsewhere.write_text(system.config.read_text())
    for verb in (["status"], ["audit", "verify"], ["pause", "all"]):
        said = system.lockstep(*verb, config=elsewhere)
        assert said.code == 1, verb
        assert "lockstep up" in said.err
        assert len(said.err.splitlines()) == 1


def test_a_part_about_something_that_nobody_ever_heard_of_is_no_proof(system: System) -> None:
    for verb in (("audit", "verify"), ("audit", "tail", "--no-follow")):
        said = system.lockstep(*verb, "--device", "999999")
        assert (said.code, said.out) == (1, "")
        assert said.err.startswith("lockstep: never heard of device 999999; ")
    said = system.lockstep("audit", "verify", "--partition", "0", "--from-offset", "9", "--to-offset", "3")
    assert (said.code, "--from-offset is behind --to-offset" in said.err) == (64, True)
