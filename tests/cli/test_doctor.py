"""``lockstep doctor`` without a running system: it says what it could not look at, and the exit code says whether all is well."""

from __future__ import annotations

import json

from tests.cli.terminal import CANARY, Terminal


def test_an_empty_folder_is_no_fault_and_what_was_not_seen_is_named(terminal: Terminal) -> None:
    said = terminal.run("doctor", "--json")
    assert said.code == 0
    told = json.loads(said.out)
    lines = {line["what"]: line for line in told["lines"]}
    assert lines["kafka"]["level"] == "unseen"
    assert "dead letters" in lines["kafka"]["found"]
    assert {lines[name]["level"] for name in ("python", "java", "packages")} == {"ok"}
    assert told["wrong"] == 0


def test_secrets_that_others_can_read_and_a_broken_policy_are_wrong_each_with_its_remedy(terminal: Terminal) -> None:
    secrets = terminal.write(f"autotask: {{secret: {CANARY}}}\n", ".lockstep/secrets.yaml")
    secrets.chmod(0o644)
    terminal.write("version: 1\nrules: []\n", "policy.yaml")
    terminal.write("kafka: {partitions: 3}\n").chmod(0o666)
    said = terminal.run("doctor")
    assert said.code == 2
    for words in ("WRONG     secrets", "chmod 600", "WRONG     policy file", "warning   configuration", "2 wrong"):
        assert words in said.out, words


def test_a_configuration_that_cannot_be_read_is_one_line_and_exit_code_1(terminal: Terminal) -> None:
    terminal.write("kafka: {partitons: 3}")
    said = terminal.run("doctor")
    assert said.code == 1
    assert "did you mean 'partitions'" in said.line


def test_a_kafka_of_the_users_own_that_does_not_answer_is_wrong(terminal: Terminal) -> None:
    terminal.write("kafka: {bootstrap_servers: '127.0.0.1:1'}")
    said = terminal.run("doctor", "--json")
    assert said.code == 2
    (line,) = [line for line in json.loads(said.out)["lines"] if line["what"] == "kafka"]
    assert line["level"] == "wrong"
    assert "connections" in line["found"]
