"""Telling one set of credentials from another without revealing either, and knowing which set this process holds."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from schemas.facts import ConnectionName
from schemas.model import canonical
from streams.wording import counted

#: What a connection needs to make calls, by name (addresses included: the same secret elsewhere is another set).
Credentials = Mapping[str, str]

#: 16 MiB and some 40 ms per guess: the digest is kept for ever on a topic that many may read.
_COST, _BLOCK, _LANES, _BYTES = 2**14, 8, 1, 16


#: Both vendors make secrets and codes of well over twenty characters, and Autotask's passwords begin at eight.
SHORTEST_SECRET = 8
_SECRETS = {
    "client_secret": "NinjaOne client secret",
    "secret": "Autotask secret",
    "integration_code": "Autotask tracking identifier",
}


def too_short(given: Mapping[str, str]) -> str:
    """Which of the secrets among these values is a part of one at most, in a clause; empty where none is.

    Stored and tried it would only be called wrong by the vendor, and counted against the user.
    """
    for name, called in _SECRETS.items():
        length = len(given.get(name, ""))
        if 0 < length < SHORTEST_SECRET:
            return f"the {called} has {counted(length, 'character')}, and none is shorter than {SHORTEST_SECRET}: copy all of it"
    return ""


def digest_of(credentials: Credentials) -> str:
    """A salted digest: ``<salt>.<scrypt, 16 bytes>`` in hex. Two digests of the same set differ by their salt."""
    return _digest(credentials, os.urandom(8))


def same(digest: str, credentials: Credentials) -> bool:
    """Whether the digest was made from these credentials."""
    salt, _, _ = digest.partition(".")
    try:
        return bool(salt) and hmac.compare_digest(digest, _digest(credentials, bytes.fromhex(salt)))
    except ValueError:
        return False


def _digest(credentials: Credentials, salt: bytes) -> str:
    raw = canonical(dict(credentials))
    hashed = hashlib.scrypt(raw, salt=salt, n=_COST, r=_BLOCK, p=_LANES, dklen=_BYTES)
    return f"{salt.hex()}.{hashed.hex()}"


class Holding:
    """The credentials that this process holds, by connection; ``load`` is asked anew when the file changes."""

    def __init__(self, load: Callable[[], Mapping[ConnectionName, Credentials | None]], file: Path | None) -> None:
        self._load = load
        self._file = file
        self._stamp = self._look()
        self._sets = dict(load())
        #: Whether a digest is of the set that is held. Several, as every test has its own, and comparisons end in any order.
        self._digests: dict[ConnectionName, dict[str, bool]] = {}
        self._unsettled: set[ConnectionName] = set()

    def of(self, name: ConnectionName) -> Credentials | None:
        """What this process would call with; ``None`` where something is missing."""
        return self._sets.get(name)

    def match(self, name: ConnectionName, digest: str) -> bool:
        """Whether they are known to be the set of this digest, and taken up by this process."""
        return self._known(name, digest) is True and name not in self._unsettled

    async def compare(self, name: ConnectionName, digest: str) -> bool:
        """Find out whether they are the set of this digest (some 40 ms the first time, nothing from then on)."""
        held = self.of(name)
        if held is not None and digest and self._known(name, digest) is None:
            matches = await asyncio.to_thread(same, digest, held)
            # The set may have been replaced meanwhile: then the answer is about another one.
            if self.of(name) is held:
                self._digests.setdefault(name, {})[digest] = matches
        return self._known(name, digest) is True

    def settle(self, names: Iterable[ConnectionName]) -> None:
        """This process makes its calls with the credentials that ``refresh`` found."""
        self._unsettled.difference_update(names)

    def refresh(self) -> list[ConnectionName]:
        """The connections whose credentials are others since the last look; they match nothing until ``settle``.

        Raises what ``load`` raises (a file being edited) and looks again next time.
        """
        stamp = self._look()
        if stamp == self._stamp:
            return []
        fresh = dict(self._load())
        self._stamp = stamp
        names = [name for name in {**self._sets, **fresh} if fresh.get(name) != self._sets.get(name)]
        for name in names:
            self._digests.pop(name, None)
            self._unsettled.add(name)
            self._sets[name] = fresh.get(name)
        return names

    def _known(self, name: ConnectionName, digest: str) -> bool | None:
        return self._digests.get(name, {}).get(digest)

    def _look(self) -> tuple[int, int, int] | None:
        try:
            status = self._file.stat() if self._file is not None else None
        except OSError:
            return None
        return (status.st_mtime_ns, status.st_ino, status.st_size) if status is not None else None
