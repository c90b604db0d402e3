"""The log of a running system as files, by a process that is killed again and again; and what is advised by it."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import yaml

from schemas.envelope import rfc3339
from tests.line.system import System, until
from tests.streams.recorded_log import as_set, rows_of

TABLES = ("--table", "alerts", "--table", "tickets", "--table", "audit", "--batch-records", "40")


def follower(system: System, folder: Path) -> subprocess.Popen[bytes]:
    arguments = ["--to", str(folder), "--follow", "--every", "0.2", *TABLES, "--config", str(system.config)]
    return subprocess.Popen(
        [sys.executable, "-m", "streams.main", "export", *arguments],
        env=system.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _completed(folder: Path, ticket_id: int) -> bool:
    rows = rows_of(folder, "tickets")
    return any((row["event"], row["ticket_id"]) == ("completed", ticket_id) for row in rows)


def test_an_export_that_is_killed_while_it_follows_holds_every_row_once(system: System) -> None:
    folder, at_once = system.folder / "export", system.folder / "export-at-once"
    uids = []
    for device in system.take(2):
        process = follower(system, folder)
        try:
            seen = len(rows_of(folder, "audit"))
            uids.append(system.alert(device))
            until("it writes", lambda seen=seen: len(rows_of(folder, "audit")) > seen)  # type: ignore[misc]
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(10)
    tickets = system.opened(*uids)
    system.clear(uids[0])
    system.completed(tickets[0])
    process = follower(system, folder)
    until("it tells the completion", lambda: _completed(folder, tickets[0]["id"]))
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
    system.silence(2)
    for path in (folder, at_once):
        said = system.lockstep("export", "--to", str(path), *TABLES, "--json")
        assert said.code == 0, said
        assert said.json()["complete"] is True
    assert as_set(rows_of(folder)) == as_set(rows_of(at_once))
    assert system.lockstep("export", "--to", str(folder), *TABLES, "--json").json()["records"] == 0
    wanted = {ticket["externalID"]: ticket["id"] for ticket in tickets}
    opened = {row["incident"]: row["ticket_id"] for row in rows_of(folder, "tickets") if row["event"] == "opened"}
    assert wanted.items() <= opened.items()


def test_a_hold_that_would_have_saved_a_ticket_is_advised_and_the_rule_to_paste_does_save_it(system: System) -> None:
    system.publish(system.policy())
    system.silence(1)
    begin = rfc3339(round(time.time() * 1000))
    uid = system.alert(system.take()[0], sourceType="CONDITION_AGENT_MEMORY")
    [ticket] = system.opened(uid)
    system.clear(uid)
    system.completed(ticket)
    system.silence(1)
    said = system.lockstep("advise", "--since", begin)
    assert said.code == 2, said
    assert "all of it together: 0 tickets instead of 1, 2 calls fewer; none later" in said.out
    assert "right before the rule everything-else" in said.out
    [rule] = yaml.safe_load(said.out.rpartition("# right before the rule everything-else\n")[2])
    policy = system.policy()
    draft = system.folder / "advised.yaml"
    draft.write_text(yaml.safe_dump({**policy, "rules": [*policy["rules"][:-1], rule, policy["rules"][-1]]}))
    changes = system.lockstep("whatif", "--policy", str(draft), "--since", begin, "--json").json()["changes"]
    assert [(change["external_id"], change["what"]) for change in changes] == [(ticket["externalID"], "not opened")]
