"""``resync``: everything that both vendors show is told to the agents once more; they repair what they had missed.

What is known already is a duplicate to them, and a newer fact of the connectors wins, whatever the order. Two processes may
resync at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from connectors.ports import Publication
from streams.clock import Clock
from streams.core.drift.compare import compare
from streams.core.drift.findings import LogSide, Tell
from streams.kafka_options import KafkaOptions
from streams.log import KafkaLog
from streams.reconciling.awaiting import Followed, follow, places
from streams.reconciling.log_side import LogReader
from streams.reconciling.scope import Scope, UnknownScope
from streams.reconciling.vendors_side import Look, Vendors, drift_told, look, published_as, ticket_fact
from streams.settings import Settings

#: Facts per publication.
_BATCH = 500


@dataclass(slots=True)
class Resynced:
    """How many facts of what kind were told, and what came of them."""

    told: dict[str, int] = field(default_factory=dict)
    followed: Followed = field(default_factory=lambda: Followed(frozenset()))

    @property
    def facts(self) -> int:
        """How many facts were published."""
        return sum(self.told.values())


async def resync(
    settings: Settings,
    config: Path | None,
    options: KafkaOptions,
    log: KafkaLog,
    clock: Clock,
    *,
    scope: Scope,
    within: float,
    step: Callable[[str], None],
    progress: Callable[[int, int], None],
) -> Resynced:
    """Read, publish, and wait for so many seconds at most until all is decided and carried out.

    Raises ``ConnectionClosed``, ``CallFailed``, ``CallsSuspended``, ``SurveyIncomplete``, ``UnknownScope``, ``ReadError``, ``LogError``.
    """
    known = await LogReader(options).read()
    async with Vendors.opened(settings, config, options, log, now=clock.now, known=known) as vendors:
        seen = await look(vendors, known, key=scope.key, now=clock.now, step=step)
        wrong = scope.unknown(known.log, seen.side, known.organizations)
        if wrong is not None:
            raise UnknownScope(wrong)
        publications = await _everything(vendors, known.log, seen, scope)
    start = await places(options)
    found = Resynced()
    for kind, some in publications.items():
        for at in range(0, len(some), _BATCH):
            await log.publish(some[at : at + _BATCH])
            step(f"{at + len(some[at : at + _BATCH])} of {len(some)} {kind} told")
        found.told[kind] = len(some)
    facts = [publication.id for some in publications.values() for publication in some]
    found.followed = await follow(options, start, facts, within=within, progress=progress)
    return found


async def _everything(vendors: Vendors, whole: LogSide, seen: Look, scope: Scope) -> dict[str, list[Publication]]:
    """All that was seen, as facts, by what it is about; the ends before the beginnings, as they may belong together."""
    log, side = scope.of(whole, seen.side)
    told: dict[str, list[Publication]] = {
        "alerts over": [],
        "tickets reopened": [],
        "devices gone": [],
        "items apart": [],
    }
    alerts = {uid: seen.ninjaone.alerts[uid] for uid in side.alerts}
    for drift in (one.where_named(()) for one in compare(log, side).drifts):
        for repair in drift.repairs:
            if not isinstance(repair, Tell):
                if repair.external_id is None or repair.drift == "MissedChange":
                    told["items apart" if repair.external_id is None else "tickets reopened"].append(drift_told(repair))
                continue
            publication = await published_as(repair, drift.key, drift.organization_id, vendors, seen)
            if publication is None or repair.kind in ("ticket", "device"):
                continue
            if repair.kind == "alert":
                # As its drift tells it: raised when it was seen, or with the ticket that it has.
                alerts[repair.of] = publication
            else:
                told["alerts over" if repair.kind == "gone" else "devices gone"].append(publication)
    tickets = [fact for _, ticket in sorted(side.tickets.items()) if (fact := ticket_fact(ticket, seen)) is not None]
    return {
        "devices": [seen.ninjaone.devices[key] for key in sorted(side.devices)],
        **told,
        "alerts": [alerts[uid] for uid in sorted(alerts)],
        "tickets": tickets,
    }
