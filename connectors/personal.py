"""Keeping personal values apart from the log, and leaving personal members out of what is kept unread."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from connectors.ports import Log, Now
from schemas.personal import SINGLE, PersonalKind, PersonalValue, record_key, split_record_key, token_of
from schemas.topics import PERSONAL

#: Seconds in which the follower of the topic sees what was just written (some milliseconds; a restart of the broker: 7).
_SEEN_WITHIN_S = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Personal:
    """A personal value on its way: whose it is (the key of its fact) and what it is."""

    key: str
    kind: PersonalKind
    value: str
    organization_id: int | None = None
    incident: str | None = None


class PersonalStore:
    """The one writer of values in ``personal``. ``kept`` is the topic's content, kept up to date by whoever hosts this.

    A key's salt is that of its values; once all are erased, the next value gets a new salt, so that not even an equal
    value has the same token.
    """

    def __init__(
        self,
        log: Log,
        kept: Mapping[str, bytes],
        *,
        now: Now,
        new_salt: Callable[[], str] = lambda: secrets.token_hex(16),
    ) -> None:
        self._log = log
        self._kept = kept
        self._now = now
        self._new_salt = new_salt
        self._alone = asyncio.Lock()

    async def keep(self, values: Sequence[Personal]) -> list[str]:
        """The token of each value, empty for an empty one. On return the broker has every value: facts may name them now."""
        async with self._alone:
            mine = self._of({value.key for value in values})
            salts: dict[str, str] = {}
            tokens: list[str] = []
            fresh: dict[str, PersonalValue] = {}
            gone: set[str] = set()
            for value in values:
                if not value.value:
                    tokens.append("")
                    continue
                known = mine.get(value.key, {})
                salt = salts.setdefault(value.key, next((r.salt for r in known.values()), "") or self._new_salt())
                token = token_of(value.kind, salt, value.value)
                tokens.append(token)
                record = known.get(token)
                if record is None or record.organization_id != value.organization_id:
                    fresh[record_key(value.key, token)] = PersonalValue(
                        kind=value.kind,
                        salt=salt,
                        value=value.value,
                        kept_at=self._now(),
                        organization_id=value.organization_id,
                        incident=value.incident,
                    )
                if value.kind in SINGLE:
                    gone |= {
                        record_key(value.key, other)
                        for other, record in known.items()
                        if record.kind == value.kind and other != token
                    }
            # What a device's user was before nobody needs any more.
            await self._write(fresh, gone - set(fresh))
            return tokens

    async def forget(self, keys: Collection[str], kind: PersonalKind) -> None:
        """Let go of the values of a kind: nobody needs them any more."""
        async with self._alone:
            gone = {
                record_key(key, token)
                for key, records in self._of(set(keys)).items()
                for token, record in records.items()
                if record.kind == kind
            }
            await self._write({}, gone)

    def _of(self, keys: set[str]) -> dict[str, dict[str, PersonalValue]]:
        """What is kept of these keys, by token."""
        found: dict[str, dict[str, PersonalValue]] = {}
        for name, value in list(self._kept.items()):
            key, token = split_record_key(name)
            if key in keys:
                found.setdefault(key, {})[token] = PersonalValue.from_json(value)
        return found

    async def _write(self, records: Mapping[str, PersonalValue], gone: set[str]) -> None:
        await asyncio.gather(
            *(self._log.remember(PERSONAL, name, record.to_json()) for name, record in records.items())
        )
        await asyncio.gather(*(self._log.remember(PERSONAL, name, None) for name in sorted(gone)))
        # A look at the topic that does not have our own last word yet would give a key two salts, or take a user for kept
        # who has just made room for another. Only for a while: an erasure may be faster than we are.
        rounds = round(_SEEN_WITHIN_S / 0.01)
        while rounds and (not self._kept.keys() >= records.keys() or gone & self._kept.keys()):
            rounds -= 1
            await asyncio.sleep(0.01)


#: Members of vendors' rows whose text is, or may be, about a person. Dead letters need the form of a row, not these.
_MEMBERS = (
    "lastLoggedInUser", "loggedInUser", "loggedOnUser", "user", "userName", "firstName", "lastName", "middleName", "email",
    "emailAddress", "emailAddress2", "emailAddress3", "phone", "mobilePhone", "homePhone", "contactName", "description",
    "title", "noteText", "resolution",
)  # fmt: skip
_PERSONAL = re.compile(rb'("(?i:' + "|".join(_MEMBERS).encode() + rb')"\s*:\s*)"(?:[^"\\]|\\.)*("|\\?$)', re.DOTALL)
LEFT_OUT = b'"[left out]"'


def without_personal(value: bytes) -> bytes:
    """Bytes of a vendor with the texts of personal members left out: also of JSON that is cut off or otherwise broken."""
    return _PERSONAL.sub(rb"\1" + LEFT_OUT, value)
