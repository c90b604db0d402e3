"""Both vendors read once, behind the gates of their connections, and made into one side of the comparison."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from connectors.autotask.survey import AutotaskSurvey, ticket_told
from connectors.ninjaone.survey import NinjaOneSeen, NinjaOneSurvey, raised_at
from connectors.ports import Log, Now, Publication
from schemas.autotask import ConfigurationItem, Ticket
from schemas.commands import UpsertConfigurationItem
from schemas.drift import DriftObserved
from schemas.facts import AlertObserved, ConnectionName, DeviceObserved
from schemas.hardware import real_serial
from schemas.identity import EXTERNAL_ID_PREFIX, derived_id, is_key, key_of_external_id
from schemas.topics import AUTOTASK_TICKETS, NINJAONE_DEVICES
from streams.connection_watch import ConnectionWatch
from streams.core.drift.findings import LogSide, SeenAlert, SeenDevice, Tell, VendorSide
from streams.core.drift.over import to_ask
from streams.kafka_options import KafkaOptions
from streams.reconciling.log_side import Known
from streams.settings import Settings, load_settings
from streams.vendors import autotask_client, credentials, jitter, ninjaone_config

#: Incidents are forgotten 30 days after their end (``streams.core.memory``); tickets completed before that concern nobody.
RECENT_MS = 30 * 24 * 3_600_000
Step = Callable[[str], None]


class ConnectionClosed(RuntimeError):
    """A vendor must not be called now; one line: which, since when, why."""


@dataclass(frozen=True, slots=True)
class Vendors:
    """The surveys of both vendors. ``async with Vendors.opened(...) as vendors``."""

    ninjaone: NinjaOneSurvey
    autotask: AutotaskSurvey

    @classmethod
    @contextlib.asynccontextmanager
    async def opened(
        cls, settings: Settings, config: Path | None, options: KafkaOptions, log: Log, *, now: Now, known: Known
    ) -> AsyncIterator[Vendors]:
        """Raises ``ConnectionClosed`` before any call where a connection is paused or not to be called, ``NoCredentials``."""
        held = lambda: credentials(load_settings(config) if config is not None else load_settings())  # noqa: E731
        watch = ConnectionWatch(
            options, log, now=now, by="lockstep reconcile", load=held, secrets_file=settings.secrets_path
        )
        async with watch:
            names: tuple[ConnectionName, ...] = ("ninjaone", "autotask")
            closed = [reason for name in names if (reason := watch.closed(name)) is not None]
            if closed:
                raise ConnectionClosed(f"{'; '.join(closed)}; no vendor was called")
            ninjaone = NinjaOneSurvey.create(
                ninjaone_config(settings),
                gate=watch.gate("ninjaone"),
                now=now,
                sleep=asyncio.sleep,
                jitter=jitter,
            )
            autotask = AutotaskSurvey(autotask_client(settings, gate=watch.gate("autotask"), now=now))
            try:
                await autotask.begin()
                yield cls(ninjaone, autotask)
            finally:
                await ninjaone.close()
                await autotask.close()


@dataclass(slots=True)
class Look:
    """One look at both vendors: the side for the comparison, and the facts that can be told of what was seen."""

    side: VendorSide
    ninjaone: NinjaOneSeen
    owners: dict[int, str]
    now: int


async def look(vendors: Vendors, known: Known, *, key: str | None, now: Now, step: Step) -> Look:
    """Read both vendors. ``key``: of Autotask only what is about this device.

    Raises ``CallFailed``, ``CallsSuspended``, ``SurveyIncomplete``.
    """
    log = known.log
    told = {name: body["observed"] for name, body in log.devices.items() if "observed" in body}
    ninjaone = await vendors.ninjaone.read(told, step)
    tickets, deleted = await _tickets(vendors, log, key=key, since=now() - RECENT_MS, step=step)
    wanted = {name: command for name, command in log.wanted.items() if key in (None, name)}
    items = await _items(vendors, log, key=key, step=step)
    serials = {serial for command in wanted.values() if (serial := real_serial(command.serial))}
    items = {**await vendors.autotask.items_like(serials, step), **items}
    await vendors.ninjaone.look_for(_unlisted(log, ninjaone, items, key), ninjaone, step)
    foreign = await vendors.autotask.foreign(wanted, _chosen(wanted, log, items), step)
    alerts = {uid: _alert(uid, publication) for uid, publication in ninjaone.alerts.items()}
    pasts = await vendors.autotask.pasts(to_ask(log, alerts, tickets, ninjaone.asked_at), step)
    side = VendorSide(
        asked_at=ninjaone.asked_at,
        alerts=alerts,
        devices={name: _device(publication) for name, publication in ninjaone.devices.items()},
        pending=frozenset(ninjaone.hidden),
        tickets=tickets,
        deleted=deleted,
        items=items,
        foreign=foreign,
        lost_items=await _lost_items(vendors, log, tickets, items, step),
        pasts=pasts,
        status_names=await vendors.autotask.status_names() if pasts else {},
    )
    owners = {
        incident["ticket"]: name
        for name, body in log.incidents.items()
        for incident in body.get("incidents", {}).values()
        if "ticket" in incident
    }
    return Look(side, ninjaone, owners, now())


async def _tickets(
    vendors: Vendors, log: LogSide, *, key: str | None, since: int, step: Step
) -> tuple[dict[int, Ticket], frozenset[int]]:
    found = await vendors.autotask.tickets(key=key, since=since, step=step)
    known = {
        incident["ticket"]
        for name, body in log.incidents.items()
        if key in (None, name)
        for incident in body.get("incidents", {}).values()
        if "ticket" in incident and "ended" not in incident
    }
    lost = known - found.keys()
    again = await vendors.autotask.tickets_of(lost, step)
    return {**found, **again}, frozenset(lost - again.keys())


async def _items(vendors: Vendors, log: LogSide, *, key: str | None, step: Step) -> dict[int, ConfigurationItem]:
    found = await vendors.autotask.items(key=key, step=step)
    known = {
        body["item"]["id"]
        for name, body in log.devices.items()
        if key in (None, name) and "item" in body and "observed" in body
    }
    return {**found, **await vendors.autotask.items_of(known - found.keys(), step)}


async def _lost_items(
    vendors: Vendors, log: LogSide, tickets: dict[int, Ticket], items: dict[int, ConfigurationItem], step: Step
) -> frozenset[int]:
    carried: set[int | None] = set()
    for body in log.incidents.values():
        for name, incident in body.get("incidents", {}).items():
            ticket, asked = tickets.get(incident.get("ticket", -1)), log.asked.get(name)
            if ticket is None or ticket.is_complete or asked is None or asked.configuration_item_id is None:
                continue
            carried |= {ticket.configuration_item_id, asked.configuration_item_id, body.get("item", {}).get("id")}
    unseen = {number for number in carried if number is not None and number not in items}
    return frozenset(unseen - (await vendors.autotask.items_of(unseen, step)).keys())


def _unlisted(log: LogSide, ninjaone: NinjaOneSeen, items: dict[int, ConfigurationItem], key: str | None) -> set[str]:
    """Devices that the log or an active item takes for alive, and NinjaOne does not list."""
    observed = {name for name, body in log.devices.items() if "observed" in body}
    named = {
        item.reference_number.removeprefix(EXTERNAL_ID_PREFIX)
        for item in items.values()
        if item.is_active and item.reference_number.startswith(EXTERNAL_ID_PREFIX)
    }
    unknown = {name for name in named if is_key(name) and "removed" not in log.devices.get(name, {})}
    wanted = {name for name in observed | unknown if name.isdigit() and key in (None, name)}
    return wanted - ninjaone.devices.keys() - ninjaone.hidden


def _chosen(
    wanted: Mapping[str, UpsertConfigurationItem], log: LogSide, items: dict[int, ConfigurationItem]
) -> dict[str, ConfigurationItem]:
    """Each device's item: the oldest active one that carries its key in its company, else the one that the log knows."""
    here: dict[tuple[str, int], ConfigurationItem] = {}
    for _, item in sorted(items.items()):
        if item.is_active:
            here.setdefault((item.reference_number, item.company_id), item)
    found = {
        key: here.get((command.reference_number, command.company_id))
        or items.get(log.devices[key].get("item", {}).get("id", -1))
        for key, command in wanted.items()
    }
    return {key: item for key, item in found.items() if item is not None}


def _alert(uid: str, publication: Publication) -> SeenAlert:
    fact = publication.fact
    assert isinstance(fact, AlertObserved)
    return SeenAlert(uid, publication.key, fact.subject.organization_id, raised_at(publication))


def _device(publication: Publication) -> SeenDevice:
    fact = publication.fact
    assert isinstance(fact, DeviceObserved)
    return SeenDevice(publication.key, fact.subject.organization_id, fact.digest, fact.subject.device_name)


async def published_as(
    repair: Tell | DriftObserved, key: str, organization_id: int | None, vendors: Vendors, seen: Look
) -> Publication | None:
    """A repair as the fact that is published for it; ``None`` where there is nothing to tell any more."""
    if isinstance(repair, DriftObserved):
        return drift_told(repair)
    asked_at = seen.side.asked_at
    match repair.kind:
        case "alert":
            again_at = asked_at if repair.again else None
            return await vendors.ninjaone.alert(repair.of, again_at=again_at, ticket_id=repair.ticket_id)
        case "gone":
            return vendors.ninjaone.gone(repair.of, key, organization_id, asked_at=asked_at)
        case "device":
            return seen.ninjaone.devices.get(repair.of)
        case "removed":
            return vendors.ninjaone.removed(repair.of, asked_at=asked_at)
    ticket = seen.side.tickets[int(repair.of)]
    return ticket_fact(ticket, seen)


def ticket_fact(ticket: Ticket, seen: Look) -> Publication | None:
    """A ticket as the fact that a poll would publish; ``None`` for one that is nobody's."""
    key = key_of_external_id(ticket.external_id) or seen.owners.get(ticket.id)
    return None if key is None else ticket_told(ticket, seen.owners.get(ticket.id, key))


def drift_told(fact: DriftObserved) -> Publication:
    """A drift for the agent that decides about it."""
    of_item = fact.external_id is None
    return Publication(
        topic=NINJAONE_DEVICES if of_item else AUTOTASK_TICKETS,
        key=fact.key,
        id=derived_id("drift", fact.to_json().decode()),
        source="lockstep/reconcile",
        time=fact.observed_at,
        fact=fact,
        correlation_id=fact.external_id,
    )
