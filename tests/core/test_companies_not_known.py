"""Before Autotask was ever read nobody says of an organization that it has no company; what waits for that goes on by itself."""

from __future__ import annotations

from typing import Any

from schemas.commands import CreateTicket
from streams.core.context import parse_context
from streams.mapping_report import summary, told, unsettled
from tests.core.spec import (
    HOUR,
    START,
    UID_A,
    UID_B,
    Scene,
    companies,
    device,
    devices,
    incidents,
    organizations,
    policy,
    reset,
    subject,
    triggered,
)

WESTWIND = subject(organization=99, organization_name="Westwind")
KNOWN = ("parked", "CompaniesNotKnown")


def waiting(**parts: Any) -> Scene:
    return incidents(triggered(subject=WESTWIND), **parts)


def test_an_alert_waits_for_the_companies_and_says_so() -> None:
    scene = waiting()
    assert (scene.kinds, scene.disposition()) == ([], KNOWN)
    detail = scene.body()["alerts"][UID_A]["detail"]
    assert detail.startswith("the company of organization 99 'Westwind' is not known yet: Autotask was never read")


def test_when_the_companies_are_read_it_goes_out_once() -> None:
    scene = waiting().when(companies((6, "Westwind")))
    (create,) = scene.issued
    assert isinstance(create, CreateTicket)
    assert (create.company_id, scene.disposition()) == (6, ("ticketed", "Opened"))
    scene.settle("CreateTicket").when(companies((6, "Westwind"), (7, "Other")), triggered(subject=WESTWIND))
    assert scene.all_kinds() == ["CreateTicket"]


def test_when_none_of_them_fits_it_waits_for_its_company_by_the_reason_that_is_true_then() -> None:
    scene = waiting().when(companies((5, "Other")))
    assert (scene.kinds, scene.disposition()) == ([], ("parked", "UnmappedOrganization"))
    # A tenant without a company has been read as well.
    assert waiting().when(companies()).disposition() == ("parked", "UnmappedOrganization")


def test_one_that_is_over_before_that_opens_nothing() -> None:
    scene = waiting().when(reset(), companies((6, "Westwind")))
    assert (scene.all_kinds(), scene.disposition()) == ([], ("closed", "ResetWhileParked"))


def test_the_first_raised_goes_out_first() -> None:
    scene = waiting(defaults={"lifecycle": {"repeat": "ticket"}}).when(
        triggered(11, UID_B, subject=WESTWIND), companies((6, "Westwind"))
    )
    opened = [issued.command for issued in scene.commands]
    assert [command.external_id[-32:] for command in opened if isinstance(command, CreateTicket)] == [
        uid.replace("-", "") for uid in (UID_A, UID_B)
    ]


def test_what_the_policy_maps_or_does_not_match_by_name_is_known_without_any_list() -> None:
    assert incidents(triggered()).kinds == ["CreateTicket"]
    never = waiting(companies={"map": [], "auto_match": "never"})
    assert never.disposition() == ("parked", "UnmappedOrganization")
    nobody = incidents(triggered(subject=subject(organization=0, organization_name="")))
    assert nobody.disposition() == ("parked", "UnmappedOrganization")


def test_nothing_goes_to_the_catch_all_before_it_is_known_that_no_company_fits() -> None:
    catch_all = {"companies": {"map": [], "unmapped": {"company": 1}}}
    assert waiting(**catch_all).disposition() == KNOWN
    (fits,) = waiting(**catch_all).when(companies((1, "Own"), (6, "Westwind"))).issued
    (rest,) = waiting(**catch_all).when(companies((1, "Own"))).issued
    assert isinstance(fits, CreateTicket)
    assert isinstance(rest, CreateTicket)
    assert (fits.company_id, rest.company_id) == (6, 1)


def test_a_device_that_moves_keeps_its_item_until_it_is_known_where_to() -> None:
    scene = devices(device()).settle("UpsertConfigurationItem").when(device(START + HOUR, where=WESTWIND))
    assert (scene.kinds, scene.body()["parked"]["upsert"]["reason"]) == ([], "CompaniesNotKnown")
    same = {"organization": 99, "company": 29683}
    kept = devices(device()).settle("UpsertConfigurationItem").when(device(START + HOUR, where=WESTWIND))
    assert kept.when(policy(2, companies={"map": [{"organization": 17, "company": 29683}, same]})).kinds == []
    assert scene.when(companies((6, "Westwind"))).kinds == ["RetireConfigurationItem", "UpsertConfigurationItem"]


def test_the_mapping_says_it_in_one_line_for_all_of_them() -> None:
    scene = incidents(organizations((17, "Nordwind GmbH"), (18, "Alpha"), (99, "Westwind")))
    views = parse_context(scene.state[b"~context"]).mapping()
    assert summary(views) == "1 ok, 2 unknown"
    assert unsettled(views) == ["the companies of 2 organizations are not known yet: Autotask was never read"]
    assert told(views[1]).startswith("organization 18 'Alpha': unknown; the company of organization 18 'Alpha' is not")
    scene.when(companies((29683, "Nordwind"), (5, "Alpha")))
    views = parse_context(scene.state[b"~context"]).mapping()
    assert [line.partition(",")[0] for line in unsettled(views)] == ["organization 99 'Westwind': unmapped"]
