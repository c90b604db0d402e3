"""A policy compared with the tenant it is for: each finding has its key, a reason and what to write instead."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from schemas.identity import external_id
from streams.core.policy.policy import parse_policy
from streams.policy_check import Checked
from streams.policy_file import read_policy
from streams.policy_tenant import TenantFinding, tenant_findings
from tests.connectors.autotask_lab import UID, Lab, lab
from tests.connectors.autotask_tenant import Board, running_board, ticket

pytestmark = pytest.mark.asyncio(loop_scope="module")

RULES = [{"name": "rest", "when": {}}]
DEVICES = {"types": [{"type": "Server", "product": "Managed Server"}], "fields": {"link": "NinjaOne Link"}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def board() -> AsyncIterator[Board]:
    async with running_board() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="module")
async def it(board: Board) -> AsyncIterator[Lab]:
    board.lens = None
    async with lab(board) as running:
        yield running


def document(**parts: Any) -> dict[str, Any]:
    return {"version": 1, "devices": DEVICES, "rules": RULES, **parts}


async def found(it: Lab, known: set[str] | None = None, **parts: Any) -> list[TenantFinding]:
    return await tenant_findings(it.client, parse_policy(document(**parts)), known_tickets=known)


def told(findings: list[TenantFinding]) -> list[tuple[str, str, str]]:
    return [(each.finding.key, each.missing.reason, each.missing.level) for each in findings]


async def test_a_policy_that_fits_the_tenant_has_no_findings(it: Lab) -> None:
    assert await found(it) == []


async def test_an_unknown_name_is_told_at_every_key_with_the_nearest_one(it: Lab) -> None:
    rules = [{"name": "noc", "when": {"severity": "MAJOR"}, "ticket": {"queue": "Monitorin"}}, *RULES]
    findings = await found(it, rules=rules, defaults={"queue": "Monitorin", "priority": {"MAJOR": "Hihg"}})
    assert told(findings) == [
        ("defaults.queue", "UnknownName", "error"),
        ("rules.0.ticket.queue", "UnknownName", "error"),
        ("defaults.priority.MAJOR", "UnknownName", "error"),
    ]
    assert [each.finding.suggestion for each in findings] == [
        "did you mean 'Monitoring'?",
        "did you mean 'Monitoring'?",
        "did you mean 'High'?",
    ]
    assert findings[0].finding.reason == "queue 'Monitorin' does not exist in Autotask"


async def test_a_name_like_no_other_is_answered_with_all_there_are(it: Lab) -> None:
    (finding,) = await found(it, defaults={"source": "zzz"})
    assert finding.finding.suggestion == "there are: Client Portal, Email, Monitoring Alert, Other, Phone"


async def test_inactive_entries_are_told_apart_from_unknown_ones(it: Lab) -> None:
    it.api.vendor.tenant.rows["Products"].change(29_682_953, {"isActive": False})
    findings = await found(it, defaults={"lifecycle": {"never_reopen": ["Retired Status"]}})
    assert told(findings) == [
        ("defaults.lifecycle.never_reopen.0", "InactiveName", "error"),
        ("devices.types.0.product", "InactiveName", "error"),
    ]


async def test_a_status_that_leaves_tickets_open_cannot_complete_them(it: Lab) -> None:
    await it.api.create("Tickets", **ticket(status=8))
    (finding,) = await found(it, defaults={"complete_status": "In Progress"})
    assert told([finding]) == [("defaults.complete_status", "NotComplete", "error")]
    assert "not complete in Autotask" in finding.finding.reason
    assert told(await found(it, defaults={"complete_status": "New"})) == told([finding])


async def test_a_complete_status_of_the_tenants_own_is_known_by_a_ticket_that_has_it(it: Lab) -> None:
    own = {"complete_status": "Closed - No Action"}
    (finding,) = await found(it, defaults=own)
    assert told([finding]) == [("defaults.complete_status", "UnknownCompletion", "warning")]
    number = await it.api.create("Tickets", **ticket())
    await it.api.control("POST", f"tickets/{number}/complete", status=29)
    assert await found(it, defaults=own) == []


async def test_a_status_that_completes_cannot_open_a_ticket(it: Lab) -> None:
    findings = await found(it, defaults={"status": "Complete", "lifecycle": {"reopen_status": "Complete"}})
    assert told(findings) == [
        ("defaults.status", "OpensComplete", "error"),
        ("defaults.lifecycle.reopen_status", "OpensComplete", "error"),
    ]


async def test_fields_must_be_there_and_take_text(it: Lab) -> None:
    for name, kind in (("Cores", 3), ("Bought", 4), ("Kind", 5)):
        await it.api.control("POST", "udfs", name=name, dataType=kind)
    fields = {"link": "Nowhere", "cores": "Cores", "enrolled": "Bought", "warranty_end": "installDate", "role": "Kind"}
    findings = await found(it, devices={**DEVICES, "fields": fields})
    assert told(findings) == [
        ("devices.fields.link", "MissingField", "warning"),
        ("devices.fields.cores", "NotText", "error"),
        ("devices.fields.role", "NotText", "error"),
    ]
    assert "'lockstep setup' creates it" in findings[0].finding.suggestion


async def test_names_that_do_not_go_together_are_told_where_the_picklist_has_parents(board: Board, it: Lab) -> None:
    def priorities_belong_to_queues(method: str, path: str, status: int, answer: Any) -> tuple[int, Any]:
        for field in answer.get("fields", ()) if path.lower().endswith("tickets/entityinformation/fields") else ():
            if field["name"] == "priority":
                field["picklistParentValueField"] = "queueID"
                for value in field["picklistValues"]:
                    value["parentValue"] = "29683355" if value["label"] == "Critical" else "29683354"
        return status, answer

    board.lens = priorities_belong_to_queues
    noc = {"name": "noc", "when": {"severity": "MAJOR"}, "ticket": {"queue": "NOC", "priority": "Critical"}}
    defaults = {"priority": {"CRITICAL": "Critical", "default": "Low"}}
    (finding,) = await found(it, rules=[noc, *RULES], defaults=defaults)
    assert finding.missing.reason == "WrongPair"
    assert str(finding.finding) == (
        "defaults.priority.CRITICAL: priority 'Critical' goes with queue 'NOC' in Autotask, not with 'Monitoring'; "
        "with 'Monitoring' go: High, Medium, Low"
    )


async def test_open_tickets_with_our_mark_that_we_do_not_know_are_told_by_whose_they_may_be(it: Lab) -> None:
    ours, another, foreign = external_id("407", UID), external_id("408", UID), "ls.device:77"
    numbers = {name: await it.api.create("Tickets", **ticket(externalID=name)) for name in (ours, another, foreign)}
    assert await found(it) == []
    findings = await found(it, known={ours})
    assert told(findings) == [("policy", "ForeignTicket", "warning"), ("policy", "ForeignTicket", "warning")]
    assert "of which this installation has no record" in findings[0].finding.reason
    assert "two must never share a tenant" in findings[0].finding.suggestion
    assert "another integration uses the mark 'ls.'" in findings[1].finding.suggestion
    for name in (another, foreign):
        await it.api.control("POST", f"tickets/{numbers[name]}/complete")
    assert await found(it, known={ours}) == []


async def test_findings_of_the_tenant_have_their_line_in_the_file(it: Lab, tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(yaml.safe_dump(document(), sort_keys=False) + "defaults:\n  status: New\n  queue: Nok\n")
    file = read_policy(path)
    checked = Checked(file=file, findings=[], missing=await tenant_findings(it.client, file.policy))
    last = len(path.read_text().splitlines())
    assert checked.lines() == [
        f"{path}:{last}: defaults.queue: queue 'Nok' does not exist in Autotask; did you mean 'NOC'?"
    ]
    assert [finding.line for finding in checked.errors()] == [last]
    assert [(row["kind"], row["name"], row["at"]) for row in checked.tenant_rows()] == [("queue", "Nok", last)]
