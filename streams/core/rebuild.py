"""State from the recorded decisions: every change of the audit applied in its order, without deciding again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streams.core import documents
from streams.core.documents import Body, Chain


class Rebuilder:
    """The documents of one agent and partition, as its audit records make them.

    Feed it the records of one agent and partition in their order, as JSON data. Bodies stay plain data until they are
    asked for, so memory follows the state and not the length of the log.
    """

    def __init__(self) -> None:
        self.records = 0
        self._bodies: dict[str, Body] = {}
        self._chains: dict[str, Chain] = {}
        self._digests: dict[str, str] = {}

    def begin(self, found: Mapping[bytes, bytes]) -> None:
        """Go on from the documents of a checkpoint, where the audit no longer has what led to them."""
        for name, document in found.items():
            body, chain = documents.read(document)
            key = name.decode()
            self._bodies[key], self._chains[key] = body, chain
            self._digests[key] = documents.digest(documents.body_bytes(body))

    @classmethod
    def resumed(cls, found: Mapping[bytes, bytes], *, digests: Mapping[str, str], records: int) -> Rebuilder:
        """Go on where another one was, with its ``documents()``, ``digests`` and ``records``."""
        rebuilder = cls()
        rebuilder.begin(found)
        # As the records said, and not as the bodies are: what does not add up is told at the end.
        rebuilder._digests = dict(digests)
        rebuilder.records = records
        return rebuilder

    @property
    def digests(self) -> Mapping[str, str]:
        """What the last record of each key says of the body after it."""
        return self._digests

    def has(self, record: dict[str, Any]) -> bool:
        """Whether a record's changes are in what it began with."""
        chain = self._chains.get(record["key"])
        return chain is not None and bool(record["count"] <= chain.length)

    def feed(self, record: dict[str, Any]) -> None:
        """Apply what was decided. Raises ``KeyError`` or ``TypeError`` for what is no audit record."""
        key = record["key"]
        documents.evolve(self._bodies.setdefault(key, {}), record["decision"].get("changes", []))
        self._chains[key] = Chain(record["count"], record["hash"])
        self._digests[key] = record["state"]
        self.records += 1

    def documents(self) -> dict[bytes, bytes]:
        """Every document, by key, as the agent keeps it."""
        return {
            key.encode(): documents.write(documents.body_bytes(body), self._chains[key])
            for key, body in sorted(self._bodies.items())
        }

    def broken(self) -> str | None:
        """The first key whose body is not what its last record says that it was; ``None`` where all are."""
        for key, body in sorted(self._bodies.items()):
            if documents.digest(documents.body_bytes(body)) != self._digests[key]:
                return key
        return None
