"""Personal data on the whole line: left out unless the policy asks for it, and then erasable with the audit whole.

Both vendors are seeded with values that nothing else contains, so that their bytes can be looked for wherever Lockstep writes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import orjson
import pytest

from schemas.topics import CATALOGUE, PERSONAL
from streams.broker import attach
from streams.kafka_options import KafkaOptions
from streams.readers import last_values, read_all
from tests.line.system import WEBHOOK_SECRET, Row, System, fields_of, until

USER = "GEODE\\zoe.quartzfield"
NOTE_TITLE, NOTE_TEXT = "Zoe Quartzfield rang", "Her son Basalt spilt tea over the keyboard."
ACKNOWLEDGED, RESET = "Feldspar Onyx acknowledged it", "Feldspar Onyx reset it"
MAIL, CONTACT_MAIL = "obsidian.marl@msp.example", "gneiss.tuff@customer.example"
#: What must be found, or the looking is blind: the text of the alert.
CONTROL = "one with people in it"
#: What must be nowhere: parts that nothing else of the tenants contains.
VALUES = (
    *("zoe.quartzfield", "Quartzfield", "Basalt", "spilt tea", "Feldspar", "Onyx"),
    *("Obsidian", "obsidian.marl", "Gneiss", "gneiss.tuff"),
)


def people(system: System) -> None:
    """A technician and a contact with names that nothing else has."""
    given, base = system.given["autotask"], f"{system.psa.base}/atservicesrest/v1.0"
    headers = {
        "UserName": given["username"],
        "Secret": given["secret"],
        "ApiIntegrationCode": given["integration_code"],
    }
    state = system.psa.state()
    technician = next(r for r in state["resources"] if r["licenseType"] != 7 and r["isActive"])
    with httpx.Client(base_url=base, headers=headers, trust_env=False) as api:
        named = {"firstName": "Obsidian", "lastName": "Marl", "email": MAIL}
        api.patch("/Resources", json={"id": technician["id"], **named}).raise_for_status()
        company = state["companies"][0]["id"]
        contact = {"firstName": "Gneiss", "lastName": "Tuff", "isActive": 1, "emailAddress": CONTACT_MAIL}
        api.post(f"/Companies/{company}/Contacts", json={"companyID": company, **contact}).raise_for_status()


def lives(system: System, device: Row) -> None:
    """An alert with its ticket, acknowledged, noted by a technician, and reset by hand."""
    uid = system.alert(device, CONTROL)
    (ticket,) = system.opened(uid)
    system.ninja.ask("POST", f"alerts/{uid}/acknowledge", userId=12, message=ACKNOWLEDGED)
    system.psa.ask("POST", f"tickets/{ticket['id']}/note", title=NOTE_TITLE, description=NOTE_TEXT)
    until("the note is told", lambda: "TechnicianNoteRecorded" in system.lockstep("explain", uid).out)
    system.ninja.ask("POST", f"alerts/{uid}/clear", message=RESET)
    system.completed(ticket)


def files(folder: Path) -> Iterator[Path]:
    """All that Lockstep wrote: Kafka's own files, logs, reports. The simulators' log is the vendors'."""
    return (path for path in folder.rglob("*") if path.is_file() and path.name != "sandbox.log")


def found_in_files(system: System) -> dict[str, list[str]]:
    wanted = {value: value.encode() for value in (*VALUES, CONTROL)}
    found: dict[str, list[str]] = {}
    for path in files(system.folder):
        content = path.read_bytes()
        for value, raw in wanted.items():
            if raw in content:
                found.setdefault(value, []).append(str(path.relative_to(system.folder)))
    return found


def found_in_topics(system: System, *, but: str = "") -> dict[str, set[str]]:
    async def look() -> dict[str, set[str]]:
        options = options_of(system)
        found: dict[str, set[str]] = {}
        names = [topic.name for topic in CATALOGUE if topic.name != but]
        async for record in read_all(options, *names, isolation="read_uncommitted"):
            whole = b"\n".join([record.key or b"", record.value or b"", *(v or b"" for _, v in record.headers)])
            for value in (*VALUES, CONTROL):
                if value.encode() in whole:
                    found.setdefault(value, set()).add(record.topic)
        return found

    return asyncio.run(look())


def options_of(system: System) -> KafkaOptions:
    return KafkaOptions(bootstrap_servers=attach(system.folder / "kafka"))


def kept(system: System, device: Row) -> dict[str, Row]:
    values = asyncio.run(last_values(options_of(system), PERSONAL))
    return {name: orjson.loads(value) for name, value in values.items() if name.startswith(f"{device['id']}/")}


@pytest.fixture(scope="module", autouse=True)
def tenants(system: System) -> None:
    people(system)


def test_nothing_personal_is_in_a_topic_a_file_a_log_or_a_page_unless_it_is_asked_for(system: System) -> None:
    first, second = system.take(2)
    for device in (first, second):
        system.ninja.ask("PATCH", f"devices/{device['id']}", lastLoggedInUser=USER, displayName=f"GEM-{device['id']}")
    until("the change is told", lambda: (system.item(first) or {}).get("referenceTitle") == f"GEM-{first['id']}")
    lives(system, first)
    # What cannot be read is kept as it came, but for what may be about a person.
    broken = orjson.dumps({"id": "none", "message": CONTROL, "lastLoggedInUser": USER, "email": MAIL})[:-4]
    token = {"X-Lockstep-Token": WEBHOOK_SECRET}
    httpx.post(f"{system.receiver}/webhooks/ninjaone", content=broken, headers=token, trust_env=False)
    pages = [
        system.lockstep("explain", str(first["id"]), "--json").out,
        *(system.lockstep(*verb, "--json").out for verb in (("status",), ("parked", "list"))),
        httpx.get(f"{system.receiver}/healthz", trust_env=False).text,
    ]
    assert not {value for value in VALUES for page in pages if value in page}
    in_topics = found_in_topics(system)
    assert {*in_topics} == {CONTROL}
    assert in_topics[CONTROL] >= {"ninjaone.alerts", "audit", "autotask.ticket-commands", "dead-letters"}
    assert {*found_in_files(system)} == {CONTROL}
    assert system.lockstep("parked", "dismiss", "--all", "--reason", "of the test").code == 0
    said = system.lockstep("erase", "--device", str(first["id"]), "--yes")
    assert (said.code, said.out) == (0, f"device {first['id']} is known, and nothing personal is kept of it")
    for arguments, words in (
        (("--device", "99999"), f"never heard of device 99999; {len(system.fleet())} devices are known: "),
        (("--device", "l99999"), "never heard of location 99999; "),
        (("--organization", "99999"), "never heard of organization 99999; there are "),
    ):
        said = system.lockstep("erase", *arguments, "--yes", "--json")
        assert (said.code, said.out) == (1, "")
        assert words in said.err, said


def test_what_is_kept_by_choice_reaches_the_item_from_a_place_of_its_own_and_can_be_erased(system: System) -> None:
    device = system.take()[0]
    name = str(device["id"])
    for other in system.fleet():
        # Only one item is to be written anew.
        system.ninja.ask("PATCH", f"devices/{other['id']}", lastLoggedInUser="")
    policy = system.policy()
    policy["devices"]["fields"]["last_user"] = "Last User"
    policy["notes"] = {"technicians": "text"}
    try:
        system.psa.ask("POST", "udfs", name="Last User")
        system.ninja.ask("PATCH", f"devices/{name}", lastLoggedInUser=USER)
        system.publish(policy)
        until("the item names the user", lambda: user_in_item(system, device) == USER)
        # What connectors know of the policy about notes is up to five minutes old, so this one's text is not asked for.
        assert {value for value in found_in_topics(system, but=PERSONAL) if value != CONTROL} == set()
        values = kept(system, device)
        assert [row["value"] for row in values.values()] == [USER]
        system.publish(system.policy())
        dry = system.lockstep("erase", "--organization", str(device["organizationId"]))
        assert (dry.code, "would be erased" in dry.out) == (0, True)
        assert kept(system, device) == values
        said = system.lockstep("erase", "--device", name, "--yes", "--json")
        assert said.json()["values"] == [{"key": name, "kind": "last_user", "count": 1}]
        assert kept(system, device) == {}
        shown = until("it is in the audit", lambda: explained_with(system, name, "PersonalDataErased"))
        assert "[erased last_user]" in shown
        assert USER not in shown
        verified = system.lockstep("audit", "verify", "--json")
        assert (verified.code, verified.json()["verified"]) == (0, True)
        rebuilt = system.lockstep("rebuild", "--json")
        assert (rebuilt.code, rebuilt.json()["differences"]) == (0, [])
    except BaseException:
        system.publish(system.policy())
        raise


def explained_with(system: System, name: str, word: str) -> str:
    shown = system.lockstep("explain", name).out
    return shown if word in shown else ""


def user_in_item(system: System, device: Row) -> str | None:
    item = system.item(device)
    return fields_of(item).get("Last User") if item else None
