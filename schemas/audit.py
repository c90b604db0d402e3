"""The audit record: one per decision, hash-chained per agent and key, with everything needed to decide it again."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from pydantic import Field

from schemas.model import Model, canonical

#: The ``previous`` of the first record of a chain.
CHAIN_START = "0" * 64


class AuditedFact(Model):
    """The fact as it was read: where it stood and its bytes (text, since every decodable fact is UTF-8 JSON)."""

    topic: str
    partition: int
    offset: int
    headers: dict[str, str]
    value: str


class AuditedCommand(Model):
    """A command as it was published: its id, type and value."""

    id: str
    type: str
    topic: str
    value: str


class AuditRecord(Model):
    """One decision. ``count`` numbers the chain of (agent, key) from 1; ``previous`` and ``hash`` are its links.

    ``sequence`` numbers all decisions of the agent in the partition from 1, whatever their key, so that records of different keys
    cannot change places unseen either; records from before it was written have none.
    ``revision`` is the policy revision that decided (0 before the first was published), ``decisions`` the version of the core
    that did (``streams.core.version``); records from before it was named have none, and are written as they were. ``decision`` is what the core
    returned: changes, dispositions and reasons. ``state`` is the digest of the key's state document after it.
    """

    agent: str
    key: str
    count: int
    sequence: int | None = Field(default=None, exclude_if=lambda value: value is None)
    previous: str
    hash: str
    revision: int
    decisions: int | None = Field(default=None, exclude_if=lambda value: value is None)
    recorded_at: int
    fact: AuditedFact
    decision: dict[str, Any]
    commands: tuple[AuditedCommand, ...] = ()
    state: str

    def chained(self) -> str:
        """The hash that this record must carry: over everything in it but the hash itself."""
        body = self.model_dump(mode="json", exclude={"hash"})
        return blake2b(canonical(body), digest_size=32).hexdigest()
