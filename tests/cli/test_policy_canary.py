"""What a canary is for has to be said in ids; without a running system nothing is published, promoted or taken back."""

from __future__ import annotations

import pytest

from tests.cli.terminal import Terminal

POLICY = "version: 1\nrules: [{name: all, when: {}}]\n"


@pytest.mark.parametrize("written", ["Contoso", "17,", "17;23", "-1"])
def test_an_organization_that_is_no_id_is_wrong_usage(terminal: Terminal, written: str) -> None:
    terminal.write(POLICY, "policy.yaml")
    said = terminal.run("policy", "publish", "--canary", written)
    assert said.code == 64
    assert f"'{written}' is no list of ids of organizations, such as 17,23" in said.line


@pytest.mark.parametrize("verb", ["publish --canary 17,o23", "promote", "rollback"])
def test_without_a_running_system_it_is_one_line(terminal: Terminal, verb: str) -> None:
    terminal.write(POLICY, "policy.yaml")
    said = terminal.run("policy", *verb.split())
    assert said.code == 1
    assert "no embedded broker is running" in said.line
