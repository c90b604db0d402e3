"""Audit records: what was decided, chained per agent and key so that a cut or a change anywhere is seen.

Makes the same bytes and the same hash as ``AuditRecord`` itself would (a test compares them), without building and
validating a model of what the core has just made: this is in the path of every fact.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import orjson

from schemas.audit import AuditedFact
from streams.core.documents import Chain

_SORTED = orjson.OPT_SORT_KEYS


def audited_fact_document(fact: AuditedFact) -> dict[str, Any]:
    """The fact as it stands in a record."""
    return {
        "topic": fact.topic,
        "partition": fact.partition,
        "offset": fact.offset,
        "headers": fact.headers,
        "value": fact.value,
    }


def journal(
    *,
    agent: str,
    key: str,
    chain: Chain,
    sequence: int | None,
    revision: int,
    decisions: int | None,
    recorded_at: int,
    fact: AuditedFact,
    decision: dict[str, Any],
    commands: list[dict[str, str]],
    state: str,
) -> tuple[bytes, Chain]:
    """The next record of a chain as its JSON, and the chain after it. ``state`` is the digest of the body afterwards.

    ``sequence`` is the record's number among all of the agent in its partition, ``decisions`` the version of the core that decided;
    ``None`` writes the record as it was before there was such a field.
    """
    count = chain.length + 1
    record: dict[str, Any] = {
        "agent": agent,
        "key": key,
        "count": count,
        **({} if sequence is None else {"sequence": sequence}),
        "previous": chain.head,
        "hash": "",
        "revision": revision,
        **({} if decisions is None else {"decisions": decisions}),
        "recorded_at": recorded_at,
        "fact": audited_fact_document(fact),
        "decision": decision,
        "commands": commands,
        "state": state,
    }
    hashed = {name: value for name, value in record.items() if name != "hash"}
    record["hash"] = blake2b(orjson.dumps(hashed, option=_SORTED), digest_size=32).hexdigest()
    return orjson.dumps(record), Chain(count, str(record["hash"]))
