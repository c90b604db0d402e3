"""Long runs: whole systems, minutes each. ``make test-long`` runs them, ``make test`` leaves them out.

``LOCKSTEP_LONG_SCALE`` (default 1) multiplies how much is raised and how long is waited, for a machine that is small or a
run that shall be longer than the usual; what is judged stays the same.
"""

from __future__ import annotations

import os

import pytest

SCALE = "LOCKSTEP_LONG_SCALE"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/long/" in item.nodeid:
            item.add_marker(pytest.mark.long)


@pytest.fixture(scope="session")
def scale() -> float:
    """The factor on amounts and durations."""
    return float(os.environ.get(SCALE, "1"))
