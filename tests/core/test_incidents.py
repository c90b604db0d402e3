"""What becomes of alerts and tickets, sentence by sentence."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.commands import AppendTicketNote, CompleteTicket, CreateTicket, ResetAlert, WithdrawCommand
from schemas.facts import CommandSettled, ParkedDismissed, ParkedRetried, Selection, TimerFired
from streams.core import placing
from tests.core.spec import (
    DAY,
    EXTERNAL_A,
    EXTERNAL_B,
    HOUR,
    MINUTE,
    START,
    UID_A,
    UID_B,
    UID_C,
    Scene,
    companies,
    gone,
    incidents,
    observed,
    organizations,
    policy,
    reset,
    subject,
    ticket,
    triggered,
)

EVERYTHING = Selection(everything=True)


def ticketed(**policy_parts: Any) -> Scene:
    """An alert with its ticket made."""
    return incidents(triggered(), **policy_parts).settle("CreateTicket")


# Opening


def test_an_alert_opens_a_ticket_with_what_its_rule_says() -> None:
    rule = {
        "name": "disks",
        "when": {"source_type": ["CONDITION_AGENT_DISK_FREE_SPACE"]},
        "ticket": {"queue": "NOC", "priority": {"CRITICAL": "Critical"}, "title": "{{ device.name }}: disk"},
    }
    scene = incidents(triggered(), rules=[rule, {"name": "rest", "when": {}}])
    (create,) = scene.issued
    assert isinstance(create, CreateTicket)
    assert (create.queue, create.priority, create.title) == ("NOC", "Critical", "NW-FS01: disk")
    assert (create.external_id, create.company_id, create.effect_key) == (EXTERNAL_A, 29683, EXTERNAL_A)
    assert create.due_at == START + DAY
    assert scene.disposition() == ("ticketed", "Opened")
    assert scene.steps[0].record.decision["rule"] == "disks"


def test_a_ticket_ends_with_the_line_that_opens_the_device() -> None:
    (create,) = incidents(triggered()).issued
    assert isinstance(create, CreateTicket)
    link = "https://eu.ninjarmm.com/#/deviceDashboard/407/overview"
    assert create.description.splitlines()[-1] == f"Device in NinjaOne: {link}"


def test_a_very_long_message_is_cut_but_the_device_line_stays() -> None:
    (create,) = incidents(triggered(message="x" * 9000)).issued
    assert isinstance(create, CreateTicket)
    assert len(create.title) <= 255
    assert len(create.description) <= 8000
    assert create.description.endswith("/407/overview")


def test_the_same_trigger_from_webhook_and_poll_is_one_ticket() -> None:
    scene = incidents(triggered()).when(triggered())
    assert (scene.kinds, scene.reasons) == ([], ["Duplicate"])


def test_an_alert_from_the_list_opens_a_ticket_and_its_activity_adds_nothing() -> None:
    scene = incidents(observed())
    assert scene.kinds == ["CreateTicket"]
    assert scene.when(triggered()).reasons == ["Duplicate"]
    assert scene.when(observed()).reasons == ["Duplicate"]


def test_an_alert_of_an_organization_becomes_a_ticket_without_an_item() -> None:
    scene = incidents().when(triggered(subject=subject(None)), key="o17")
    (create,) = scene.issued
    assert isinstance(create, CreateTicket)
    assert create.external_id.startswith("ls.o17.")
    assert create.configuration_item_id is None
    assert "Device in NinjaOne" not in create.description


def test_an_alert_of_a_device_that_nobody_has_seen_makes_a_ticket_without_an_item() -> None:
    unknown = subject(device_name="", node_class="", link="", role_name="")
    (create,) = incidents(triggered(subject=unknown)).issued
    assert isinstance(create, CreateTicket)
    assert create.configuration_item_id is None


def test_the_ticket_names_the_item_once_it_is_known() -> None:
    (create,) = incidents(item_outcome(), triggered()).issued
    assert isinstance(create, CreateTicket)
    assert create.configuration_item_id == 700


def test_an_item_in_another_company_is_not_put_on_the_ticket() -> None:
    (create,) = incidents(item_outcome(company=1), triggered()).issued
    assert isinstance(create, CreateTicket)
    assert create.configuration_item_id is None


def test_a_retired_item_is_not_put_on_the_ticket() -> None:
    (create,) = incidents(item_outcome(), item_outcome("retire", command_id="2"), triggered()).issued
    assert isinstance(create, CreateTicket)
    assert create.configuration_item_id is None


def item_outcome(verb: str = "upsert", company: int = 29683, command_id: str = "1") -> CommandSettled:
    return CommandSettled(
        key="407",
        command_id=command_id,
        command_type=f"lockstep.command.{verb}-configuration-item.v1",
        effect_key="407",
        incident=None,
        outcome="Succeeded",
        settled_at=START,
        item_id=700,
        company_id=company,
    )


# Repeats


def test_a_second_alert_of_the_same_condition_becomes_a_note_on_the_open_ticket() -> None:
    scene = ticketed().when(triggered(11, UID_B))
    (note,) = scene.issued
    assert isinstance(note, AppendTicketNote)
    assert note.ticket_id == 5001
    assert note.mark in note.title
    assert note.effect_key == note.mark
    assert scene.disposition(UID_B) == ("appended", "SameCondition")


def test_an_alert_of_another_subject_opens_a_ticket_of_its_own() -> None:
    scene = ticketed().when(triggered(11, UID_B, alert_subject="D:"))
    assert scene.kinds == ["CreateTicket"]


def test_without_a_condition_id_the_kind_of_alert_counts() -> None:
    scene = incidents(triggered(source_config_uid=None)).when(triggered(11, UID_B, source_config_uid=None))
    assert scene.disposition(UID_B) == ("appended", "SameCondition")


def test_notes_are_written_at_most_once_in_note_every() -> None:
    scene = ticketed()
    assert scene.when(triggered(11)).kinds == ["AppendTicketNote"]
    assert scene.later(59 * MINUTE).when(triggered(12)).reasons == ["NoteNotDue"]
    (note,) = scene.later(MINUTE).when(triggered(13)).issued
    assert isinstance(note, AppendTicketNote)
    assert "1 more since the last note." in note.text


def test_a_repeat_before_the_ticket_is_known_is_noted_once_it_is() -> None:
    scene = incidents(triggered(), triggered(11, UID_B))
    assert scene.kinds == []
    assert scene.settle("CreateTicket").kinds == ["AppendTicketNote"]


def test_with_repeat_ticket_every_alert_has_its_own_ticket() -> None:
    scene = incidents(triggered(), defaults={"lifecycle": {"repeat": "ticket"}}).when(triggered(11, UID_B))
    (create,) = scene.issued
    assert isinstance(create, CreateTicket)
    assert create.external_id == EXTERNAL_B


def test_a_deferred_note_comes_again_under_the_same_mark() -> None:
    scene = ticketed().when(triggered(11))
    first = scene.last("AppendTicketNote")
    scene.settle("AppendTicketNote", "Deferred").fire()
    again = scene.last("AppendTicketNote")
    assert again.command == first.command
    assert again.envelope.id != first.envelope.id


# Closing because the alert is over


def test_a_reset_completes_the_ticket() -> None:
    scene = ticketed().when(reset())
    (complete,) = scene.issued
    assert isinstance(complete, CompleteTicket)
    assert (complete.ticket_id, complete.status) == (5001, "Complete")
    assert scene.disposition() == ("closed", "Reset")


def test_an_alert_that_is_gone_from_the_list_completes_the_ticket() -> None:
    scene = ticketed().when(gone())
    assert scene.kinds == ["CompleteTicket"]
    assert scene.disposition() == ("closed", "Gone")


def test_a_removed_device_completes_the_ticket() -> None:
    scene = ticketed().when(gone(cause="DeviceRemoved"))
    assert scene.kinds == ["CompleteTicket"]
    assert scene.disposition() == ("closed", "DeviceRemoved")


def test_a_gathered_incident_ends_with_its_last_alert() -> None:
    scene = ticketed().when(triggered(11, UID_B), reset(20, UID_A))
    assert scene.kinds == []
    assert scene.when(reset(21, UID_B)).kinds == ["CompleteTicket"]


def test_a_reset_that_comes_twice_completes_once() -> None:
    scene = ticketed().when(reset(), reset())
    assert (scene.kinds, scene.reasons) == ([], ["Duplicate"])
    assert scene.when(gone(START + 30_000)).reasons == ["AlreadyCleared"]


def test_a_reset_before_its_trigger_opens_no_ticket() -> None:
    scene = incidents(reset())
    assert scene.reasons == ["NoTriggerSeen"]
    assert scene.when(triggered()).reasons == ["ResetBeforeTrigger"]
    assert "CreateTicket" not in scene.all_kinds()
    assert scene.disposition() == ("superseded", "ResetBeforeTrigger")


def test_a_reset_older_than_the_latest_trigger_changes_nothing() -> None:
    scene = ticketed().when(triggered(30), reset(20))
    assert scene.reasons == ["Superseded"]
    assert scene.disposition() == ("ticketed", "Opened")


def test_a_trigger_older_than_the_latest_one_changes_nothing() -> None:
    scene = ticketed().when(triggered(5))
    assert (scene.kinds, scene.reasons) == ([], ["Superseded"])


def test_a_list_read_before_the_reset_does_not_open_again() -> None:
    scene = ticketed().when(reset(), observed(at=START + 10_000))
    assert (scene.kinds, scene.reasons) == ([], ["AlreadyCleared"])


def test_a_reset_while_the_create_waits_takes_the_create_back() -> None:
    scene = incidents(triggered()).when(reset())
    create = scene.last("CreateTicket")
    (withdraw,) = scene.issued
    assert isinstance(withdraw, WithdrawCommand)
    assert (withdraw.command_id, withdraw.command_topic) == (create.envelope.id, "autotask.ticket-commands")
    scene.settle_command(create, "Withdrawn").settle("WithdrawCommand")
    assert scene.kinds == []
    assert scene.disposition() == ("superseded", "ResetBeforeTicket")


def test_a_create_that_could_not_be_taken_back_is_completed() -> None:
    scene = incidents(triggered(), reset()).settle("WithdrawCommand", "Rejected", reason="TooLate")
    assert scene.reasons == ["TooLateToWithdraw"]
    assert scene.settle("CreateTicket").kinds == ["CompleteTicket"]
    assert scene.disposition() == ("closed", "Reset")


def test_a_ticket_seen_before_its_create_settled_is_adopted() -> None:
    scene = incidents(triggered()).when(ticket(START + 15_000))
    assert scene.when(reset()).kinds == ["CompleteTicket"]
    assert scene.settle("CreateTicket").kinds == []


def test_a_ticket_that_shows_up_after_its_create_was_given_up_is_completed() -> None:
    scene = incidents(triggered(), reset()).settle("CreateTicket", "Deferred")
    assert scene.disposition() == ("superseded", "ResetBeforeTicket")
    assert scene.timers() == []
    assert scene.when(ticket(START + 15_000)).kinds == ["CompleteTicket"]


def test_our_own_completion_comes_back_as_an_echo() -> None:
    scene = ticketed().when(reset()).settle("CompleteTicket").when(ticket(START + 30_000, completed=True))
    assert (scene.kinds, scene.reasons) == ([], ["EchoOfOurWrite"])


def test_an_open_ticket_seen_late_does_not_look_reopened() -> None:
    scene = ticketed().when(reset()).settle("CompleteTicket", settled_at=START + 30_000).when(ticket(START + 25_000))
    assert "ReopenedByTechnician" not in scene.reasons
    assert scene.kinds == []


def test_a_new_trigger_after_the_end_is_a_new_incident() -> None:
    scene = ticketed().when(reset()).settle("CompleteTicket").when(triggered(30))
    (create,) = scene.issued
    assert isinstance(create, CreateTicket)
    assert create.external_id == EXTERNAL_A + ".2"


# Closing because the ticket is completed


def completed_by_technician() -> Scene:
    return ticketed().when(triggered(11, UID_B), ticket(START + 40_000, completed=True))


def test_completing_the_ticket_resets_every_active_alert_once() -> None:
    scene = completed_by_technician()
    assert [c.uid for c in scene.issued if isinstance(c, ResetAlert)] == [UID_A, UID_B]
    assert len({issued.envelope.id for issued in scene.commands}) == len(scene.commands)
    assert scene.when(ticket(START + 41_000, completed=True)).kinds == []


def test_the_reset_that_we_asked_for_comes_back_as_an_echo() -> None:
    scene = ticketed().when(ticket(START + 40_000, completed=True)).settle("ResetAlert")
    assert scene.disposition() == ("closed", "TicketCompleted")
    scene.when(reset(50))
    assert (scene.kinds, scene.reasons) == ([], ["EchoOfOurWrite"])


def test_a_list_read_before_our_reset_took_effect_does_not_open_again() -> None:
    scene = ticketed().when(ticket(START + 40_000, completed=True)).settle("ResetAlert").when(observed())
    assert (scene.kinds, scene.reasons) == ([], ["EchoOfOurWrite"])


def test_the_echo_may_come_before_the_outcome() -> None:
    scene = ticketed().when(ticket(START + 40_000, completed=True), reset(50))
    assert (scene.kinds, scene.reasons) == ([], ["EchoOfOurWrite"])
    assert scene.settle("ResetAlert").kinds == []
    assert scene.disposition() == ("closed", "TicketCompleted")


def test_a_ticket_that_a_technician_completed_is_never_reopened_a_new_trigger_is_a_new_incident() -> None:
    scene = ticketed().when(ticket(START + 40_000, completed=True)).settle("ResetAlert").when(triggered(60))
    assert scene.kinds == ["CreateTicket"]
    assert "ReopenTicket" not in scene.all_kinds()


def test_an_alert_raised_again_while_its_reset_is_under_way_gets_a_new_ticket() -> None:
    scene = ticketed().when(ticket(START + 40_000, completed=True), triggered(60))
    (create,) = scene.issued
    assert isinstance(create, CreateTicket)
    assert create.external_id == EXTERNAL_A + ".2"
    assert scene.settle("ResetAlert").reasons == ["AlertMovedOn"]
    assert scene.when(reset(50)).reasons == ["Superseded"]
    assert scene.disposition() == ("ticketed", "Opened")


def test_reopening_before_the_reset_went_out_takes_the_reset_back() -> None:
    scene = ticketed().when(ticket(START + 40_000, completed=True), ticket(START + 50_000))
    assert scene.reasons == ["ReopenedByTechnician"]
    assert scene.kinds == ["WithdrawCommand"]
    resets = scene.last("ResetAlert")
    scene.settle_command(resets, "Withdrawn").settle("WithdrawCommand")
    assert scene.disposition() == ("ticketed", "Opened")
    assert scene.when(reset(60)).kinds == ["CompleteTicket"]


def test_an_alert_that_cleared_by_itself_while_its_reset_was_taken_back_ends_the_reopened_ticket() -> None:
    scene = ticketed().when(ticket(START + 40_000, completed=True), ticket(START + 50_000))
    resets = scene.last("ResetAlert")
    assert scene.when(reset(60)).kinds == []
    assert scene.settle_command(resets, "Withdrawn").kinds == ["CompleteTicket"]


def test_a_taken_back_reset_that_looked_like_our_echo_still_ends_the_reopened_ticket() -> None:
    scene = ticketed().when(ticket(START + 40_000, completed=True), reset(30), ticket(START + 50_000))
    assert scene.kinds == ["WithdrawCommand"]
    (complete,) = scene.settle_command(scene.last("ResetAlert"), "Withdrawn").issued
    assert isinstance(complete, CompleteTicket)
    assert complete.ticket_id == 5001


def test_a_completion_from_before_a_reopening_does_not_pay_for_what_is_owed_after_it() -> None:
    scene = ticketed().when(reset(), ticket(START + 30_000, completed=True), ticket(START + 40_000))
    scene.when(triggered(50, UID_B), reset(60, UID_B))
    assert scene.settle("CompleteTicket").kinds == ["CompleteTicket"]


def test_reopening_too_late_for_the_reset_leaves_the_ticket_to_the_technician() -> None:
    scene = ticketed().when(ticket(START + 40_000, completed=True), ticket(START + 50_000)).settle("ResetAlert")
    assert scene.kinds == []
    assert scene.reasons == ["ReopenedByTechnician"]
    assert scene.when(reset(60)).kinds == []


def test_a_ticket_reopened_while_its_alerts_are_cleared_is_respected() -> None:
    scene = ticketed().when(reset()).settle("CompleteTicket").when(ticket(START + 30_000, completed=True))
    scene.when(ticket(START + 90_000))
    assert (scene.kinds, scene.reasons) == ([], ["ReopenedByTechnician"])
    assert scene.when(ticket(START + 95_000)).kinds == []


def test_a_new_trigger_joins_a_reopened_ticket_and_its_reset_completes_it() -> None:
    scene = ticketed().when(reset()).settle("CompleteTicket")
    scene.when(ticket(START + 30_000, completed=True), ticket(START + 90_000), triggered(100, UID_B))
    assert scene.kinds == ["AppendTicketNote"]
    assert scene.when(reset(110, UID_B)).kinds == ["CompleteTicket"]


def test_a_reopening_whose_completion_was_never_seen_shows_by_later_activity() -> None:
    scene = ticketed().when(reset()).settle("CompleteTicket", settled_at=START + 30_000)
    assert scene.when(ticket(START + 10 * MINUTE)).reasons == ["ReopenedByTechnician"]


def test_an_older_sight_of_a_ticket_is_superseded() -> None:
    scene = ticketed().when(ticket(START + 50_000), ticket(START + 40_000))
    assert scene.reasons == ["Superseded"]
    assert scene.when(ticket(START + 50_000)).reasons == ["Duplicate"]


def test_of_two_tickets_seen_before_the_create_settled_the_older_is_adopted() -> None:
    for numbers in ((5001, 5002), (5002, 5001)):
        scene = incidents(triggered()).when(*(ticket(START + 50_000 + n, number=n) for n in numbers))
        assert scene.body()["incidents"][EXTERNAL_A]["ticket"] == 5001


def test_the_outcome_of_the_create_has_the_last_word_on_which_ticket_it_is() -> None:
    scene = incidents(triggered()).when(ticket(START + 50_000, number=5001)).settle("CreateTicket", ticket_id=5003)
    assert scene.when(ticket(START + 60_000, completed=True, number=5001)).reasons == ["DoubledTicket"]
    assert scene.when(ticket(START + 60_000, completed=True, number=5003)).kinds == ["ResetAlert"]


def test_a_ticket_seen_open_and_completed_in_the_same_instant_counts_as_completed() -> None:
    for facts in ((False, True), (True, False)):
        scene = ticketed().when(*(ticket(START + 50_000, completed=completed) for completed in facts))
        assert scene.all_kinds().count("ResetAlert") == 1
        assert "WithdrawCommand" not in scene.all_kinds()


def test_a_second_ticket_with_the_same_external_id_is_told_apart() -> None:
    scene = ticketed().when(ticket(START + 50_000, completed=True, number=5002))
    assert (scene.kinds, scene.reasons) == ([], ["DoubledTicket"])


def test_a_ticket_whose_external_id_was_emptied_is_still_ours() -> None:
    scene = ticketed().when(ticket(START + 50_000, completed=True, external_id=None))
    assert scene.kinds == ["ResetAlert"]


def test_a_ticket_of_an_incident_that_is_not_known_is_left_alone() -> None:
    scene = incidents(ticket(START))
    assert (scene.kinds, scene.reasons) == ([], ["UnknownIncident"])


# Refused, deferred, parked


def test_an_alert_of_an_unmapped_organization_waits_and_goes_out_when_mapped() -> None:
    scene = incidents(triggered(subject=subject(organization=99, organization_name="Südwind KG")))
    assert scene.kinds == []
    assert scene.disposition() == ("parked", "UnmappedOrganization")
    scene.when(companies((5, "Suedwind")))
    assert scene.kinds == []
    (create,) = scene.when(companies((5, "Suedwind"), (6, "südwind"))).issued
    assert isinstance(create, CreateTicket)
    assert create.company_id == 6
    assert scene.disposition() == ("ticketed", "Opened")


def test_a_renamed_organization_lets_its_alerts_go() -> None:
    scene = incidents(companies((6, "Westwind")), triggered(subject=subject(organization=99, organization_name="Old")))
    assert scene.disposition() == ("parked", "UnmappedOrganization")
    assert scene.when(organizations((99, "Westwind"))).kinds == ["CreateTicket"]


def test_alerts_before_the_first_policy_wait_for_it() -> None:
    scene = Scene("incidents", triggered())
    assert scene.disposition() == ("parked", "NoPolicy")
    assert scene.when(policy()).kinds == ["CreateTicket"]


def test_an_alert_reset_while_parked_opens_nothing() -> None:
    scene = incidents(triggered(subject=subject(organization=99)), reset())
    assert scene.disposition() == ("closed", "ResetWhileParked")
    mapped = {"companies": {"map": [{"organization": 99, "company": 7}]}}
    assert scene.when(policy(2, **mapped)).kinds == []


def test_two_parked_alerts_of_one_condition_become_one_ticket() -> None:
    lost = subject(organization=99, organization_name="Westwind")
    scene = incidents(triggered(11, UID_B, subject=lost), triggered(10, UID_A, subject=lost))
    assert scene.when(companies((6, "Westwind"))).kinds == ["CreateTicket"]
    assert scene.disposition(UID_A) == ("ticketed", "Opened")
    assert scene.disposition(UID_B) == ("appended", "SameCondition")


def test_a_refused_ticket_parks_its_alerts_and_a_retry_asks_again() -> None:
    scene = incidents(triggered()).settle("CreateTicket", "Rejected", reason="UnknownQueue", detail="no queue 'NOC'")
    assert scene.disposition() == ("parked", "UnknownQueue")
    first = scene.last("CreateTicket")
    retried = scene.when(ParkedRetried(selection=EVERYTHING, actor="ada"), identity="retry-1")
    assert retried.kinds == ["CreateTicket"]
    assert scene.last("CreateTicket").envelope.id != first.envelope.id
    assert scene.last("CreateTicket").command.effect_key == first.command.effect_key
    assert scene.disposition() == ("ticketed", "Opened")


def test_a_redelivered_retry_asks_nothing_again() -> None:
    scene = incidents(triggered()).settle("CreateTicket", "Rejected", reason="UnknownQueue")
    scene.when(ParkedRetried(selection=EVERYTHING, actor="ada"), identity="retry-1")
    scene.settle("CreateTicket", "Rejected", reason="UnknownQueue")
    assert scene.when(ParkedRetried(selection=EVERYTHING, actor="ada"), identity="retry-1").kinds == []


def test_a_retry_concerns_what_it_names_only() -> None:
    scene = incidents(triggered()).settle("CreateTicket", "Rejected", reason="UnknownQueue")
    other = Selection(ids=("408",), organization_id=18)
    assert scene.when(ParkedRetried(selection=other, actor="ada")).kinds == []
    for number, chosen in enumerate(
        (Selection(ids=("407",)), Selection(ids=(EXTERNAL_A,)), Selection(ids=(UID_A,)), Selection(organization_id=17))
    ):
        scene.when(ParkedRetried(selection=chosen, actor="ada"), identity=f"retry-{number}")
        assert scene.kinds == ["CreateTicket"]
        scene.settle("CreateTicket", "Rejected", reason="UnknownQueue")


def test_dismissed_for_a_reason_only_what_is_parked_for_it_is_given_up() -> None:
    scene = incidents(triggered(subject=subject(organization=99)))
    other = Selection(ids=(UID_A,), because="UnknownQueue")
    scene.when(ParkedDismissed(selection=other, actor="ada", note="n"))
    assert scene.disposition() == ("parked", "UnmappedOrganization")
    named = Selection(everything=True, because="UnmappedOrganization")
    scene.when(ParkedDismissed(selection=named, actor="ada", note="n"), identity="d2")
    assert scene.disposition() == ("rejected", "Dismissed")


def test_a_retry_of_an_unmapped_alert_says_that_it_is_still_parked() -> None:
    scene = incidents(triggered(subject=subject(organization=99)))
    scene.when(ParkedRetried(selection=EVERYTHING, actor="ada"))
    assert scene.reasons == ["StillParked"]


def test_a_dismissed_alert_is_given_up_until_it_is_raised_anew() -> None:
    scene = incidents(triggered()).settle("CreateTicket", "Rejected", reason="UnknownQueue")
    scene.when(ParkedDismissed(selection=EVERYTHING, actor="ada", note="test device"))
    assert scene.disposition() == ("rejected", "Dismissed")
    assert scene.when(triggered(11)).reasons == ["Dismissed"]
    assert scene.when(reset(20)).kinds == []
    assert scene.when(triggered(30)).kinds == ["CreateTicket"]


def test_a_dismissed_unmapped_alert_stays_given_up_when_its_organization_is_mapped() -> None:
    scene = incidents(triggered(subject=subject(organization=99, organization_name="Westwind")))
    scene.when(ParkedDismissed(selection=EVERYTHING, actor="ada", note="gone"))
    assert scene.when(companies((6, "Westwind"))).kinds == []


def test_a_deferred_create_comes_again_after_ten_minutes_as_the_same_effect() -> None:
    scene = incidents(triggered()).settle("CreateTicket", "Deferred")
    assert [at for at, _ in scene.timers()] == [START + 10 * MINUTE]
    first = scene.last("CreateTicket")
    assert scene.fire().kinds == ["CreateTicket"]
    again = scene.last("CreateTicket")
    assert again.envelope.id != first.envelope.id
    assert again.command.effect_key == first.command.effect_key
    assert scene.timers() == []


def test_a_timer_that_fires_twice_asks_once() -> None:
    scene = incidents(triggered()).settle("CreateTicket", "Deferred")
    due_at, name = scene.timers()[0]
    scene.fire()
    scene.when(TimerFired(key="407", agent="incidents", timer=name, due_at=due_at))
    assert (scene.kinds, scene.reasons) == ([], ["TimerNotPending"])


def test_a_reset_while_the_create_is_deferred_drops_it() -> None:
    scene = incidents(triggered()).settle("CreateTicket", "Deferred").when(reset())
    assert (scene.kinds, scene.timers()) == ([], [])
    assert scene.disposition() == ("superseded", "ResetBeforeTicket")


def test_a_deferred_completion_comes_again_unless_the_ticket_is_done() -> None:
    scene = ticketed().when(reset()).settle("CompleteTicket", "Deferred")
    assert scene.fire().kinds == ["CompleteTicket"]
    scene.settle("CompleteTicket", "Deferred").when(ticket(scene.now + 1, completed=True))
    assert (scene.kinds, scene.timers()) == ([], [])


def test_a_refused_completion_parks_the_alert_until_somebody_completes_the_ticket() -> None:
    scene = ticketed().when(reset()).settle("CompleteTicket", "Rejected", reason="StatusRefused")
    assert scene.disposition() == ("parked", "StatusRefused")
    scene.when(ParkedRetried(selection=EVERYTHING, actor="ada"), identity="r")
    assert scene.kinds == ["CompleteTicket"]
    scene.settle("CompleteTicket", "Rejected", reason="StatusRefused").when(ticket(START + 60_000, completed=True))
    assert scene.disposition() == ("closed", "Reset")


def test_a_refused_reset_parks_the_alert_and_can_be_retried() -> None:
    scene = ticketed().when(ticket(START + 40_000, completed=True)).settle("ResetAlert", "Rejected", reason="Forbidden")
    assert scene.disposition() == ("parked", "Forbidden")
    assert scene.when(ParkedRetried(selection=EVERYTHING, actor="ada")).kinds == ["ResetAlert"]
    assert scene.settle("ResetAlert").kinds == []
    assert scene.disposition() == ("closed", "TicketCompleted")


def test_a_ticket_of_another_incident_is_not_taken_for_ours() -> None:
    scene = ticketed().when(triggered(11, UID_B, alert_subject="D:")).settle("CreateTicket", ticket_id=5001)
    assert scene.disposition(UID_B) == ("parked", "MergedByTenant")


def test_an_answer_with_anybody_elses_ticket_parks_the_alert() -> None:
    scene = incidents(triggered()).settle("CreateTicket", ticket_id=1, reason="MergedByTenant", detail="ticket T1")
    assert scene.disposition() == ("parked", "MergedByTenant")
    assert scene.when(reset()).kinds == []
    assert scene.disposition() == ("closed", "ResetWhileParked")


def test_a_deferral_that_is_told_twice_defers_once() -> None:
    scene = incidents(triggered())
    create = scene.last("CreateTicket")
    scene.settle_command(create, "Deferred").later(MINUTE).settle_command(create, "Deferred")
    assert scene.reasons == ["NotAwaited"]
    assert [at for at, _ in scene.timers()] == [START + 10 * MINUTE]


def test_an_outcome_that_comes_twice_changes_nothing() -> None:
    scene = incidents(triggered())
    create = scene.last("CreateTicket")
    scene.settle_command(create).settle_command(create)
    assert (scene.kinds, scene.reasons) == ([], ["NotAwaited"])


def test_an_alert_whose_uid_makes_no_external_id_is_rejected_and_says_why() -> None:
    scene = incidents(triggered(uid="not-a-uuid"))
    assert scene.disposition("not-a-uuid") == ("rejected", "UnusableUid")
    assert "not-a-uuid" in scene.body()["alerts"]["not-a-uuid"]["detail"]
    assert scene.when(reset(20, "not-a-uuid")).kinds == []
    assert scene.disposition("not-a-uuid") == ("closed", "Reset")


def test_the_hundredth_incident_of_one_uid_is_rejected_not_cut() -> None:
    key = "l1234567890"
    scene = incidents()
    for turn in range(100):
        scene.when(triggered(10 + 2 * turn), reset(11 + 2 * turn), key=key)
        for issued in [command for command in scene.commands if type(command.command) is CreateTicket][-1:]:
            if turn < 99:
                scene.settle_command(issued, "Withdrawn")
    scene.when(triggered(1000), key=key)
    assert scene.disposition(UID_A, key) == ("rejected", "ExternalIdTooLong")


def test_a_device_that_flaps_while_nothing_can_go_out_does_not_grow_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(placing, "MOST_IN_FLIGHT", 1)
    scene = ticketed().when(triggered(11))
    scene.when(triggered(12, UID_C, alert_subject="D:"))
    assert scene.disposition(UID_C) == ("parked", "ManyCommandsWaiting")
    assert scene.settle("AppendTicketNote").kinds == ["CreateTicket"]
    assert scene.disposition(UID_C) == ("ticketed", "Opened")


# Memory


def test_old_alerts_are_forgotten_after_thirty_days_and_a_late_duplicate_opens_nothing() -> None:
    scene = ticketed().when(reset()).settle("CompleteTicket").when(ticket(START + 30_000, completed=True))
    scene.later(30 * DAY + HOUR).when(triggered(500, UID_B, at=scene.now))
    assert set(scene.body()["alerts"]) == {UID_B}
    assert scene.when(triggered()).reasons == ["OlderThanMemory"]
    assert scene.when(ticket(START + 30_000, completed=True)).reasons == ["UnknownIncident"]


def test_a_forgotten_uid_that_fires_again_gets_the_next_external_id() -> None:
    scene = ticketed().when(reset()).settle("CompleteTicket").when(ticket(START + 30_000, completed=True))
    scene.later(30 * DAY + HOUR).when(triggered(500, UID_B, at=scene.now, alert_subject="D:"))
    (create,) = scene.when(triggered(501, UID_A, at=scene.now)).issued
    assert isinstance(create, CreateTicket)
    assert create.external_id == EXTERNAL_A + ".2"


def test_only_so_many_closed_alerts_are_kept() -> None:
    scene = incidents()
    for turn in range(400):
        scene.when(reset(10 + turn, f"{turn:032x}"))
    assert 150 <= len(scene.body()["alerts"]) <= 200
    assert f"{399:032x}" in scene.body()["alerts"]


def test_an_alert_in_the_list_is_never_too_old() -> None:
    scene = ticketed().when(reset()).settle("CompleteTicket").when(ticket(START + 30_000, completed=True))
    scene.later(30 * DAY + HOUR).when(triggered(500, UID_B, at=scene.now, alert_subject="D:"))
    assert scene.when(observed(UID_C, START - DAY)).kinds == ["CreateTicket"]


def test_open_work_is_never_forgotten() -> None:
    scene = ticketed().later(400 * DAY).when(triggered(500, UID_B, alert_subject="D:"))
    assert set(scene.body()["alerts"]) == {UID_A, UID_B}
    assert scene.when(reset()).kinds == ["CompleteTicket"]


# Commands


def test_a_command_says_who_caused_it_and_which_incident_it_belongs_to() -> None:
    scene = incidents(triggered())
    envelope = scene.last("CreateTicket").envelope
    assert envelope.source == "lockstep/incidents"
    assert (envelope.time, envelope.recorded) == (START, START)
    assert envelope.correlation_id == EXTERNAL_A
    assert envelope.causation_id == scene.steps[0].record.fact.headers["ce_id"]


def test_of_two_tickets_the_older_is_kept_and_closing_the_younger_closes_nothing() -> None:
    scene = incidents(triggered()).settle("CreateTicket", ticket_id=5002)
    scene.settle("CreateTicket", ticket_id=5001, reason="DoubledTicket")
    assert scene.body()["incidents"][EXTERNAL_A]["ticket"] == 5001
    assert scene.when(ticket(START + 60_000, completed=True, number=5002)).kinds == []
    assert scene.disposition() == ("ticketed", "Opened")


def test_a_doubled_ticket_that_is_told_again_changes_nothing() -> None:
    scene = (
        incidents(triggered())
        .settle("CreateTicket", ticket_id=5001)
        .settle("CreateTicket", ticket_id=5001, reason="DoubledTicket")
    )
    assert (scene.kinds, scene.reasons) == ([], ["DoubledTicket"])
