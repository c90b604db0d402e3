"""Freed memory goes back to the system: the C library is told so at the start, and asked again and again."""

from __future__ import annotations

import asyncio

import pytest

from streams import heap


class Library:
    """What is asked of the C library."""

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []

    def mallopt(self, name: int, value: int) -> int:
        self.asked.append(("mallopt", name, value))
        return 1

    def malloc_trim(self, keep: int) -> int:
        self.asked.append(("malloc_trim", keep))
        return 1


async def test_limits_are_set_once_and_memory_is_given_back_until_the_role_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    library = Library()
    monkeypatch.setattr(heap, "_library", lambda: library)
    monkeypatch.setattr(heap, "_EVERY_S", 0.0)
    heap.settle()
    assert len(library.asked) == 3
    giving = asyncio.create_task(heap.give_back())
    while ("malloc_trim", 0) not in library.asked:
        await asyncio.sleep(0)
    giving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await giving


async def test_where_the_library_is_another_there_is_nothing_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heap, "_library", lambda: None)
    heap.settle()
    await heap.give_back()


def test_the_library_of_this_machine_takes_the_limits() -> None:
    library = heap._library()
    if library is None:
        pytest.skip("the C library of this machine is not glibc")
    assert all(library.mallopt(name, value) == 1 for name, value in heap._SETTINGS)
