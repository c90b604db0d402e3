"""A Postgres of this machine for a test, with its data in a folder of its own, reached by a socket only."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

#: Debian keeps the server's programs out of the path.
_PLACES = [os.environ.get("PATH", ""), *(str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin")))]
INITDB = shutil.which("initdb", path=os.pathsep.join(_PLACES))
POSTGRES = shutil.which("postgres", path=os.pathsep.join(_PLACES))
_AS_ROOT = os.geteuid() == 0
#: Postgres refuses to run as root; Debian's package brings a user for it.
AVAILABLE = bool(INITDB and POSTGRES and (not _AS_ROOT or shutil.which("runuser")))


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """How to connect to an empty database. It ends, and its folder goes, with the block."""
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        prefix = ["runuser", "-u", "postgres", "--"] if _AS_ROOT else []
        if _AS_ROOT:
            shutil.chown(folder, "postgres")
        data = folder / "data"
        made = [*prefix, str(INITDB), "-D", str(data), "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(made, check=True, capture_output=True, timeout=60, cwd=name)
        started = [*prefix, str(POSTGRES), "-D", str(data), "-k", name, "-c", "listen_addresses=", "-c", "fsync=off"]
        process = subprocess.Popen(started, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=name)
        try:
            deadline = time.monotonic() + 30
            while not (folder / ".s.PGSQL.5432").exists():
                assert process.poll() is None, "Postgres ended"
                assert time.monotonic() < deadline, "Postgres did not start within 30 s"
                time.sleep(0.05)
            yield f"host={name} user=postgres dbname=postgres"
        finally:
            process.terminate()
            process.wait(30)
