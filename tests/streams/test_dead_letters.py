"""Dead letters: kept whole, told apart by reason and organization, one letter per record, linked when they come back."""

from __future__ import annotations

import orjson
import pytest

from schemas.envelope import DecodeError, Envelope
from schemas.events import NewerVersion, UnknownType, decode_command, decode_fact
from streams.dead_letters import Place, dead_letter_headers, letters_of
from streams.ports import InputRecord, RecordHeaders
from streams.stage import dead_letter

AT = 1_795_489_200_000


def record(value: bytes | None = b"\xff", *, offset: int = 7, headers: RecordHeaders = (), key: bytes = b"407"):
    return InputRecord("ninjaone.alerts", 2, offset, key, value, headers, AT)


def kept(of: InputRecord, offset: int, stage: str = "incidents", error: ValueError | None = None) -> InputRecord:
    """The record as it lies in topic ``dead-letters`` at ``offset``."""
    headers = dead_letter_headers(of, stage=stage, error=error or DecodeError("no header"), at=AT)
    return InputRecord("dead-letters", 0, offset, of.key, of.value, headers, AT)


def test_bytes_key_and_headers_stay_as_they_were_and_the_rest_is_said_beside_them() -> None:
    original = record(b"\xff\x00", headers=[("ce_id", b"a"), ("ce_id", b"b"), ("odd", b"\xfe")])
    written = dead_letter(original, stage="incidents", error=DecodeError("header ce_type is missing"))
    assert (written.topic, written.key, written.value) == ("dead-letters", b"407", b"\xff\x00")
    assert list(written.headers[:3]) == original.headers
    (letter,) = letters_of([InputRecord("dead-letters", 0, 3, written.key, written.value, written.headers, AT)], {})
    assert letter.original_headers() == original.headers
    assert letter.place == Place("ninjaone.alerts", 2, 7)
    assert (letter.id, letter.reason, letter.stages) == ("dead-3", "Unreadable", ("incidents",))
    assert letter.about["dead_error"] == "header ce_type is missing"


def test_a_type_in_a_newer_version_says_that_a_newer_version_is_needed() -> None:
    envelope = Envelope(id="i", type="lockstep.alert.triggered.v2", source="/t", time=AT, recorded=AT, key="407")
    with pytest.raises(
        NewerVersion, match=r"version 2 needs a newer version of Lockstep \(this one knows 1\): update"
    ) as e:
        decode_fact(envelope.to_headers(), b"{}")
    assert e.value.reason == "NewerVersion"
    with pytest.raises(NewerVersion):
        decode_command(
            Envelope(
                id="i", type="lockstep.command.create-ticket.v12", source="/t", time=AT, recorded=AT, key="407"
            ).to_headers(),
            b"{}",
        )


@pytest.mark.parametrize("ce_type", ["lockstep.alert.eaten.v1", "lockstep.alert.triggered.v0", "x", "lockstep.alert.triggered.vX"])  # fmt: skip
def test_a_type_that_no_version_has_is_unknown_and_not_newer(ce_type: str) -> None:
    envelope = Envelope(id="i", type=ce_type, source="/t", time=AT, recorded=AT, key="407")
    with pytest.raises(UnknownType, match="is not known here"):
        decode_fact(envelope.to_headers(), b"{}")


def test_the_organization_is_told_as_far_as_value_or_key_show_it() -> None:
    value = orjson.dumps({"subject": {"organization_id": 17}})
    records = [
        record(value),
        record(b'{"organization_id": 18}', offset=8),
        record(b"\xff", offset=9, key=b"o19"),
        record(b'{"organization_id": true, "subject": []}', offset=10),
        record(None, offset=11),
    ]
    letters = letters_of([kept(one, n) for n, one in enumerate(records)], {})
    assert [letter.organization_id for letter in letters] == [17, 18, 19, None, None]


def test_a_record_that_two_agents_could_not_read_is_one_letter() -> None:
    letters = letters_of([kept(record(), 0), kept(record(), 1, stage="devices"), kept(record(offset=8), 2)], {})
    assert [(letter.id, letter.other_ids, letter.stages) for letter in letters] == [
        ("dead-0", ("dead-1",), ("incidents", "devices")),
        ("dead-2", (), ("incidents",)),
    ]
    word = {"what": "dismissed", "reason": "r", "actor": "ada", "at": "t"}
    assert [letter.handled for letter in letters_of([kept(record(), 0), kept(record(), 1)], {"dead-1": word})] == [word]


def test_what_comes_back_after_a_retry_names_the_letter_that_was_retried() -> None:
    word = {"what": "retried", "reason": "", "actor": "ada", "at": "t", "to": ["ninjaone.alerts", 2, 55]}
    first, second = letters_of([kept(record(), 0), kept(record(offset=55), 1)], {"dead-0": word})
    assert (first.came_back, first.handled) == (None, word)
    assert (second.came_back, second.handled) == ("dead-0", None)
    assert second.as_dict()["came_back"] == "dead-0"


def test_what_never_was_a_record_cannot_be_read_again() -> None:
    body = InputRecord("dead-letters", 0, 5, b"webhook ninjaone", b"{", [("dead_stage", b"webhook ninjaone")], AT)
    (letter,) = letters_of([body], {})
    assert (letter.place, letter.retryable, letter.stages) == (None, False, ("webhook ninjaone",))
    elsewhere = kept(record()._replace(topic="somewhere.else"), 6)
    assert [letter.retryable for letter in letters_of([elsewhere, kept(record(), 7)], {})] == [False, True]


def test_a_header_without_a_value_becomes_empty_and_an_error_of_python_gets_no_reason_of_its_own() -> None:
    error = UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")
    headers = dict(dead_letter_headers(record(headers=[("h", None)]), stage="s", error=error, at=AT))  # type: ignore[list-item]
    assert (headers["h"], headers["dead_reason"]) == (b"", b"Unreadable")
