"""The error tables: what an answer means, and that nothing secret is in what is said about it."""

import base64
from urllib.parse import quote

import orjson
import pytest

from connectors.errors import RULINGS, CallFailed, Kind, Situation, kind_of, recognise, vendor_words
from connectors.ports import Verdict
from connectors.redaction import Redactor


def recognised(vendor, status, document):
    return recognise(vendor, status=status, body=orjson.dumps(document), document=document)


@pytest.mark.parametrize("vendor", ["ninjaone", "autotask"])
@pytest.mark.parametrize("situation", list(Situation))
def test_every_situation_has_a_ruling_at_both_vendors(vendor, situation):
    assert kind_of(vendor, situation, write=False) is not Kind.UNKNOWN
    assert kind_of(vendor, situation, write=True) in Kind


@pytest.mark.parametrize(
    ("vendor", "status", "document", "situation"),
    [
        ("ninjaone", 404, {"resultCode": "Client app not exist", "incidentId": "WEB-1"}, Situation.UNKNOWN_CLIENT),
        ("ninjaone", 400, {"error": "invalid_client"}, Situation.WRONG_SECRET),
        ("ninjaone", 401, {"error": "invalid_client"}, Situation.WRONG_SECRET),
        ("ninjaone", 400, {"error": "invalid_scope"}, Situation.SCOPE_REFUSED),
        ("ninjaone", 401, {"error": "not_authenticated", "error_code": 10}, Situation.UNAUTHORIZED),
        ("ninjaone", 403, {"resultCode": "user_context_required"}, Situation.FORBIDDEN),
        ("ninjaone", 404, {"resultCode": "FAILURE", "errorMessage": "HTTP 404 Not Found"}, Situation.NOT_FOUND),
        ("ninjaone", 410, None, Situation.NOT_FOUND),
        ("ninjaone", 400, {"error": "invalid_grant"}, Situation.SCOPE_REFUSED),
        ("ninjaone", 400, {"error": "unsupported_grant_type"}, Situation.SCOPE_REFUSED),
        ("ninjaone", 429, None, Situation.THROTTLED),
        ("ninjaone", 500, {"errors": ["text"]}, Situation.SERVER_ERROR),
        ("autotask", 401, None, Situation.UNAUTHORIZED),
        ("autotask", 500, {"errors": ["IntegrationCode is invalid."]}, Situation.WRONG_TRACKING_IDENTIFIER),
        ("autotask", 500, {"errors": ["Picklist value [3] does not exist for priority"]}, Situation.REFUSED_INPUT),
        ("autotask", 500, {"errors": ["reference Error ID: 5"], "errorId": 5}, Situation.SERVER_ERROR),
        ("autotask", 500, {"errors": ["The logged in Resource does not have the adequate permissions to create this entity type"]}, Situation.FORBIDDEN),
        ("autotask", 500, {"errors": ["Thread Threshold Exceeded"]}, Situation.THREAD_LIMIT),
        ("autotask", 200, {"errors": ["queueID is required"]}, Situation.REFUSED_INPUT),
        ("autotask", 500, {"Errors": ["The Integration Code is not valid"]}, Situation.WRONG_TRACKING_IDENTIFIER),
        ("autotask", 500, {"errors": "Picklist value [3] does not exist for priority"}, Situation.REFUSED_INPUT),
        ("autotask", 500, {"errors": ["You do not have permission to do this"]}, Situation.FORBIDDEN),
        ("autotask", 500, {"errors": ["reference Error ID: 5"], "ErrorId": 5}, Situation.SERVER_ERROR),
        ("autotask", 500, {"errors": ["The user does not belong to this zone."]}, Situation.WRONG_ZONE),
        ("autotask", 500, {"errors": ["The company's time zone is invalid"]}, Situation.REFUSED_INPUT),
        ("autotask", 404, {"errors": ["Ticket 5 was not found"]}, Situation.NOT_FOUND),
        ("autotask", 403, {"errors": ["no"]}, Situation.FORBIDDEN),
        ("autotask", 422, {"errors": ["title is required"]}, Situation.REFUSED_INPUT),
        ("autotask", 503, None, Situation.SERVER_ERROR),
        ("autotask", 302, None, Situation.REDIRECTED),
        ("autotask", 200, {"items": []}, None),
        ("ninjaone", 204, None, None),
    ],
)  # fmt: skip
def test_answers_on_record_are_recognised(vendor, status, document, situation):
    assert recognised(vendor, status, document) is situation


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_web_page_of_a_gateway_is_not_ninjaones_word_that_something_is_missing_or_forbidden(status):
    page = b"\n<!DOCTYPE html><html><body>not here</body></html>"
    assert recognise("ninjaone", status=status, body=page, document=None) is Situation.HTML_PAGE
    assert kind_of("ninjaone", Situation.HTML_PAGE, write=True) is Kind.UNKNOWN


def test_a_server_error_is_tried_again_after_a_read_and_unknown_after_a_write():
    assert kind_of("ninjaone", Situation.SERVER_ERROR, write=False) is Kind.TRANSIENT
    assert kind_of("ninjaone", Situation.SERVER_ERROR, write=True) is Kind.UNKNOWN


def test_what_was_not_sent_is_never_unknown():
    assert kind_of("autotask", Situation.NOT_SENT, write=True) is Kind.TRANSIENT


def test_every_situation_is_ruled_once_so_that_no_row_is_shadowed():
    assert len({(row.vendor, row.situation) for row in RULINGS}) == len(RULINGS)


@pytest.mark.parametrize(
    ("situation", "verdict"),
    [
        (Situation.TIMED_OUT, Verdict.UNKNOWN),
        (Situation.NOT_SENT, Verdict.TRANSIENT),
        (Situation.THROTTLED, Verdict.THROTTLED),
        (Situation.UNAUTHORIZED, Verdict.SUSPENDED),
        (Situation.REFUSED_INPUT, Verdict.REJECTED),
    ],
)
def test_a_failed_write_becomes_an_effect_with_its_reason(situation, verdict):
    failure = CallFailed(vendor="ninjaone", situation=situation, write=True, detail="one line", retry_after=7.0)
    effect = failure.effect()
    assert (effect.verdict, effect.reason, effect.detail) == (verdict, situation.value, "one line")
    assert effect.retry_after == 7.0


def test_vendor_words_take_any_of_the_error_families():
    assert vendor_words("plain text") == "plain text"
    assert vendor_words({"errorMessage": {"code": "E1", "params": {}}}) == "E1"
    assert vendor_words({"resultCode": "FAILURE", "incidentId": "X-1"}) == "FAILURE (incident X-1)"
    assert vendor_words({"errors": ["a", "b"]}) == "a b"
    assert vendor_words(["unexpected"]) == ""


def test_a_secret_is_hidden_raw_url_encoded_and_in_base64():
    secret = "p&ss w/rd+1"
    text = f"a {secret} b {quote(secret, safe='')} c {base64.b64encode(secret.encode()).decode()} d"
    assert Redactor([secret]).line(text) == "a [hidden] b [hidden] c [hidden] d"


@pytest.mark.parametrize("secret", ["a", "is", "key", "secret", "s3cret!"])
def test_a_secret_of_a_few_characters_is_hidden_where_it_stands_alone_and_blanks_out_no_part_of_a_word(secret):
    line = Redactor([secret]).line(f"Asecretary's keys: {secret}; Basis {secret}, '{secret}'={secret}")
    assert line == "Asecretary's keys: [hidden]; Basis [hidden], '[hidden]'=[hidden]"


def test_tokens_are_hidden_by_the_names_around_them():
    line = Redactor().line('{"access_token":"eyJhbGciOiJIUzI1NiJ9","expires_in":3600} Bearer eyJhbGciOiJIUzI1NiJ9')
    assert "eyJ" not in line
    assert "expires_in" in line


def test_a_vendor_text_cannot_break_a_log_line():
    assert Redactor().line("one\r\ntwo\x00\u2028three") == "one two three"
    assert len(Redactor().line("x" * 10_000)) == 400


def test_a_redactor_does_not_show_what_it_hides():
    assert "hunter22" not in repr(Redactor(["hunter22"]))
