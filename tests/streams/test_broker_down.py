"""A broker that is down: why, in one line, for as long as somebody brings it back; and what three of them are told."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from streams import broker_folder
from streams.broker import BrokerError, attach
from streams.broker_settings import Node, Ports, alone, server_properties
from streams.broker_words import why_it_ended


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        ("x\njava.io.IOException: No space left on device\n\tat y\n", 1, "the disk is full (No space left on device)"),
        ("ERROR Disk error\njava.io.IOException: File too large\nShutdown\n", 1, "the disk is full (File too large)"),
        ("a\njava.lang.IllegalStateException: this\n\tat y\nz", 1, "java.lang.IllegalStateException: this"),
        (
            "Terminating due to java.lang.OutOfMemoryError: Java heap space",
            3,
            "Terminating due to java.lang.OutOfMemory",
        ),
        (
            "Caused by: org.apache.kafka.common.errors.UnsupportedVersionException: Can't read version 4 of BrokerEndpoint",
            1,
            "its folder was written by a Kafka newer than",
        ),
        ("", 247, "ended by SIGKILL"),
        ("", 1, "it ended with exit code 1"),
        ("", None, "it does not answer"),
    ],
)
def test_the_last_words_of_a_broker_become_one_line(words: str, code: int | None, why: str) -> None:
    said = why_it_ended(words, code)
    assert said.startswith(why)
    assert "\n" not in said


def test_who_looks_for_a_broker_that_is_down_is_told_why(tmp_path: Path) -> None:
    broker_folder.announce_down(tmp_path, "the disk is full")
    with pytest.raises(BrokerError, match="is down: the disk is full; it is started again until it runs"):
        attach(tmp_path)
    broker_folder.withdraw_down(tmp_path)
    with pytest.raises(BrokerError, match="no embedded broker is running"):
        attach(tmp_path)


def test_a_note_of_an_owner_that_is_gone_is_not_believed(tmp_path: Path) -> None:
    broker_folder.announce_down(tmp_path, "the disk is full")
    note = json.loads((tmp_path / "broker-down.json").read_text())
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (tmp_path / "broker-down.json").write_text(json.dumps(note | {"owner_pid": gone.pid}))
    assert broker_folder.down(tmp_path) is None


def test_ports_promised_to_another_member_are_not_chosen(tmp_path: Path) -> None:
    first = broker_folder.choose_ports(tmp_path)
    other = broker_folder.choose_ports(tmp_path, promised={first.controller})
    assert first.controller not in (other.clients, other.controller)


def settings_of(node: Node) -> dict[str, str]:
    text = server_properties(log_dir=Path("data"), node=node)
    return dict(line.split("=", 1) for line in text.splitlines())


def test_a_single_broker_keeps_one_copy_and_votes_alone() -> None:
    settings = settings_of(alone(Ports(1001, 1002)))
    assert settings["controller.quorum.voters"] == "1@127.0.0.1:1002"
    assert {settings[name] for name in COPIES} == {settings[name] for name in IN_STEP} == {"1"}


def test_three_brokers_keep_three_copies_of_everything_and_two_have_to_be_in_step() -> None:
    settings = settings_of(Node(2, {n: Ports(1000 + n, 2000 + n) for n in (1, 2, 3)}))
    assert settings["controller.quorum.voters"] == "1@127.0.0.1:2001,2@127.0.0.1:2002,3@127.0.0.1:2003"
    assert settings["listeners"] == "CLIENTS://127.0.0.1:1002,CONTROLLER://127.0.0.1:2002"
    assert {settings[name] for name in COPIES} == {"3"}
    assert {settings[name] for name in IN_STEP} == {"2"}


COPIES = (
    "default.replication.factor",
    "offsets.topic.replication.factor",
    "transaction.state.log.replication.factor",
    "share.coordinator.state.topic.replication.factor",
)
IN_STEP = (
    "min.insync.replicas",
    "transaction.state.log.min.isr",
    "share.coordinator.state.topic.min.isr",
)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of a process from outside")
def test_without_room_in_its_folder_a_broker_is_not_started_at_all_and_says_why(tmp_path: Path) -> None:
    keeper, started = Path(broker_folder.__file__).with_name("broker_keeper.py"), tmp_path / "started"

    def kept(limit: int) -> tuple[int, str]:
        with subprocess.Popen(
            [sys.executable, "-I", str(keeper), "1", str(tmp_path), "touch", str(started)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY)),
        ) as running:
            said = running.stdout.read() if running.stdout else ""
        return running.returncode, said

    code, said = kept(1024 * 1024)
    assert (code, started.exists(), list(tmp_path.iterdir())) == (1, False, [])
    assert said.startswith(f"\na start needs 64 MiB in {tmp_path}: ")
    assert why_it_ended(said, code) == "the disk is full (File too large); make room"
    code, said = kept(resource.RLIM_INFINITY)
    assert (code, list(tmp_path.iterdir())) == (0, [started])
    assert said.strip().isdigit()


def test_a_folder_that_cannot_be_tried_is_left_to_the_broker_to_complain_about(tmp_path: Path) -> None:
    keeper, started = Path(broker_folder.__file__).with_name("broker_keeper.py"), tmp_path / "started"
    command = [sys.executable, "-I", str(keeper), "1", str(tmp_path / "none"), "touch", str(started)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as running:
        assert running.wait(20) == 0
    assert started.exists()
