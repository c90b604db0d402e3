"""What a running system knows that a policy can be compared with: organizations, companies, our incidents' tickets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from schemas.topics import CONTROL, DEVICES_STATE
from streams.core.context import Context, parse_context
from streams.core.documents import CONTEXT_KEY, read
from streams.core.policy.observed import Observed
from streams.kafka_options import KafkaOptions
from streams.readers import ReadError, end_offsets
from streams.settings import Settings
from streams.views import state_documents, states
from streams.wiring import kafka_options

#: A check of a file must not wait long for a Kafka that is away; a broker on this machine answers within a second.
ANSWER_S = 5.0
#: So many names make a helpful line.
_SHOWN = 12


async def reachable(settings: Settings) -> KafkaOptions:
    """How to reach the running system. Raises ``BrokerError``, ``ReadError``, ``TimeoutError`` where it does not answer."""
    options = await kafka_options(settings)
    async with asyncio.timeout(ANSWER_S):
        await end_offsets(options, CONTROL)
    return options


async def observed(options: KafkaOptions) -> Observed | None:
    """What the agents know of both vendors; ``None`` before both were read. Raises ``ReadError``."""
    documents = await _documents(options)
    known = next((found for found in _contexts(documents) if found.organizations and found.companies), None)
    if known is None:
        return None
    seen = list(_devices(documents))
    return Observed(
        organizations=known.organizations,
        companies=known.companies,
        remembered=known.remembered,
        locations={where["location_id"]: where.get("location_name", "") for where in seen if "location_id" in where},
        roles={where["role_id"]: where.get("role_name", "") for where in seen if "role_id" in where},
        devices={where["device_id"]: where.get("device_name", "") for where in seen},
        tags=frozenset(tag for where in seen for tag in where.get("tags", ())),
    )


async def organizations(options: KafkaOptions) -> dict[int, str]:
    """The names of NinjaOne's organizations by id, as the agents know them. Raises ``ReadError``."""
    found = (dict(context.organizations) for context in _contexts(await _documents(options)))
    return next((names for names in found if names), {})


def meant(known: Mapping[int, str], written: str | int) -> str:
    """What to write instead of an organization that is not known: the nearest, else what there is, as a question or list."""
    names = {name.casefold(): f"{number} '{name}'" for number, name in known.items()}
    found = get_close_matches(str(written).casefold(), names, 1)
    if found:
        return f"did you mean {names[found[0]]}?"
    listed = [f"{number} '{known[number]}'" for number in sorted(known)]
    more = f" and {len(listed) - _SHOWN} more" if len(listed) > _SHOWN else ""
    return "there are " + ", ".join(listed[:_SHOWN]) + more


async def known_tickets(options: KafkaOptions) -> set[str]:
    """The external ids of all incidents that the agents still remember. Raises ``ReadError``."""
    return {
        external_id
        for body in (await states(options, "incidents")).values()
        for external_id in body.get("incidents", {})
    }


async def _documents(options: KafkaOptions) -> dict[int, dict[bytes, bytes]]:
    """The state of the agent ``devices``; nothing where it has never run."""
    try:
        return await state_documents(options, "devices")
    except ReadError as error:
        if DEVICES_STATE in str(error):
            return {}
        raise


def _devices(documents: Mapping[int, Mapping[bytes, bytes]]) -> Iterator[dict[str, Any]]:
    """The subjects of all devices that exist, without what is empty in them."""
    for found in documents.values():
        for key, document in found.items():
            if key != CONTEXT_KEY.encode() and (observed := read(document)[0].get("observed")) is not None:
                yield observed["subject"]


def _contexts(documents: Mapping[int, Mapping[bytes, bytes]]) -> list[Context]:
    key = CONTEXT_KEY.encode()
    return [parse_context(found[key]) for _, found in sorted(documents.items()) if key in found]
