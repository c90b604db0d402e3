"""What comes wrong is kept, visible and harmless: unmapped customers, unknown devices, deliveries nobody can read."""

from __future__ import annotations

import asyncio
import json

import httpx
from aiokafka import AIOKafkaProducer

from tests.line.system import WEBHOOK_SECRET, Row, System, until

_HEADERS = {"X-Lockstep-Token": WEBHOOK_SECRET, "Content-Type": "application/json"}


def test_work_of_an_organization_without_a_company_is_parked_visible_and_goes_out_when_mapped(system: System) -> None:
    organization = system.ninja.ask("POST", "organizations", name="Nobody Knows Them KG")["id"]
    device = system.add(organizationId=organization)
    uid = system.alert(device)
    rows = until("alert and device are parked", lambda: _parked(system, organization, 2))
    assert {(row["agent"], row["key"]) for row in rows} == {(a, str(device["id"])) for a in ("incidents", "devices")}
    assert {row["reason"] for row in rows} == {"UnmappedOrganization"}
    shown = system.lockstep("parked", "list").out
    assert f"{{organization: {organization}, company: ID}}" in shown, "it says what to do"
    assert system.status()["parked"] >= 2
    assert system.ticket_of(uid) is None
    company = system.psa.ask("POST", "companies", companyName="Known After All")["itemId"]
    policy = system.policy()
    policy["companies"]["map"] = [{"organization": organization, "company": company}]
    try:
        system.publish(policy)
        assert system.opened(uid)[0]["companyID"] == company
        item = until("the device has an item", lambda: system.item(device))
        assert item["companyID"] == company
        assert _parked(system, organization, 0) == []
        system.clear(uid)
        system.completed(*system.opened(uid))
    finally:
        system.ninja.ask("DELETE", f"devices/{device['id']}")
        until("the item is retired", lambda: system.item(device) is None)
        system.publish(system.policy())


def test_parked_work_can_be_dismissed(system: System) -> None:
    organization = system.ninja.ask("POST", "organizations", name="Never Wanted OHG")["id"]
    device = system.add(organizationId=organization)
    system.alert(device)
    until("alert and device are parked", lambda: _parked(system, organization, 2))
    said = system.lockstep("parked", "dismiss", "--organization", str(organization), "--reason", "a test customer")
    assert said.code == 0
    until("nothing of it is parked", lambda: not _parked(system, organization, 0))
    system.ninja.ask("DELETE", f"devices/{device['id']}")


def test_an_alert_of_a_device_that_was_never_seen_is_a_ticket_all_the_same(system: System) -> None:
    device = system.add(push=False)
    ticket = system.opened(system.alert(device))[0]
    assert ticket["externalID"].startswith(f"ls.{device['id']}.")


def test_an_alert_of_a_device_that_does_not_exist_is_parked_not_lost(system: System) -> None:
    uid = system.alert(987_654, allowUnknownDevice=True)

    def visible() -> bool:
        rows = system.lockstep("parked", "list", "--json").json()["parked"]
        return any(row["id"] == uid for row in rows) or system.ticket_of(uid) is not None

    until("the alert is parked or has a ticket", visible)
    assert "device 987654" in system.lockstep("explain", uid).out
    shown = system.lockstep("parked", "list").out
    assert "device is unknown" in shown
    assert "parked dismiss" in shown
    assert system.lockstep("parked", "dismiss", uid, "--reason", "a test").code == 0
    until("it is no longer parked", lambda: not visible())


def test_deliveries_without_the_secret_or_too_large_are_refused(system: System) -> None:
    url = f"{system.receiver}/webhooks/ninjaone"
    assert httpx.post(url, content=b"{}", trust_env=False).status_code in (401, 403)
    wrong = {**_HEADERS, "X-Lockstep-Token": "guessed"}
    assert httpx.post(url, content=b"{}", headers=wrong, trust_env=False).status_code in (401, 403)
    large = httpx.post(url, content=b"x" * (300 * 1024), headers=_HEADERS, trust_env=False)
    assert large.status_code == 413
    assert "256 KiB" in large.text


def test_an_unreadable_delivery_is_acknowledged_and_kept(system: System) -> None:
    before = system.status()["dead_letters"]
    for body in (b"{not json", b'{"id": "no number"}'):
        answer = httpx.post(f"{system.receiver}/webhooks/ninjaone", content=body, headers=_HEADERS, trust_env=False)
        assert 200 <= answer.status_code < 300
    letters = until("two more dead letters", lambda: _letters(system, before + 2))
    assert letters[-2]["value"] == "{not json"
    assert letters[-2]["stage"] == "webhook ninjaone"
    assert WEBHOOK_SECRET not in json.dumps(letters)
    said = system.lockstep("parked", "dismiss", *(letter["id"] for letter in letters[-2:]), "--reason", "seen")
    assert said.code == 0
    assert system.status()["dead_letters"] == before


def test_an_unreadable_record_becomes_a_dead_letter_and_the_next_alert_a_ticket(system: System) -> None:
    before = system.status()["dead_letters"]
    device = system.take()[0]
    asyncio.run(_garbage(system, str(device["id"])))
    system.opened(system.alert(device))
    letter = until("one more dead letter", lambda: _letters(system, before + 1))[-1]
    assert (letter["topic"], letter["stage"]) == ("ninjaone.alerts", "incidents")
    assert letter["error"]
    assert letter["id"] in system.lockstep("parked", "list").out
    # Again through the same door: it is still not understood, so it comes back.
    assert system.lockstep("parked", "retry", letter["id"]).code == 0
    again = until("it came back", lambda: _letters(system, before + 1))[-1]
    until("as another one", lambda: _letters(system, before + 1)[-1]["id"] != letter["id"])
    again = _letters(system, before + 1)[-1]
    assert system.lockstep("parked", "dismiss", again["id"], "--reason", "garbage").code == 0
    assert system.status()["dead_letters"] == before
    assert system.lockstep("audit", "verify").code == 0


async def _garbage(system: System, key: str) -> None:
    """A record that no version of Lockstep ever wrote, in the device's own partition."""
    from schemas.identity import partition_of

    broker = json.loads((system.folder / "kafka" / "broker.json").read_text())
    producer = AIOKafkaProducer(bootstrap_servers=broker["bootstrap_servers"])
    await producer.start()
    try:
        partition = partition_of(key.encode(), 6)
        await producer.send_and_wait("ninjaone.alerts", b"\xff\x00garbage", key=key.encode(), partition=partition)
    finally:
        await producer.stop()


def _parked(system: System, organization: int, at_least: int) -> list[Row]:
    rows = system.lockstep("parked", "list", "--organization", str(organization), "--json").json()["parked"]
    return rows if len(rows) >= at_least else []


def _letters(system: System, at_least: int) -> list[Row]:
    rows = system.lockstep("parked", "list", "--json").json()["dead_letters"]
    return rows if len(rows) >= at_least else []


def test_on_a_live_log_there_is_nothing_to_compare_and_a_shadow_does_not_start(system: System) -> None:
    said = system.lockstep("shadow")
    assert (said.code, said.out) == (1, "")
    assert "is not a shadow's, so there is nothing to compare" in said.err
    said = system.lockstep("run", "executor", LOCKSTEP_MODE="shadow")
    assert said.code == 1
    assert "mode is shadow, but the log at" in said.err.splitlines()[-1]
    assert "belongs to a live installation" in said.err.splitlines()[-1]


def test_setting_up_fields_is_refused_in_a_shadow_before_anything_is_sent(system: System) -> None:
    before = system.written()
    policy = system.policy()
    policy["devices"]["fields"]["serial"] = "A Field That Is Not There"
    system.write_policy(policy)
    try:
        said = system.lockstep("setup", LOCKSTEP_MODE="shadow")
        assert (said.code, "was not sent: this is a shadow" in said.err) == (1, True), said
        assert system.written() == before
    finally:
        system.write_policy(system.policy())


def test_an_organization_that_does_not_exist_is_no_empty_list(system: System) -> None:
    for verb in ("list", "held", "retry"):
        said = system.lockstep("parked", verb, "--organization", "999999")
        assert (said.code, said.out) == (1, ""), said
        assert "NinjaOne has no organization 999999; there are" in said.err
