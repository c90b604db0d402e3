"""State documents: the bytes that an agent keeps per key, and the head of the key's audit chain inside them.

A document is ``{"body":{...},"chain":{"count":n,"head":"..."}}`` with sorted keys, so equal states are equal bytes. The
digest in an audit record covers the body only: the head is the hash of that record and could not cover itself.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

from schemas.audit import CHAIN_START

#: What a decision is made about: plain JSON data, cheap to read and to write. The agents' modules describe theirs.
Body = dict[str, Any]

#: The key of a partition's context document; no device, location or organization can have it.
CONTEXT_KEY = "~context"

_SORTED = orjson.OPT_SORT_KEYS


class Chain(NamedTuple):
    """Where the audit chain of a key stands: how many records, and the hash of the last."""

    length: int
    head: str


class Timer(NamedTuple):
    """A due time that a state asks for: fires once at or after ``at`` (epoch milliseconds)."""

    at: int
    timer: str


NEW_CHAIN = Chain(0, CHAIN_START)


def read(document: bytes | None) -> tuple[Body, Chain]:
    """A document's body and chain; a key that was never seen has an empty body and a new chain."""
    if document is None:
        return {}, NEW_CHAIN
    whole = orjson.loads(document)
    chain = whole["chain"]
    return whole["body"], Chain(chain["count"], chain["head"])


def length_of(document: bytes) -> int:
    """How many decisions led to a document: the length of its chain, without reading all of it."""
    place = document.rindex(b'"count":') + len(b'"count":')
    return int(document[place : document.index(b",", place)])


def body_bytes(body: Body) -> bytes:
    """The canonical bytes of a body."""
    return orjson.dumps(body, option=_SORTED)


def copy_of(body: Body) -> Body:
    """A body of its own, for callers that must not change the one they were given."""
    copied: Body = orjson.loads(orjson.dumps(body))
    return copied


def write(body: bytes, chain: Chain) -> bytes:
    """The document from a body's canonical bytes and its chain: canonical JSON again, without a second pass."""
    return b'{"body":%b,"chain":{"count":%d,"head":"%b"}}' % (body, chain.length, chain.head.encode())


def digest(body: bytes) -> str:
    """What an audit record says about the state after it: 16 bytes of BLAKE2b over the body, as hex."""
    return blake2b(body, digest_size=16).hexdigest()


def evolve(body: Body, changes: list[dict[str, Any]]) -> Body:
    """The body after the changes, in place and returned. Total: a change that meets nothing leaves nothing behind.

    A change is ``{"change": name, "at": [section, id] or [], "set": {field: value}}``; a field that is set to ``None``
    goes, ``"set": None`` removes the whole entry, and a section that became empty goes too (so a document never shows
    that something was once in it).
    """
    for change in changes:
        apply(body, change["at"], change["set"])
    return body


def apply(body: Body, at: list[str], patch: dict[str, Any] | None) -> None:
    """One change to a body, in place."""
    if not at:
        _assign(body, patch or {})
        return
    section, name = at
    if patch is None:
        entries = body.get(section, {})
        entries.pop(name, None)
        if not entries:
            body.pop(section, None)
        return
    _assign(body.setdefault(section, {}).setdefault(name, {}), patch)


def _assign(entry: dict[str, Any], patch: dict[str, Any]) -> None:
    for field, value in patch.items():
        if value is None:
            entry.pop(field, None)
        else:
            entry[field] = value
