"""What ``parked`` means by what is named: pure, over things found in the log."""

from __future__ import annotations

import click
import pytest

from schemas.envelope import DecodeError
from schemas.events import NewerVersion
from streams.cli.base import Failure
from streams.cli.parked import Choice, Found, _choice, _meant, _refuse_unknown
from streams.core.views import ParkedItem
from streams.dead_letters import DeadLetter, dead_letter_headers, letters_of
from streams.ports import InputRecord

AT = 1_795_489_200_000


def work(name: str, organization: int, reason: str) -> ParkedItem:
    return ParkedItem(
        agent="incidents", key="407", id=name, what="Alert", organization_id=organization, reason=reason, detail=""
    )


def letter(offset: int, *, organization: int, error: DecodeError) -> InputRecord:
    value = b'{"organization_id": %d}' % organization
    record = InputRecord("ninjaone.alerts", 0, offset, b"407", value, [], AT)
    headers = dead_letter_headers(record, stage="incidents", error=error, at=AT)
    return InputRecord("dead-letters", 0, offset, b"407", value, headers, AT)


WEBHOOK = InputRecord("dead-letters", 0, 9, b"w", b"{", [("dead_stage", b"webhook ninjaone")], AT)
WORK = [work("a", 17, "UnknownQueue"), work("b", 17, "UnmappedOrganization"), work("c", 18, "UnknownQueue")]


def found(**words: dict[str, str]) -> Found:
    records = [
        letter(0, organization=17, error=NewerVersion("v2")),
        letter(1, organization=18, error=DecodeError("no")),
        WEBHOOK,
    ]
    return Found(work=list(WORK), letters=letters_of(records, {f"dead-{n[1:]}": word for n, word in words.items()}))


def names(meant: Found) -> list[str]:
    return [entry.id for entry in meant.work] + [one.id for one in meant.letters]


def word(what: str) -> dict[str, str]:
    return {"what": what, "reason": "noise", "actor": "ada", "at": "2026-11-24T03:00:00.000Z"}


@pytest.mark.parametrize(
    ("choice", "meant"),
    [
        (Choice(), ["a", "b", "c", "dead-0", "dead-1", "dead-9"]),
        (Choice(organization=17), ["a", "b", "dead-0"]),
        (Choice(because="UnknownQueue"), ["a", "c"]),
        (Choice(organization=17, because="UnknownQueue"), ["a"]),
        (Choice(because="Unreadable"), ["dead-1", "dead-9"]),
        (Choice(ids=("c", "dead-0")), ["c", "dead-0"]),
        (Choice(ids=("407",)), ["a", "b", "c"]),
    ],
)
def test_what_is_named_is_meant_and_nothing_else(choice: Choice, meant: list[str]) -> None:
    assert names(_meant(choice, found(), "dismissed")) == meant


def test_the_counts_are_per_kind_organization_and_reason_the_most_first() -> None:
    everything = _meant(Choice(), found(), "dismissed")
    everything.work.append(work("d", 17, "UnknownQueue"))
    counts = [tuple(row.values()) for row in everything.counts()]
    assert counts[0] == ("parked", 17, "UnknownQueue", 2)
    assert ("dead letter", 17, "NewerVersion", 1) in counts
    assert sum(count[3] for count in counts) == 7


def test_a_body_that_never_was_a_record_is_skipped_in_bulk_and_refused_by_name() -> None:
    meant = _meant(Choice(), found(), "retried")
    assert (names(meant)[-1], [one.id for one in meant.skipped]) == ("dead-1", ["dead-9"])
    with pytest.raises(Failure, match=r"dead-9 never was a record of a topic \(it came by webhook ninjaone\)"):
        _meant(Choice(ids=("dead-9",)), found(), "retried")


@pytest.mark.parametrize(
    ("said", "verb", "done"),
    [("retried", "retried", False), ("retried", "dismissed", False), ("dismissed", "dismissed", False), ("dismissed", "retried", True)],
)  # fmt: skip
def test_a_letter_that_was_dealt_with_stays_so_unless_a_dismissed_one_is_taken_up_by_name(
    said: str, verb: str, done: bool
) -> None:
    waiting = found(_0=word(said))
    assert "dead-0" not in names(_meant(Choice(), waiting, verb))  # type: ignore[arg-type]
    by_name = _meant(Choice(ids=("dead-0",)), waiting, verb)  # type: ignore[arg-type]
    assert (names(by_name), [one.id for one in by_name.already]) == ((["dead-0"], []) if done else ([], ["dead-0"]))


def test_one_unknown_id_among_known_ones_refuses_all_in_one_line() -> None:
    with pytest.raises(Failure, match=r"not parked and no dead letter: x, y; 'lockstep parked list"):
        _refuse_unknown(Choice(ids=("a", "x", "dead-0", "y")), found())
    _refuse_unknown(Choice(ids=("a", "407", "dead-9")), found())


def test_an_organization_that_ninjaone_does_not_have_is_refused_unless_its_work_is_still_there() -> None:
    waiting = found()
    waiting.organizations = {17: "Nordwind GmbH", 19: "Hansen AG"}
    with pytest.raises(
        Failure, match=r"NinjaOne has no organization 999; there are 17 'Nordwind GmbH', 19 'Hansen AG'"
    ):
        _refuse_unknown(Choice(organization=999), waiting)
    _refuse_unknown(Choice(organization=19), waiting)
    _refuse_unknown(Choice(organization=18), waiting)
    waiting.organizations = {}
    _refuse_unknown(Choice(organization=999), waiting)


def test_ids_organization_and_all_are_not_mixed() -> None:
    for mixed in (((), None, None, False), (("a",), 17, None, False), ((), 17, None, True), (("a",), None, None, True)):
        with pytest.raises(click.UsageError, match="name what is meant"):
            _choice(*mixed)
    assert _choice((), 17, "UnknownQueue", False) == Choice((), 17, "UnknownQueue")


def test_a_letter_that_came_back_says_so() -> None:
    back = DeadLetter(id="dead-4", record=WEBHOOK, about={}, came_back="dead-0")
    assert back.as_dict()["came_back"] == "dead-0"
