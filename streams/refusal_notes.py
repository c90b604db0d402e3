"""Refusals as files beside the secrets: what every process of this machine knows while Kafka cannot be told.

A call that is refused is told through Kafka. Where the broker is away at that moment, a process that starts right after it
would read Healthy and call once more, with credentials that are being locked out; where the one who saw it dies first,
nobody would ever tell. So it is noted here before anything else, and whoever finds the note stops calling and tells.
"""

from __future__ import annotations

import contextlib
import logging
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from schemas.facts import ConnectionName

log = logging.getLogger("lockstep.health")


def folder_beside(secrets_file: Path) -> Path:
    """Where the notes lie."""
    return secrets_file.parent / "refusals"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A refusal of the credentials that were tested in ``epoch``; ``credentials`` is their salted digest, ``since`` epoch ms."""

    epoch: int
    credentials: str
    reason: str
    since: int


class RefusalNotes:
    """One file per connection in ``folder`` (made when first needed). Without a folder nothing is noted.

    A disk that is full or not writable costs the note, never the refusal: the process that saw it has stopped already.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def write(self, name: ConnectionName, refusal: Refusal) -> None:
        """Note a refusal, in place of what was noted of this connection."""
        if self._folder is None:
            return
        target = self._folder / name
        beside = target.with_suffix(f".{os.getpid()}")
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(file, "wb") as opened:
                opened.write(orjson.dumps(asdict(refusal)))
            beside.replace(target)
        except OSError as error:
            log.warning("the refusal of %s is not noted in %s: %s", name, self._folder, error)
            with contextlib.suppress(OSError):
                beside.unlink()

    def read(self, name: ConnectionName) -> Refusal | None:
        """What is noted; ``None`` where nothing is, or nothing that can be read."""
        if self._folder is None:
            return None
        try:
            return Refusal(**orjson.loads((self._folder / name).read_bytes()))
        except (OSError, orjson.JSONDecodeError, TypeError):
            return None

    def remove(self, name: ConnectionName) -> None:
        """Everybody knows, or a newer test counts."""
        if self._folder is not None:
            with contextlib.suppress(OSError):
                (self._folder / name).unlink()
