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


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """A failure comes with what the system says of itself at that moment, and with the end of its log."""
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]  # pluggy's, which pytest does not type
    system = getattr(item, "funcargs", {}).get("system")
    if report.when == "call" and report.failed and isinstance(system, System):
        report.sections.append(("lockstep status", system.lockstep("status").out))
        report.sections.append(("lockstep up", "\n".join(system.log_lines()[-60:])))


#: Proofs that take minutes together, since they wait for what takes its time: `make test-long` runs them, `make test` leaves them out.
LONG = ("test_export", "test_privacy", "test_reconcile", "test_shadow", "test_storms")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/line/" in item.nodeid:
            item.add_marker(pytest.mark.kafka)
            if item.path.stem in LONG:
                item.add_marker(pytest.mark.long)
