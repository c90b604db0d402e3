"""One command, from its pick to its settlement or back into the window: attempt, call or look up, settle."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from connectors.ports import CallsSuspended, Effect, Effects, Now, Verdict
from schemas.commands import AdoptTicket, CreateTicket, WithdrawCommand
from schemas.facts import CommandSettled, Settlement
from streams.delivery.fatal import described
from streams.executor.attempt import Attempt, begun
from streams.executor.figures import Figures
from streams.executor.ledger import Ledger
from streams.executor.second_look import SecondLooks
from streams.executor.settings import AtPoint, ExecutorSettings, Jitter
from streams.executor.settlement import DOUBLED_TICKET, from_record, settled
from streams.executor.trying import NotOwn, Pace, Trying, later
from streams.executor.window import Entry, Window

#: An attempt may wait this long for a free call; after that (or after a sleep of the process) it is written once more,
#: so that nobody begins a call on a right that another executor has taken meanwhile.
FRESH_S = 0.25

log = logging.getLogger("lockstep.executor")


class Work:
    """Works on the commands that the engine picks; everything it learns goes to window, ledger, pace and figures.

    ``may_call`` is asked right before each call: a command that was prepared while the vendor asked to wait, or while
    the executor was told to stop, goes back. Attempts and settlements are written outside of the calls at once.
    ``too_late`` is given the withdrawal of a command that was settled otherwise, with that command's id.
    """

    def __init__(
        self,
        *,
        settings: ExecutorSettings,
        window: Window,
        ledger: Ledger,
        effects: Effects,
        now: Now,
        jitter: Jitter,
        at: AtPoint,
        figures: Figures,
        may_call: Callable[[], bool],
        too_late: Callable[[Entry, str], None],
    ) -> None:
        self.pace = Pace(jitter)
        self.not_own = NotOwn()
        self.second_looks = SecondLooks(ledger=ledger, effects=effects, call=self._call, figures=figures, now=now)
        self._settings = settings
        self._patience = settings.patience
        self._window = window
        self._ledger = ledger
        self._effects = effects
        self._now = now
        self._jitter = jitter
        self._at = at
        self._figures = figures
        self._may_call = may_call
        self._too_late = too_late
        #: Withdrawals of commands whose call is under way or may have had its effect, by the id of those.
        self._withdrawals: dict[str, tuple[Entry, str]] = {}
        self._slots = asyncio.Semaphore(settings.calls_at_once)
        self._trying: dict[str, Trying] = {}

    async def do(self, entry: Entry) -> None:
        """One try at a command. Raises only where the executor as a whole cannot go on."""
        trying = self._trying.setdefault(entry.command_id, Trying())
        known = self._ledger.attempt_for(entry)
        if known is not None and _needs_no_call(entry, known):
            await self.settle(entry, from_record(entry, known, now=self._now()))
        elif known is not None and known.uncertain:
            await self._look_up(entry, trying, known)
        elif entry.command_id in self._withdrawals:
            await self._withdraw(entry)
        else:
            await self._perform(entry, trying, known)

    def withdraw_if_not_in_place(self, entry: Entry, command: WithdrawCommand) -> bool:
        """Withdraw a command of the window that cannot be taken back at once, as soon as its effect is known to be absent.

        Until then nothing is called for it but look-ups. ``False`` where a withdrawal of it waits already.
        """
        if command.command_id in self._withdrawals:
            return False
        self._withdrawals[command.command_id] = (entry, command.reason)
        return True

    async def take_back(self, target: Entry, withdrawal: Entry, reason: str) -> None:
        """Settle a command as withdrawn, and its withdrawal with it."""
        now = self._now()
        withdrawn = settled(target, outcome="Withdrawn", now=now, reason=reason)
        fact = settled(withdrawal, outcome="Succeeded", now=now, reason=reason)
        await self.settle_all([(target, withdrawn), (withdrawal, fact)])

    async def look_again(self, effect_key: str) -> None:
        """The second look at a create that was unknown once."""
        effect = await self.second_looks.look(effect_key)
        if effect is None or effect.verdict in (Verdict.SUCCEEDED, Verdict.REJECTED):
            self.pace.worked()
        elif effect.verdict is Verdict.THROTTLED:
            self.pace.throttle(self._now(), effect.retry_after, effect.detail)
        elif effect.verdict is not Verdict.SUSPENDED:
            self.pace.failed(self._now(), effect.detail or effect.reason, effect_key=effect_key)

    async def settle(self, entry: Entry, fact: CommandSettled, attempt: Attempt | None = None) -> None:
        """Settle one command; afterwards it is out of the window."""
        await self.settle_all([(entry, fact)], attempt)

    async def settle_all(self, settlements: list[tuple[Entry, CommandSettled]], attempt: Attempt | None = None) -> None:
        """Settle commands together."""
        await self._ledger.settle(settlements, attempt)
        for entry, fact in settlements:
            self.finish(entry, fact)

    def finish(self, entry: Entry, fact: CommandSettled) -> None:
        """A settlement is acknowledged by the broker."""
        self._trying.pop(entry.command_id, None)
        self._figures.settled[fact.outcome] += 1
        if fact.outcome in ("Rejected", "Deferred") and fact.command_type.find("withdraw") < 0:
            line = (
                f"{type(entry.command).__name__} {fact.effect_key} {fact.outcome}: {fact.reason} {fact.detail}".strip()
            )
            log.warning("%s", line)
            self._figures.error(line, self._now())
        self._window.finish(entry.offset, now=self._now())
        self._ledger.finished([entry], self._window.position)
        withdrawal = self._withdrawals.pop(entry.command_id, None)
        if withdrawal is not None:
            self._too_late(withdrawal[0], entry.command_id)

    async def _withdraw(self, entry: Entry) -> None:
        """The effect is surely not in place, and a withdrawal waited for that."""
        await self.take_back(entry, *self._withdrawals.pop(entry.command_id))

    async def _look_up(self, entry: Entry, trying: Trying, known: Attempt) -> None:
        """The effect may be in place: look, but not before a write on its way would have arrived."""
        due = later(known.at, self._patience.look_up_after_s)
        if self._now() < due:
            own = known.command_id == entry.command_id
            self._window.put_back(entry.offset, now=self._now(), not_before=due, begun=own)
            return
        trying.doubtful = True
        known = known.model_copy(update={"command_id": entry.command_id, "state": "unknown"})
        await self._ledger.write(known)
        self._figures.look_ups += 1
        effect = await self._call(lambda: self._effects.look_up(entry.command), known)
        trying.calls += 1 if effect is None else effect.calls
        if effect is None:
            self.pace.worked()
            if entry.command_id in self._withdrawals:
                self._ledger.surely_not(entry.command.effect_key, None)
                await self._withdraw(entry)
            else:
                await self._perform(entry, trying, None)
        elif effect.verdict in (Verdict.SUCCEEDED, Verdict.REJECTED):
            await self._certain(entry, trying, effect, how="FoundByLookUp")
        else:
            await self._not_yet(entry, trying, effect, uncertain=True)

    async def _perform(self, entry: Entry, trying: Trying, before: Attempt | None) -> None:
        """The effect is surely not in place: record the attempt, then call."""
        attempt = begun(entry.command, command_id=entry.command_id, topic=self._settings.commands, now=self._now())
        await self._ledger.write(attempt)
        self._at("attempt_written")
        self._figures.attempts += 1
        effect = await self._call(lambda: self._effects.perform(entry.command), attempt)
        if effect is None:
            raise TypeError(f"{type(self._effects).__name__}.perform returned no effect")
        self._at("call_returned")
        trying.calls += effect.calls
        if effect.verdict in (Verdict.SUCCEEDED, Verdict.REJECTED):
            await self._certain(entry, trying, effect, how=effect.how)
            return
        uncertain = effect.verdict is Verdict.UNKNOWN
        if uncertain:
            trying.doubtful = True
            self._ledger.note(attempt.model_copy(update={"state": "unknown", "at": self._now()}))
        else:
            self._ledger.surely_not(entry.command.effect_key, before)
        await self._not_yet(entry, trying, effect, uncertain=uncertain, performed=True)

    async def _certain(self, entry: Entry, trying: Trying, effect: Effect, *, how: str) -> None:
        self.pace.worked()
        now = self._now()
        succeeded = effect.verdict is Verdict.SUCCEEDED
        outcome: Settlement = "Succeeded" if succeeded else "Rejected"
        doubled = succeeded and bool(effect.duplicates)
        fact = settled(
            entry,
            outcome=outcome,
            now=now,
            effect=effect,
            how=("FoundByLookUp" if how == "Called" and effect.how != "Called" else how) if succeeded else "",
            reason=DOUBLED_TICKET if doubled else "",
            calls=trying.calls,
        )
        look_again = succeeded and trying.doubtful and isinstance(entry.command, CreateTicket)
        attempt = _certain_attempt(
            entry,
            fact,
            topic=self._settings.commands,
            look_again_at=later(now, self._patience.second_look_after_s) if look_again else None,
        )
        await self.settle(entry, fact, attempt)
        self.second_looks.owe([attempt])
        if doubled:
            # Where this fails, the second look finds them again.
            await self.second_looks.complete(effect, attempt)

    async def _not_yet(
        self, entry: Entry, trying: Trying, effect: Effect, *, uncertain: bool, performed: bool = False
    ) -> None:
        """No certain outcome: back into the window, or ``Deferred`` when its own time is used up."""
        now = self._now()
        not_before = now
        if effect.verdict is Verdict.THROTTLED:
            not_before = self.pace.throttle(now, effect.retry_after, effect.detail)
        elif effect.verdict is Verdict.SUSPENDED:
            not_before = self.pace.hold(now)
        else:
            why = f"{effect.reason} {effect.detail}".strip() or effect.verdict.value
            self._figures.error(f"{type(entry.command).__name__} {entry.command.effect_key}: {why}", now)
            self.pace.failed(now, why, effect_key=entry.command.effect_key)
            if not uncertain and entry.command_id in self._withdrawals:
                await self._withdraw(entry)
                return
            not_own = self.not_own.total(now)
            trying.failed(now=now, not_own_ms=not_own)
            next_try = trying.next_try(now=now, not_own_ms=not_own, patience=self._patience, jitter=self._jitter)
            if next_try is None:
                reason = effect.reason or effect.verdict.value
                fact = settled(
                    entry, outcome="Deferred", now=now, reason=reason, detail=effect.detail, calls=trying.calls
                )
                await self.settle(entry, fact)
                return
            not_before = next_try
        if performed and uncertain:
            not_before = later(now, self._patience.look_up_after_s)
        self._window.put_back(entry.offset, now=now, not_before=not_before, begun=uncertain)

    async def _call(self, call: Callable[[], Awaitable[Effect | None]], attempt: Attempt) -> Effect | None:
        """Make one call of the effects object when one is free. ``attempt`` is the record written for it just now.

        What the call raises concerns this command only: nobody knows what happened.
        """
        written = time.monotonic()
        async with self._slots:
            if not self._may_call():
                return Effect(verdict=Verdict.SUSPENDED, reason="NotNow")
            if time.monotonic() - written > FRESH_S:
                await self._ledger.write(attempt)
            self._at("calling")
            try:
                effect = await call()
            except CallsSuspended as suspended:
                effect = Effect(verdict=Verdict.SUSPENDED, reason="Suspended", detail=str(suspended))
            except Exception as error:
                log.error("a call failed inside Lockstep: %s", described(error))
                effect = Effect(verdict=Verdict.UNKNOWN, reason="InternalError", detail=described(error))
        self._figures.calls += 1 if effect is None else effect.calls
        return effect


def _needs_no_call(entry: Entry, known: Attempt) -> bool:
    """Whether the effect's outcome is known well enough to settle this command by it."""
    if known.uncertain or known.outcome is None:
        return False
    if known.command_id == entry.command_id:
        return True
    return isinstance(entry.command, CreateTicket | AdoptTicket) and known.outcome == "Succeeded"


def _certain_attempt(entry: Entry, fact: CommandSettled, *, topic: str, look_again_at: int | None) -> Attempt:
    return Attempt(
        effect_key=fact.effect_key,
        command_id=fact.command_id,
        topic=topic,
        state="certain",
        at=fact.settled_at,
        outcome=fact.outcome,
        how=fact.how,
        reason=fact.reason,
        detail=fact.detail,
        ticket_id=fact.ticket_id,
        ticket_number=fact.ticket_number,
        ticket_activity_at=fact.ticket_activity_at,
        item_id=fact.item_id,
        company_id=fact.company_id,
        written=fact.written,
        calls=fact.calls,
        look_again_at=look_again_at,
        command=entry.command.to_json().decode() if look_again_at is not None else None,
        correlation_id=entry.correlation_id,
    )
