"""A policy beside what was seen: names that no device has make a rule dead, and are told with the nearest one."""

from __future__ import annotations

from typing import Any

import pytest

from streams.core.policy.lint import lint
from streams.core.policy.observed import Observed
from streams.core.policy.policy import parse_policy

SEEN = Observed(
    organizations={17: "Contoso"},
    companies={},
    locations={31: "Main Office", 32: "Depot"},
    roles={3: "Windows Server"},
    devices={407: "NW-FS01"},
    tags=frozenset({"rack-3"}),
)
REST: dict[str, Any] = {"name": "rest", "when": {}}
CATCH_ALL: dict[str, Any] = {"product": "Managed Device"}


def found(observed: Observed = SEEN, **document: Any) -> list[str]:
    policy = parse_policy({"version": 1, "companies": {"unmapped": {"company": 0}}, **document})
    findings = lint(policy, observed)
    assert all(finding.level == "warning" for finding in findings)
    return [str(finding) for finding in findings]


def rule(**when: Any) -> dict[str, Any]:
    return {"rules": [{"name": "a", "when": when}, REST]}


@pytest.mark.parametrize(
    ("document", "line"),
    [
        (
            rule(location=["Main Ofice"]),
            "rules.0.when.location.0: warning: no device that was seen is at a location 'Main Ofice'; "
            "did you mean 'Main Office'?",
        ),
        (
            rule(role=[99]),
            "rules.0.when.role.0: warning: no device that was seen has the role 99; write it as NinjaOne shows it",
        ),
        (
            rule(tags=["rack-4"]),
            "rules.0.when.tags.0: warning: no device that was seen has the tag 'rack-4'; did you mean 'rack-3'?",
        ),
        (
            {
                "maintenance": [
                    {"name": "w", "device": [408], "from": "2026-12-05T22:00:00Z", "to": "2026-12-06T06:00:00Z"}
                ]
            },
            "maintenance.0.device.0: warning: no device that was seen is 408; write it as NinjaOne shows it",
        ),
        (
            {"devices": {"types": [{"role": ["Windows Servers"], **CATCH_ALL}, CATCH_ALL]}},
            "devices.types.0.role.0: warning: no device that was seen has the role 'Windows Servers'; "
            "did you mean 'Windows Server'?",
        ),
        (
            {"devices": {"behind": [{"parent": 800, "tags": ["RACK-3"]}]}},
            "devices.behind.0.parent: warning: no device that was seen is 800; write it as NinjaOne shows it",
        ),
    ],
)
def test_a_name_that_no_device_has_is_told_with_the_nearest_one(document: dict[str, Any], line: str) -> None:
    assert found(**document) == [line]


def test_names_are_compared_without_regard_to_case_and_ids_as_ids() -> None:
    assert found(**rule(location=["main office", 32], role=["WINDOWS SERVER", 3], tags=["Rack-3"])) == []


def test_what_nothing_was_seen_of_is_not_looked_at() -> None:
    nothing = Observed(organizations={17: "Contoso"}, companies={})
    assert found(nothing, **rule(location=["Main Ofice"], role=[99], tags=["x"])) == []


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("AGENT_OFLINE", "did you mean 'AGENT_OFFLINE'?"),
        ("condition_agent_cpus", "did you mean 'CONDITION_AGENT_CPU'?"),
        ("offline device", "`lockstep explain ALERT` shows the type of an alert that came"),
    ],
)
def test_a_source_type_that_ninjaone_does_not_document_is_told(written: str, hint: str) -> None:
    assert found(**rule(source_type=[written])) == [
        f"rules.0.when.source_type.0: warning: NinjaOne's documentation has no source type '{written}'; {hint}"
    ]


def test_families_of_source_types_are_known_by_their_beginning_and_in_any_case() -> None:
    assert found(**rule(source_type=["UI_MESSAGE_ACTION_REBOOT", "condition_linux_daemon", "AGENT_OFFLINE"])) == []
