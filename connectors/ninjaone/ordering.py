"""In which order and company the poller publishes what one read of activities brought."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from connectors.ninjaone.translate import Meaning, meaning
from connectors.ports import Publication
from schemas.facts import AlertAcknowledged, AlertReset, AlertTriggered
from schemas.ninjaone import ActivityRow

_OF_AN_ALERT = frozenset({Meaning.TRIGGERED, Meaning.RESET})


def beside_their_end(rows: Sequence[ActivityRow]) -> list[ActivityRow]:
    """Activities in their order, but those of an alert that is over at the end of them stand right before its last one.

    After hours without the vendor one read brings thousands. They are decided while later ones are still on their way,
    so that an alert long over would open a ticket before its end is heard of; beside each other they are decided together.
    Nothing is waited for: an alert that is over needs nobody. What is still active keeps its place.
    """
    last = {row.series_uid: row for row in rows if row.series_uid and meaning(row) in _OF_AN_ALERT}
    over = {uid: row.id for uid, row in last.items() if meaning(row) is Meaning.RESET}
    return sorted(rows, key=lambda row: (over.get(row.series_uid or "", row.id), row.id))


def batches(publications: Sequence[Publication], size: int) -> Iterator[Sequence[Publication]]:
    """About ``size`` at a time, and what stands beside each other of one alert together."""
    start = 0
    while start < len(publications):
        end = min(start + size, len(publications))
        while end < len(publications) and _alert(publications[end]) == _alert(publications[end - 1]) != "":
            end += 1
        yield publications[start:end]
        start = end


def _alert(publication: Publication) -> str:
    fact = publication.fact
    return fact.uid if isinstance(fact, AlertTriggered | AlertReset | AlertAcknowledged) else ""
