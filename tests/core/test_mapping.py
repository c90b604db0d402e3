"""Which company an organization's work goes to, sentence by sentence, as names change and companies come and go."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.facts import CompaniesObserved, Company
from schemas.identity import derived_id
from streams.core.context import parse_context
from streams.core.mapping import MappingView, normalized
from streams.mapping_report import merged, summary, told
from tests.core.spec import (
    HOUR,
    START,
    UID_A,
    UID_B,
    Scene,
    companies,
    device,
    incidents,
    organizations,
    policy,
    reset,
    subject,
    triggered,
)


def scene(*facts: Any, agent: str = "devices", **parts: Any) -> Scene:
    """An agent whose policy maps nothing by itself, and the control facts before the sentence."""
    return Scene(agent, policy(companies={"map": [], **parts}), *facts)


def view(made: Scene, organization: int = 17) -> MappingView:
    (found,) = [row for row in parse_context(made.state[b"~context"]).mapping() if row.organization_id == organization]
    return found


def stands(made: Scene, organization: int = 17) -> tuple[str, int | None]:
    found = view(made, organization)
    return found.state, found.company_id


def inactive(*rows: tuple[int, str, bool]) -> CompaniesObserved:
    listed = tuple(Company(id=number, name=name, active=active) for number, name, active in rows)
    return CompaniesObserved(digest=derived_id(str(rows)), companies=listed)


NORDWIND = (organizations((17, "Nordwind GmbH")), companies((5, "Nordwind")))


@pytest.mark.parametrize(
    "name",
    [
        "NORDWIND",
        "Nord-Wind GmbH",
        "nordwind g.m.b.h.",
        "Nord Wind GmbH & Co. KG",
        "Nordwind GmbH und Co KG",
        "Nordwind Inc.",
        "Nordwind, Ltd",
        "Nordwind Pty Ltd",
        "Nordwind L.L.C.",
        "Nordwind AG",
        "Nordwind S.A.",
        "Nordwind B.V.",
    ],
)
def test_case_spaces_punctuation_and_the_legal_form_make_no_other_name(name: str) -> None:
    assert normalized(name) == "nordwind"


@pytest.mark.parametrize(("one", "other"), [("AB Electric", "Electric Ltd"), ("Co-op", "op"), ("GmbH", "")])
def test_a_legal_form_counts_only_at_the_end_and_never_leaves_nothing(one: str, other: str) -> None:
    assert normalized(one) != normalized(other)


def test_an_organization_that_is_renamed_keeps_its_company() -> None:
    made = scene(*NORDWIND).when(organizations((17, "Suedstern Holding")))
    assert stands(made) == ("renamed", 5)
    assert "Nordwind GmbH" in view(made).detail
    assert made.when(device(where=subject(organization_name="Suedstern Holding"))).issued[0].company_id == 5


def test_a_company_that_is_renamed_keeps_its_organization() -> None:
    made = scene(*NORDWIND).when(companies((5, "Nordwind Gruppe")))
    assert stands(made) == ("renamed", 5)


def test_names_that_fit_somebody_else_after_a_rename_move_nothing() -> None:
    made = scene(*NORDWIND).when(device()).settle("UpsertConfigurationItem")
    made.when(companies((5, "Nordwind alt"), (6, "Nordwind")))
    assert made.kinds == []
    assert stands(made) == ("renamed", 5)
    made.when(organizations((17, "Nordwind GmbH"), (18, "Nordwind alt")))
    assert stands(made, 18) == ("ok", 5)


def test_a_mapping_is_ok_again_when_the_names_are_as_they_were() -> None:
    made = scene(*NORDWIND).when(organizations((17, "X"))).when(organizations((17, "Nordwind GmbH"), (18, "Y")))
    assert stands(made) == ("ok", 5)


def test_the_explicit_map_wins_over_what_is_remembered_and_makes_it_forgotten() -> None:
    made = scene(*NORDWIND).when(organizations((17, "Other")))
    made.when(policy(2, companies={"map": [{"organization": 17, "company": 9}]}))
    assert (view(made).company_id, view(made).how) == (9, "map")
    made.when(policy(3, companies={"map": []}))
    assert stands(made) == ("unmapped", None)


def test_no_automatic_match_means_nothing_is_remembered_either() -> None:
    made = scene(*NORDWIND).when(policy(2, companies={"map": [], "auto_match": "never"}))
    assert stands(made) == ("unmapped", None)


def test_exact_matching_only_forgets_what_merely_looked_alike() -> None:
    made = scene(*NORDWIND).when(policy(2, companies={"map": [], "auto_match": "exact"}))
    assert stands(made) == ("unmapped", None)


def test_a_company_that_disappears_parks_the_work_and_retires_nothing() -> None:
    made = scene(*NORDWIND, unmapped={"company": 1}).when(device()).settle("UpsertConfigurationItem")
    made.when(companies((1, "Catch-all")))
    assert made.kinds == []
    assert made.body()["parked"]["upsert"]["reason"] == "MissingCompany"
    assert stands(made) == ("missing", 5)
    made.when(companies((1, "Catch-all"), (5, "Nordwind")))
    assert stands(made) == ("ok", 5)


def test_a_company_that_becomes_inactive_parks_the_work_until_it_is_active_again() -> None:
    made = scene(*NORDWIND).when(inactive((5, "Nordwind", False))).when(device())
    assert made.body()["parked"]["upsert"]["reason"] == "InactiveCompany"
    assert stands(made) == ("inactive", 5)
    assert made.when(companies((5, "Nordwind"))).kinds == ["UpsertConfigurationItem"]


def test_a_company_that_was_made_anew_takes_over_from_the_inactive_one() -> None:
    made = scene(*NORDWIND).when(inactive((5, "Nordwind", False), (6, "Nordwind GmbH", True)))
    assert stands(made) == ("ok", 6)


def test_a_mapped_company_that_autotask_does_not_show_is_named_missing_and_still_believed() -> None:
    made = Scene("devices", policy(), organizations((17, "Nordwind")), companies((5, "Other")))
    assert stands(made) == ("missing", 29683)
    assert made.when(device()).issued[0].company_id == 29683


def test_two_companies_that_fit_park_the_work_with_both_named() -> None:
    made = scene(organizations((17, "Twin")), companies((4, "Twin Inc"), (5, "twin, LLC")))
    made.when(device(where=subject(organization_name="Twin")))
    assert made.body()["parked"]["upsert"]["reason"] == "AmbiguousCompany"
    assert "4 'Twin Inc', 5 'twin, LLC'" in made.body()["parked"]["upsert"]["detail"]
    assert stands(made) == ("ambiguous", None)


def test_two_organizations_that_look_alike_are_not_taken_for_one_customer() -> None:
    made = scene(organizations((17, "Nordwind GmbH"), (18, "Nordwind AG")), companies((5, "Nordwind")))
    assert (stands(made), stands(made, 18)) == (("ambiguous", None), ("ambiguous", None))
    assert "organization 18 'Nordwind AG'" in view(made).detail
    made.when(policy(2, companies={"map": [{"organization": 18, "company": 9}]}))
    assert stands(made) == ("ok", 5)


def test_the_one_with_exactly_that_name_is_taken_and_the_one_that_looks_alike_is_not() -> None:
    made = scene(organizations((17, "Nordwind AG"), (18, "Nordwind")), companies((5, "Nordwind")))
    assert (stands(made), stands(made, 18)) == (("ambiguous", None), ("ok", 5))


def test_an_unmapped_organization_goes_to_the_catch_all_by_choice() -> None:
    made = scene(organizations((17, "Nobody")), companies((1, "Catch-all")), unmapped={"company": 1})
    assert stands(made) == ("catch-all", 1)


def test_the_order_of_the_first_facts_makes_no_difference() -> None:
    facts = [policy(companies={"map": []}), *NORDWIND]
    views = []
    for order in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
        made = Scene("devices", *(facts[place] for place in order))
        views.append(view(made.when(organizations((17, "Renamed")))))
    assert {(row.state, row.company_id) for row in views} == {("renamed", 5)}


def test_parked_alerts_of_a_device_go_out_in_the_order_in_which_they_were_raised() -> None:
    made = incidents(
        triggered(20, uid=UID_B, subject=subject(organization=99), alert_subject="D:"),
        triggered(10, uid=UID_A, subject=subject(organization=99), alert_subject="C:"),
        companies={"map": []},
    )
    assert made.all_kinds() == []
    made.when(policy(2, companies={"map": [{"organization": 99, "company": 7}]}))
    assert [command.external_id.split(".")[2] for command in made.issued] == [  # type: ignore[attr-defined]
        UID_A.replace("-", ""),
        UID_B.replace("-", ""),
    ]


def test_a_parked_alert_that_cleared_meanwhile_opens_nothing_once_mapped() -> None:
    made = incidents(triggered(10, subject=subject(organization=99)), reset(20), companies={"map": []})
    assert made.when(policy(2, companies={"map": [{"organization": 99, "company": 7}]})).kinds == []


def test_tickets_follow_what_is_remembered_as_items_do() -> None:
    made = scene(*NORDWIND, agent="incidents").when(organizations((17, "Renamed")))
    made.when(triggered(at=START + HOUR, subject=subject(organization_name="Renamed")))
    assert made.issued[0].company_id == 5  # type: ignore[attr-defined]


def test_partitions_that_remember_different_companies_are_told() -> None:
    one = view(scene(*NORDWIND))
    other = view(scene(organizations((17, "Nordwind GmbH")), companies((6, "Nordwind"))))
    (row,) = merged([[one], [other]])
    assert (row.state, row.company_id) == ("ambiguous", None)
    assert "companies 5, 6" in row.detail
    assert merged([[one], [one]]) == [one]


def test_the_report_names_the_company_and_what_to_do() -> None:
    made = scene(organizations((17, "Nordwind GmbH"), (18, "Nobody")), companies((5, "Nordwind")))
    views = parse_context(made.state[b"~context"]).mapping()
    assert summary(views) == "1 ok, 1 unmapped"
    assert told(views[0]) == "organization 17 'Nordwind GmbH': ok, company 5 'Nordwind' (normalized)"
    assert told(views[1]).startswith("organization 18 'Nobody': unmapped, no company; organization 18 'Nobody' has no")
