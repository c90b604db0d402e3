"""``lockstep status | topics``: looking, without touching."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import click

from schemas import contract
from schemas.envelope import rfc3339
from streams.cli.base import FAILED, common, run, say, say_json, say_table, say_whole, settings_of
from streams.cli.parameters import Instant
from streams.cli.progress import Progress
from streams.cli.role_rows import cells, role_rows, said_of_ends
from streams.clock import machine_now
from streams.core.connection import Connection
from streams.core.revisions import Standing
from streams.handling import dead_letters
from streams.health import connections
from streams.mapping_report import as_rows, mapping, summary, unsettled
from streams.mode import mode_of
from streams.operations import Pause, pauses, switches
from streams.policy_log import organizations_told, policy_standing
from streams.replay.then import Then, as_it_was
from streams.reporter import roles
from streams.settings import Settings
from streams.topics import describe
from streams.views import parked
from streams.wiring import kafka_options

#: How the names of all groups begin.
_GROUPS = "lockstep."
_WORDS = {"NotConnected": "Not connected"}


@click.command("status")
@click.option(
    "--role",
    type=click.Choice(["connectors", "worker", "executor"]),
    help="Only say whether a role runs on this host (for health checks): exit 0 or 1.",
)
@click.option("--as-of", "as_of", type=Instant(), help="How it was at that moment (2026-11-28T09:30:00Z, or 7d ago).")
@common
def status(config: Path | None, as_json: bool, role: str | None, as_of: int | None) -> int:
    """How it is: connections, roles, what waits and why, what is parked.

    With --as-of how it was: connections, policy, organizations, alerts and parked work, from the log; roles leave no history.
    """
    if as_of is not None:
        if role is not None:
            raise click.UsageError("--role is about now: it cannot be asked for with --as-of")
        return _then(settings_of(config), as_of, as_json)
    found = run(_status(settings_of(config)))
    if role is not None:
        here = [entry for entry in found["roles"] if entry["role"] == role and entry["host"] == socket.gethostname()]
        running = any(entry["state"] == "running" for entry in here)
        if as_json:
            say_json({"role": role, "running": running})
        else:
            say(f"{role}: {'running' if running else 'not running'}")
        return 0 if running else FAILED
    if as_json:
        say_json(found)
        return 0
    if found["mode"] == "shadow":
        say("mode: shadow: nothing is written at NinjaOne or Autotask; 'lockstep shadow' compares")
    _say_connections(found["connections"])
    rows = [cells(row) for row in found["roles"]]
    say_table(rows, ["ROLE", "STATE", "LAST REPORT", "PID", "RESTARTS", "DOING"])
    for line in said_of_ends(found["roles"]):
        say(line)
    for line in found["stopped"]:
        say(f"stopped: {line}")
    for line in found["failing"]:
        say(f"failing: {line}")
    for entry in found["waiting"]:
        since = f" since {entry['since']}" if entry["since"] else ""
        until = f", next call at {entry['until']}" if entry["until"] else ""
        why = f": {entry['why']}" if entry["why"] else ""
        what = (
            f"{entry['count']} in {entry['topic']}" if entry["count"] else f"nothing yet in {entry['topic']}, held back"
        )
        say(f"waiting: {what}{since}{until}{why}")
    if found["mapping"]:
        say(f"organizations: {found['organizations']}")
    for text in found["unsettled"]:
        say(f"mapping: {text}")
    _say_canary(found["policy_canary"])
    say(
        f"policy revision {found['policy_revision'] or 'none'}; parked: {found['parked']}; dead letters: {found['dead_letters']}"
    )
    return 0


def _say_connections(found: Mapping[str, dict[str, Any]]) -> None:
    for name, connection in found.items():
        since = f" since {connection['since']}" if connection["since"] else ""
        word = _WORDS.get(connection["state"], connection["state"])
        say(f"{name}: {word}{since}" + (f": {connection['reason']}" if connection["reason"] else ""))


def _say_canary(canary: dict[str, Any] | None) -> None:
    if canary is not None:
        say(f"canary: policy revision {canary['revision']} for {organizations_told(canary['organizations'])}")


def _then(settings: Settings, as_of: int, as_json: bool) -> int:
    async def main() -> Then:
        with Progress("records") as progress:
            return await as_it_was(await kafka_options(settings), as_of, progress=progress)

    then = run(main())
    document: dict[str, Any] = {
        "as_of": rfc3339(as_of),
        "connections": {name: _connection(state, None) for name, state in then.connections.items()},
        "policy_revision": then.policy.revision or None,
        "policy_canary": _canary(then.policy),
        "mapping": as_rows(then.mapping),
        "organizations": summary(then.mapping),
        "alerts": then.alerts,
        "parked": then.parked,
    }
    if as_json:
        say_json(document)
        return 0
    say(f"as of {document['as_of']}")
    _say_connections(document["connections"])
    if then.mapping:
        say(f"organizations: {document['organizations']}")
    for line in unsettled(then.mapping):
        say(f"mapping: {line}")
    _say_canary(document["policy_canary"])
    say("alerts: " + (", ".join(f"{count} {name}" for name, count in then.alerts.items()) or "none"))
    say(f"policy revision {document['policy_revision'] or 'none'}; parked: {then.parked}")
    return 0


def _canary(current: Standing) -> dict[str, Any] | None:
    if current.canary is None:
        return None
    return {"revision": current.canary.revision, "organizations": list(current.canary.organizations)}


async def _status(settings: Settings) -> dict[str, Any]:
    options = await kafka_options(settings)
    states = await connections(options)
    now = machine_now()
    reports = await roles(options, now=now, forget_after_ms=None)
    current = await policy_standing(options)
    operations = await switches(options)
    paused = pauses(operations)
    views = await mapping(options)
    letters = [letter for letter in await dead_letters(options) if letter.handled is None]
    return {
        "mode": mode_of(operations) or "live",
        "connections": {
            name: _connection(state, paused.get(name) or paused.get("all")) for name, state in states.items()
        },
        "roles": role_rows(reports, now=now),
        "waiting": _waiting(reports),
        "stopped": _lines(reports, "stopped"),
        "failing": _lines(reports, "failing"),
        "parked": len(await parked(options)),
        "dead_letters": len(letters),
        "policy_revision": current.revision or None,
        "policy_canary": _canary(current),
        "mapping": as_rows(views),
        "organizations": summary(views),
        "unsettled": unsettled(views),
    }


def _connection(state: Connection, switch: Pause | None) -> dict[str, Any]:
    since = rfc3339(state.since) if state.since else None
    reason = state.reason
    if switch is not None:
        why = f": {switch.reason}" if switch.reason else ""
        paused = f"paused by {switch.by} since {rfc3339(switch.since)}{why}"
        reason = f"{reason.rstrip('.')}; {paused}" if reason else paused
    return {"state": state.state, "since": since, "reason": reason, "paused": switch is not None}


def _lines(reports: list[dict[str, Any]], what: Literal["stopped", "failing"]) -> list[str]:
    """The lists of the vendors that are not read any further, or lastingly fail, each with why and what to do."""
    running = [report for report in reports if report["role"] == "connectors" and report["state"] == "running"]
    return [line for report in running for part in report["figures"].values() for line in part.get(what, [])]


def _waiting(reports: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = []
    for report in reports:
        if report["role"] != "executor" or report["state"] != "running":
            continue
        for topic, part in report["figures"].items():
            if part.get("waiting") or part.get("suspended") or part.get("slowed_down"):
                why, since, held = _why(part)
                until = part.get("next_call_at")
                found.append(
                    {
                        "topic": topic,
                        "count": part.get("waiting", 0),
                        "by_lane": part.get("by_lane", {}),
                        "by_organization": part.get("by_organization", {}),
                        "since": rfc3339(since) if since else None,
                        "until": rfc3339(until) if until else None,
                        "held": held,
                        "why": why,
                    }
                )
    return found


def _why(part: dict[str, Any]) -> tuple[str, int | None, dict[str, int]]:
    """Why commands of a topic wait, since when (epoch ms), and how many of which lane the reason holds back."""
    if part.get("suspended"):
        return part["suspended"], part.get("suspended_since"), part.get("by_lane", {})
    if part.get("slowed_down"):
        return part["slowed_down"], part.get("slowed_down_since"), part.get("by_lane", {})
    if part.get("held"):
        lanes = ", ".join(f"{count} {lane}" for lane, count in part["held"].items())
        return f"{part['held_why']} (holds back {lanes})", part.get("held_since"), part["held"]
    return "", None, {}


@click.command("topics")
@click.option("--asyncapi", is_flag=True, help="Print the AsyncAPI 3 document of the feed instead; needs no Kafka.")
@common
def topics(config: Path | None, as_json: bool, asyncapi: bool) -> int:
    """The topics: what they hold, how much, for how long, and who lags behind."""
    if asyncapi:
        say_whole(contract.text().rstrip("\n"))
        return 0

    async def main() -> list[Any]:
        return await describe(await kafka_options(settings_of(config)))

    found = run(main())
    if as_json:
        say_json(
            [
                {
                    "topic": t.topic,
                    "exists": t.exists,
                    "partitions": t.partitions,
                    "replication_factor": t.replication_factor,
                    "records": t.records,
                    "offsets": t.offsets,
                    "cleanup": t.cleanup,
                    "retention_ms": t.retention_ms,
                    "holds": t.holds,
                    "lag": dict(t.lag),
                }
                for t in found
            ]
        )
        return 0
    rows = [
        [
            t.topic,
            str(t.partitions) if t.exists else "missing",
            str(t.records) if t.records is not None else f"at most {t.offsets}",
            t.cleanup,
            _kept(t.retention_ms, t.cleanup),
            ", ".join(f"{group.removeprefix(_GROUPS)} {lag}" for group, lag in sorted(t.lag.items())),
        ]
        for t in found
    ]
    say_table(rows, ["TOPIC", "PARTITIONS", "RECORDS", "CLEANUP", "KEPT", f"LAG ({_GROUPS}*)"])
    return 0


def _kept(retention_ms: int | None, cleanup: str) -> str:
    if cleanup == "compact":
        return "last per key"
    if retention_ms is None:
        return ""
    days = "for ever" if retention_ms < 0 else f"{retention_ms // 86_400_000} days"
    return f"last per key, {days}" if "compact" in cleanup else days


COMMANDS = [status, topics]
