"""``test``, ``connect``, ``disconnect``, ``setup`` with a Kafka of one's own that is away: what was done, what was not told."""

from __future__ import annotations

import json
from typing import Any

import yaml

from tests.cli.terminal import Terminal
from tests.cli.test_connecting import SUCCESS, configured

AWAY = {"LOCKSTEP_KAFKA__BOOTSTRAP_SERVERS": "127.0.0.1:1"}
NO_ANSWER = "lockstep: Kafka at 127.0.0.1:1 does not answer"


def test_a_good_test_that_no_running_system_learns_of_is_no_success(
    terminal: Terminal, sandbox: dict[str, Any]
) -> None:
    secrets = configured(terminal, sandbox)
    said = terminal.run("test", "ninjaone", **secrets, **AWAY)
    assert (said.code, said.out) == (1, SUCCESS + "\n")
    (line,) = said.err.splitlines()
    assert line.startswith(NO_ANSWER)
    assert line.endswith(
        "a running system was not told of this test, and its connection stays as it was: "
        "run 'lockstep test ninjaone' again when Kafka answers"
    )
    said = terminal.run("test", "ninjaone", "--json", **secrets, **AWAY)
    document = json.loads(said.out)
    assert (said.code, document["ok"]) == (1, True)
    assert document["untold"].startswith("Kafka at 127.0.0.1:1 does not answer")


def test_credentials_are_stored_while_kafka_is_away_and_it_says_who_was_not_told(
    terminal: Terminal, sandbox: dict[str, Any]
) -> None:
    secret = configured(terminal, sandbox)["LOCKSTEP_NINJAONE__CLIENT_SECRET"]
    said = terminal.run("connect", "ninjaone", "--secret-stdin", stdin=secret, **AWAY)
    assert said.code == 1
    assert said.out == f"{SUCCESS}\nNinjaOne: stored in .lockstep/secrets.yaml\n"
    (line,) = said.err.splitlines()
    assert line.startswith(NO_ANSWER)
    assert (
        yaml.safe_load((terminal.folder / ".lockstep/secrets.yaml").read_text())["ninjaone"]["client_secret"] == secret
    )


def test_a_disconnect_while_kafka_is_away_forgets_and_says_who_may_go_on(
    terminal: Terminal, sandbox: dict[str, Any]
) -> None:
    secret = configured(terminal, sandbox)["LOCKSTEP_NINJAONE__CLIENT_SECRET"]
    terminal.run("connect", "ninjaone", "--secret-stdin", "--no-test", stdin=secret)
    said = terminal.run("disconnect", "ninjaone", **AWAY)
    assert (said.code, said.out) == (1, "NinjaOne: the stored credentials are forgotten\n")
    (line,) = said.err.splitlines()
    assert line.startswith(NO_ANSWER)
    assert line.endswith(
        "a running system was not told and may go on calling: run 'lockstep disconnect ninjaone' again when Kafka answers"
    )
    assert secret not in (terminal.folder / ".lockstep/secrets.yaml").read_text()


def test_setup_creates_nothing_that_a_running_system_could_not_learn_of(
    terminal: Terminal, sandbox: dict[str, Any]
) -> None:
    secrets = configured(terminal, sandbox)
    terminal.write(
        "version: 1\ndevices: {types: [{type: Workstation, product: Managed Device}], fields: {link: Untold Field}}\n"
        "rules: [{name: all, when: {}}]\n",
        "policy.yaml",
    )
    said = terminal.run("setup", **secrets, **AWAY)
    assert said.code == 1
    assert said.line.startswith(NO_ANSWER)
    assert said.line.endswith("; nothing was created")
    assert "'Untold Field'" in terminal.run("check", **secrets).out


def test_a_switch_that_cannot_be_written_says_what_to_look_at(terminal: Terminal) -> None:
    said = terminal.run("pause", **AWAY)
    assert said.code == 1
    assert said.line.startswith(NO_ANSWER)
    assert said.line.endswith("is it running, and are kafka.bootstrap_servers and kafka.security right?")
    assert said.line.count("KafkaConnectionError") == 0


def test_help_offers_only_what_there_is_and_says_the_default(terminal: Terminal) -> None:
    assert "console" not in terminal.run("run", "--help").out
    assert "'run console' is not available yet" in terminal.run("run", "console").err
    for verb in ("pause", "resume"):
        assert "Without an argument: both" in " ".join(terminal.run(verb, "--help").out.split())
    for verb in ("demo", "drill"):
        assert "on the last line" in " ".join(terminal.run(verb, "--help").out.split())
