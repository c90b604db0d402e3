"""What the log knows, for a comparison: the agents' states, the mapping, and how each ticket was asked for. Reads only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from connectors.ninjaone.alertbook import AlertBook
from schemas.commands import CreateTicket, UpsertConfigurationItem
from schemas.envelope import DecodeError
from schemas.events import decode_command
from schemas.topics import CURSORS, TICKET_COMMANDS
from streams.core.context import EMPTY, Context, parse_context
from streams.core.documents import CONTEXT_KEY, read
from streams.core.drift.findings import LogSide
from streams.core.items import content_digest, restored, upsert
from streams.core.mapping import NOT_KNOWN, Mapped, Unmapped
from streams.kafka_options import KafkaOptions
from streams.readers import last_values, read_all
from streams.views import state_documents, states


@dataclass(frozen=True, slots=True)
class Known:
    """The log's side, and the context that each device's state is decided in, by key."""

    log: LogSide
    contexts: dict[str, Context]
    organizations: Mapping[int, str]

    def items_wanted(self) -> dict[str, UpsertConfigurationItem]:
        """The item that each device should have, by key, where nothing stands between the last command and that."""
        found: dict[str, UpsertConfigurationItem] = {}
        for key, body in self.log.devices.items():
            written = body.get("written")
            if written is None or "observed" not in body or "pending" in body or "parked" in body:
                continue
            context, fact = self.contexts[key], restored(body["observed"])
            where = fact.subject
            company = context.company_of(where.organization_id, where.organization_name)
            if not isinstance(company, Mapped) or company.company_id != written["company"]:
                continue
            policy = context.in_force(where.organization_id)
            command = upsert(key=key, fact=fact, company_id=company.company_id, policy=policy)
            if content_digest(command) == written["digest"]:
                found[key] = command
        return found


class LogReader:
    """Reads the log's side, as often as it is wanted; what only grows is read once."""

    def __init__(self, options: KafkaOptions) -> None:
        self._options = options
        self._asked: dict[str, CreateTicket] | None = None

    async def read(self) -> Known:
        """Everything as it stands now. Raises ``ReadError``."""
        documents = await state_documents(self._options, "devices")
        bodies: dict[str, dict[str, Any]] = {}
        contexts: dict[str, Context] = {}
        told = EMPTY
        for _, partition in sorted(documents.items()):
            context = parse_context(partition.get(CONTEXT_KEY.encode()))
            told = told if told.organizations else context
            for name, document in partition.items():
                key = name.decode()
                if key != CONTEXT_KEY:
                    bodies[key], contexts[key] = read(document)[0], context
        incidents = await states(self._options, "incidents")
        if self._asked is None or _unasked(incidents, self._asked):
            self._asked = await _asked(self._options)
        log = LogSide(
            incidents=incidents,
            devices=bodies,
            unmapped=_unmapped(told),
            untold=await _untold(self._options),
            asked=self._asked,
        )
        known = Known(log, contexts, dict(told.organizations))
        return replace(known, log=replace(log, wanted=known.items_wanted()))


def _unasked(incidents: dict[str, dict[str, Any]], asked: dict[str, CreateTicket]) -> bool:
    """Whether an incident has a ticket that was asked for since."""
    return any(
        "ticket" in incident and "adopts" not in incident and name not in asked
        for body in incidents.values()
        for name, incident in body.get("incidents", {}).items()
    )


def _unmapped(context: Context) -> dict[int, str]:
    found = ((number, context.company_of(number, name)) for number, name in context.organizations.items())
    return {
        number: company.detail
        for number, company in found
        if isinstance(company, Unmapped) and company.reason != NOT_KNOWN
    }


async def _untold(options: KafkaOptions) -> frozenset[str]:
    """The alerts that were active before the first start and were not taken (``backfill: none``)."""
    book = AlertBook()
    book.load(await last_values(options, CURSORS))
    return book.untold()


async def _asked(options: KafkaOptions) -> dict[str, CreateTicket]:
    """The command that opened each ticket, by external id; the last one, where it came again."""
    found: dict[str, CreateTicket] = {}
    async for record in read_all(options, TICKET_COMMANDS):
        if not _is_create(record.headers):
            continue
        try:
            command = decode_command(record.headers, record.value).data
        except (DecodeError, orjson.JSONDecodeError):
            continue  # the executor keeps it as a dead letter; here it only means: not known
        if isinstance(command, CreateTicket):
            found[command.external_id] = command
    return found


def _is_create(headers: Any) -> bool:
    return any(name == "ce_type" and value == CreateTicket.ce_type.encode() for name, value in headers)


def only(log: LogSide, keys: frozenset[str], organization: int | None) -> LogSide:
    """The part of the log that is about these keys."""
    return replace(
        log,
        incidents={key: body for key, body in log.incidents.items() if key in keys},
        devices={key: body for key, body in log.devices.items() if key in keys},
        unmapped={number: line for number, line in log.unmapped.items() if number == organization},
    )
