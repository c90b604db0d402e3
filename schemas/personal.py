"""Personal data in the log: facts, commands, states and the audit hold a token; the value stands apart, where it can be erased.

A token is a digest of the value under a secret salt of its device, so an unchanged value has the same token, and nobody who
has the token alone can guess the value. The record of the compacted topic ``personal`` holds value and salt; a record
without a value erases both, and what the audit's hash chain covers stays as it was.
"""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import ClassVar, Literal

from schemas.facts import ControlFact
from schemas.model import Model

#: The last logged-on user of a device; title and text of a note that somebody wrote on a ticket.
PersonalKind = Literal["last_user", "note_title", "note_text"]

#: Kinds of which a key has one value: a new one takes the old one's place. A key has many notes.
SINGLE: frozenset[str] = frozenset({"last_user"})

_TOKEN = re.compile(r"personal\.(?P<kind>last_user|note_title|note_text)\.[0-9a-f]{32}")


class PersonalValue(Model):
    """A value of topic ``personal``. ``salt`` is the key's, as hex; ``kept_at`` is in epoch milliseconds.

    ``organization_id`` is where the device was then, ``None`` where the publisher did not know it; ``incident`` the external
    id of the ticket that a note stands on.
    """

    kind: PersonalKind
    salt: str
    value: str
    kept_at: int
    organization_id: int | None = None
    incident: str | None = None


def token_of(kind: PersonalKind, salt: str, value: str) -> str:
    """What stands for a value in the log. ``salt``: 32 hex digits."""
    digest = blake2b(f"{kind}:{value}".encode(), key=bytes.fromhex(salt), digest_size=16).hexdigest()
    return f"personal.{kind}.{digest}"


def kind_of_token(text: str) -> str | None:
    """The kind that a token is of; ``None`` for any other text."""
    match = _TOKEN.fullmatch(text)
    return match["kind"] if match else None


def tokens_in(text: str) -> list[str]:
    """All tokens that stand in a text, in their order."""
    return [match[0] for match in _TOKEN.finditer(text)]


def record_key(key: str, token: str) -> str:
    """The key of a record in ``personal``: ``407/personal.last_user.<digest>``."""
    return f"{key}/{token}"


def split_record_key(text: str) -> tuple[str, str]:
    """Device key and token of a record's key."""
    key, _, token = text.partition("/")
    return key, token


class Erased(Model):
    """How many personal values of a kind were erased of one key."""

    key: str
    kind: PersonalKind
    count: int


class PersonalDataErased(ControlFact):
    """Somebody erased personal values (``schemas.personal``). ``selection`` says of whom, as it was asked for."""

    ce_type: ClassVar[str] = "lockstep.personal-data.erased.v1"
    selection: str
    erased: tuple[Erased, ...]
    actor: str
