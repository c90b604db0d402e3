"""The receiver's port is looked at before anything starts: who has it, what to set, and where a shadow listens instead."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from streams.receiver_port import ReceiverError, free_port
from streams.settings import Settings

#: Listens as the connectors role of an installation would, and says where.
_LIVE = "import socket, sys; s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); print(s.getsockname()[1], flush=True); sys.stdin.read()"


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


@pytest.fixture
def live(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    words = ["streams.main", "run", "connectors", "--config", "live.yaml"]
    process = subprocess.Popen(
        [sys.executable, "-c", _LIVE, *words], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    yield process, int(process.stdout.readline())
    process.kill()
    process.wait()


def settings(port: int | None, mode: str = "live") -> Settings:
    return Settings.model_validate({"mode": mode, **({} if port is None else {"receiver": {"port": port}})})


@pytest.mark.parametrize("mode", ["live", "shadow"])
def test_a_port_that_the_configuration_names_and_somebody_has_is_one_line_with_who_and_what_to_set(
    taken: int, mode: str
) -> None:
    with pytest.raises(ReceiverError) as raised:
        free_port(settings(taken, mode), None, print)
    line = str(raised.value)
    assert line.startswith(f"the receiver's port {taken} is taken by process {os.getpid()} (")
    assert line.endswith("; set receiver.port in lockstep.yaml to another one (LOCKSTEP_RECEIVER__PORT)")
    assert "\n" not in line


def test_our_own_live_installation_is_recognised(live: tuple[subprocess.Popen[str], int], tmp_path: Path) -> None:
    process, port = live
    with pytest.raises(ReceiverError) as raised:
        free_port(settings(port, "shadow"), tmp_path / "shadow.yaml", print)
    whose = f"another installation of Lockstep on this machine (connectors, process {process.pid} with {tmp_path}/live.yaml)"
    assert f"the receiver's port {port} is taken by {whose}; set receiver.port" in str(raised.value)


def test_a_process_of_this_same_installation_that_is_just_ending_is_no_stranger(
    live: tuple[subprocess.Popen[str], int], tmp_path: Path
) -> None:
    assert free_port(settings(live[1]), tmp_path / "live.yaml", print) == {}


def test_a_shadow_whose_configuration_names_no_port_listens_on_the_next_free_one_and_says_so(taken: int) -> None:
    told: list[str] = []
    here = settings(None, "shadow")
    here = here.model_copy(update={"receiver": here.receiver.model_copy(update={"port": taken})})
    here.receiver.model_fields_set.discard("port")
    chosen = free_port(here, None, told.append)
    port = int(chosen["LOCKSTEP_RECEIVER__PORT"])
    assert taken < port <= taken + 50
    (line,) = told
    assert line.startswith(f"receiver: port {taken} is taken by process {os.getpid()} (")
    assert line.endswith(f"; this shadow listens on {port}")
    live_one = here.model_copy(update={"mode": "live"})
    with pytest.raises(ReceiverError, match="is taken by"):
        free_port(live_one, None, told.append)


def test_a_free_port_needs_no_word_and_an_address_that_is_not_there_is_named(taken: int) -> None:
    assert free_port(settings(0), None, print) == {}
    nowhere = Settings.model_validate({"receiver": {"host": "192.0.2.7", "port": 8421}})
    with pytest.raises(ReceiverError, match=r"192\.0\.2\.7:8421: this machine has no such address; set receiver\.host"):
        free_port(nowhere, None, print)
