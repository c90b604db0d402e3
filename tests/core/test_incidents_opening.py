"""An alert opens its ticket or joins one, sentence by sentence."""

from __future__ import annotations

from schemas.commands import AppendTicketNote, CreateTicket
from schemas.facts import CommandSettled
from tests.core.spec import (
    DAY,
    EXTERNAL_A,
    EXTERNAL_B,
    MINUTE,
    START,
    UID_B,
    incidents,
    observed,
    subject,
    ticketed,
    triggered,
)


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
