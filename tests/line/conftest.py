"""One installation for the whole package: it starts once, and each test takes devices of its own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.line.system import System


@pytest.fixture(scope="package")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A running Lockstep with two workers over both sandboxes; leave it as you found it."""
    running = System(tmp_path_factory.mktemp("line"))
    try:
        yield running.start()
    finally:
        running.close()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/line/" in item.nodeid:
            item.add_marker(pytest.mark.kafka)
