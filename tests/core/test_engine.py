"""How an agent is driven: records, chains, contexts, and that the same facts give the same bytes."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.audit import CHAIN_START, AuditRecord
from schemas.facts import (
    CommandSettled,
    ConnectionChanged,
    Fact,
    ParkedRetried,
    PolicyPublished,
    Selection,
    TimerFired,
)
from schemas.model import canonical
from streams.core import documents, engine
from streams.core import incidents as agent
from streams.core.context import EMPTY, parse_context
from streams.core.decision import Decision
from streams.core.verify import event_of
from tests.core.spec import (
    START,
    UID_B,
    Scene,
    bodies,
    companies,
    device,
    devices,
    gone,
    incidents,
    observed,
    policy,
    removed,
    reset,
    subject,
    ticket,
    triggered,
)

FACTS: list[Fact] = [
    triggered(10),
    triggered(11, UID_B),
    triggered(40),
    reset(20),
    reset(21, UID_B),
    observed(),
    gone(START + 60_000),
    ticket(START + 15_000),
    ticket(START + 50_000, completed=True),
    ticket(START + 70_000),
    policy(2, defaults={"queue": "NOC"}),
    companies((29683, "Nordwind")),
    ParkedRetried(selection=Selection(everything=True), actor="ada"),
]


def story() -> Scene:
    scene = incidents(triggered()).settle("CreateTicket").when(triggered(11), reset()).settle("CompleteTicket")
    return scene.when(ticket(START + 30_000, completed=True), policy(2, defaults={"queue": "NOC"}), triggered(40))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(FACTS), max_size=14))
def test_the_same_sequence_gives_the_same_bytes(facts: list[Fact]) -> None:
    one, other = incidents(*facts), incidents(*facts)
    assert one.state == other.state
    assert [record.to_json() for record in one.records] == [record.to_json() for record in other.records]
    assert [i.command.to_json() for i in one.commands] == [i.command.to_json() for i in other.commands]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(FACTS), max_size=10))
def test_delivering_each_fact_twice_changes_nothing_but_the_audit(facts: list[Fact]) -> None:
    once, twice = incidents(*facts), incidents(*(fact for fact in facts for _ in range(2)))
    assert bodies(once.state) == bodies(twice.state)
    assert [i.command.to_json() for i in once.commands] == [i.command.to_json() for i in twice.commands]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(FACTS), max_size=14))
def test_folding_the_recorded_decisions_makes_the_same_state_as_deciding(facts: list[Fact]) -> None:
    scene = incidents(*facts)
    rebuilt: dict[bytes, bytes] = {}
    for record in scene.records:
        rebuilt[record.key.encode()] = engine.fold(record, rebuilt.get(record.key.encode()))
    assert rebuilt == scene.state


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(FACTS), max_size=14))
def test_what_causes_nothing_has_a_reason(facts: list[Fact]) -> None:
    for record in incidents(*facts).records:
        assert record.decision.get("changes") or record.commands or record.decision["reasons"]


def test_decide_and_evolve_leave_their_arguments_as_they_were() -> None:
    scene = incidents(triggered())
    body = scene.body()
    before = canonical(body)
    context = parse_context(scene.state[b"~context"])
    event = event_of(incidents(triggered()).when(reset()).records[-1].fact)
    decision = agent.decide(body, event, context)
    after = agent.evolve(body, decision)
    assert canonical(body) == before
    assert canonical(after) != before
    scene.when(reset())
    assert canonical(after) == canonical(scene.body())


def test_a_change_to_something_that_is_not_there_leaves_nothing_behind() -> None:
    gone_already = [{"change": "AlertForgotten", "at": ["alerts", "x"], "set": None}]
    assert agent.evolve({}, Decision(gone_already)) == {}


def test_records_are_the_bytes_and_carry_the_hash_that_their_model_makes() -> None:
    for step in (step for fact in (triggered(20), reset(30)) for step in story().when(fact).steps):
        assert step.record.to_json() == step.value
        assert step.record.hash == step.record.chained()


def test_text_of_every_kind_hashes_the_same_in_the_model() -> None:
    scene = incidents(triggered(message='Größe "x" \\ \t\n\u0001 \u007f \u2028 😀', source_name="</script>"))
    (step,) = scene.steps
    assert step.record.to_json() == step.value
    assert step.record.hash == step.record.chained()


def test_the_chain_of_a_key_has_no_gap_and_starts_at_one() -> None:
    records = [record for record in story().records if record.key == "407"]
    assert [record.count for record in records] == list(range(1, len(records) + 1))
    assert records[0].previous == CHAIN_START
    assert [record.previous for record in records[1:]] == [record.hash for record in records[:-1]]


def test_a_document_is_canonical_json_and_holds_the_head_of_its_chain() -> None:
    scene = story()
    document = scene.state[b"407"]
    assert document == canonical(orjson.loads(document))
    body, chain = documents.read(document)
    last = [record for record in scene.records if record.key == "407"][-1]
    assert (chain.length, chain.head) == (last.count, last.hash)
    assert last.state == documents.digest(documents.body_bytes(body))


def test_a_decision_names_the_policy_revision_that_made_it() -> None:
    records = [record for record in story().records if record.key == "407"]
    assert records[0].revision == 1
    assert records[-1].revision == 2


def test_a_policy_revision_that_is_not_newer_changes_nothing() -> None:
    scene = incidents().when(policy(1, defaults={"queue": "X"}))
    assert scene.reasons == ["Duplicate"]
    assert scene.when(policy(3)).when(policy(2)).reasons == ["Superseded"]


def test_a_policy_that_cannot_be_understood_leaves_the_old_one_in_force() -> None:
    scene = incidents().when(PolicyPublished(revision=2, document='{"version": 1, "rulez": []}'))
    assert scene.reasons == ["PolicyRefused"]
    assert parse_context(scene.state[b"~context"]).revision == 1


def test_the_same_companies_again_change_nothing() -> None:
    scene = incidents(companies((1, "A"))).when(companies((1, "A")))
    assert (scene.reasons, [step.key for step in scene.steps]) == (["Duplicate"], ["~context"])


def test_connection_states_are_kept_by_epoch_and_time() -> None:
    def changed(state: str, epoch: int, at: int) -> ConnectionChanged:
        fields = {"connection": "autotask", "previous": "Healthy", "state": state, "reason": "r", "credentials": "c"}
        return ConnectionChanged.model_validate({**fields, "epoch": epoch, "changed_at": at})

    scene = incidents(changed("Unhealthy", 2, 10)).when(changed("Healthy", 1, 20))
    assert scene.reasons == ["Superseded"]
    assert scene.when(changed("Unhealthy", 2, 10)).reasons == ["Duplicate"]
    assert scene.when(changed("Healthy", 3, 30)).body("~context")["connections"]["autotask"]["state"] == "Healthy"


def test_before_anything_was_published_there_is_an_empty_context() -> None:
    assert parse_context(None) is EMPTY
    with pytest.raises(AssertionError):
        EMPTY.in_force(17)


def test_facts_that_do_not_concern_an_agent_leave_no_record() -> None:
    scene = devices(device())
    create = incidents(triggered()).last("CreateTicket")
    scene.settle_command(create)
    assert scene.steps == []
    scene.when(TimerFired(key="407", agent="incidents", timer="again.x", due_at=START))
    assert scene.steps == []


@pytest.mark.parametrize(
    ("name", "fact", "expected"),
    [
        ("incidents", triggered(), True),
        ("incidents", device(), False),
        ("devices", device(), True),
        ("devices", removed(), True),
        ("devices", triggered(), False),
        ("devices", ticket(START), False),
        ("incidents", policy(), True),
        ("devices", policy(), True),
    ],
)
def test_each_agent_knows_its_facts(name: str, fact: Fact, expected: bool) -> None:
    assert engine.concerns(name, fact) is expected


def test_incidents_hear_of_items_and_devices_do_not_hear_of_tickets() -> None:
    outcome = {"key": "407", "command_id": "1", "effect_key": "e", "incident": None, "outcome": "Succeeded"}

    def settled(kind: str) -> CommandSettled:
        ce_type = f"lockstep.command.{kind}.v1"
        return CommandSettled.model_validate({**outcome, "command_type": ce_type, "settled_at": START})

    assert engine.concerns("incidents", settled("upsert-configuration-item"))
    assert engine.concerns("devices", settled("retire-configuration-item"))
    assert not engine.concerns("devices", settled("create-ticket"))


def test_timers_of_a_loaded_document_are_those_of_the_step_that_wrote_it() -> None:
    scene = incidents(triggered()).settle("CreateTicket", "Deferred")
    (step,) = scene.steps
    assert step.timers == engine.timers_of("incidents", "407", step.state)
    assert engine.timers_of("incidents", "~context", scene.state[b"~context"]) == ()


def test_one_control_fact_makes_one_decision_per_key_concerned_in_key_order() -> None:
    scene = incidents()
    for number in (30, 4, 200):
        lost = subject(device=number, organization=99, organization_name="Westwind")
        scene.when(triggered(subject=lost), key=str(number))
    scene.when(triggered(), key="5")
    scene.when(companies((6, "Westwind")))
    assert [step.key for step in scene.steps] == ["~context", "200", "30", "4"]
    assert {step.record.fact.offset for step in scene.steps} == {1}
    assert AuditRecord.from_json(scene.steps[0].value).decision["changes"][0]["change"] == "CompaniesChanged"
