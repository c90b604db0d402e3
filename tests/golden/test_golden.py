"""What was decided about recorded scenarios is decided again, unless the change log says what is decided otherwise and why."""

from __future__ import annotations

import gc
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from schemas import events
from streams.core import placing
from streams.core.decision import Draft
from tests.golden import record
from tests.golden.journal import FOLDER, Journal, differences, journal_of, keep, kept
from tests.golden.record import ACCEPTED, accepted, refusal, says, scenarios

NAMES = sorted(path.name.removesuffix(".jsonl.xz") for path in FOLDER.glob("*.jsonl.xz"))
HOW = (
    "if this is meant: say it in CHANGELOG.md, then "
    "PYTHONPATH=. .venv/bin/python -m tests.golden.record {name} --because 'that line'"
)


@pytest.fixture(autouse=True, scope="module")
def _no_collection() -> Iterator[None]:
    """A month is a million small objects that all stay: looking for garbage among them takes as long as deciding."""
    gc.disable()
    yield
    gc.enable()


def journal(name: str) -> Journal:
    return kept(FOLDER / f"{name}.jsonl.xz")


@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_scenario_is_decided_as_it_was(name: str) -> None:
    recorded = journal(name)
    assert accepted()[name]["digest"] == recorded.digest(), (
        f"{name} is not the journal that was accepted: record it anew"
    )
    found = differences(recorded)
    if found:
        pytest.fail("\n".join(["", *found, HOW.format(name=name)]), pytrace=False)


def test_every_scenario_is_recorded_and_every_accepted_journal_is_there() -> None:
    assert NAMES == sorted(scenarios()) == sorted(accepted())


def test_what_was_accepted_stands_in_the_change_log() -> None:
    unsaid = {name: entry["change"] for name, entry in accepted().items() if not says(entry["change"])}
    assert unsaid == {}, "CHANGELOG.md no longer has the line that accepted these journals"


def test_they_are_twenty_five_scenarios_and_fifty_thousand_decisions_in_three_mebibytes() -> None:
    entries = accepted().values()
    assert len(entries) >= 25
    assert sum(entry["records"] for entry in entries) >= 50_000
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 3 * 2**20


def test_another_decision_is_told_in_words_with_what_was_and_what_is_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    place = placing.place

    def other(draft: Draft, *rest: Any) -> None:
        place(draft, *rest)
        draft.reason("LookedAtTwice", "somebody")

    monkeypatch.setattr("streams.core.incidents.place", other)
    uid = "7a4d1f4e-58c5-4f4b-9a2c-0f5a7f0c9e21"
    create = (
        f"-> create-ticket external id ls.407.{uid.replace('-', '')}, title NW-FS01: Disk C: free space is 4.3 %, below 10 %, "
        "status New, queue Monitoring, priority Medium, company id 29683"
    )
    assert differences(journal("one-alert-and-its-reset")) == [
        f"'one-alert-and-its-reset', event 2 of 6: alert.triggered of 407 uid {uid}, recorded 2026-11-24T03:00:00.000Z, "
        "agent incidents",
        "  was: 407: rule everything-else of revision 1",
        f"  was: 407: alert {uid}: ticketed (Opened)",
        f"  was: 407: {create}",
        "  now: 407: rule everything-else of revision 1",
        f"  now: 407: alert {uid}: ticketed (Opened)",
        "  now: 407: LookedAtTwice of somebody",
        f"  now: 407: {create}",
        '  at [0].decision.reasons: was nothing, now [{"reason":"LookedAtTwice","of":"somebody"}]',
    ]


def test_the_same_decision_in_another_record_is_told_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.core.engine.documents.digest", lambda body: "0" * 32)
    [line] = differences(journal("hold"))
    assert line == "'hold': every decision is the same, but the audit records or documents of incidents/0 are not"


def test_a_fact_that_can_no_longer_be_read_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(events._FACTS, "lockstep.alert.reset.v1")
    told = "\n".join(differences(journal("hold")))
    assert "now: : Unreadable: type 'lockstep.alert.reset.v1' is not known here" in told


def test_a_journal_that_decides_otherwise_is_accepted_with_a_new_line_of_the_change_log_only() -> None:
    recorded = journal("hold")
    known = accepted()["hold"]
    assert refusal(known, recorded, None) is None
    changed = Journal(recorded.name, recorded.story, recorded.entries[:-1], recorded.ends)
    assert "give that line with --because" in str(refusal(known, changed, None))
    assert "CHANGELOG.md has no line 'because I say so, and that is that'" in str(
        refusal(known, changed, "because I say so, and that is that")
    )
    assert "is that of the last acceptance" in str(refusal(known, changed, known["change"]))
    assert refusal(known, changed, "The main job: devices to configuration items") is None


def test_recording_makes_the_same_bytes_again(tmp_path: Path) -> None:
    told, make = scenarios()["storm-of-a-site"]
    again = journal_of("storm-of-a-site", told, make())
    assert keep(again, tmp_path).read_bytes() == (FOLDER / "storm-of-a-site.jsonl.xz").read_bytes()


def test_what_is_refused_leaves_the_accepted_journal_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(ACCEPTED, tmp_path / "accepted.json")
    monkeypatch.setattr(record, "ACCEPTED", tmp_path / "accepted.json")
    monkeypatch.setattr(record, "FOLDER", tmp_path)
    monkeypatch.setattr("streams.core.engine.documents.digest", lambda body: "0" * 32)
    monkeypatch.setattr("sys.argv", ["record", "hold"])
    assert record.main() == 1
    assert capsys.readouterr().err.startswith("'hold' decides otherwise than was accepted: say so in CHANGELOG.md")
    assert orjson.loads((tmp_path / "accepted.json").read_bytes()) == accepted()
