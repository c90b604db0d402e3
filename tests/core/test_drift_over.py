"""Alerts that are over while their ticket is open: who completes it, and when it is a technician's by now, sentence by sentence."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.autotask import Ticket, TicketHistoryRow
from schemas.drift import DriftObserved
from schemas.envelope import rfc3339
from streams.core.drift.compare import compare
from streams.core.drift.findings import Drift, LogSide, Tell
from streams.core.drift.over import TEST_ALERT_MS, _listed, to_ask
from streams.core.policy.vocabulary import KEPT_TEST_ALERT
from streams.core.verify import Verifier
from streams.sample_alert import sample_alert
from tests.core.drift_world import ASKED_AT, alert_row, explained, log_of, one, open_ticket, seen
from tests.core.spec import EXTERNAL_A, HOUR, START, UID_A, UID_B, Scene, gone, incidents, reset, ticket, triggered

#: Our API user, and a technician.
OURS, SOMEBODY = 29_682_899, 29_682_885
NAMES = {1: "New", 5: "Complete", 8: "In Progress"}
SEEN = START + 20_000
LATER = START + HOUR


def listened(*facts: Any, **parts: Any) -> Scene:
    """An alert with its ticket, which the log saw last at ``SEEN``."""
    return incidents(triggered(), **parts).settle("CreateTicket").when(ticket(SEEN), *facts)


def touched(at: int = LATER, **fields: Any) -> Ticket:
    """The open ticket, last touched by somebody then."""
    people = {"creatorResourceID": OURS, "lastActivityResourceID": SOMEBODY}
    return open_ticket(**{"lastActivityDate": rfc3339(at), "status": 8, **people, **fields})


def wrote(detail: str, at: int = LATER, by: int = SOMEBODY, action: str = "Edited") -> TicketHistoryRow:
    return TicketHistoryRow.model_validate({"action": action, "detail": detail, "date": rfc3339(at), "resourceID": by})


MADE = wrote("Created", START, OURS, "Created")
UNDONE = (MADE, wrote("status: New -> Complete"), wrote("status: Complete -> In Progress"))


def found(row: Ticket, *past: TicketHistoryRow, scene: Scene | None = None, **more: Any) -> Drift:
    side = seen(tickets=(row,), pasts={row.id: past}, status_names=NAMES, **more)
    return one(compare(log_of(scene or listened()), side))


def test_a_ticket_that_was_completed_and_reopened_unheard_stays_open() -> None:
    drift = found(touched(), *UNDONE)
    (fact,) = drift.repairs
    assert isinstance(fact, DriftObserved)
    assert (drift.drift, fact.drift, fact.ticket_id, fact.external_id) == (
        "MissedChange",
        "MissedChange",
        5001,
        EXTERNAL_A,
    )
    assert f"resource {SOMEBODY} completed ticket T5001 at 2026-11-24T04:00:00.000Z, and it was reopened" in drift.what
    assert (
        compare(log_of(listened()), seen(tickets=(touched(),), pasts={5001: UNDONE}, status_names=NAMES)).explained
        == []
    )


def test_one_that_somebody_only_worked_on_is_completed_as_its_rule_says() -> None:
    for past in ((MADE,), (MADE, wrote("status: New -> In Progress")), (MADE, wrote("priority: Low -> High"))):
        row = touched() if any("status" in entry.detail for entry in past) else touched(status=1)
        drift = found(row, *past)
        assert (drift.drift, drift.repairs, drift.doubt) == ("MissedClose", (Tell("gone", UID_A),), "")


def test_a_completion_that_the_log_has_seen_or_that_was_our_own_says_nothing() -> None:
    for row in (wrote("status: New -> Complete", SEEN), wrote("status: New -> Complete", by=OURS)):
        last = wrote("status: Complete -> In Progress", SEEN + 1)
        assert found(touched(), MADE, row, last).drift in ("MissedClose", "MissedChange")
    assert (
        found(touched(), MADE, wrote("status: New -> Complete", SEEN), wrote("status: New -> In Progress")).drift
        == "MissedClose"
    )
    assert (
        found(touched(), MADE, wrote("status: New -> Complete", by=OURS), wrote("status: x -> In Progress")).drift
        == "MissedClose"
    )


def test_a_complete_status_of_the_tenants_own_is_known_by_the_tickets_that_have_it() -> None:
    past = (MADE, wrote("status: New -> Billed"), wrote("status: Billed -> In Progress"))
    names = {**NAMES, 29: "Billed"}
    other = open_ticket(6001, externalID="ls.x", status=29, completedDate="2026-11-24T03:30:00Z")
    for rows, drift in (((touched(),), "MissedClose"), ((touched(), other), "MissedChange")):
        side = seen(tickets=rows, pasts={5001: past}, status_names=names)
        assert one(compare(log_of(listened()), side)).drift == drift


@pytest.mark.parametrize(
    ("past", "word"),
    [
        (None, "its history could not be read"),
        ((MADE, wrote("New -> Complete")), "which may be a completion"),
        ((MADE,), "does not tell who set it"),
    ],
)
def test_what_the_history_does_not_tell_for_sure_is_said_and_mended_only_where_its_class_is_named(
    past: Any, word: str
) -> None:
    side = seen(tickets=(touched(),), pasts={5001: past}, status_names=NAMES)
    drift = one(compare(log_of(listened()), side))
    assert (drift.drift, drift.repairs) == ("MissedClose", (Tell("gone", UID_A),))
    assert word in drift.doubt
    left = drift.where_named(())
    assert (left.repairs, left.left, left.identity) == ((), drift.doubt, drift.identity)
    assert drift.where_named(("MissedClose",)).repairs == drift.repairs


def test_without_a_history_what_we_ourselves_touched_last_is_completed() -> None:
    side = seen(tickets=(touched(lastActivityResourceID=OURS),), pasts={5001: None}, status_names=NAMES)
    assert one(compare(log_of(listened()), side)).doubt == ""


def test_only_tickets_that_would_be_completed_and_were_touched_since_are_asked_about() -> None:
    def asked(scene: Scene, *alerts: Any, row: Ticket | None = None) -> list[int]:
        listed = {alert.uid: alert for alert in alerts}
        return to_ask(log_of(scene), listed, {5001: row or touched()}, ASKED_AT)

    assert asked(listened()) == [5001]
    assert asked(listened(), alert_row()) == []
    assert asked(listened(), row=touched(SEEN)) == []
    assert asked(listened(reset())) == []
    assert asked(listened(triggered(11, UID_B)), alert_row(UID_B)) == []
    done = touched(status=5, completedDate=rfc3339(LATER))
    assert asked(listened(), row=done) == []


# --- what the agent decides about it


def reopened(**more: Any) -> DriftObserved:
    fields = {"key": "407", "drift": "MissedChange", "observed_at": ASKED_AT, "organization_id": 17}
    return DriftObserved.model_validate({**fields, "external_id": EXTERNAL_A, "ticket_id": 5001, **more})


def test_the_alerts_of_a_reopened_ticket_are_over_and_the_ticket_is_the_technicians() -> None:
    scene = listened(triggered(11, UID_B)).settle("AppendTicketNote").when(reopened())
    assert (scene.kinds, set(scene.reasons)) == ([], {"ReopenedByTechnician"})
    assert {scene.disposition(uid) for uid in (UID_A, UID_B)} == {("closed", "TicketCompleted")}
    assert explained(log_of(scene), seen(tickets=(touched(),))) == {"ticket": "ReopenedByTechnician"}
    # What the connectors tell of it when they are back.
    scene.when(ticket(LATER), gone(ASKED_AT + 5000), reset(at=START + 2 * HOUR))
    assert "CompleteTicket" not in scene.all_kinds()
    verifier = Verifier(agent=scene.agent)
    assert [verifier.feed(record) for record in scene.records] == [None] * len(scene.records)


def test_an_alert_of_it_that_was_raised_again_since_keeps_all_as_it_is() -> None:
    scene = listened(triggered(30, at=ASKED_AT + 1)).settle("AppendTicketNote").when(reopened())
    assert (scene.kinds, scene.reasons, scene.body()["alerts"][UID_A]["active"]) == ([], ["Superseded"], True)


def test_one_that_is_over_by_now_is_left_as_it_is() -> None:
    scene = listened(reset()).settle("CompleteTicket").when(reopened())
    assert (scene.kinds, scene.reasons) == ([], ["IncidentEnded"])


# --- test alerts


def sent(age: int, *, keep: bool = False) -> LogSide:
    alert = sample_alert(17, "Nordwind GmbH", at=ASKED_AT - age, by="ann", keep=keep)
    return log_of(incidents().when(alert, key="o17").settle("CreateTicket"))


def test_a_test_alert_that_nobody_ended_in_time_is_a_missed_close() -> None:
    log = sent(TEST_ALERT_MS + 1)
    (name,) = log.incidents["o17"]["incidents"]
    (uid,) = log.incidents["o17"]["alerts"]
    drift = one(compare(log, seen(tickets=(open_ticket(externalID=name, lastActivityDate=None),))))
    assert (drift.drift, drift.key, drift.ticket_id, drift.repairs) == (
        "MissedClose",
        "o17",
        5001,
        (Tell("gone", uid),),
    )
    assert drift.what == f"test alert {uid} was never ended by whoever sent it, and ticket T5001 is open"


@pytest.mark.parametrize("log", [sent(TEST_ALERT_MS), sent(90 * HOUR, keep=True)])
def test_one_that_is_on_its_way_or_is_to_be_kept_is_explained(log: LogSide) -> None:
    (name,) = log.incidents["o17"]["incidents"]
    assert explained(log, seen(tickets=(open_ticket(externalID=name),))) == {"ticket": "TestAlert"}


def test_what_is_kept_shows_in_the_alert() -> None:
    kept, usual = (sample_alert(17, "Nordwind GmbH", at=START, by="ann", keep=keep) for keep in (True, False))
    assert (kept.condition_name, usual.condition_name, kept.uid) == (KEPT_TEST_ALERT, "Lockstep test", usual.uid)


def test_of_many_alerts_three_are_named() -> None:
    assert _listed(("a", "b", "c")) == "a, b, c"
    assert _listed(("a", "b", "c", "d", "e")) == "a, b, c and 2 more"
