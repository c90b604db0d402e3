"""The parts of the Autotask side that need nobody else: names, texts, serials, signatures, zones, wire models."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.autotask import texts
from connectors.autotask.client import Access, AccessError, condition
from connectors.autotask.matching import plain_mac, real_serial
from connectors.autotask.names import Choice, NameRefused, choices_of_picklist, resolve
from connectors.autotask.observation import observed_id
from connectors.autotask.seen import Seen
from connectors.autotask.signature import escaped, signed_by
from connectors.autotask.zone import ZoneRefused, api_base, ticket_link, web_base
from connectors.sandbox.autotask_payloads import escaped as escaped_by_the_sandbox
from schemas.autotask import ConfigurationItem, PicklistValue, Ticket, WebhookPayload, Zone

CHOICES = (
    Choice(1, "New"),
    Choice(5, "Complete"),
    Choice(9, "complete", False),
    Choice(7, "Old", False),
    Choice(8, "A"),
    Choice(10, "A"),
)


@pytest.mark.parametrize(("name", "found"), [("New", 1), ("new", 1), (" NEW ", 1), (5, 5), ("5", 5), ("complete", 5)])
def test_a_name_is_a_label_in_any_case_or_an_id(name: str | int, found: int) -> None:
    assert resolve(name, CHOICES, what="status") == found


@pytest.mark.parametrize(
    ("name", "reason", "words"),
    [
        ("Nope", "UnknownName", "there are: A, Complete, New"),
        (99, "UnknownName", "status 99 does not exist"),
        ("Old", "InactiveName", "inactive"),
        (7, "InactiveName", "inactive"),
        ("A", "AmbiguousName", "ids 8, 10"),
    ],
)
def test_a_name_that_stands_for_nothing_usable_says_why_and_what_there_is(
    name: str | int, reason: str, words: str
) -> None:
    with pytest.raises(NameRefused) as refused:
        resolve(name, CHOICES, what="status")
    assert refused.value.reason == reason
    assert words in str(refused.value)


@pytest.mark.parametrize(
    "serial",
    [
        "",
        "None",
        "0",
        "000000",
        "To be filled by O.E.M.",
        "TO BE FILLED BY O.E.M.",
        "Default string",
        "System Serial Number",
        "xxxxxxx",
        "N/A",
        "  ",
        "12",
        "Not  Specified",
    ],
)
def test_placeholder_serials_are_none(serial: str) -> None:
    assert real_serial(serial) == ""


@pytest.mark.parametrize("serial", ["5CG1234XYZ", "VMware-56 4d 1a 2b", "PF0ABC", "1002"])
def test_real_serials_are_kept(serial: str) -> None:
    assert real_serial(serial) == serial


def test_hardware_addresses_are_compared_without_their_spelling() -> None:
    assert plain_mac("00-15-5D-01-02-03") == plain_mac("0015.5d01.0203") == "00155d010203"
    assert plain_mac("00:00:00:00:00:00") == plain_mac("nonsense") == ""


@given(st.text(max_size=400), st.integers(min_value=1, max_value=300))
def test_a_cut_text_fits_and_a_short_one_is_whole(text: str, limit: int) -> None:
    result = texts.cut(text, limit)
    assert len(result.encode("utf-16-le")) // 2 <= limit
    if text.isprintable() and len(text.encode("utf-16-le")) // 2 <= limit:
        assert result == text


@given(st.text(max_size=400), st.from_regex(r"[a-z0-9]{4,20}", fullmatch=True))
def test_a_marked_title_fits_and_carries_its_mark_whole(title: str, mark: str) -> None:
    result = texts.marked(title, mark)
    assert len(result.encode("utf-16-le")) // 2 <= 250
    assert texts.carries(result, mark)


def test_a_mark_is_not_found_in_a_longer_one() -> None:
    assert not texts.carries("Alert [m10]", "m1")
    assert not texts.carries("Alert [am1]", "m1")


def _signature(secret: str, body: bytes) -> str:
    return "sha1=" + base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha1).digest()).decode()


def test_a_signature_counts_for_the_raw_and_for_the_escaped_body_and_for_nothing_else() -> None:
    body = '{"Action":"Update","Fields":{"Title":"Käse \\"1\\" & <2> + \\\\ 😀"},"Id":5}'.encode()
    assert signed_by("geheim", body, _signature("geheim", body))
    assert signed_by("geheim", body, _signature("geheim", escaped(body) or b""))
    assert not signed_by("geheim", body, _signature("anders", body))
    assert not signed_by("geheim", body + b" ", _signature("geheim", body))
    assert not signed_by("geheim", body, None)
    assert not signed_by("", body, _signature("", body))
    assert not signed_by("geheim", b"\xff", "sha1=AAAA")


@given(st.dictionaries(st.text(max_size=8), st.text(max_size=30), max_size=4))
def test_the_escaped_form_is_the_one_the_sandbox_signs(document: dict[str, str]) -> None:
    import orjson

    body = orjson.dumps(document)
    assert escaped(body) == escaped_by_the_sandbox(body)


VENDOR = "https://webservices.autotask.net/atservicesrest/"


@pytest.mark.parametrize(
    ("discovery", "url", "base"),
    [
        (
            VENDOR,
            "https://webservices14.autotask.net/ATServicesRest/",
            "https://webservices14.autotask.net/ATServicesRest/V1.0",
        ),
        (
            VENDOR,
            "https://webservices2.autotask.net//atservicesrest//",
            "https://webservices2.autotask.net/atservicesrest/V1.0",
        ),
        ("http://127.0.0.1:5/x/", "http://127.0.0.1:9/ATServicesRest", "http://127.0.0.1:9/ATServicesRest/V1.0"),
        ("http://127.0.0.1:5/x/", "http://127.0.0.1:9/ATServicesRest/v1.0/", "http://127.0.0.1:9/ATServicesRest/V1.0"),
    ],
)
def test_the_zone_becomes_the_base_of_all_calls(discovery: str, url: str, base: str) -> None:
    assert api_base(discovery, Zone(url=url)) == base


@pytest.mark.parametrize(
    ("discovery", "url"),
    [
        (VENDOR, "https://webservices14.autotask.net.evil.example/ATServicesRest/"),
        (VENDOR, "http://webservices14.autotask.net/ATServicesRest/"),
        (VENDOR, "http://127.0.0.1:8080/ATServicesRest/"),
        ("http://127.0.0.1:5/", "https://webservices14.autotask.net/ATServicesRest/"),
        (VENDOR, "ftp://webservices14.autotask.net/"),
        (VENDOR, "nonsense"),
    ],
)
def test_credentials_go_to_no_other_origin(discovery: str, url: str) -> None:
    with pytest.raises(ZoneRefused):
        api_base(discovery, Zone(url=url))


def test_links_for_people_use_the_zones_web_address() -> None:
    zone = Zone.model_validate({"url": "https://a/", "webUrl": "https://ww14.autotask.net/", "zoneName": "x", "ci": 1})
    assert ticket_link(web_base(zone), 7) == (
        "https://ww14.autotask.net/Autotask/AutotaskExtend/ExecuteCommand.aspx?Code=OpenTicketDetail&TicketID=7"
    )
    assert web_base(Zone(url="https://a/", web_url="javascript:alert(1)")) == ""


@pytest.mark.parametrize("value", ["", "line\nbreak", " padded", "späße"])
def test_credentials_that_cannot_be_sent_are_refused_without_showing_them(value: str) -> None:
    with pytest.raises(AccessError) as refused:
        Access(discovery_url=VENDOR, username="u", secret=value, integration_code="c")
    assert "autotask.secret" in str(refused.value)
    assert not value or value not in str(refused.value)


def test_secrets_do_not_show_in_repr() -> None:
    shown = repr(Access(discovery_url=VENDOR, username="u", secret="geheim-1", integration_code="geheim-2"))
    assert "geheim" not in shown


def test_an_operator_that_autotask_would_silently_ignore_is_not_sent() -> None:
    with pytest.raises(ValueError, match="noteExist"):
        condition("noteExist", "completedDate", None)


def test_rows_are_read_in_any_casing_with_and_without_designator_and_nulls() -> None:
    row = Ticket.model_validate(
        {"ID": 5, "Status": "1", "COMPANYID": None, "queueID": "", "completedDate": "2024-01-31T15:04:05.307", "new": 1}
    )
    same = Ticket.model_validate({"id": 5, "status": 1, "completedDate": "2024-01-31T15:04:05.3070000Z"})
    assert row == same
    assert row.completed_date == 1706713445307


def test_a_payload_keeps_nulls_in_its_fields() -> None:
    payload = WebhookPayload.model_validate({"action": "Update", "FIELDS": {"CompletedDate": None}})
    assert payload.fields == {"CompletedDate": None}


@pytest.mark.parametrize(
    ("fields", "read"),
    [
        ([{"Name": "Status", "Value": 5}, {"name": "QueueID", "value": None}], {"Status": 5, "QueueID": None}),
        ("something else", {}),
        ([1, 2], {}),
        (None, {}),
    ],
)
def test_a_payload_whose_fields_have_another_form_is_still_about_its_ticket(fields: object, read: object) -> None:
    payload = WebhookPayload.model_validate(
        {"Action": "Update", "Id": "7", "Fields": fields, "SequenceNumber": "12", "PersonID": "ada", "EventTime": 5}
    )
    assert (payload.id, payload.fields, payload.sequence_number, payload.person_id) == (7, read, 12, None)


@pytest.mark.parametrize(
    ("status", "date", "complete"),
    [(5, None, True), (29, "2026-01-01T00:00:00Z", True), (8, None, False), (29, None, False)],
)
def test_a_ticket_is_complete_by_its_date_or_by_the_vendors_own_status(
    status: int, date: str | None, complete: bool
) -> None:
    assert Ticket.model_validate({"id": 1, "status": status, "completedDate": date}).is_complete is complete


def test_picklist_entries_without_a_usable_number_cannot_be_chosen() -> None:
    entries = [{"value": text, "label": "x"} for text in ("5", "-2", "Employee", "--5", "²", None, "9" * 5000)]
    listed = choices_of_picklist([PicklistValue.model_validate(entry) for entry in entries])
    assert [choice.id for choice in listed] == [5, -2]


def test_a_user_defined_field_is_found_in_any_case() -> None:
    item = ConfigurationItem.model_validate(
        {
            "id": 1,
            "companyID": 0,
            "userDefinedFields": [{"name": "NinjaOne Link", "value": None}, {"name": "OS", "value": 5}],
        }
    )
    assert (item.field("ninjaone link"), item.field("os"), item.field("none"), item.company_id) == ("", "5", "", 0)


def test_each_change_of_a_ticket_has_its_own_id_and_the_same_state_the_same() -> None:
    ticket = Ticket(id=1, status=1, last_activity_date=10)
    assert observed_id(ticket) == observed_id(Ticket(id=1, status=1, last_activity_date=10, title="x"))
    others = [
        Ticket(id=2, status=1, last_activity_date=10),
        Ticket(id=1, status=5, last_activity_date=10),
        Ticket(id=1, status=1, last_activity_date=11),
        Ticket(id=1, status=1, last_activity_date=10, completed_date=10),
    ]
    assert len({observed_id(other) for other in [ticket, *others]}) == 5


def test_the_memory_of_ids_is_bounded() -> None:
    seen = Seen(2)
    for name in ("a", "b", "c"):
        seen.add(name)
    assert ["a" in seen, "b" in seen, "c" in seen] == [False, True, True]
