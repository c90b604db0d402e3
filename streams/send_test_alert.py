"""One marked ticket through the whole line of a running system, then cleaned up: what ``lockstep send-test-alert`` does."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Literal

from connectors.ports import Publication
from schemas.audit import AuditRecord
from schemas.facts import AlertGone, AlertObserved
from schemas.identity import derived_id
from schemas.topics import AUDIT, NINJAONE_ALERTS, NINJAONE_RESETS
from streams.clock import Clock
from streams.health import connections, told
from streams.kafka_options import KafkaOptions
from streams.log import KafkaLog
from streams.operations import pause_told
from streams.policy_known import meant, organizations
from streams.ports import InputRecord
from streams.readers import Offsets, ReadError, end_offsets, tail
from streams.sample_alert import Story, its_end, lines_of, sample_alert
from streams.wording import quoted

#: What is taken back after a failure needs one decision; longer than this nobody wants to wait for it.
_TAKEN_BACK_S = 10.0
#: Without webhooks a ticket is seen by the next poll, 30 s later by default.
_NUMBER_S = 35.0

Records = asyncio.Queue[InputRecord | ReadError]
Outcome = Literal["completed", "kept", "left open", "stopped"]


class UnknownOrganization(ValueError):
    """There is no such organization to send an alert for; one line with what is known."""


@dataclass(slots=True, kw_only=True)
class Sent:
    """How far the test alert came. ``why``: where and why it stopped, or why its ticket stays open."""

    organization_id: int
    organization: str
    story: Story
    uid: str
    outcome: Outcome = "stopped"
    why: str = ""
    steps: list[tuple[float, str]] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        story = self.story
        return {
            "organization": {"id": self.organization_id, "name": self.organization},
            "uid": self.uid,
            "external_id": story.external_id,
            "ticket": {"id": story.ticket_id, "number": story.ticket_number} if story.ticket_id is not None else None,
            "rule": story.rule,
            "revision": story.revision,
            "disposition": [story.disposition, story.why] if story.disposition else None,
            "outcome": self.outcome,
            "why": self.why,
            "steps": [{"after_seconds": after, "what": what} for after, what in self.steps],
        }


async def organization_named(options: KafkaOptions, written: str) -> tuple[int, str]:
    """The organization of this id or name. Raises ``UnknownOrganization``."""
    known = await organizations(options)
    if not known:
        raise UnknownOrganization(
            "no organization of NinjaOne is known yet: its connection has to be Healthy once ('lockstep status')"
        )
    number = int(written) if written.isascii() and written.isdigit() else None
    if number in known:
        return number, known[number]
    named = [(other, name) for other, name in known.items() if name.casefold() == written.strip().casefold()]
    if len(named) == 1:
        return named[0]
    if named:
        ids = ", ".join(str(other) for other, _ in named)
        raise UnknownOrganization(f"several organizations are called {quoted(written)} (ids {ids}); give the id")
    raise UnknownOrganization(f"NinjaOne has no organization {quoted(written)}; {meant(known, written)}")


async def send_test_alert(
    options: KafkaOptions,
    log: KafkaLog,
    clock: Clock,
    *,
    organization: str,
    by: str,
    keep: bool,
    within: float,
    tell: Callable[[str], None],
) -> Sent:
    """Send one, follow it, and take it back. ``within``: seconds for each of the two ways (to its ticket, to its end).

    Raises ``UnknownOrganization``, ``ReadError``, ``LogError``.
    """
    number, name = await organization_named(options, organization)
    alert = sample_alert(number, name, at=clock.now(), by=by, keep=keep)
    sent = Sent(organization_id=number, organization=name, story=Story(alert), uid=alert.uid)
    run = _Run(options, log, clock, alert, sent, tell)
    ends = await end_offsets(options, AUDIT)
    async with _following(options, ends) as records:
        over = False
        try:
            await run.say(f"sending {alert.source_type} {alert.uid} for organization {number} '{name}'")
            await run.publish(NINJAONE_ALERTS, alert)
            await run.follow(records, lambda story: story.stage in ("ticketed", "over", "stopped"), within)
            if sent.story.stage not in ("ticketed", "over"):
                sent.why = await run.stopped_at(within)
            else:
                over = True
                if not keep:
                    await run.publish(NINJAONE_RESETS, its_end(alert, at=clock.now()))
                    await run.follow(records, _has_ended, within)
                # Autotask answers a create with the id alone; the number comes with the first sight of the ticket.
                await run.follow(records, lambda story: story.ticket_number is not None, _NUMBER_S)
                await run.ended(within, keep=keep)
        finally:
            if not over:
                # Also after Ctrl-C: an alert that nobody ends would open its ticket whenever it can.
                await run.say("taking it back")
                await run.publish(NINJAONE_RESETS, its_end(alert, at=clock.now()))
                await run.follow(records, _is_closed, _TAKEN_BACK_S)
    return sent


async def held_back(options: KafkaOptions, *, working: Collection[str] = ("Healthy",)) -> str:
    """Why no ticket is opened: Autotask is paused, or in none of the ``working`` states; empty where it is. Raises ``ReadError``."""
    paused = await pause_told(options, "autotask")
    connection = (await connections(options))["autotask"]
    return paused or ("" if connection.state in working else told(connection))


def _has_ended(story: Story) -> bool:
    return story.stage in ("over", "stopped") or bool(story.left_open)


def _is_closed(story: Story) -> bool:
    return story.disposition in ("closed", "superseded", "rejected")


@contextlib.asynccontextmanager
async def _following(options: KafkaOptions, start: Offsets) -> AsyncIterator[Records]:
    """The audit from here on. A task of its own reads it: a reader that is given up in the middle does not go on."""
    records: Records = asyncio.Queue()

    async def read() -> None:
        try:
            async for record in tail(options, AUDIT, start=start):
                records.put_nowait(record)
        except ReadError as error:
            records.put_nowait(error)

    reading = asyncio.create_task(read())
    try:
        yield records
    finally:
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading


@dataclass(slots=True)
class _Run:
    options: KafkaOptions
    log: KafkaLog
    clock: Clock
    alert: AlertObserved
    sent: Sent
    tell: Callable[[str], None]

    async def say(self, what: str) -> None:
        after = max(0, self.clock.now() - self.alert.raised_at) / 1000
        self.sent.steps.append((after, what))
        self.tell(f"{after:6.1f} s  {what}")

    async def publish(self, topic: str, fact: AlertObserved | AlertGone) -> None:
        """As a connector would: to the partition of its key."""
        identity = derived_id("test alert", fact.uid, fact.ce_type)
        source, now = "lockstep/send-test-alert", self.clock.now()
        key = self.sent.story.key
        await self.log.publish([Publication(topic=topic, key=key, id=identity, source=source, time=now, fact=fact)])

    async def follow(
        self,
        records: Records,
        done: Callable[[Story], bool],
        within: float,
    ) -> None:
        """Tell what happens until it is done, or the time is over."""
        story = self.sent.story
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while not done(story):
                    record = await records.get()
                    if isinstance(record, ReadError):
                        raise record
                    happening = story.take(AuditRecord.from_json(record.value or b""))
                    if happening is None:
                        continue
                    for line in lines_of(happening):
                        await self.say(line)

    async def ended(self, within: float, *, keep: bool) -> None:
        """What came of it once there was a ticket."""
        story, sent = self.sent.story, self.sent
        if keep:
            sent.outcome = "kept"
        elif story.stage == "over":
            sent.outcome = "completed"
        elif story.left_open:
            sent.outcome, sent.why = "left open", f"its rule leaves ticket {story.ticket} open: {story.why}"
        else:
            sent.why = await self.stopped_at(within)

    async def stopped_at(self, within: float) -> str:
        """Where it stopped and why, in one line."""
        story = self.sent.story
        if story.refused:
            return story.refused
        if story.stage == "stopped":
            return f"the alert is {story.disposition} ({story.why})"
        if story.stage == "nothing decided":
            return f"nothing was decided within {within:g} s: does a worker run, and keep up? 'lockstep status' says"
        if story.waiting:
            commands = ", ".join(sorted(set(story.waiting.values())))
            closed = (
                await held_back(self.options)
                or "the executor has not made the call yet; 'lockstep status' says what waits"
            )
            return f"{commands} waits, {within:g} s after it was asked for: {closed}"
        if story.stage == "held":
            return f"its rule '{story.rule}' holds alerts back for longer than {within:g} s ({story.why}); see --within"
        return (
            f"its ticket {story.ticket} is not completed within {within:g} s: its rule '{story.rule}' may let it "
            "settle first; see --within"
        )
