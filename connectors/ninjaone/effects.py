"""``ResetAlert`` as calls to NinjaOne: one call in the normal case, a look-up after an unknown outcome."""

from __future__ import annotations

from dataclasses import replace

from connectors.errors import CallFailed, Situation
from connectors.ninjaone.client import NinjaOneClient
from connectors.ports import CallsSuspended, Effect, Verdict
from schemas.commands import Command, ResetAlert


class NinjaOneEffects:
    """Implements ``connectors.ports.Effects``. ``annotate``: reset with the command's note as activity data."""

    def __init__(self, client: NinjaOneClient, *, annotate: bool = False) -> None:
        self._client = client
        self._annotate = annotate

    async def perform(self, command: Command) -> Effect:
        """Reset the alert. One that is not active any more (404, 410) counts as done, with nothing to do."""
        if not isinstance(command, ResetAlert):
            return _not_ours(command)
        note = command.note if self._annotate and command.note else None
        try:
            answer = await self._client.reset_alert(command.uid, note=note)
        except CallsSuspended as suspended:
            return _suspended(suspended)
        except CallFailed as failure:
            if failure.situation is Situation.NOT_FOUND:
                return Effect(
                    verdict=Verdict.SUCCEEDED, how="NothingToDo", reason="AlertNotActive", calls=failure.calls
                )
            if failure.situation is Situation.REFUSED_INPUT:
                return await self._refused(command, failure)
            return failure.effect()
        return Effect(verdict=Verdict.SUCCEEDED, written=True, calls=answer.calls)

    async def _refused(self, command: ResetAlert, failure: CallFailed) -> Effect:
        """How an instance answers a reset of an alert that is over is not documented: a 400 may say just that."""
        found = await self.look_up(command)
        if found is None or found.verdict is not Verdict.SUCCEEDED:
            return failure.effect()
        return replace(found, how="NothingToDo", reason="AlertNotActive", calls=failure.calls + found.calls)

    async def look_up(self, command: Command) -> Effect | None:
        """Whether the alert still stands in the list of its device (all alerts, if it has none).

        ``written`` stays false for one that is gone: the list does not tell who reset it.
        """
        if not isinstance(command, ResetAlert):
            return _not_ours(command)
        before = self._client.transport.calls
        try:
            active = await self._is_active(command)
        except CallsSuspended as suspended:
            return _suspended(suspended)
        except CallFailed as failure:
            return failure.effect()
        calls = max(1, self._client.transport.calls - before)
        return None if active else Effect(verdict=Verdict.SUCCEEDED, how="FoundByLookUp", calls=calls)

    async def _is_active(self, command: ResetAlert) -> bool:
        if command.device_id is None:
            listing = await self._client.alerts()
        else:
            try:
                listing = await self._client.device_alerts(command.device_id)
            except CallFailed as failure:
                if failure.situation is Situation.NOT_FOUND:
                    return False
                raise
        # A row that cannot be read could be this alert; performing once more is harmless, taking it as done is not.
        return not listing.complete or any(row.uid == command.uid for row in listing.rows)


def _suspended(suspended: CallsSuspended) -> Effect:
    return Effect(verdict=Verdict.SUSPENDED, reason="Suspended", detail=str(suspended))


def _not_ours(command: Command) -> Effect:
    return Effect(
        verdict=Verdict.REJECTED, reason="UnknownCommand", detail=f"{command.ce_type} is not a command for NinjaOne"
    )
