"""A folder to be a user in, and the simulators of both vendors as the command that users have."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.terminal import LOCKSTEP, InProcess, Terminal


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    """An empty folder."""
    return Terminal(tmp_path)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InProcess:
    """An empty folder, and the command line in this process."""
    return InProcess(tmp_path, monkeypatch, capsys)


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """``lockstep sandbox`` as a process; its first line: addresses and credentials by vendor."""
    here = Terminal(tmp_path_factory.mktemp("sandbox"))
    process = subprocess.Popen(
        [LOCKSTEP, "sandbox", "--devices", "6"],
        cwd=here.folder,
        env=here.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(20)
