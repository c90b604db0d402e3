"""One real broker for the whole test session, and names that no two tests share."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from streams.broker import EmbeddedBroker


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    """A real Kafka on loopback; ``broker.bootstrap_servers`` says where. Do not stop it: all tests share it."""
    with EmbeddedBroker(tmp_path_factory.mktemp("kafka") / "broker", progress=print) as running:
        yield running


@pytest.fixture
def topic_prefix(request: pytest.FixtureRequest) -> str:
    """A prefix for topics, groups and transactional ids that no other test uses: ``t.<module>.<test>.``."""
    name = re.sub(r"[^A-Za-z0-9]+", "-", request.node.nodeid.partition("tests/")[2] or request.node.nodeid)
    # Kafka allows 249 characters for a topic's name; 180 leave room for the catalogue's longest.
    return f"t.{name[-180:].strip('-')}."
