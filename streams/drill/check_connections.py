"""Connections: when each was closed, by the topic ``connections``, and that nobody called meanwhile.

Closed is Unhealthy or Not connected, the time before the first test included. Whether a change counts at its place in
the topic is decided here anew from the rules (design section 6): a state follows from the one before it, and only a test
or an operator begins an epoch.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.facts import ConnectionChanged
from schemas.topics import DEVICE_COMMANDS, NINJAONE_COMMANDS, OPERATIONS, TICKET_COMMANDS
from streams.drill.finding import Finding
from streams.drill.reading import Reading

#: All processes have stopped calling a second after the change.
GRACE_S = 1.0
#: Autotask answers at most three calls at once per endpoint (vendor's REST help).
AT_ONCE = 3
TOPICS: Mapping[str, tuple[str, ...]] = {
    "ninjaone": (NINJAONE_COMMANDS,),
    "autotask": (TICKET_COMMANDS, DEVICE_COMMANDS),
}
#: What a connection test asks for, and nothing else does while a connection is closed.
_TEST = {
    "autotask": re.compile(r"(?i)/zoneInformation$|/Version$|/entityInformation(/userDefinedFields)?$"),
    "ninjaone": re.compile(r"/oauth/token$|/v2/organizations$"),
}
#: A test of Autotask signs in first, and ends by reading one row of each entity that is needed.
_SIGN_IN = re.compile(r"(?i)/Version$")
_READ = re.compile(r"(?i)/(Companies|Tickets|TicketNotes|ConfigurationItems|Products)/query$")
#: Pages for people, which a browser opens.
_PAGES = frozenset({"ExecuteCommand", "authorize", "console"})


@dataclass(frozen=True, slots=True)
class Closed:
    """A connection was closed from ``since`` until ``until`` (epoch seconds); ``None``: it still is."""

    since: float
    until: float | None
    state: str


def closed_times(reading: Reading, name: str) -> list[Closed]:
    """When a connection was closed, in order."""
    found: list[Closed] = []
    state, epoch, since = "NotConnected", 0, 0.0
    for change in reading.changes:
        if change.connection != name or not _counts(state, epoch, change):
            continue
        at = change.changed_at / 1000
        if _is_closed(state) and not _is_closed(change.state):
            found.append(Closed(since, at, state))
        elif not _is_closed(state) and _is_closed(change.state):
            since = at
        state, epoch = change.state, change.epoch
    if _is_closed(state):
        found.append(Closed(since, None, state))
    return found


def _is_closed(state: str) -> bool:
    return state not in ("Healthy", "Degraded")


def _counts(state: str, epoch: int, change: ConnectionChanged) -> bool:
    if change.epoch != epoch:
        return change.epoch == epoch + 1 and change.state in ("Healthy", "NotConnected")
    if _is_closed(state):
        return change.state == state
    return change.state not in (state, "NotConnected")


def waiting_topics(reading: Reading) -> set[str]:
    """The command topics whose work waits at the end: their connection is closed, or an operator paused it."""
    switches: dict[str, bool] = {}
    for raw in reading.records(OPERATIONS):
        switches[(raw.key or b"").decode("utf-8", "replace")] = raw.value is not None
    waiting: set[str] = set()
    for name, topics in TOPICS.items():
        closed = closed_times(reading, name)
        if (closed and closed[-1].until is None) or switches.get(f"pause:{name}") or switches.get("pause:all"):
            waiting.update(topics)
    return waiting


def calls_of(reading: Reading, name: str) -> Sequence[Mapping[str, Any]]:
    """The vendor's log of calls, without pages that people opened."""
    evidence = reading.evidence
    calls = evidence.ninjaone_calls if name == "ninjaone" else evidence.autotask_calls
    return [call for call in calls if call["entity"] not in _PAGES]


def check_closed(reading: Reading) -> Iterator[Finding]:
    """While a connection is closed nothing goes out but tests, and no more of those than somebody asked for."""
    for name in TOPICS:
        times = closed_times(reading, name)
        refused = 0
        signed_in: Counter[Closed] = Counter()
        read: Counter[tuple[Closed, str]] = Counter()
        for call in sorted(calls_of(reading, name), key=lambda call: float(call["t"])):
            during = next((time for time in times if _within(call["t"], time)), None)
            if during is None:
                continue
            path = call["path"]
            signed_in[during] += bool(_SIGN_IN.search(path))
            if name == "autotask" and _READ.search(path) and read[during, path] < signed_in[during]:
                read[during, path] += 1
            elif not _TEST[name].search(path):
                yield _called(name, call, during)
            elif call["auth"] not in ("ok", "none"):
                refused += 1
        asked = reading.evidence.tests
        # Besides: other credentials are tested once without being asked, and each closing has its own last refusal.
        if asked is not None and refused > asked.get(name, 0) + len(times):
            detail = f"{refused} refused tests, {asked.get(name, 0)} were asked for"
            yield Finding("TestsWhileUnhealthy", name, detail)


def _within(t: float, time: Closed) -> bool:
    return t > time.since + GRACE_S and (time.until is None or t < time.until)


def _called(name: str, call: Mapping[str, Any], during: Closed) -> Finding:
    after = f"{call['t'] - during.since:.1f} s after it was closed" if during.since else "before any test"
    return Finding("CallWhileUnhealthy", f"{name} call {call['seq']}", f"{call['method']} {call['path']} {after}")


def check_limits(reading: Reading) -> Iterator[Finding]:
    """Never more than three calls at once at an endpoint of Autotask, and no refusal for a limit of its own.

    NinjaOne publishes no numbers, so that its refusals (429) are flow control and are counted only.
    """
    for call in calls_of(reading, "autotask"):
        about, what = f"autotask call {call['seq']}", f"{call['method']} {call['path']}"
        why = str(call["refusedWhy"] or "")
        if call["entity"] and call["inflight"] > AT_ONCE:
            yield Finding("TooManyInFlight", about, f"{what}: {call['inflight']} at once at {call['entity']}")
        if why.startswith("thread limit"):
            yield Finding("OverThreadLimit", about, f"{what}: {why}")
        elif why.startswith("hourly limit"):
            yield Finding("OverHourlyLimit", about, f"{what}: {why}")
