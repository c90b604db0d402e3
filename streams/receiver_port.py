"""The port of the webhook receiver, looked at before anything is started: who has it, and where else to listen."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from pathlib import Path

import psutil

from streams.settings import Settings
from streams.wording import one_line

#: So many ports above the default are tried where the configuration names none.
_NEARBY = 50
#: Of a stranger's command line this much tells what it is.
_SHOWN = 60


class ReceiverError(RuntimeError):
    """The webhook receiver cannot listen; one line."""


def free_port(settings: Settings, config: Path | None, tell: Callable[[str], None]) -> dict[str, str]:
    """What the roles' environment has to say so that the receiver can listen: nothing where its port is free.

    A shadow whose configuration names no port gets the next free one, and ``tell`` a line: no vendor has to find it. Raises
    ``ReceiverError`` where the port is somebody else's. One that a process of this same installation still holds is let be: it
    is just ending, and the supervisor tries again.
    """
    where = settings.receiver
    problem = _refused(where.host, where.port)
    if problem is None:
        return {}
    if problem != errno.EADDRINUSE:
        raise ReceiverError(
            f"the receiver cannot listen on {where.host}:{where.port}: {_meaning(problem)}; set receiver.host and receiver.port"
        )
    owner = _owner(where.port)
    if owner is not None and _is_ours(owner) and _config_of(owner) == (str(config.absolute()) if config else None):
        return {}
    named = "port" in settings.receiver.model_fields_set
    if settings.shadowing and not named:
        for port in range(where.port + 1, where.port + 1 + _NEARBY):
            if _refused(where.host, port) is None:
                tell(f"receiver: port {where.port} is taken by {_told(owner)}; this shadow listens on {port}")
                return {"LOCKSTEP_RECEIVER__PORT": str(port)}
    raise ReceiverError(
        f"the receiver's port {where.port} is taken by {_told(owner)}; set receiver.port in lockstep.yaml to another one "
        "(LOCKSTEP_RECEIVER__PORT)"
    )


def cannot_listen(host: str, port: int) -> ReceiverError:
    """The error of a receiver that was refused its port: who has it, or why else."""
    problem = _refused(host, port)
    if problem in (None, errno.EADDRINUSE):
        why = f"it is taken by {_told(_owner(port))}"
    else:
        why = _meaning(problem)
    return ReceiverError(f"receiver: cannot listen on {host}:{port}: {why}; choose another receiver.port")


def _refused(host: str, port: int) -> int | None:
    """The error number of listening there, ``None`` where it can be done."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            # As the receiver does: a port whose last connections linger (TIME_WAIT) is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror:
        return errno.EADDRNOTAVAIL
    except OSError as error:
        return error.errno or errno.EADDRINUSE
    return None


def _meaning(number: int | None) -> str:
    if number == errno.EADDRNOTAVAIL:
        return "this machine has no such address"
    return (
        "it is not allowed" if number in (errno.EACCES, errno.EPERM) else errno.errorcode.get(number or 0, str(number))
    )


def _owner(port: int) -> psutil.Process | None:
    """The process that listens there, as far as this user may see it."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            local = connection.laddr
            if connection.status == psutil.CONN_LISTEN and local and local.port == port and connection.pid:
                return psutil.Process(connection.pid)
    except psutil.Error:
        pass
    return None


def _words(owner: psutil.Process) -> list[str]:
    try:
        return owner.cmdline()
    except psutil.Error:
        return []


def _is_ours(owner: psutil.Process) -> bool:
    """Whether it is the connectors role of some installation of Lockstep."""
    words = _words(owner)
    return any("streams.main" in word or Path(word).name == "lockstep" for word in words) and "connectors" in words


def _config_of(owner: psutil.Process) -> str | None:
    """The configuration that a role was started with, by its whole path; ``None`` where it named none."""
    words = _words(owner)
    try:
        return str((Path(owner.cwd()) / words[words.index("--config") + 1]).absolute())
    except (ValueError, IndexError, psutil.Error):
        return None


def _told(owner: psutil.Process | None) -> str:
    if owner is None:
        return "another process"
    if _is_ours(owner):
        config = _config_of(owner)
        where = f" with {config}" if config else ""
        return f"another installation of Lockstep on this machine (connectors, process {owner.pid}{where})"
    words = one_line(" ".join(_words(owner)))[:_SHOWN].strip()
    return f"process {owner.pid}" + (f" ({words})" if words else "")
