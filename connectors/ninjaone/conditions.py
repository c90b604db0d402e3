"""What alerts know and activities do not: source type, condition name, severity. Learned per condition from alerts.

Activities carry no ``sourceType``, but rules match on it. The alert list has both ``sourceType`` and
``sourceConfigUid`` (the condition in the policy), so one alert of a condition teaches all its later activities.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from connectors.errors import CallFailed
from connectors.ninjaone.client import NinjaOneClient
from connectors.ninjaone.directory import QUICK
from connectors.ports import CallsSuspended
from schemas.ninjaone import ActivityRow, AlertRow

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What is known of an alert's condition. Empty means: not said by this instance."""

    source_type: str | None = None
    condition_name: str = ""
    severity: str = ""
    priority: str = ""


UNKNOWN_CONDITION = Condition()

#: As many alerts without a condition are remembered; each list of active alerts brings them anew.
_ALONE_LIMIT = 50_000


class Conditions:
    """The learned conditions by ``sourceConfigUid``: as many as there are conditions in policies, hence unbounded."""

    def __init__(self, client: NinjaOneClient) -> None:
        self._client = client
        self._known: dict[str, Condition] = {}
        #: By alert uid, for alerts that name no condition.
        self._alone: OrderedDict[str, Condition] = OrderedDict()
        self._lock = asyncio.Lock()

    def learn(self, alerts: Iterable[AlertRow]) -> None:
        """Take what a list of active alerts says."""
        for alert in alerts:
            if alert.source_type is None:
                continue
            if alert.source_config_uid:
                self._known[alert.source_config_uid] = _condition(alert)
            else:
                self._alone[alert.uid] = _condition(alert)
                self._alone.move_to_end(alert.uid)
        while len(self._alone) > _ALONE_LIMIT:
            self._alone.popitem(last=False)

    def of(self, activity: ActivityRow) -> Condition | None:
        """The condition of an activity, as far as it was learned."""
        return self._known.get(activity.source_config_uid or "") or self._alone.get(activity.series_uid or "")

    async def ask(self, activity: ActivityRow) -> Condition:
        """The condition of an activity that just came: learned, else by one read of its device's alerts.

        Takes at most two seconds and never fails: what cannot be had is unknown. One read at a time; whoever waited
        meanwhile looks again first, since alerts of a storm mostly share a few conditions.
        """
        known = self.of(activity)
        if known is not None or activity.device_id is None:
            return known or UNKNOWN_CONDITION
        try:
            async with asyncio.timeout(QUICK.total), self._lock:
                return self.of(activity) or await self._read(activity, activity.device_id)
        except (CallFailed, CallsSuspended, TimeoutError) as error:
            log.info("source type of alert %s stays unknown: %s", activity.series_uid, error or "no answer in time")
            return UNKNOWN_CONDITION

    async def _read(self, activity: ActivityRow, device_id: int) -> Condition:
        alerts = (await self._client.device_alerts(device_id, timeouts=QUICK)).rows
        self.learn(alerts)
        for alert in alerts:
            if alert.uid == activity.series_uid:
                return _condition(alert)
        return self.of(activity) or UNKNOWN_CONDITION


def _condition(alert: AlertRow) -> Condition:
    return Condition(
        source_type=alert.source_type,
        condition_name=alert.condition_name,
        severity=alert.severity,
        priority=alert.priority,
    )
