"""The policy, as an MSP engineer would read it aloud."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.facts import AlertFact, Company, DeviceObserved, Subject
from streams.core.mapping import Companies, Mapped, Unmapped, company_for, normalized
from streams.core.policy.lint import lint
from streams.core.policy.policy import Policy, PolicyError, parse_policy
from streams.core.templates import render

CATCH_ALL = {"name": "everything-else", "when": {}}


def policy(**parts: Any) -> Policy:
    return parse_policy({"version": 1, **parts})


def subject(**parts: Any) -> Subject:
    return Subject(**{"organization_id": 17, "organization_name": "Nordwind GmbH", **parts})


def alert(**parts: Any) -> AlertFact:
    return AlertFact(**{"uid": "u", "subject": subject(), "raised_at": 0, **parts})


def findings(document: dict[str, Any]) -> list[str]:
    with pytest.raises(PolicyError) as error:
        parse_policy(document)
    return [str(finding) for finding in error.value.findings]


def test_the_first_rule_that_matches_wins() -> None:
    rules = [
        {"name": "offline", "when": {"source_type": ["AGENT_OFFLINE"]}, "ticket": {"queue": "NOC"}},
        {"name": "servers", "when": {"node_class": "WINDOWS_SERVER"}, "ticket": {"queue": "Servers"}},
        CATCH_ALL,
    ]
    chosen = policy(rules=rules).rule_for(subject(node_class="WINDOWS_SERVER"), alert(source_type="AGENT_OFFLINE"))
    assert (chosen.name, chosen.queue) == ("offline", "NOC")


def test_what_no_rule_names_falls_to_the_catch_all_with_the_defaults() -> None:
    chosen = policy(defaults={"queue": 29683354}, rules=[CATCH_ALL]).rule_for(subject(), alert())
    assert (chosen.name, chosen.queue, chosen.repeat, chosen.note_every_ms) == (
        "everything-else",
        29683354,
        "note",
        3_600_000,
    )


@pytest.mark.parametrize(
    ("when", "holds"),
    [
        ({"organization": [17]}, True),
        ({"organization": ["nordwind gmbh"]}, True),
        ({"organization": [18]}, False),
        ({"role": ["Server"]}, False),
        ({"severity": ["MAJOR"]}, True),
        ({"message": {"matches": "(?i)DISK"}}, True),
        ({"message": {"matches": "^cpu"}}, False),
        ({"condition": ["Disk space low"]}, True),
        ({"subject": ["C:"], "priority": ["HIGH"]}, True),
        ({"subject": ["C:"], "priority": ["LOW"]}, False),
    ],
)
def test_all_matchers_of_a_rule_must_hold(when: dict[str, Any], holds: bool) -> None:
    rules = [{"name": "mine", "when": when}, CATCH_ALL]
    seen = alert(
        severity="MAJOR", priority="HIGH", message="disk full", condition_name="Disk space low", alert_subject="C:"
    )
    assert (policy(rules=rules).rule_for(subject(), seen).name == "mine") is holds


@pytest.mark.parametrize(
    ("severity", "priority"), [("CRITICAL", "Critical"), ("MAJOR", 2), ("MINOR", "Medium"), ("", "Medium")]
)
def test_a_priority_map_chooses_by_severity_and_else_its_default(severity: str, priority: str | int) -> None:
    chosen = policy(defaults={"priority": {"CRITICAL": "Critical", "MAJOR": 2, "default": "Medium"}})
    assert chosen.rule_for(subject(), alert(severity=severity)).priority == priority


def test_a_rules_priority_map_without_default_falls_back_to_the_defaults() -> None:
    rules = [{"name": "r", "when": {}, "ticket": {"priority": {"CRITICAL": "Critical"}}}]
    assert (
        policy(defaults={"priority": "Low"}, rules=rules).rule_for(subject(), alert(severity="MINOR")).priority == "Low"
    )


def test_a_device_becomes_the_first_type_that_fits_its_role_or_class() -> None:
    types = [
        {"role": ["Domain Controller"], "type": "Server", "product": "Managed DC"},
        {"node_class_prefix": "WINDOWS_SERVER", "type": "Server", "product": "Managed Server"},
        {"type": "Workstation", "product": "Managed Device"},
    ]
    chosen = policy(devices={"types": types})
    assert chosen.item_for(subject(role_name="domain controller", node_class="WINDOWS_SERVER")).product == "Managed DC"
    assert chosen.item_for(subject(node_class="WINDOWS_SERVER")).product == "Managed Server"
    assert chosen.item_for(subject(node_class="MAC")).item_type == "Workstation"


def test_fields_carry_what_the_device_shows() -> None:
    chosen = policy(devices={"fields": {"link": "NinjaOne Link", "memory": "Memory", "ip_addresses": "IPs"}})
    seen = DeviceObserved(
        subject=subject(device_id=4, link="https://n/#/4"),
        observed_at=0,
        digest="d",
        memory_bytes=34359738368,
        ip_addresses=("10.0.0.1", "10.0.0.2"),
    )
    assert chosen.item_fields(seen) == {
        "NinjaOne Link": "https://n/#/4",
        "Memory": "32 GiB",
        "IPs": "10.0.0.1, 10.0.0.2",
    }


@pytest.mark.parametrize(
    ("document", "line"),
    [
        ({}, "version: the file format's version is missing; write version: 1 at the top"),
        ({"version": 2}, "version: '2' is not possible here; write 1"),
        ({"version": 1, "defualts": {}}, "defualts: unknown key 'defualts'; did you mean 'defaults'?"),
        (
            {"version": 1, "rules": [{"name": "a", "when": {"sorce_type": []}}]},
            "rules.0.when.sorce_type: unknown key 'sorce_type'; did you mean 'source_type'?",
        ),
        (
            {"version": 1, "rules": [{"name": "a", "when": {"severity": "MAJOR"}}]},
            "rules.0: the last rule must be a catch-all (when: {})",
        ),
        (
            {"version": 1, "rules": [CATCH_ALL, {"name": "b", "when": {}}]},
            "rules.0: rule 'everything-else' matches everything, so the rules after it are never reached",
        ),
        (
            {"version": 1, "devices": {"types": [{"role": "x", "product": "p"}]}},
            "devices.types: the last entry of types must match every device",
        ),
        (
            {"version": 1, "devices": {"fields": {"lnk": "Link"}}},
            "devices.fields.lnk: fields has no 'lnk'; did you mean 'link'?",
        ),
        ({"version": 1, "devices": {"grace": "a week"}}, "devices.grace: 'a week' is not a duration"),
        (
            {"version": 1, "rules": [{"name": "a", "when": {}, "ticket": {"title": "{{ device.nme }}"}}]},
            "rules.0.ticket.title: the template names {{ device.nme }}",
        ),
        (
            {"version": 1, "rules": [{"name": "a", "when": {"message": {"matches": "("}}}]},
            "rules.0.when.message.matches: '(' is not a regular expression",
        ),
        (
            {
                "version": 1,
                "companies": {"map": [{"organization": 1, "company": 2}, {"organization": 1, "company": 3}]},
            },
            "companies.map.1.organization: organization 1 is mapped twice; keep one of them",
        ),
        (
            {"version": 1, "defaults": {"priority": {"MAJRO": 1}}},
            "defaults.priority.MAJRO: priority has no severity 'MAJRO'; did you mean 'MAJOR'?",
        ),
    ],
)
def test_what_a_policy_cannot_mean_is_named_with_its_key(document: dict[str, Any], line: str) -> None:
    assert any(found.startswith(line) for found in findings(document)), findings(document)


def test_a_storm_stands_below_its_rule() -> None:
    storm = {"devices": 10, "within": "2m"}
    (rule,) = policy(rules=[{"name": "a", "when": {}, "storm": storm}]).rules
    assert rule.storm is not None
    assert (rule.storm.devices, rule.storm.within, rule.storm.by) == (10, 120_000, "location")
    misplaced = {"rules": [{"name": "a", "when": {}, "lifecycle": {"storm": storm}}]}
    assert findings({"version": 1, **misplaced}) == [
        "rules.0.lifecycle.storm: 'storm' stands in the wrong place; write it below a rule, beside its lifecycle"
    ]


def test_a_storm_whose_members_would_not_be_reset_is_told() -> None:
    storm = {"devices": 10, "within": "2m"}
    opening = {"name": "a", "when": {}, "storm": storm, "lifecycle": {"reset": "opening"}}
    (found,) = lint(policy(companies={"unmapped": {"company": 1}}, rules=[opening]))
    assert (found.key, found.level) == ("rules.0.lifecycle.reset", "warning")
    (found,) = lint(
        policy(defaults={"lifecycle": {"reset": "opening"}}, rules=[{"name": "a", "when": {}, "storm": storm}])
    )
    assert found.key == "rules.0.storm"


@pytest.mark.parametrize(
    ("storm", "line"),
    [
        ({"devices": 1, "within": "2m"}, "devices: 1 devices are no storm; write a number from 2 to 1000"),
        ({"devices": 2000, "within": "2m"}, "devices: 2000 devices are no storm; write a number from 2 to 1000"),
        ({"devices": 10, "within": 0}, "within: nothing happens within no time; write how long to count, such as 2m"),
        (
            {"devices": 10, "within": "2h"},
            "within: every alert of this rule would wait so long for its ticket; write 1h at most",
        ),
        ({"devices": 10}, "within: is missing; write within here"),
        (
            {"devices": 10, "within": "2m", "by": "site"},
            "by: 'site' is not possible here; write location, organization or parent",
        ),
        ({"devices": 10, "withn": "2m"}, "within: is missing; write within here"),
    ],
)
def test_a_storm_that_cannot_be_meant_is_refused(storm: dict[str, Any], line: str) -> None:
    found = findings({"version": 1, "rules": [{"name": "a", "when": {}, "storm": storm}]})
    assert f"rules.0.storm.{line}" in found


COMPANIES = Companies(
    [
        Company(id=1, name="Nordwind"),
        Company(id=2, name="Südstern Ltd."),
        Company(id=3, name="Nordwind AG", active=False),
        Company(id=4, name="Twin Inc"),
        Company(id=5, name="twin, LLC"),
    ]
)


def test_an_explicit_map_wins_over_every_name() -> None:
    mapped = company_for(policy(companies={"map": [{"organization": 17, "company": 99}]}), 17, "Nordwind", COMPANIES)
    assert mapped == Mapped(99, "map")


def test_names_match_without_case_punctuation_and_legal_form() -> None:
    assert company_for(policy(), 17, "nordwind GmbH", COMPANIES) == Mapped(1, "normalized")
    assert company_for(policy(), 18, "SÜDSTERN", COMPANIES) == Mapped(2, "normalized")
    assert normalized("Inc.") == "inc"


def test_an_exact_name_is_preferred_and_never_matches_by_accident() -> None:
    assert company_for(policy(companies={"auto_match": "exact"}), 17, "Nordwind", COMPANIES) == Mapped(1, "exact")
    assert isinstance(company_for(policy(companies={"auto_match": "exact"}), 17, "nordwind", COMPANIES), Unmapped)


def test_two_companies_that_fit_are_never_guessed_between() -> None:
    found = company_for(policy(), 9, "Twin", COMPANIES)
    assert isinstance(found, Unmapped)
    assert found.reason == "AmbiguousCompany"
    assert "4 'Twin Inc', 5 'twin, LLC'" in found.detail


def test_an_unmapped_organization_is_told_what_to_do_or_goes_to_the_catch_all() -> None:
    found = company_for(policy(), 77, "Nobody", COMPANIES)
    assert isinstance(found, Unmapped)
    assert "companies.map" in found.detail
    assert company_for(policy(companies={"unmapped": {"company": 5}}), 77, "Nobody", COMPANIES) == Mapped(
        5, "catch-all"
    )


def test_a_value_is_inserted_once_and_never_read_as_a_template() -> None:
    values = {"device": {"name": "{{ alert.message }}"}, "alert": {"message": "boom\r\nX-Evil: 1\x00"}}
    assert render("{{ device.name }} {{alert.message}}", values, 100) == "{{ alert.message }} boom\nX-Evil: 1"


def test_a_text_is_cut_to_the_vendors_length_with_an_ellipsis() -> None:
    assert render("{{ alert.message }}", {"alert": {"message": "x" * 300}}, 255) == "x" * 254 + "…"
