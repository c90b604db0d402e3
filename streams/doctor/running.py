"""What a running system says of itself: connections, roles, what waits for a human, budget, webhooks, policy."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any

from schemas.envelope import rfc3339
from schemas.facts import ConnectionName
from streams.clock import machine_now
from streams.core.connection import Connection
from streams.core.mapping import MappingView
from streams.doctor.look import Line, listed, ok, unseen, warning, wrong
from streams.handling import dead_letters
from streams.health import connections
from streams.kafka_options import KafkaOptions
from streams.mapping_report import mapping, unsettled
from streams.operations import pauses, switches
from streams.policy_file import PolicyFileError, read_policy
from streams.policy_log import organizations_told, policy_standing
from streams.reporter import roles
from streams.settings import Settings
from streams.vendors import credentials
from streams.views import parked
from streams.wording import counted

#: Roles without which something stands still.
NEEDED = ("connectors", "worker", "executor")
#: From this share of the hour's budget on a technician's other integrations begin to feel it.
MUCH_BUDGET = 0.75
#: A report from the future: the reporter's clock is ahead of ours by more than a message takes.
AHEAD_MS = 2_000


async def running(settings: Settings, options: KafkaOptions) -> AsyncIterator[Line]:
    """Everything that is read from the log. Raises ``ReadError``."""
    have = credentials(settings)
    for name, connection in (await connections(options)).items():
        yield _connection(connection, has_credentials=have[name] is not None)
    for what, pause in pauses(await switches(options)).items():
        yield warning(
            "pause", f"{what} is paused by {pause.by} since {rfc3339(pause.since)}", f"'lockstep resume {what}'"
        )
    reports = await roles(options, now=machine_now())
    for line in _roles(reports):
        yield line
    live = [report for report in reports if report["state"] == "running"]
    for line in (*_clocks(live, machine_now()), *_told_by_connectors(settings, live)):
        yield line
    for line in _waiting(Counter(item.reason for item in await parked(options))):
        yield line
    letters = Counter(letter.reason for letter in await dead_letters(options) if letter.handled is None)
    yield _dead(letters)
    yield await _policy(settings, options)
    yield _mapping(await mapping(options))


def _mapping(views: Sequence[MappingView]) -> Line:
    lines = unsettled(views)
    if not views:
        return unseen("mapping", "no organization of NinjaOne was read yet")
    if not lines:
        return ok("mapping", "every organization has its company")
    if any(view.state == "unknown" for view in views):
        return warning(
            "mapping", listed(lines, 3), "'lockstep test autotask'; the mapping shows once its companies are read"
        )
    return warning("mapping", listed(lines, 3), "write them into companies.map of the policy (docs/mapping.md)")


def _connection(connection: Connection, *, has_credentials: bool) -> Line:
    name = connection.name
    since = f" since {rfc3339(connection.since)}" if connection.since else ""
    found = f"{connection.state}{since}" + (f": {connection.reason}" if connection.reason else "")
    match connection.state:
        case "Healthy":
            return ok(name, f"Healthy{since}")
        case "Degraded":
            return warning(name, found, "it goes on by itself when the vendor answers again")
        case "Unhealthy":
            return wrong(
                name,
                found,
                f"no call goes out until 'lockstep test {name}' succeeds (README, When a connection turns Unhealthy)",
            )
        case _:
            do = f"'lockstep test {name}'" if has_credentials else f"'lockstep connect {name}'"
            return wrong(name, f"Not connected{since}", do)


def _roles(reports: Sequence[Mapping[str, Any]]) -> Iterator[Line]:
    alive = Counter(report["role"] for report in reports if report["state"] == "running")
    lacking = [role for role in NEEDED if not alive[role]]
    if len(lacking) == len(NEEDED):
        yield unseen("roles", "no role has reported for ten seconds", "start 'lockstep up', or the roles")
        return
    if lacking:
        yield wrong(
            "roles",
            f"not running: {', '.join(lacking)}",
            "start them ('lockstep run ...'), or see the logs of 'lockstep up'",
        )
    else:
        yield ok("roles", ", ".join(f"{role} {count}" for role, count in sorted(alive.items()) if role in NEEDED))
    for report in reports:
        if report["role"] == "supervisor" and report["state"] == "running":
            for name, kept in report["roles"].items() if "roles" in report else ():
                if kept.get("restarts"):
                    yield warning(
                        "restarts",
                        f"{name}: {kept['restarts']}, the last because: {kept.get('last_reason') or 'unknown'}",
                    )
        elif report["state"] == "gone" and alive[report["role"]]:
            yield warning(
                "roles", f"{report['name']} on {report.get('host', 'a machine')} has not been heard of for ten seconds"
            )


def _clocks(live: Sequence[Mapping[str, Any]], now: int) -> Iterator[Line]:
    ahead = [
        f"{report['name']} on {report['host']} by {(report['heard_at'] - now) / 1000:.0f} s"
        for report in live
        if report["heard_at"] - now > AHEAD_MS
    ]
    if ahead:
        yield wrong(
            "clocks", f"ahead of this machine: {listed(ahead)}", "let all machines follow one time server (NTP)"
        )
    elif live:
        yield ok(
            "clocks", f"no role of {counted(len({report['host'] for report in live}), 'machine')} is ahead of this one"
        )


def _told_by_connectors(settings: Settings, live: Sequence[Mapping[str, Any]]) -> Iterator[Line]:
    for report in live:
        if report["role"] != "connectors":
            continue
        for name, figures in report["figures"].items():
            for line in figures.get("stopped", ()):
                yield wrong("reading", line)
            for line in figures.get("failing", ()):
                yield warning("reading", line)
            if "budget" in figures:
                yield _budget(figures["budget"])
            yield from _webhook(name, settings, figures)


def _budget(budget: Mapping[str, Any]) -> Line:
    share = budget["used"] / budget["limit"] if budget["limit"] else 0.0
    found = f"{budget['used']} of {budget['limit']} requests of Autotask's hour are used ({share * 100:.0f} %), by all integrations"
    if share >= MUCH_BUDGET:
        return warning(
            "budget", found, "the lowest lanes wait (docs/operations.md); look at what the other integrations do"
        )
    return ok("budget", found)


def _webhook(name: ConnectionName, settings: Settings, figures: Mapping[str, Any]) -> Iterator[Line]:
    url = settings.ninjaone.webhook.public_url if name == "ninjaone" else settings.autotask.webhook.public_url
    line = figures.get("webhook", "")
    if url is None:
        yield ok(f"{name} webhook", "none is wanted: the poll does it")
    elif url in line:
        yield ok(f"{name} webhook", line)
    elif figures.get("suspended"):
        yield unseen(f"{name} webhook", "no call goes out at the moment")
    else:
        yield warning(
            f"{name} webhook", line or "not set up yet", "alerts come by the poll meanwhile; it is tried again"
        )


def _waiting(reasons: Mapping[str, int]) -> Iterator[Line]:
    if not reasons:
        yield ok("parked", "nothing waits for a human")
    for reason, count in sorted(reasons.items(), key=lambda pair: -pair[1]):
        yield warning("parked", f"{count} because of {reason}", f"'lockstep parked list --because {reason}'")


def _dead(letters: Mapping[str, int]) -> Line:
    if not letters:
        return ok("dead letters", "none")
    reasons = ", ".join(f"{count} because of {reason}" for reason, count in sorted(letters.items()))
    return warning("dead letters", reasons, "'lockstep parked list' shows them; retry or dismiss them")


async def _policy(settings: Settings, options: KafkaOptions) -> Line:
    standing = await policy_standing(options)
    force = standing.in_force
    if force is None:
        return warning(
            "policy", "none is published yet", "the connectors publish the first; or 'lockstep policy publish'"
        )
    canary = (
        f", revision {standing.canary.revision} for {organizations_told(standing.canary.organizations)}"
        if standing.canary
        else ""
    )
    try:
        file = read_policy(settings.policy_path)
    except PolicyFileError:
        return warning("policy", f"revision {force.revision} is in force{canary}; the file cannot be compared with it")
    if file.document not in {force.document, standing.canary.document if standing.canary else force.document}:
        return warning(
            "policy",
            f"the file is not what revision {force.revision} says{canary}",
            "'lockstep policy diff', then publish",
        )
    return ok("policy", f"revision {force.revision} is in force and is what the file says{canary}")
