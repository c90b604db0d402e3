"""A drill's faults as data: drawn from a seed, printed as JSON lines, read back to be played again.

Pure: the same seed and length give the same schedule for ever, so that a failing seed can be kept as a test. One fault
in three strikes our own processes and Kafka, two the vendors and the log. Of each sort every kind is drawn once before
any is drawn twice, and two faults of one ``scope`` never overlap (a process that is asleep cannot also be killed), while
faults of different scopes do.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.topics import AGENT_INPUTS
from streams.drill.vendor_faults import VENDOR_FAULTS, WEBHOOK_FAULTS

#: The load runs this long before the first fault, and after the last one is healed.
FIRST_S, LAST_S = 2.0, 4.0
#: On average; two processors cannot bring up Python workers much faster than faults of this rate end them.
EVERY_S = 3.0
#: The share of faults that strike processes.
PROCESSES = 1 / 3
#: Drills of two minutes or more are long: processes sleep for 30 s in them, and for 10 s in shorter ones. Both are
#: longer than the session of 6 s, so that the sleeper's partitions move to others meanwhile.
LONG_S = 120.0

ROLES = ("connectors", "worker-1", "worker-2", "executor")
FACT_TOPICS = tuple(sorted({topic for topics in AGENT_INPUTS.values() for topic in topics}))
POISONS = ("no_headers", "not_json", "other_shape", "header_not_utf8", "header_null", "unknown_type", "no_value")


class ScheduleError(ValueError):
    """A schedule file that cannot be played; one line: file, line, what is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One fault: from second ``at`` for ``lasts`` seconds, then healed. ``parameters`` are of its ``kind``."""

    at: float
    kind: str
    lasts: float
    parameters: Mapping[str, Any]

    def line(self) -> str:
        """As one line of JSON."""
        return json.dumps(
            {"at": self.at, "kind": self.kind, "lasts": self.lasts, "parameters": dict(self.parameters)},
            separators=(", ", ": "),
        )


@dataclass(frozen=True, slots=True)
class Kind:
    """How faults of one kind are drawn: its parameters, how long it lasts in a drill of so many seconds, its scopes."""

    parameters: Callable[[random.Random], dict[str, Any]]
    lasts: Callable[[random.Random, float], float]
    scopes: Callable[[Mapping[str, Any]], tuple[str, ...]]


def _at_once(source: random.Random, seconds: float) -> float:
    return 0.0


def _some_seconds(source: random.Random, seconds: float) -> float:
    return round(source.uniform(3, 8), 1)


def _asleep(source: random.Random, seconds: float) -> float:
    return 30.0 if seconds >= LONG_S else 10.0


def _role(source: random.Random) -> dict[str, Any]:
    return {"role": source.choice(ROLES)}


def _by_role(parameters: Mapping[str, Any]) -> tuple[str, ...]:
    return (str(parameters["role"]),)


def _scope(*names: str) -> Callable[[Mapping[str, Any]], tuple[str, ...]]:
    return lambda parameters: names


def _broker(source: random.Random) -> dict[str, Any]:
    # Of three; a drill on one broker takes that one. Never two at once: two copies of three are enough, one is not.
    return {"broker": source.choice((1, 2, 3))}


def _nothing(source: random.Random) -> dict[str, Any]:
    return {}


def _place(source: random.Random) -> dict[str, Any]:
    return {"topic": source.choice(FACT_TOPICS), "partition": source.randrange(6)}


def _plan(vendor: str, choices: Sequence[Mapping[str, Any]]) -> Callable[[random.Random], dict[str, Any]]:
    return lambda source: {"vendor": vendor, "fault": dict(source.choice(choices))}


OF_PROCESSES: Mapping[str, Kind] = {
    "kill": Kind(_role, _at_once, _by_role),
    "sleep": Kind(_role, _asleep, _by_role),
    "terminate": Kind(_role, _at_once, _by_role),
    "broker_kill": Kind(_broker, _at_once, _scope("broker")),
    "disk_full": Kind(_broker, _some_seconds, _scope("broker")),
    # 2 to 1, to 4, to 1, and back to 2 when healed: three steps of 5 s, in which Kafka's group settles in 3 s.
    "rebalance": Kind(lambda source: {"step_s": 5.0}, lambda source, seconds: 15.0, _scope("worker-2")),
}

#: The clock does not jump while an account is locked: processes follow a jump within half a second, and for so long they
#: would date what they say hours before the calls that it is compared with.
OF_OTHERS: Mapping[str, Kind] = {
    "api_user_locked": Kind(_nothing, _some_seconds, _scope("autotask", "clock")),
    "api_client_inactive": Kind(_nothing, _some_seconds, _scope("ninjaone", "clock")),
    "clock_jump": Kind(lambda source: {"seconds": source.choice([45, 130, 700, 4000])}, _at_once, _scope("clock")),
    "poison": Kind(
        lambda source: {"what": source.choice(POISONS), **_place(source)},
        _at_once,
        _scope(),
    ),
    "newer_version": Kind(_place, _at_once, _scope()),
    **{
        name: Kind(_plan(vendor, choices), _some_seconds, _scope())
        for name, (vendor, choices) in {**VENDOR_FAULTS, **WEBHOOK_FAULTS}.items()
    },
}

KINDS: Mapping[str, Kind] = {**OF_PROCESSES, **OF_OTHERS}


def draw(seed: int, seconds: float, *, every: float = EVERY_S) -> list[Planned]:
    """The schedule of a seed for a drill of so many seconds: the same for ever. Sorted by ``at``."""
    source = random.Random(f"lockstep drill {seed}")
    planned: list[Planned] = []
    busy: dict[str, float] = {}
    decks: dict[bool, list[str]] = {True: [], False: []}
    at = FIRST_S
    while True:
        of_processes = source.random() < PROCESSES
        kinds = list(OF_PROCESSES if of_processes else OF_OTHERS)
        deck = decks[of_processes] = decks[of_processes] or source.sample(kinds, len(kinds))
        one = _one(source, deck.pop(), round(at, 1), seconds)
        at += source.uniform(0.25, 1.75) * every
        if at > seconds - LAST_S:
            return sorted(planned, key=lambda fault: fault.at)
        scopes = KINDS[one.kind].scopes(one.parameters)
        # One that does not fit in here any more, or meets one of its scope, is left out: the next is drawn.
        if one.at + one.lasts <= seconds - LAST_S and all(busy.get(scope, 0.0) <= one.at for scope in scopes):
            planned.append(one)
            busy |= dict.fromkeys(scopes, one.at + one.lasts + 2.0)


def _one(source: random.Random, name: str, at: float, seconds: float) -> Planned:
    kind = KINDS[name]
    parameters = kind.parameters(source)
    return Planned(at=at, kind=name, lasts=kind.lasts(source, seconds), parameters=parameters)


def lines(planned: Iterable[Planned]) -> str:
    """The schedule as JSON lines."""
    return "".join(fault.line() + "\n" for fault in planned)


def read_schedule(path: Path) -> list[Planned]:
    """A schedule from a file of JSON lines. Raises ``ScheduleError``."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "is not UTF-8 text"
        raise ScheduleError(f"{path}: cannot be read: {why}") from None
    planned = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            planned.append(_parsed(line, f"{path}:{number}"))
    return sorted(planned, key=lambda fault: fault.at)


def _parsed(line: str, where: str) -> Planned:
    try:
        row = json.loads(line)
        fault = Planned(
            at=float(row["at"]), kind=str(row["kind"]), lasts=float(row["lasts"]), parameters=dict(row["parameters"])
        )
    except (ValueError, KeyError, TypeError):
        raise ScheduleError(
            f'{where}: this is no fault; write {{"at": seconds, "kind": ..., "lasts": seconds, "parameters": {{...}}}}'
        ) from None
    if fault.kind not in KINDS:
        raise ScheduleError(f"{where}: there is no fault '{fault.kind}'; there are {', '.join(sorted(KINDS))}")
    return fault
