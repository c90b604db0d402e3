"""How an attempt at an effect ends as an ``Effect``: calls counted, failures turned into verdicts, nothing raised."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

from connectors.autotask.client import counted
from connectors.autotask.names import NameRefused
from connectors.errors import CallFailed, Situation
from connectors.ports import CallsSuspended, Effect, Verdict


async def attempted(work: Callable[[], Awaitable[Effect]]) -> Effect:
    """Do the work; a failure of a vendor call, a closed gate and a name that stands for nothing are results."""
    with counted() as tally:
        try:
            effect = await work()
        except CallFailed as failure:
            effect = failed(failure)
        except CallsSuspended as suspended:
            effect = Effect(verdict=Verdict.SUSPENDED, reason="Suspended", detail=str(suspended))
        except NameRefused as refused:
            effect = Effect(verdict=Verdict.REJECTED, reason=refused.reason, detail=str(refused))
    return replace(effect, calls=tally.calls)


def failed(failure: CallFailed) -> Effect:
    """A failed call as an effect; a missing right has its own reason, since only an administrator can mend it."""
    effect = failure.effect()
    if failure.situation is Situation.FORBIDDEN:
        return replace(effect, reason="PermissionDenied")
    return effect


def refused(reason: str, detail: str) -> Effect:
    """A command that is refused for good, by what was read and not by an answer of the vendor's."""
    return Effect(verdict=Verdict.REJECTED, reason=reason, detail=detail)


def join(*parts: str) -> str:
    """Parts of a detail as one line."""
    return "; ".join(part for part in parts if part)
