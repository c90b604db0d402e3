"""Whether NinjaOne's deliveries come late: the one sign that alerts queue up at its webhook."""

from __future__ import annotations

import asyncio

#: Later by so much than the quickest deliveries of late is late. Only differences count, so the two clocks may differ.
LATE_MS = 2_000
#: The quickest delivery is that of the present and the last stretch of this length (ms): clocks drift.
_STRETCH_MS = 300_000


class DeliveryLag:
    """Compares each delivery's delay (our clock less the vendor's) with the least one of the last minutes.

    ``late`` is set by a delivery that came late; whoever acts on it clears it.
    """

    def __init__(self) -> None:
        self.late = asyncio.Event()
        self._stretch = 0
        self._least: int | None = None
        self._before: int | None = None

    def seen(self, activity_at: int | None, now: int) -> None:
        """A delivery came at ``now`` (epoch ms) about an activity of ``activity_at`` (the vendor's clock)."""
        if not activity_at:
            return
        stretch = now // _STRETCH_MS
        if stretch != self._stretch:
            # After a gap the older stretch is not the last one any more, and says nothing about today's clocks.
            self._before = self._least if stretch == self._stretch + 1 else None
            self._stretch, self._least = stretch, None
        delay = now - activity_at
        self._least = delay if self._least is None else min(self._least, delay)
        quickest = self._least if self._before is None else min(self._least, self._before)
        if delay - quickest > LATE_MS:
            self.late.set()
