"""How each role is, from what the roles and their supervisors last reported: also one that ought to run and says nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from schemas.envelope import rfc3339
from streams.reporter import FORGET_AFTER_MS
from streams.wording import ago, counted

#: Roles without which something stands still; each has to run somewhere.
NEEDED = ("connectors", "worker", "executor")
NEVER = "never reported"

Report = dict[str, Any]


def role_rows(reports: Sequence[Report], *, now: int) -> list[Report]:
    """A row for each role, by name, as ``status --json`` has it.

    ``state`` is that of ``streams.reporter.roles``; ``restarting`` for a process that was killed a moment ago, where its
    supervisor said so since; ``never reported`` for one that a supervisor keeps, or nobody, and that has not been heard of.
    """
    supervisors = {
        report["host"]: report
        for report in sorted(reports, key=lambda one: int(one["heard_at"]))
        if report["role"] == "supervisor" and now - report["heard_at"] < FORGET_AFTER_MS
    }
    shown = list(_of_interest([report for report in reports if report["role"] != "supervisor"], now))
    rows = [_row(report, supervisors.get(report["host"]), now) for report in shown]
    heard = {(report["host"], report["name"]) for report in shown}
    for host, supervisor in supervisors.items():
        rows += [
            _silent(name, _role_of(name), host, kept)
            for name, kept in supervisor.get("roles", {}).items()
            if (host, name) not in heard
        ]
    there = {row["role"] for row in rows}
    rows += [_silent(role, role, "", {}) for role in NEEDED if role not in there]
    return sorted(rows, key=lambda row: (str(row["name"]), str(row["host"])))


def cells(row: Report) -> list[str]:
    """A row for people: role, state, last report, process, restarts, what it does."""
    since = row["reported_seconds_ago"]
    return [
        *(row["name"], row["state"], "" if since is None else ago(since), str(row["pid"] or "")),
        *(str(row["restarts"] or ""), row["doing"]),
    ]


def said_of_ends(rows: Sequence[Report]) -> Iterator[str]:
    """Of each role that was started again why it ended the last time, and of one that is silent that it ought to run."""
    for row in rows:
        if row["last_reason"]:
            yield f"{row['name']} was started again {counted(row['restarts'], 'time')}, the last time because it {row['last_reason']}"
        elif row["state"] == NEVER:
            yield f"{row['name']} {NEVER}; start it with 'lockstep up', or with 'lockstep run {row['role']}'"


def _of_interest(reports: Sequence[Report], now: int) -> Iterator[Report]:
    """Those of the last day; of a role that has none, the last one, however old."""
    recent = [report for report in reports if now - report["heard_at"] < FORGET_AFTER_MS]
    yield from recent
    for role in NEEDED:
        if not any(report["role"] == role for report in recent):
            of_role = [report for report in reports if report["role"] == role]
            yield from sorted(of_role, key=lambda report: int(report["heard_at"]))[-1:]


def _row(report: Report, supervisor: Report | None, now: int) -> Report:
    kept = (supervisor or {}).get("roles", {}).get(report["name"], {})
    return {
        "name": report["name"],
        "role": report["role"],
        "host": report["host"],
        "pid": report["pid"],
        "state": "restarting" if _is_replaced(report, kept, supervisor) else report["state"],
        "reported_seconds_ago": max(0, round((now - report["heard_at"]) / 1000)),
        "restarts": kept.get("restarts", 0),
        "last_reason": kept.get("last_reason", ""),
        "started_at": rfc3339(report["started_at"]),
        "doing": _doing(report),
        "figures": report["figures"],
    }


def _silent(name: str, role: str, host: str, kept: Mapping[str, Any]) -> Report:
    return {
        "name": name,
        "role": role,
        "host": host,
        "pid": kept.get("pid"),
        "state": NEVER,
        "reported_seconds_ago": None,
        "restarts": kept.get("restarts", 0),
        "last_reason": kept.get("last_reason", ""),
        "started_at": None,
        "doing": "",
        "figures": {},
    }


def _role_of(name: str) -> str:
    """The role of a process that ``up`` names: ``worker`` of ``worker-1``."""
    return name.partition("-")[0]


def _is_replaced(report: Report, kept: Mapping[str, Any], supervisor: Report | None) -> bool:
    """Whether its supervisor said after a process's last report that it runs no more, or another one in its place."""
    if report["state"] != "running" or not kept or supervisor is None:
        return False
    return bool(supervisor["heard_at"] > report["heard_at"] and kept.get("pid") != report["pid"])


def _doing(report: Report) -> str:
    figures = report["figures"]
    if report["role"] == "worker":
        held = [(agent, part) for agent, part in figures.items() if "partitions" in part]
        return "; ".join(
            f"{agent}: {counted(len(part['partitions']), 'partition')}, {counted(part['facts'], 'fact')}"
            for agent, part in held
        ) or ("holds no partition" if report["state"] == "running" else "")
    if report["role"] == "executor":
        owned = [topic for topic, part in figures.items() if part.get("owner")]
        calls = sum(part.get("calls", 0) for part in figures.values())
        return f"{counted(calls, 'call')}, owns {len(owned)} of {counted(len(figures), 'topic')}"
    parts = []
    for name, part in figures.items():
        slower = part.get("polls_slower_by", 1)
        pace = f" {slower:g} times slower (hourly budget)" if slower > 1 else ""
        parts.append(f"{name}: {'waits' if part.get('suspended') else 'polls' + pace}")
    return ", ".join(parts)
