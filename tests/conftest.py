"""How the tests are shared out when several processes run them (``make test``)."""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

#: The folders whose tests take longest. They come first, so that no process is left with them at the end.
SLOWEST_FIRST = ("tests/line/", "tests/kafka/", "tests/cli/", "tests/faults/")


class ByFile(LoadScopeScheduling):
    """A file stays in one process, for its module's fixtures; the line is one installation, so it stays in one too.

    (xdist's own ``loadgroup`` writes a group behind the node id, which pytest 9.2 does not take.)
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "tests/line" if file.startswith("tests/line/") else file


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: next((n for n, folder in enumerate(SLOWEST_FIRST) if folder in item.nodeid), 99))
