"""``check`` and ``policy check --tenant`` over the sandbox as a process: one implementation, findings with file and line."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cli.terminal import Terminal
from tests.cli.test_connecting import configured

POLICY = """\
version: 1
defaults:
  queue: Monitorin
devices: {types: [{type: Server, product: Managed Server}], fields: {link: NinjaOne Link}}
rules: [{name: all, when: {}}]
"""
FOUND = "policy.yaml:3: defaults.queue: queue 'Monitorin' does not exist in Autotask; did you mean 'Monitoring'?"


@pytest.mark.parametrize(("verb", "where"), [("check", "out"), ("policy check --tenant", "err")])
def test_a_name_that_the_tenant_does_not_have_is_told_with_its_line_and_the_nearest_one(
    terminal: Terminal, sandbox: dict[str, Any], verb: str, where: str
) -> None:
    secrets = configured(terminal, sandbox)
    terminal.write(POLICY, "policy.yaml")
    said = terminal.run(*verb.split(), **secrets)
    assert said.code == 2
    assert getattr(said, where).splitlines()[0].endswith(FOUND)
    document = json.loads(terminal.run(*verb.split(), "--json", **secrets).out)
    (finding,) = document["findings"]
    assert (finding["key"], finding["suggestion"]) == ("defaults.queue", "did you mean 'Monitoring'?")
    terminal.write(POLICY.replace("Monitorin", "Monitoring"), "policy.yaml")
    assert terminal.run(*verb.split(), **secrets).code == 0


def test_without_the_option_nobody_is_asked(terminal: Terminal) -> None:
    terminal.write(POLICY, "policy.yaml")
    said = terminal.run("policy", "check")
    assert (said.code, said.err) == (0, "")


def test_a_tenant_that_cannot_be_asked_is_one_line(terminal: Terminal, sandbox: dict[str, Any]) -> None:
    terminal.write(POLICY, "policy.yaml")
    said = terminal.run("policy", "check", "--tenant")
    assert said.code == 1
    assert "'lockstep connect autotask' stores them" in said.line
    secrets = configured(terminal, sandbox)
    said = terminal.run("policy", "check", "--tenant", **{**secrets, "LOCKSTEP_AUTOTASK__SECRET": "wrong"})
    assert said.code == 1
    assert said.line.startswith("lockstep: Autotask: Status: credentials: Autotask refused the API user ")


def test_a_kafka_that_is_away_is_said_and_the_file_is_checked_all_the_same(terminal: Terminal) -> None:
    terminal.write(POLICY, "policy.yaml")
    said = terminal.run("policy", "check", LOCKSTEP_KAFKA__BOOTSTRAP_SERVERS="127.0.0.1:1")
    assert said.code == 0
    assert said.err.startswith("note: Kafka at 127.0.0.1:1 ")
    assert said.err.endswith("organizations and companies were not looked at\n")
