"""Personal values stand apart from what is decided: the audit holds tokens, and any erasure in any order leaves it whole."""

from __future__ import annotations

from itertools import count

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.commands import UpsertConfigurationItem
from schemas.personal import (
    Erased,
    PersonalDataErased,
    PersonalValue,
    kind_of_token,
    record_key,
    token_of,
    tokens_in,
)
from streams.core import documents
from streams.core.verify import Verifier
from streams.personal import Erasure, select, shown
from tests.core.spec import EXTERNAL_A, HOUR, START, Scene, device, devices, incidents, note, subject, triggered

SALT = "5a" * 16
USERS = ("ACME\\zoe", "ACME\\max", "ACME\\ida")
FIELDS = {"fields": {"last_user": "Last User"}}
TOKEN = token_of("last_user", SALT, USERS[0])


def erasure(*erased: Erased, by: str = "ada") -> PersonalDataErased:
    return PersonalDataErased(selection="device 407", erased=erased, actor=by)


def test_a_token_tells_its_kind_and_is_another_for_another_value_salt_or_kind() -> None:
    assert kind_of_token(TOKEN) == "last_user"
    others = {token_of("last_user", "5b" * 16, USERS[0]), token_of("note_text", SALT, USERS[0])}
    assert len({TOKEN, token_of("last_user", SALT, USERS[1]), *others}) == 4
    assert kind_of_token(f"{TOKEN}0") is None
    assert kind_of_token("zoe") is None
    assert tokens_in(f'{{"text":"{TOKEN}"}}') == [TOKEN]


def test_the_core_sees_the_token_only_and_passes_it_on_to_the_item() -> None:
    scene = devices(device(last_user=TOKEN), devices=FIELDS)
    (command,) = scene.issued
    assert isinstance(command, UpsertConfigurationItem)
    assert command.fields == {"Last User": TOKEN}


def test_an_erasure_is_recorded_with_who_what_and_how_many_and_changes_nothing() -> None:
    scene = devices(device(last_user=TOKEN), devices=FIELDS)
    before = scene.body()
    scene.when(erasure(Erased(key="407", kind="last_user", count=1)), key="personal")
    record = scene.records[-1]
    assert record.decision["reasons"] == [
        {"reason": "PersonalDataErased", "of": "last_user", "detail": "1 by ada, asked for device 407"}
    ]
    assert (scene.body(), scene.issued) == (before, [])


def test_each_agent_records_what_its_own_facts_named_and_only_of_the_keys_concerned() -> None:
    both = erasure(Erased(key="407", kind="last_user", count=1), Erased(key="407", kind="note_text", count=2))
    of_devices = devices(device(last_user=TOKEN)).when(device(where=subject(8)), key="8").when(both, key="personal")
    of_incidents = incidents(triggered()).when(both, key="personal")
    assert [step.key for step in of_devices.steps] == ["~context", "407"]
    assert [step.key for step in of_incidents.steps] == ["~context", "407"]
    assert [r["of"] for r in of_devices.records[-1].decision["reasons"]] == ["last_user"]
    assert [r["of"] for r in of_incidents.records[-1].decision["reasons"]] == ["note_text"]


def test_an_erasure_that_is_told_twice_is_one() -> None:
    scene = devices(device(last_user=TOKEN))
    told = erasure(Erased(key="407", kind="last_user", count=1))
    scene.when(told, key="personal").when(told, key="personal")
    assert scene.reasons == ["Duplicate"]


def test_facts_of_older_builds_with_plain_values_pass_as_before() -> None:
    (command,) = devices(device(last_user="ACME\\old"), devices=FIELDS).issued
    assert isinstance(command, UpsertConfigurationItem)
    assert command.fields == {"Last User": "ACME\\old"}


def value(text: str, kind: str = "last_user", organization: int | None = None, incident: str | None = None) -> bytes:
    return PersonalValue.model_validate(
        {
            "kind": kind,
            "salt": SALT,
            "value": text,
            "kept_at": START,
            "organization_id": organization,
            "incident": incident,
        }
    ).to_json()


def test_an_organization_is_found_by_the_value_the_incident_or_the_device_and_what_is_of_none_is_counted() -> None:
    kept = {
        "1/a": value("x", organization=17),
        "2/a": value("x", organization=18),
        "407/b": value("x", "note_text", incident=EXTERNAL_A),
        "9/c": value("x", "note_text"),
        "o17/d": value("x", "note_text"),
        "l5/e": value("x", "note_title"),
    }
    states = {
        # The ticket stays with its customer, though the device has moved.
        "incidents": {"407": incidents(triggered()).body()},
        "devices": {"407": devices(device(where=subject(organization=18))).body(), "9": devices(device()).body()},
    }
    found = select(kept, organization=17, **states)
    assert found.names == ("1/a", "407/b", "9/c", "o17/d")
    assert found.unplaced == 1
    assert select(kept, key="2").names == ("2/a",)


def test_a_text_shows_the_value_or_that_it_was_erased() -> None:
    assert shown(f"user {TOKEN}", {TOKEN: "zoe"}) == "user zoe"
    assert shown(f"user {TOKEN}", {TOKEN: None}) == "user [erased last_user]"


class World:
    """Both agents, and topic ``personal``, as an operator's erasures change it."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.devices = devices(devices=FIELDS)
        self.incidents = incidents()
        self.at = count(START, HOUR)
        self.notes = count(1)

    def keep(self, key: str, kind: str, text: str, organization: int) -> str:
        token = token_of(kind, SALT, text)  # type: ignore[arg-type]
        self.kept[record_key(key, token)] = value(text, kind, organization)
        return token

    def user(self, number: int, name: str) -> None:
        organization = 17 + number % 2
        token = self.keep(str(number), "last_user", name, organization)
        where = subject(number, organization)
        self.devices.when(device(next(self.at), where=where, last_user=token), key=str(number))

    def note(self, number: int, text: str) -> None:
        token = self.keep(str(number), "note_text", text, 17 + number % 2)
        told = note(next(self.notes), text=token, text_digest="", external_id=None)
        self.incidents.when(told, key=str(number))

    def erase(self, chosen: Erasure) -> None:
        for name in chosen.names:
            del self.kept[name]
        told = PersonalDataErased(selection=chosen.selection, erased=chosen.erased, actor="ada")
        for scene in (self.devices, self.incidents):
            scene.when(told, key="personal", identity=f"{next(self.at):032x}")

    def everything(self) -> bytes:
        return b"".join(
            part
            for scene in (self.devices, self.incidents)
            for part in (*(r.to_json() for r in scene.records), *scene.state.values())
        )


STEPS = st.one_of(
    st.tuples(st.just("user"), st.integers(1, 4), st.sampled_from(USERS)),
    st.tuples(st.just("note"), st.integers(1, 4), st.sampled_from(("rang Zoe", "spilt tea"))),
    st.tuples(st.just("erase device"), st.integers(1, 4), st.just("")),
    st.tuples(st.just("erase organization"), st.integers(17, 18), st.just("")),
)


def whole(scene: Scene) -> None:
    verifier = Verifier(agent=scene.agent)
    assert [found for record in scene.records if (found := verifier.feed(record))] == []
    assert verifier.finish(scene.state) is None


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=14))
def test_erasing_any_subset_in_any_order_keeps_the_audit_whole_and_no_value_is_in_it(steps: list[tuple]) -> None:
    world = World()
    for what, number, text in steps:
        match what:
            case "user":
                world.user(number, text)
            case "note":
                world.note(number, text)
            case "erase device":
                chosen = select(world.kept, key=str(number))
                if chosen.count:
                    world.erase(chosen)
                assert not [name for name in world.kept if name.startswith(f"{number}/")]
            case _:
                chosen = select(world.kept, organization=number)
                if chosen.count:
                    world.erase(chosen)
    for scene in (world.devices, world.incidents):
        whole(scene)
    log = world.everything()
    assert not [text for text in (*USERS, "rang Zoe", "spilt tea") if text.split("\\")[-1].encode() in log]
    assert SALT.encode() not in log


def test_a_changed_record_of_an_erasure_is_found() -> None:
    scene = devices(device(last_user=TOKEN)).when(erasure(Erased(key="407", kind="last_user", count=1)), key="personal")
    *before, last = scene.records
    fact = last.fact.model_copy(update={"value": last.fact.value.replace("ada", "eve")})
    verifier = Verifier(agent="devices")
    assert [verifier.feed(record) for record in before] == [None] * len(before)
    assert verifier.feed(last.model_copy(update={"fact": fact})) is not None


def test_the_documents_of_the_state_hold_the_token() -> None:
    scene = devices(device(last_user=TOKEN), devices=FIELDS)
    assert documents.read(scene.state[b"407"])[0]["observed"]["last_user"] == TOKEN
