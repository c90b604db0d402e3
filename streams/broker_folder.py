"""The embedded broker's folder: who owns it, what runs on it, which ports it has, what it logged."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import IO, Any

import psutil

from streams.broker_settings import HOST, Ports, port_candidates
from streams.kafka_runtime import KAFKA_VERSION, BrokerError

#: One start writes a few kilobytes of warnings.
LOG_LIMIT = 4 * 1024 * 1024


def lock(data_dir: Path) -> IO[str]:
    """Take the folder for this process; closing the file gives it back. Raises ``BrokerError`` where another has it."""
    path = data_dir / "owner.lock"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8")
    except OSError as error:
        raise BrokerError(
            f"the broker's folder {data_dir} cannot be written ({error.strerror}): set kafka.data_dir"
        ) from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        owner = file.read().strip() or "unknown"
        file.close()
        raise BrokerError(
            f"{data_dir} is in use by process {owner}, which runs the embedded broker: stop that one, attach to it, "
            "or set another kafka.data_dir"
        ) from None
    file.truncate(0)
    # A full disk has no room for the number, which only serves the message above; the lock holds without it.
    with contextlib.suppress(OSError):
        os.write(file.fileno(), f"{os.getpid()}\n".encode())
    return file


def owner(data_dir: Path) -> int | None:
    """The process that keeps a broker on this folder, whether or not the broker is up at the moment.

    It is the one named in the lock file that still has that file open: asking the lock itself could get in the way of an
    owner that is just starting.
    """
    path = (data_dir / "owner.lock").absolute()
    try:
        pid = int(path.read_text(encoding="utf-8"))
        return pid if any(Path(file.path) == path for file in psutil.Process(pid).open_files()) else None
    except (OSError, ValueError, psutil.Error):
        return None


def announce(data_dir: Path, bootstrap_servers: str, pid: int) -> None:
    """Write ``broker.json``: from now on ``attach`` finds the broker."""
    note = {
        "bootstrap_servers": bootstrap_servers,
        "pid": pid,
        # Process ids are used again; the start time tells the broker from a later process with its number.
        "pid_started": psutil.Process(pid).create_time(),
        "owner_pid": os.getpid(),
        "kafka_version": KAFKA_VERSION,
    }
    write_atomically(data_dir / "broker.json", json.dumps(note, indent=1) + "\n")


def announce_down(data_dir: Path, why: str) -> None:
    """Write ``broker-down.json``: this process goes on trying, ``attach`` says so and why."""
    note = {"owner_pid": os.getpid(), "owner_started": psutil.Process().create_time(), "why": why}
    # The disk may be what is wrong.
    with contextlib.suppress(OSError):
        write_atomically(data_dir / "broker-down.json", json.dumps(note) + "\n")


def withdraw_down(data_dir: Path) -> None:
    """Remove ``broker-down.json``."""
    with contextlib.suppress(OSError):
        (data_dir / "broker-down.json").unlink()


def down(data_dir: Path) -> str | None:
    """Why the broker is down, as long as the process that brings it back is alive."""
    try:
        note = json.loads((data_dir / "broker-down.json").read_bytes())
        started = psutil.Process(int(note["owner_pid"])).create_time()
        return str(note["why"]) if abs(started - float(note["owner_started"])) < 1.0 else None
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None


def withdraw(data_dir: Path) -> None:
    """Remove ``broker.json``."""
    with contextlib.suppress(OSError):
        (data_dir / "broker.json").unlink()


def running(data_dir: Path) -> dict[str, Any] | None:
    """What ``broker.json`` says, if the process it names is alive."""
    try:
        note = json.loads((data_dir / "broker.json").read_bytes())
        alive = abs(psutil.Process(int(note["pid"])).create_time() - float(note["pid_started"])) < 1.0
    except (OSError, ValueError, KeyError, TypeError, psutil.Error):
        return None
    return dict(note) if alive and "bootstrap_servers" in note else None


def clear_strays(data_dir: Path, *, grace: float) -> None:
    """End brokers that an earlier owner left on this folder; only the owner of the lock may call this.

    One whose keeper is just stopping it gets the time to finish. Raises ``BrokerError`` for one that cannot be ended.
    """
    withdraw(data_dir)
    strays = brokers_on(data_dir)
    for stray in strays:
        with contextlib.suppress(psutil.Error):
            stray.terminate()
    _, left = psutil.wait_procs(strays, timeout=grace)
    for stray in left:
        with contextlib.suppress(psutil.Error):
            stray.kill()
    _, left = psutil.wait_procs(left, timeout=grace)
    if left:
        raise BrokerError(f"an earlier broker (process {left[0].pid}) still holds {data_dir}: end it and try again")


def brokers_on(data_dir: Path) -> list[psutil.Process]:
    """The processes of brokers that run on this folder, and of their keepers, whoever started them."""
    properties = str(data_dir / "server.properties")
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        if properties in words and "kafka.Kafka" in words:
            found.append(process)
    return found


def choose_ports(data_dir: Path, *, promised: AbstractSet[int] = frozenset()) -> Ports:
    """The ports this folder had before if they are free, else the next free pair, kept from then on.

    ``promised``: ports that others will listen on and do not yet.
    """
    path = data_dir / "ports.json"
    try:
        note = json.loads(path.read_bytes())
        kept = Ports(int(note["clients"]), int(note["controller"]))
        if promised.isdisjoint((kept.clients, kept.controller)) and _free(kept.clients) and _free(kept.controller):
            return kept
    except (OSError, ValueError, KeyError, TypeError):
        pass
    free = (port for port in port_candidates(data_dir) if port not in promised and _free(port))
    ports = Ports(next(free), next(free))
    write_atomically(path, json.dumps({"clients": ports.clients, "controller": ports.controller}) + "\n")
    return ports


def _free(port: int) -> bool:
    with socket.socket() as probe:
        # As Java does: a port whose last connections linger (TIME_WAIT) is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def answers(bootstrap_servers: str) -> bool:
    """Whether somebody listens there."""
    host, _, port = bootstrap_servers.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def has_controller(bootstrap_servers: str, node: int) -> bool:
    """Whether the broker there serves metadata and knows its controller: from then on topics can be created."""
    return asyncio.run(_has_controller(bootstrap_servers, node))


async def _has_controller(bootstrap_servers: str, node: int) -> bool:
    from aiokafka.admin import AIOKafkaAdminClient
    from aiokafka.errors import KafkaError

    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers, request_timeout_ms=5000)
    try:
        await admin.start()
        cluster = await admin.describe_cluster()
        return any(broker["node_id"] == node for broker in cluster["brokers"])
    except (KafkaError, OSError, TimeoutError):
        return False
    finally:
        await admin.close()


def log_path(data_dir: Path) -> Path:
    """Where the broker's warnings go."""
    return data_dir / "broker.log"


def open_log(data_dir: Path) -> IO[bytes]:
    """The broker's log, to append to, with a mark for this start; a long one moves aside first."""
    path = log_path(data_dir)
    if path.exists() and path.stat().st_size > LOG_LIMIT:
        path.replace(path.with_suffix(".log.1"))
    # Unbuffered: what a full disk does not take is lost, and must not fail once more at the closing.
    log = path.open("ab", buffering=0)
    with contextlib.suppress(OSError):
        log.write(f"=== start {time.strftime('%Y-%m-%dT%H:%M:%S%z')} {KAFKA_VERSION}\n".encode())
    return log


def write_atomically(path: Path, text: str) -> None:
    """Readers see the old text or the new one, never half of it, and none after a crash in between."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
