"""A test alert on its way: the real decisions, a vendor that answers as told, and no Kafka between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from schemas.commands import CompleteTicket, CreateTicket, ResetAlert
from schemas.facts import AlertGone, AlertObserved, AlertTriggered
from schemas.identity import partition_of
from streams import operations
from streams import send_test_alert as module
from streams.core.connection import Connection
from streams.core.policy.vocabulary import TEST_ALERT
from streams.kafka_options import KafkaOptions
from streams.operations import Pause
from streams.ports import InputRecord
from streams.sample_alert import MESSAGE, its_end, sample_alert
from streams.send_test_alert import Sent, UnknownOrganization, organization_named, send_test_alert
from tests.core.spec import START, Scene, policy, subject, ticket, triggered

pytestmark = pytest.mark.asyncio

RUNNING = KafkaOptions(bootstrap_servers="127.0.0.1:1")
KNOWN = {17: "Nordwind GmbH", 18: "Südstern", 19: "südstern"}


class Clock:
    """Time stands still: every step is at once."""

    def now(self) -> int:
        return START


class Line:
    """A log, the agent behind it, and a vendor: ``answers`` says what becomes of which command (nothing: it waits)."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, runs: bool = True, **parts: Any) -> None:
        self.scene = Scene("incidents", policy(**parts))
        self.runs = runs
        self.answers: dict[type, str] = {
            CreateTicket: "Succeeded",
            CompleteTicket: "Succeeded",
            ResetAlert: "Succeeded",
        }
        self.published: list[tuple[str, str, Any]] = []
        self.number: str | None = "T20261124.5001"
        self.seen_late = False
        self.state, self.switches = "Healthy", dict[str, bytes]()
        self._audit: asyncio.Queue[InputRecord] = asyncio.Queue()
        self._told = len(self.scene.records)

        async def organizations(options: KafkaOptions) -> dict[int, str]:
            return dict(KNOWN)

        async def end_offsets(options: KafkaOptions, *topics: str) -> dict[tuple[str, int], int]:
            return {}

        async def tail(options: KafkaOptions, *topics: str, start: Any) -> AsyncIterator[InputRecord]:
            while True:
                yield await self._audit.get()

        async def connections(options: KafkaOptions) -> dict[str, Connection]:
            return {"autotask": Connection(name="autotask", state=self.state, reason="locked")}  # type: ignore[arg-type]

        async def switches(options: KafkaOptions) -> dict[str, bytes]:
            return self.switches

        for given in (organizations, end_offsets, tail, connections):
            monkeypatch.setattr(module, given.__name__, given)
        monkeypatch.setattr(operations, "switches", switches)

    async def publish(self, publications: Sequence[Any]) -> None:
        for publication in publications:
            self.published.append((publication.topic, publication.key, publication.fact))
            if self.runs:
                self.scene.when(publication.fact, key=publication.key, identity=publication.id)
                self.work()

    def work(self) -> None:
        """The executor makes what waits, until nothing does; the audit tells of all of it."""
        done = 0
        while done < len(self.scene.commands):
            issued = self.scene.commands[done]
            done += 1
            outcome = self.answers.get(type(issued.command))
            waits = issued.envelope.id in self.scene.body(issued.envelope.key).get("pending", {})
            if outcome is not None and waits:
                more = {"reason": "UnknownName", "detail": "queue 'X' does not exist"} if outcome == "Rejected" else {}
                if type(issued.command) is CreateTicket and outcome == "Succeeded":
                    more = {"ticket_number": self.number}
                self.scene.settle_command(issued, outcome, **more)
                if self.seen_late:
                    seen = ticket(START + 1000, external_id=issued.command.incident)
                    self.scene.when(seen, key=issued.envelope.key)
        for record in self.scene.records[self._told :]:
            self._audit.put_nowait(
                InputRecord("audit", 0, 0, record.key.encode(), record.to_json(), (), self.scene.now)
            )
        self._told = len(self.scene.records)

    async def send(self, **more: Any) -> Sent:
        given: dict[str, Any] = {"organization": "17", "by": "ann", "keep": False, "within": 0.2}
        lines: list[str] = []
        return await send_test_alert(RUNNING, self, Clock(), tell=lines.append, **{**given, **more})  # type: ignore[arg-type]

    def place(self) -> tuple[str, str]:
        (uid,) = self.scene.body("o17")["alerts"]
        return self.scene.disposition(uid, "o17")


async def test_it_goes_the_whole_way_and_is_cleaned_up(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch)
    sent = await line.send()
    assert (sent.outcome, sent.story.ticket_number, sent.story.rule) == (
        "completed",
        "T20261124.5001",
        "everything-else",
    )
    assert [(topic, key) for topic, key, _ in line.published] == [
        ("ninjaone.alerts", "o17"),
        ("ninjaone.resets", "o17"),
    ]
    assert line.scene.all_kinds() == ["CreateTicket", "CompleteTicket"]
    command = line.scene.commands[0].command
    assert isinstance(command, CreateTicket)
    assert MESSAGE in command.title
    told = " / ".join(what for _, what in sent.steps)
    order = [
        "sending",
        "alert.observed",
        "ticketed (Opened)",
        "-> create-ticket",
        "Succeeded",
        "alert.gone",
        "complete",
    ]
    assert [told.index(word) for word in order] == sorted(told.index(word) for word in order)


async def test_the_ticket_s_number_comes_with_the_first_sight_of_it_and_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_NUMBER_S", 0.1)
    line = Line(monkeypatch)
    line.number = None
    assert (await line.send()).story.ticket == "id 5001"
    line = Line(monkeypatch)
    line.number = None
    line.seen_late = True
    assert (await line.send(keep=True)).story.ticket == "T20261124.5001"


async def test_a_kept_ticket_stays_open_and_its_alert_active(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch)
    sent = await line.send(keep=True)
    assert (sent.outcome, line.scene.all_kinds()) == ("kept", ["CreateTicket"])
    assert line.place() == ("ticketed", "Opened")


async def test_a_rule_may_take_it_by_its_source_type(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = {"name": "tests", "when": {"source_type": [TEST_ALERT]}, "ticket": {"queue": "Triage"}}
    line = Line(monkeypatch, rules=[mine, {"name": "rest", "when": {}}])
    assert (await line.send()).story.rule == "tests"


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        (
            {"companies": {"map": [], "auto_match": "never"}},
            "the alert is parked (UnmappedOrganization: organization 17 'Nordwind GmbH' has no",
        ),
        (
            {"companies": {"map": []}},
            "the alert is parked (CompaniesNotKnown: the company of organization 17 'Nordwind GmbH' is not known yet",
        ),
        (
            {"maintenance": [{"name": "move", "from": "2026-11-24T03:00:00Z", "to": "2026-11-24T05:00:00Z"}]},
            "the alert is suppressed (Maintenance:move)",
        ),
        (
            {"defaults": {"lifecycle": {"hold": "5m"}}},
            "its rule 'everything-else' holds alerts back for longer than 0.2 s",
        ),
        (
            {"defaults": {"lifecycle": {"settle": "5m"}}},
            "its ticket T20261124.5001 is not completed within 0.2 s: its rule 'everything-else' may let it settle",
        ),
    ],
)
async def test_where_it_stops_is_said_and_nothing_is_left_behind(
    monkeypatch: pytest.MonkeyPatch, parts: dict[str, Any], why: str
) -> None:
    line = Line(monkeypatch, **parts)
    sent = await line.send()
    assert sent.outcome == "stopped"
    assert sent.why.startswith(why)
    assert isinstance(line.published[-1][2], AlertGone)
    assert line.place()[0] == "closed"


async def test_a_ticket_that_autotask_refuses_is_said_with_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch)
    line.answers[CreateTicket] = "Rejected"
    sent = await line.send()
    assert sent.why == "create-ticket was refused: UnknownName queue 'X' does not exist"
    assert line.place()[0] == "closed"


@pytest.mark.parametrize("paused", [True, False])
async def test_a_call_that_may_not_go_out_is_said_and_taken_back(monkeypatch: pytest.MonkeyPatch, paused: bool) -> None:
    line = Line(monkeypatch)
    line.answers.clear()
    if paused:
        line.switches = {"pause:autotask": Pause(what="autotask", since=1, by="ann").to_json()}
    line.state = "Healthy" if paused else "Unhealthy"
    sent = await line.send()
    assert sent.why == "create-ticket waits, 0.2 s after it was asked for: " + (
        "Autotask is paused by ann" if paused else "Autotask is Unhealthy (locked)"
    )
    assert line.scene.all_kinds() == ["CreateTicket", "WithdrawCommand"]


async def test_without_a_worker_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_TAKEN_BACK_S", 0.1)
    line = Line(monkeypatch, runs=False)
    sent = await line.send()
    assert sent.why.startswith("nothing was decided within 0.2 s: does a worker run")
    assert [type(fact) for _, _, fact in line.published] == [AlertObserved, AlertGone]


async def test_a_ticket_that_its_rule_leaves_open_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch, defaults={"lifecycle": {"close_if": "never"}})
    sent = await line.send()
    assert sent.outcome == "left open"
    assert sent.why.startswith("its rule leaves ticket T20261124.5001 open: NeverCompleted")


async def test_when_a_technician_was_faster_the_reset_that_follows_ends_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch)
    sent = await line.send(keep=True)
    seen = ticket(START + 60_000, completed=True, external_id=sent.story.external_id)
    line.scene.when(seen, key="o17")
    (command,) = line.scene.issued
    assert isinstance(command, ResetAlert)
    assert command.device_id is None
    line.work()
    assert line.place() == ("closed", "TicketCompleted")


async def test_it_makes_the_key_forget_no_alert_of_the_organization(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line(monkeypatch)
    await line.send()
    line.scene.later(40 * 24 * 3_600_000).when(triggered(3, subject=subject(None)), key="o17")
    assert line.scene.kinds == ["CreateTicket"], "an activity id that NinjaOne would give"
    assert "floor" not in line.scene.body("o17") or line.scene.body("o17")["floor"] == -1


async def test_two_runs_are_two_alerts_and_two_conditions() -> None:
    one, two = (sample_alert(17, "Nordwind GmbH", at=at, by="ann") for at in (START, START + 1))
    assert one.uid != two.uid
    assert one.alert_subject != two.alert_subject
    assert one == sample_alert(17, "Nordwind GmbH", at=START, by="ann")
    assert its_end(one, at=START - 5).gone_at > one.raised_at
    assert not isinstance(one, AlertTriggered)
    assert partition_of(one.subject.key, 6) == partition_of("o17", 6)


@pytest.mark.parametrize("written", ["17", "nordwind gmbh"])
async def test_an_organization_is_named_by_id_or_name(monkeypatch: pytest.MonkeyPatch, written: str) -> None:
    Line(monkeypatch)
    assert await organization_named(RUNNING, written) == (17, "Nordwind GmbH")


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("Nordwnd", "NinjaOne has no organization 'Nordwnd'; did you mean 17 'Nordwind GmbH'?"),
        ("99", "NinjaOne has no organization '99'; there are 17 'Nordwind GmbH', 18 'Südstern', 19 'südstern'"),
        ("SÜDSTERN", "several organizations are called 'SÜDSTERN' (ids 18, 19); give the id"),
    ],
)
async def test_an_organization_that_is_not_known_is_one_line(
    monkeypatch: pytest.MonkeyPatch, written: str, words: str
) -> None:
    Line(monkeypatch)
    with pytest.raises(UnknownOrganization) as refused:
        await organization_named(RUNNING, written)
    assert str(refused.value) == words
