"""What a broker that ended said last, put into one line for people."""

from __future__ import annotations

import signal

from streams.kafka_runtime import KAFKA_VERSION

#: What Java says when a file cannot grow: no space, the quota of the user, the limit of the process (EFBIG).
_DISK_FULL = ("No space left on device", "Disk quota exceeded", "File too large")

#: What Kafka says to metadata of a later version: in the log of metadata, or in what the folder was formatted with.
_WRITTEN_BY_ANOTHER = ("UnsupportedVersionException", "No MetadataVersion with feature level")


def port_was_taken(words: str) -> bool:
    """Whether another program listens where the broker wanted to."""
    return "Address already in use" in words


def lacks_room(words: str) -> bool:
    """Whether the disk was full."""
    return any(sign in words for sign in _DISK_FULL)


def why_it_ended(words: str, code: int | None) -> str:
    """The reason, from its last words and the exit code of its keeper (``None``: it ran, and did not answer)."""
    for sign in _DISK_FULL:
        if sign in words:
            return f"the disk is full ({sign}); make room"
    if any(sign in words for sign in _WRITTEN_BY_ANOTHER):
        return (
            f"its folder was written by a Kafka newer than {KAFKA_VERSION}, which cannot read it: set another kafka.data_dir, "
            "or use the Lockstep that wrote it"
        )
    said = [line for line in words.splitlines() if "Exception" in line or "OutOfMemoryError" in line]
    if said:
        return said[-1].strip()[:300]
    if code is None:
        return "it does not answer"
    # The keeper passes -9 on as 247.
    return f"ended by {signal.Signals(256 - code).name}" if code > 192 else f"it ended with exit code {code}"
