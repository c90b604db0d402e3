"""The limits of the API: requests per rolling hour for the whole tenant, and calls at once per entity."""

from __future__ import annotations

from collections import deque

from connectors.sandbox.answers import Answer, json_answer
from connectors.sandbox.settings import Settings
from connectors.sandbox.vendor import Call, Refusal

TIMEFRAME_MINUTES = 60
_HOUR = 3600.0
#: Share of the hourly limit from which every request waits so many seconds more.
_TIERS = ((0.75, 1.0), (0.5, 0.5))


class Limits:
    """Counts requests by the sandbox clock. Zone discovery and version information are exempt."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._began: deque[float] = deque()
        self._neighbour: list[tuple[float, float]] = []

    def neighbour_changed(self, now: float) -> None:
        """The neighbours' rate is another from now on; what they used of the hour before stays used."""
        self._neighbour.append((now, float(self._settings["neighbour_requests_per_hour"])))

    def used(self, now: float) -> int:
        """Requests in the last hour, the neighbours' included."""
        while self._began and self._began[0] <= now - _HOUR:
            self._began.popleft()
        return len(self._began) + int(self._settings["neighbour"]) + int(self._neighbours(now))

    def _neighbours(self, now: float) -> float:
        used, until = 0.0, now
        for since, rate in reversed(self._neighbour):
            used += max(0.0, until - max(since, now - _HOUR)) / _HOUR * rate
            until = min(until, since)
        return used

    def delay(self, now: float) -> float:
        """Real seconds that a request waits because of the hour's usage."""
        if not self._settings["latency_tiers"]:
            return 0.0
        share = self.used(now) / self._settings["hourly_limit"]
        wait = next((seconds for tier, seconds in _TIERS if share >= tier), 0.0)
        return wait * float(self._settings["latency_scale"])

    def refuse(self, call: Call) -> Refusal | None:
        """Count the request; turn it away beyond the hour or the threads."""
        used = self.used(call.t)
        self._began.append(call.t)
        limit = self._settings["hourly_limit"]
        if used >= limit:
            text = f"The external request threshold of {limit} requests in {TIMEFRAME_MINUTES} minutes is exceeded."
            why = f"hourly limit: {used} of {limit}"
            return self._refusal(int(self._settings["over_limit_status"]), text, why)
        threads = self._settings["thread_limit"]
        if threads and call.inflight > threads:
            why = f"thread limit: {call.inflight} at once, {threads} allowed"
            return self._refusal(int(self._settings["thread_status"]), str(self._settings["thread_text"]), why)
        return None

    def information(self, now: float) -> dict[str, int]:
        """The body of ``ThresholdInformation``."""
        return {
            "externalRequestThreshold": self._settings["hourly_limit"],
            "requestThresholdTimeframe": TIMEFRAME_MINUTES,
            "currentTimeframeRequestCount": self.used(now),
        }

    def _refusal(self, status: int, text: str, why: str) -> Refusal:
        seconds = self._settings["retry_after"]
        headers = {} if seconds is None else {"Retry-After": f"{seconds:g}"}
        answer: Answer = json_answer({"errors": [text]}, status, headers)
        return Refusal(answer=answer, auth="ok", why=why)
