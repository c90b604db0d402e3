"""The log of a shadow's NinjaOne half: an alert's fact goes out without the ticket that another integration gave it.

With it the alert would take that ticket over, as it does after the switch; a shadow shall say what Lockstep would do alone. That
the alert names the ticket is a fact of its own (``schemas.shadow``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from connectors.ports import Log, Publication
from schemas.facts import AlertFact
from schemas.identity import derived_id
from schemas.shadow import AlertTicketNamed
from schemas.topics import SHADOW


class NamesApart:
    """A ``connectors.ports.Log`` over another. ``names`` gets every ticket that was named, once its fact is written."""

    def __init__(self, log: Log, names: set[str]) -> None:
        self._log = log
        self._names = names

    async def publish(self, publications: Sequence[Publication]) -> None:
        """As the log's, with alerts and the tickets that they name apart."""
        apart: list[Publication] = []
        names: set[str] = set()
        for publication in publications:
            fact = publication.fact
            if isinstance(fact, AlertFact) and fact.psa_ticket_id is not None:
                apart += [
                    replace(publication, fact=fact.model_copy(update={"psa_ticket_id": None})),
                    _named(publication, fact, fact.psa_ticket_id),
                ]
                names.add(fact.psa_ticket_id)
            else:
                apart.append(publication)
        await self._log.publish(apart)
        self._names |= names

    async def publish_dead_letter(self, *, stage: str, error: str, value: bytes, headers: Mapping[str, str]) -> None:
        """As the log's."""
        await self._log.publish_dead_letter(stage=stage, error=error, value=value, headers=headers)

    async def remembered(self, topic: str) -> Mapping[str, bytes]:
        """As the log's."""
        return await self._log.remembered(topic)

    async def remember(self, topic: str, key: str, value: bytes | None) -> None:
        """As the log's."""
        await self._log.remember(topic, key, value)


def _named(publication: Publication, fact: AlertFact, ticket: str) -> Publication:
    return Publication(
        topic=SHADOW,
        key=fact.uid,
        id=derived_id("shadow", fact.uid, ticket),
        source=publication.source,
        time=publication.time,
        fact=AlertTicketNamed(uid=fact.uid, key=fact.subject.key, ticket=ticket),
    )
