"""What a comparison is about, when two drifts are the same matter, and what is said of a repair that mended nothing."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from connectors.ninjaone.config import NinjaOneConfig
from connectors.ninjaone.survey import NinjaOneSeen, NinjaOneSurvey
from connectors.ports import OpenGate
from schemas.audit import AuditedCommand as Command
from schemas.audit import AuditedFact, AuditRecord
from schemas.facts import CommandSettled
from streams.core.drift.compare import compare
from streams.core.drift.findings import CLASSES, Comparison, Drift, DriftClass, Tell, told
from streams.reconciling.awaiting import Followed
from streams.reconciling.reconcile import Judged, Reconciler, same_matter
from streams.reconciling.resync import _everything
from streams.reconciling.scope import Scope
from streams.reconciling.vendors_side import Look
from tests.core.drift_world import ASKED_AT, alert_row, item_row, log_of, open_ticket, seen
from tests.core.spec import Scene, incidents, subject, triggered
from tests.core.test_drift_over import NAMES, UNDONE, listened, touched

OTHER = "22222222-3333-4444-8555-666666666666"
ORGANIZATIONS = {17: "Nordwind GmbH", 18: "Suedwind"}


def two_devices() -> Scene:
    """Device 407 of organization 17 and device 500 of organization 18, each with an alert and its ticket."""
    scene = incidents(
        triggered(),
        companies={"map": [{"organization": 17, "company": 29683}, {"organization": 18, "company": 500}]},
    ).settle("CreateTicket")
    scene.when(triggered(12, OTHER, subject=subject(500, 18)), key="500")
    return scene.settle("CreateTicket", ticket_id=5100)


def both_sides() -> Any:
    lost = open_ticket(5100, externalID=None, companyID=500)
    side = seen(alert_row(), tickets=(open_ticket(externalID="CRM-1"), lost), items=(item_row(),))
    return log_of(two_devices()), side


@pytest.mark.parametrize(
    ("scope", "keys"),
    [
        (Scope(), {"407", "500"}),
        (Scope(device=407), {"407"}),
        (Scope(organization=18), {"500"}),
        (Scope(organization=17, device=407), {"407"}),
        (Scope(organization=18, device=407), set()),
    ],
)
def test_a_scope_leaves_out_what_it_is_not_about_also_where_our_mark_is_gone(scope: Scope, keys: set[str]) -> None:
    found = compare(*scope.of(*both_sides()))
    assert {drift.key for drift in found.drifts} == keys
    assert found.open_tickets == len(keys)


def test_an_organization_or_a_device_that_nobody_knows_is_said() -> None:
    log, side = both_sides()
    assert Scope(organization=17, device=407).unknown(log, side, ORGANIZATIONS) is None
    assert Scope().unknown(log, side, ORGANIZATIONS) is None
    assert Scope(organization=71).unknown(log, side, ORGANIZATIONS) == (
        "NinjaOne has no organization 71; there are 17 'Nordwind GmbH', 18 'Suedwind'"
    )
    assert "knows a device 9" in (Scope(device=9).unknown(log, side, ORGANIZATIONS) or "")


def drift(kind: DriftClass = "MissedClose", **more: Any) -> Drift:
    return Drift(**{"drift": kind, "key": "407", "what": "", **more})


def test_a_drift_that_shows_as_another_class_after_a_repair_is_the_same_matter() -> None:
    first = drift("MissedChange", ticket_id=5001)
    assert same_matter(first, drift("MissedClose", ticket_id=5001))
    assert same_matter(drift("MissedOpen", uids=("a",)), drift("MissedReset", uids=("a", "b")))
    assert same_matter(drift("ItemTwin", item_ids=(1, 2)), drift("StaleItem", item_ids=(2,)))
    assert not same_matter(first, drift("MissedChange", ticket_id=5002))
    assert not same_matter(first, drift("MissedClose", ticket_id=5001, key="408"))


def record(*reasons: str, commands: tuple[Command, ...] = ()) -> AuditRecord:
    fact = AuditedFact(topic="t", partition=0, offset=0, headers={"ce_id": "f"}, value="{}")
    return AuditRecord(
        agent="incidents", key="407", count=1, previous="", hash="", revision=1, recorded_at=0, fact=fact, state="",
        decision={"reasons": [{"reason": reason} for reason in reasons]}, commands=commands,
    )  # fmt: skip


def test_why_a_repair_mended_nothing_is_what_was_decided_or_how_its_command_ended() -> None:
    followed = Followed(frozenset({"f"}))
    assert "does a worker run" in followed.why_not(["f"])
    # What an earlier round published has been followed then.
    assert followed.why_not(["earlier"]) == ""
    followed.decided["f"] = record("IncidentIsOpen")
    assert followed.why_not(["f"]) == "IncidentIsOpen"
    command = Command(id="c", type="lockstep.command.complete-ticket.v1", topic="t", value="{}")
    followed.decided["f"] = record(commands=(command,))
    followed.commands["c"] = command.type
    assert (followed.open, "has not settled yet" in followed.why_not(["f"])) == (1, True)
    followed.outcomes["c"] = CommandSettled(
        key="407", command_id="c", command_type=command.type, effect_key="e", incident=None, outcome="Rejected",
        settled_at=0, reason="RequiredField", detail="a resolution is missing",
    )  # fmt: skip
    assert (followed.open, followed.why_not(["f"])) == (
        0,
        "complete-ticket Rejected: RequiredField a resolution is missing",
    )


def surveys() -> Any:
    """Both, of which a resync here asks for the words of an alert's end only; nobody is called."""
    config = NinjaOneConfig(base_url="http://127.0.0.1:1", client_id="-", client_secret="-")
    wait = {"sleep": asyncio.sleep, "jitter": lambda: 0.0}
    return SimpleNamespace(
        ninjaone=NinjaOneSurvey.create(config, gate=OpenGate("ninjaone"), now=lambda: ASKED_AT, **wait)
    )


@pytest.mark.parametrize(
    ("past", "told"),
    [
        ((), {"alerts over": 1}),
        (UNDONE, {"tickets reopened": 1}),
        (None, {}),
    ],
)
async def test_a_resync_neither_completes_what_may_have_been_reopened_nor_keeps_back_what_was(
    past: Any, told: dict[str, int]
) -> None:
    row = touched(status=1) if past == () else touched()
    side = seen(tickets=(row,), pasts={5001: past}, status_names=NAMES)
    look = Look(side, NinjaOneSeen(ASKED_AT), {}, ASKED_AT)
    found = await _everything(surveys(), log_of(listened()), look, Scope())
    assert {kind: len(some) for kind, some in found.items() if some and kind != "tickets"} == told


class Scripted(Reconciler):
    """Repairs whose looks are given, and what was published in each round."""

    looks: ClassVar[list[list[Drift]]] = []
    published: ClassVar[list[list[str]]] = []

    async def _look(self, *given: Any) -> Any:
        return None, Comparison(drifts=self.looks.pop(0))

    async def _publish(self, vendors: Any, seen: Any, pending: Any) -> Followed:
        self.published.append([one.drift for _, one in pending if one.repairs])
        return Followed(frozenset())


async def test_what_waits_for_another_repair_is_looked_at_again_until_that_is_heard_of() -> None:
    """The item is made, and only the look after the next one shows that the agent of the tickets knows it."""
    missing = drift("MissingItem", repairs=(Tell("device", "407"),))
    waits = drift("ForeignEdit", ticket_id=5001, waits=True, left="its device has no item at the moment")
    ready = waits.but(waits=False, left="", repairs=(Tell("ticket", "5001"),))
    nothing = SimpleNamespace()
    run = Scripted(*[nothing] * 6, classes=(), grace=0, within=1, step=print, progress=print)  # type: ignore[arg-type]

    async def read() -> None:
        return None

    async def mended(*looks: list[Drift]) -> list[tuple[str, str]]:
        Scripted.looks, Scripted.published = list(looks), []
        judged = [Judged(missing), Judged(waits)]
        await run._mend(SimpleNamespace(read=read), nothing, nothing, judged)  # type: ignore[arg-type]
        return [(one.state, one.why) for one in judged]

    assert await mended([waits], [ready], []) == [("mended", "")] * 2
    assert Scripted.published == [["MissingItem"], [], ["ForeignEdit"]]
    assert await mended([ready], []) == [("mended", "")] * 2
    # Nobody can wait for ever.
    assert await mended([waits], [waits]) == [("mended", ""), ("left", "its device has no item at the moment")]


def test_every_class_has_a_name_of_its_own_for_the_command_line() -> None:
    assert len({told(name) for name in CLASSES}) == len(CLASSES)
