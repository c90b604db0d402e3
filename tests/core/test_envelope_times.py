"""Times in headers: written cheaply, read back as what was written."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.envelope import DecodeError, Envelope, epoch_ms, rfc3339

#: The years 1 to 9999, in epoch milliseconds.
INSTANTS = st.integers(min_value=-62_135_596_800_000, max_value=253_402_300_799_999)


def envelope(*, time: int, recorded: int) -> Envelope:
    return Envelope(id="a", type="t", source="s", time=time, recorded=recorded, key="1")


@given(INSTANTS, INSTANTS)
def test_an_envelope_reads_back_the_instants_it_was_written_with(time: int, recorded: int) -> None:
    written = envelope(time=time, recorded=recorded)
    assert Envelope.from_headers(written.to_headers()) == written


@given(INSTANTS)
def test_a_text_of_an_instant_is_the_instant(ms: int) -> None:
    assert epoch_ms(rfc3339(ms)) == ms
    assert len(rfc3339(ms)) == 24


@pytest.mark.parametrize(
    "text", ["2026-13-24T03:00:00.123Z", "yesterday, at noon o.123Z", "2026-11-24T03:00+01.123Z", ""]
)
def test_a_header_that_is_no_instant_is_named_whole(text: str) -> None:
    headers = [(n, v if n != "ce_time" else text.encode()) for n, v in envelope(time=0, recorded=0).to_headers()]
    with pytest.raises(DecodeError, match="is not an ISO 8601 instant") as refused:
        Envelope.from_headers(headers)
    assert f"'{text}'" in str(refused.value)


@pytest.mark.parametrize("text", ["2026-11-24T03:00:00Z", "2026-11-24T03:00:00.1Z", "2026-11-24 03:00:00.100+00:00"])
def test_other_forms_of_an_instant_are_read_too(text: str) -> None:
    headers = [(n, v if n != "ce_time" else text.encode()) for n, v in envelope(time=0, recorded=0).to_headers()]
    assert Envelope.from_headers(headers).time == epoch_ms(text)


def test_a_header_without_a_value_is_named_and_is_no_envelope() -> None:
    written = envelope(time=0, recorded=0)
    headers = [(name, None if name == "ce_id" else value) for name, value in written.to_headers()]
    with pytest.raises(DecodeError, match="header ce_id has no value"):
        Envelope.from_headers(headers)
