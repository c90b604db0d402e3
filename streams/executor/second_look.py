"""One more look at creates whose outcome was unknown for a while: of two tickets of one incident the younger goes."""

from __future__ import annotations

import heapq
import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Protocol, runtime_checkable

from connectors.ports import Effect, Effects, Now, Verdict
from schemas.commands import CreateTicket
from streams.executor.attempt import Attempt
from streams.executor.figures import Figures
from streams.executor.ledger import Ledger, Telling
from streams.executor.settlement import DOUBLED_TICKET, doubled_id, settled
from streams.executor.trying import later
from streams.executor.window import Entry

#: A second look that failed is tried again after a minute: nothing waits for it.
AGAIN_S = 60.0

log = logging.getLogger("lockstep.executor")


Call = Callable[[Callable[[], Awaitable[Effect | None]], Attempt], Awaitable[Effect | None]]


@runtime_checkable
class CompletesDoubles(Protocol):
    """What an effects object offers that can complete a doubled ticket."""

    async def complete_as_double(self, ticket_id: int, kept_number: str) -> Effect:
        """Complete the ticket with a note that names the kept one; may be repeated."""
        ...


class SecondLooks:
    """The looks that are owed, and what is done at each."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        effects: Effects,
        call: Call,
        figures: Figures,
        now: Now,
    ) -> None:
        self._ledger = ledger
        self._effects = effects
        self._call = call
        self._figures = figures
        self._now = now
        self._due: list[tuple[int, str]] = []
        self.owe(ledger.looks_owed)

    def __len__(self) -> int:
        return len(self._due)

    def owe(self, attempts: Iterable[Attempt]) -> None:
        """Look again at these when their time comes."""
        for attempt in attempts:
            if attempt.look_again_at is not None:
                heapq.heappush(self._due, (attempt.look_again_at, attempt.effect_key))

    def pick(self, now: int) -> str | None:
        """The effect key of a look that is due; the caller then runs ``look``."""
        if self._due and self._due[0][0] <= now:
            return heapq.heappop(self._due)[1]
        return None

    async def look(self, effect_key: str) -> Effect | None:
        """Look once more. Returns what the vendor answered, for the pace of the executor."""
        attempt = self._ledger.attempt(effect_key)
        if attempt is None or attempt.command is None or attempt.look_again_at is None:
            return None
        command = CreateTicket.from_json(attempt.command)
        # Also here nobody asks the vendor who no longer owns the topic.
        await self._ledger.write(attempt)
        effect = await self._call(lambda: self._effects.look_up(command), attempt)
        done = effect is None or effect.verdict is Verdict.REJECTED
        if effect is not None and effect.verdict is Verdict.SUCCEEDED:
            done = await self._resolve(attempt, command, effect)
        if done:
            current = self._ledger.attempt(effect_key) or attempt
            self._ledger.note(current.model_copy(update={"look_again_at": None, "command": None}))
        else:
            heapq.heappush(self._due, (later(self._now(), AGAIN_S), effect_key))
        return effect

    async def _resolve(self, attempt: Attempt, command: CreateTicket, effect: Effect) -> bool:
        if not effect.duplicates:
            return True
        entry = Entry(
            offset=-1,
            command_id=attempt.command_id,
            command=command,
            correlation_id=attempt.correlation_id,
            issued_at=attempt.at,
        )
        detail = told(effect, known=attempt.ticket_id)
        fact = settled(
            entry,
            outcome="Succeeded",
            now=self._now(),
            effect=effect,
            how="FoundByLookUp",
            reason=DOUBLED_TICKET,
            detail=detail,
        )
        # Said before the younger one is completed, so that its completion is not taken for a technician's.
        await self._ledger.report(Telling(fact=fact, identity=doubled_id(fact), correlation_id=attempt.correlation_id))
        return await self.complete(effect, attempt)

    async def complete(self, effect: Effect, attempt: Attempt) -> bool:
        """Complete the younger tickets; whether all of them are. ``attempt`` is the create's, whose key is the external id."""
        line = f"{DOUBLED_TICKET}: {attempt.effect_key}: {told(effect)}"
        log.error("%s", line)
        self._figures.error(line, self._now())
        effects = self._effects
        if not isinstance(effects, CompletesDoubles):
            self._figures.doubled_tickets += len(effect.duplicates)
            log.error("doubled tickets of %s stay open: this executor cannot complete them", attempt.effect_key)
            return True
        kept = effect.ticket_number or str(effect.ticket_id)
        for ticket_id in effect.duplicates:
            done = await self._call(partial(effects.complete_as_double, ticket_id, kept), attempt)
            if done is None or done.verdict is not Verdict.SUCCEEDED:
                return False
            self._figures.doubled_tickets += 1
        return True


def told(effect: Effect, *, known: int | None = None) -> str:
    """Which tickets there are and which one stays, in one line."""
    younger = ", ".join(str(ticket_id) for ticket_id in effect.duplicates)
    line = f"ticket {effect.ticket_number or effect.ticket_id} stays, younger and to be completed: {younger}"
    if known is not None and known != effect.ticket_id:
        line += f"; {known} was known before"
    return line
