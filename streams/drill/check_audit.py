"""The audit: every chain whole from its first record to the live state, and the same decisions when decided again.

The chain is computed here anew from the documented format of a record (``schemas/audit.py``): BLAKE2b with 32 bytes over
the record without ``hash``, as JSON with sorted keys, no white space, UTF-8. Only the replay calls the product's own code.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from hashlib import blake2b
from typing import Any

import orjson
from pydantic import ValidationError

from schemas.audit import CHAIN_START, AuditRecord
from schemas.topics import AGENT_STATE
from streams.core.verify import Verifier
from streams.drill.finding import Finding
from streams.drill.reading import Decided, Reading

#: (agent, partition, key): a partition's context has the same key in each.
Chain = tuple[str, int, str]


def check_chains(reading: Reading) -> Iterator[Finding]:
    """Every record has its hash and follows the one before it."""
    for place in reading.unreadable_audit:
        yield Finding("UnreadableAudit", str(place), "this is not an audit record")
    chains: dict[Chain, list[Decided]] = defaultdict(list)
    for decided in reading.decided:
        chains[decided.agent, decided.at.partition, decided.key].append(decided)
    live = _live(reading)
    for chain, records in chains.items():
        yield from _links(records)
        yield from _end(records[-1], live.pop(chain, (0, CHAIN_START)))
    for (agent, partition, key), (count, _) in live.items():
        name = f"{agent} {key} in partition {partition}"
        yield Finding("CutAtEnd", name, f"the live state names record {count}, and there is none")


def hash_of(document: dict[str, Any]) -> str:
    """The hash that a record of these contents must carry."""
    body = {name: value for name, value in document.items() if name != "hash"}
    text = json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return blake2b(text.encode(), digest_size=32).hexdigest()


def _links(records: list[Decided]) -> Iterator[Finding]:
    count, head = 0, CHAIN_START
    for decided in records:
        document = decided.document
        if document["hash"] != hash_of(document):
            yield Finding("ChangedAudit", decided.shown, f"{decided.at} does not have the hash of its contents")
        if document["count"] != count + 1:
            kind = "CutInMiddle" if count else "CutAtBeginning"
            yield Finding(kind, decided.shown, f"{decided.at} should be record {count + 1} of its chain")
        elif document["previous"] != head:
            yield Finding("BrokenLink", decided.shown, f"{decided.at} follows another record than the one before it")
        count, head = document["count"], document["hash"]


def _end(last: Decided, live: tuple[int, str]) -> Iterator[Finding]:
    count, head = last.document["count"], last.document["hash"]
    if live[0] > count:
        yield Finding("CutAtEnd", last.shown, f"the live state names record {live[0]}, the chain ends at {count}")
    elif live != (count, head):
        yield Finding(
            "StateBehind", last.shown, f"the live state names record {live[0]}, or another one of that number"
        )


def _live(reading: Reading) -> dict[Chain, tuple[int, str]]:
    found: dict[Chain, tuple[int, str]] = {}
    for agent in AGENT_STATE:
        for partition, documents in reading.documents(agent).items():
            for key, value in documents.items():
                chain = orjson.loads(value)["chain"]
                found[agent, partition, key.decode()] = chain["count"], chain["head"]
    return found


def check_replay(reading: Reading) -> Iterator[Finding]:
    """Decided again, as ``audit verify`` does it. Of each agent and partition the first difference: what follows one is
    only as good as the state was."""
    verifiers: dict[tuple[str, int], Verifier] = {}
    differing: set[tuple[str, int]] = set()
    for decided in reading.decided:
        stream = decided.agent, decided.at.partition
        if stream in differing or decided.agent not in AGENT_STATE:
            continue
        verifier = verifiers.setdefault(stream, Verifier(agent=decided.agent))
        try:
            difference: object = verifier.feed(AuditRecord.from_json(decided.value))
        except ValidationError as error:
            difference = (
                f"this is not an audit record: {error.errors(include_url=False, include_input=False)[0]['msg']}"
            )
        if difference is not None:
            differing.add(stream)
            yield Finding("ReplayDiffers", decided.shown, str(difference))
    for (agent, partition), verifier in verifiers.items():
        if (agent, partition) not in differing:
            difference = verifier.finish(reading.documents(agent).get(partition, {}))
            if difference is not None:
                yield Finding("ReplayDiffers", f"{agent} in partition {partition}", str(difference))
