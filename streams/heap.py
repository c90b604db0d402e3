"""Keeps the resident memory of a role flat: what was freed goes back to the system.

A role makes and drops documents of tens of kilobytes all day. The C library raises its threshold for giving large blocks back
with the largest one ever freed, and keeps the rest in arenas with holes, so that resident memory creeps for hours though no
object is kept. Where the library is another than glibc there is nothing to set, and nothing is lost.
"""

from __future__ import annotations

import asyncio
import ctypes
from typing import Any

#: glibc's ``mallopt``: M_TRIM_THRESHOLD, M_MMAP_THRESHOLD (their defaults, which setting them keeps from growing) and M_ARENA_MAX.
_SETTINGS = ((-1, 128 * 1024), (-3, 128 * 1024), (-8, 1))
#: Giving back takes a few milliseconds for 150 MiB.
_EVERY_S = 30.0


def settle() -> None:
    """Set the C library's limits, at the start of a role."""
    library = _library()
    if library is not None:
        for name, value in _SETTINGS:
            library.mallopt(name, value)


async def give_back() -> None:
    """Give freed memory back every half minute, until cancelled."""
    library = _library()
    while library is not None:
        await asyncio.sleep(_EVERY_S)
        library.malloc_trim(0)


def _library() -> Any:
    try:
        library = ctypes.CDLL(None)
        return library if hasattr(library, "mallopt") and hasattr(library, "malloc_trim") else None
    except (OSError, TypeError):
        return None
