"""Which Kafka a broker is, by what it says that it can do: a client is told no version.

The answer to ApiVersions names the highest ``metadata.version`` that the broker's software knows, and each release has its own.
Sources: Kafka protocol guide (ApiVersions, request 3 and its tagged fields); KIP-584; the levels are those of Kafka's own
``MetadataVersion``, of which 29 was seen (4.2.2).
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from dataclasses import dataclass

_API_VERSIONS, _VERSION, _FEATURE = 18, 3, "metadata.version"
#: The highest level of each release, ascending.
OLDER = 21
RELEASES: tuple[tuple[int, str], ...] = ((25, "4.0"), (27, "4.1"), (29, "4.2"))


@dataclass(frozen=True, slots=True)
class Told:
    """What a broker said: the highest level of ``metadata.version``, ``None`` where it names none."""

    level: int | None

    @property
    def release(self) -> str:
        """The release in words."""
        if self.level is None:
            return "a Kafka that names no version"
        if self.level <= OLDER:
            return "3.9 or older"
        return next((name for highest, name in RELEASES if self.level <= highest), f"newer than {RELEASES[-1][1]}")


async def ask(server: str, *, context: ssl.SSLContext | None, seconds: float = 5.0) -> Told:
    """Ask one broker (``host:port``), which answers before anybody signs in. Raises ``OSError``, ``TimeoutError``, ``ValueError``."""
    host, _, port = server.rpartition(":")
    async with asyncio.timeout(seconds):
        reader, writer = await asyncio.open_connection(host.strip("[]"), int(port), ssl=context)
        try:
            writer.write(_request())
            (size,) = struct.unpack(">i", await reader.readexactly(4))
            if not 0 < size < 1_000_000:
                raise ValueError(f"an answer of {size} bytes")
            return Told(_level(await reader.readexactly(size)))
        except asyncio.IncompleteReadError:
            raise ValueError("the answer was cut off") from None
        finally:
            writer.close()


def _request() -> bytes:
    name = b"lockstep"
    header = struct.pack(">hhih", _API_VERSIONS, _VERSION, 1, len(name)) + name + b"\0"
    compact = bytes([len(name) + 1]) + name
    body = header + compact + b"\x021" + b"\0"
    return struct.pack(">i", len(body)) + body


class _Reader:
    """The few kinds of the protocol that stand in the answer."""

    def __init__(self, raw: bytes) -> None:
        self._raw, self._at = raw, 0

    def take(self, count: int) -> bytes:
        if self._at + count > len(self._raw):
            raise ValueError("the answer was cut off")
        self._at += count
        return self._raw[self._at - count : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big", signed=True)

    def count(self) -> int:
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def skip_tags(self) -> None:
        for _ in range(self.count()):
            self.count()
            self.take(self.count())


def _level(raw: bytes) -> int | None:
    answer = _Reader(raw)
    answer.take(4)
    error = answer.number(2)
    if error:
        raise ValueError(f"it refused the question with error {error}")
    for _ in range(answer.count() - 1):
        answer.take(6)
        answer.skip_tags()
    answer.take(4)
    for _ in range(answer.count()):
        tag, size = answer.count(), answer.count()
        content = _Reader(answer.take(size))
        if tag != 0:
            continue
        for _ in range(content.count() - 1):
            name = content.take(content.count() - 1).decode("utf-8", "replace")
            content.number(2)
            highest = content.number(2)
            content.skip_tags()
            if name == _FEATURE:
                return highest
    return None
