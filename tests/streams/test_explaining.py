"""Which decisions an id means: whole names only, a number as a device's or a ticket's id."""

from __future__ import annotations

import pytest

from streams.explaining import chosen, happening_of
from tests.core.spec import EXTERNAL_A, START, UID_A, incidents, reset, subject, triggered
from tests.core.spec import ticket as seen

LONG = "Disk C: " + "free space is low and " * 20 + "now it is at its end"


def records():
    scene = incidents(triggered()).settle("CreateTicket").when(reset()).settle("CompleteTicket")
    scene.when(seen(START + 30_000, completed=True))
    other = subject(device=12, organization=12, organization_name="O12")
    return scene.when(triggered(40, subject=other, uid="f" * 32), key="12").records


@pytest.mark.parametrize("wanted", [UID_A, UID_A.replace("-", ""), EXTERNAL_A, "T20261124.5001", "5001"])
def test_an_alert_a_ticket_and_an_external_id_mean_one_and_the_same_story(wanted: str) -> None:
    found = chosen(records(), wanted)
    assert len(found) >= 4
    assert {record.key for record in found} == {"407"}


def test_a_device_is_found_by_its_id_alone() -> None:
    assert {record.key for record in chosen(records(), "12")} == {"12"}


@pytest.mark.parametrize("wanted", ["", "o", "1", "T", "o1", "l5", UID_A[:8], "500", "50011", "T20261124"])
def test_a_part_of_a_name_means_nothing(wanted: str) -> None:
    assert chosen(records(), wanted) == []


@pytest.mark.parametrize("width", [60, 80, 120, 160])
def test_a_line_is_cut_at_a_word_to_the_terminals_width_and_keeps_the_rule(width: int) -> None:
    scene = incidents(triggered(message=LONG))
    lines = [line for record in scene.records for line in happening_of(record).lines(width)]
    assert max(map(len, lines)) <= width
    ((at, told),) = [(at, line) for at, line in enumerate(lines) if "alert.triggered" in line]
    assert "rule everything-else of policy revision 1" in (told if width > 130 else lines[at + 1])
    assert told.count("…") == 1
    before, _, _ = told.partition("…")
    assert LONG.startswith(before.rpartition("message ")[2]) or "message" not in before


def test_without_a_width_every_line_is_whole_and_one_line() -> None:
    scene = incidents(triggered(message=f"first\n{LONG}\r\nlast"))
    lines = [line for record in scene.records for line in happening_of(record).lines()]
    (told,) = [line for line in lines if "alert.triggered" in line]
    assert f"message first {LONG} last, " in told
    assert not any("\n" in line for line in lines)


def test_values_are_told_in_words_and_not_as_a_program_writes_them() -> None:
    scene = incidents(triggered()).settle("CreateTicket").when(seen(START + 30_000, completed=True))
    lines = "\n".join(line for record in scene.records for line in happening_of(record).lines())
    assert "completed yes" in lines
    assert not any(word in lines for word in ("True", "False", "None", "{'", "['"))
