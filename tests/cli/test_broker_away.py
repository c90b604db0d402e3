"""Verbs that tell a running system something, while its broker is down: nobody may believe that it was told."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams import broker_folder, connecting
from streams.broker import BrokerError
from streams.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(connecting, "BROKER_IS_BACK_S", 0.3)
    (tmp_path / "lockstep.yaml").write_text("kafka: {data_dir: kafka}\n")
    return load_settings(tmp_path / "lockstep.yaml", {})


async def test_a_system_that_runs_while_its_broker_is_down_is_not_taken_for_none(settings: Settings) -> None:
    with broker_folder.lock(settings.data_dir):
        with pytest.raises(BrokerError, match="no embedded broker is running"):
            await connecting.running_system(settings)
        broker_folder.announce_down(settings.data_dir, "ended by SIGKILL")
        with pytest.raises(BrokerError, match="is down: ended by SIGKILL; it is started again until it runs"):
            await connecting.running_system(settings)


async def test_without_an_owner_there_is_no_running_system(settings: Settings) -> None:
    assert await connecting.running_system(settings) is None
    broker_folder.lock(settings.data_dir).close()  # one that ran, and ended
    assert await connecting.running_system(settings) is None
