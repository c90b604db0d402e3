"""A configuration that cannot be used: exit 1 and one line with the file or variable, the key and the way out."""

from __future__ import annotations

import pytest

from tests.cli.terminal import CANARY, Terminal

#: Reads the configuration and needs nothing else: no vendor, no Kafka.
VERB = ("policy", "check")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "kafka: {partitons: 3}",
            "lockstep.yaml: kafka.partitons: unknown key 'partitons'; did you mean 'partitions'?",
        ),
        ("kafka: 5", "lockstep.yaml: kafka: is a section: keys stand below it"),
        ("- a", "lockstep.yaml: must hold sections such as 'kafka:'"),
        ("5: x", "lockstep.yaml: 5: keys should be strings"),
        ("kafka:\n  - [\n", "lockstep.yaml: line 3, column 1: this is not YAML"),
        (f"autotask: {{secret: {CANARY}}}", "autotask.secret: a secret does not belong in this file; set LOCKSTEP_AUT"),
        (f"autotask: {{secret: '*{CANARY}'}}", "a secret does not belong in this file"),
        (f"autotask: {{secret: *{CANARY}}}", "line 1, column 20: this is not YAML: found undefined alias"),
        (f"autotask: {{secret: !{CANARY} x}}", "this is not YAML: could not determine a constructor for the tag"),
        (f"autotask: {{webhook: {{secret: {CANARY}}}}}", "autotask.webhook.secret: a secret does not belong"),
        (f"ninjaone: {{base_url: 'https://u:{CANARY}@eu.ninjarmm.com'}}", "must not carry a user or password"),
        (
            "ninjaone: {base_url: 'http://eu.ninjarmm.com'}",
            "ninjaone.base_url: plain http is accepted for this machine",
        ),
        ("ninjaone: {base_url: eu}", "ninjaone.base_url: is not a web address; write it as https://host"),
        ("autotask: {discovery_url: 'http://example.com/'}", "autotask.discovery_url: plain http is accepted"),
        ("receiver: {port: 99999}", "receiver.port: input should be less than or equal to 65535"),
    ],
)
def test_what_is_wrong_in_the_file_is_named_with_its_key(terminal: Terminal, text: str, words: str) -> None:
    terminal.write(text)
    said = terminal.run(*VERB)
    assert said.code == 1
    assert words in said.line


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("LOCKSTEP_KAFKA__PARTITONS", "3", "LOCKSTEP_KAFKA__PARTITONS: unknown key 'partitons'; did you mean"),
        ("LOCKSTEP_KAFKA__PARTITIONS", "[", "LOCKSTEP_KAFKA__PARTITIONS: input should be a valid integer"),
        ("LOCKSTEP_KAFKA__PARTITIONS", CANARY, "LOCKSTEP_KAFKA__PARTITIONS: input should be a valid integer"),
        ("LOCKSTEP_KAFKA", "3", "LOCKSTEP_KAFKA: is a section"),
        ("LOCKSTEP_AUTOTASK__SECRET_FILE", "nix", "LOCKSTEP_AUTOTASK__SECRET_FILE: the file 'nix' cannot be read"),
        ("LOCKSTEP_CONFIG", "nix.yaml", "nix.yaml: there is no such file; run 'lockstep init'"),
        ("LOCKSTEP_SECRETS_FILE", "/", "/: cannot be read: Is a directory"),
    ],
)
def test_what_is_wrong_in_the_environment_is_named_with_its_variable(
    terminal: Terminal, name: str, value: str, words: str
) -> None:
    said = terminal.run(*VERB, **{name: value})
    assert said.code == 1
    assert words in said.line


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            f"autotask: {{sercet: {CANARY}}}",
            "secrets.yaml: autotask.sercet: unknown key 'sercet'; did you mean 'secret'",
        ),
        (f"autotask: *{CANARY}", "secrets.yaml: line 1, column 11: this is not YAML"),
        ("- a", "secrets.yaml: must hold sections"),
    ],
)
def test_what_is_wrong_in_the_secrets_file_is_named_with_that_file(terminal: Terminal, text: str, words: str) -> None:
    terminal.write(text, ".lockstep/secrets.yaml").chmod(0o600)
    said = terminal.run(*VERB)
    assert said.code == 1
    assert words in said.line


def test_a_secrets_file_that_others_can_read_is_said(terminal: Terminal) -> None:
    path = terminal.write(f"ninjaone: {{client_secret: {CANARY}}}", ".lockstep/secrets.yaml")
    path.chmod(0o644)
    said = terminal.run("disconnect", "autotask")
    assert said.code == 0
    assert "can be read by others on this machine; run 'chmod 600 .lockstep/secrets.yaml'" in said.err
    path.chmod(0o600)
    assert terminal.run("disconnect", "autotask").err == ""


def test_a_secrets_file_that_cannot_be_written_is_one_line_and_nothing_is_stored(terminal: Terminal) -> None:
    terminal.write("", "file")
    terminal.write("secrets_file: file/secrets.yaml\n")
    said = terminal.run("connect", "ninjaone", "--client-id", "x", "--secret-stdin", "--no-test", stdin=CANARY)
    assert said.code == 1
    assert "file/secrets.yaml: cannot be" in said.line
    assert terminal.files_with_the_secret() == []


def test_an_empty_variable_counts_as_not_set(terminal: Terminal) -> None:
    said = terminal.run("test", "ninjaone", LOCKSTEP_NINJAONE__CLIENT_ID="x", LOCKSTEP_NINJAONE__CLIENT_SECRET="")
    assert said.code == 1
    assert said.out.startswith("Status: credentials: ninjaone.client_secret missing; 'lockstep connect ninjaone'")


def test_the_configuration_may_be_named_before_and_after_the_verb(terminal: Terminal) -> None:
    for arguments in (["--config", "nix.yaml", *VERB], [*VERB, "--config", "nix.yaml"]):
        said = terminal.run(*arguments)
        assert said.code == 1
        assert said.line.startswith("lockstep: nix.yaml: there is no such file; run 'lockstep init' to write one")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "version: 1\nrules:\n  - name: a\n    when: {}\n    lifecycle: {hold: soon}\n",
            "mine.yaml:5: rules.0.lifecycle.hold",
        ),
        (
            "version: 1\nrules: [{name: a, when: {}}]\nmaintenance: [{name: night}]\n",
            "mine.yaml:3: maintenance.0: window 'night' does not say when; write from and to, or weekly",
        ),
        ("version: 1\nrulez: []\n", "mine.yaml:2: rulez: unknown key 'rulez'; did you mean 'rules'?"),
        ("version: 1\nversion: 1\n", "mine.yaml:2: version: key 'version' stands twice"),
        ("a: [", "mine.yaml:1: policy: this is not YAML"),
    ],
)
def test_a_policy_finding_has_file_line_and_key(terminal: Terminal, text: str, words: str) -> None:
    terminal.write(text, "mine.yaml")
    said = terminal.run("policy", "check", "mine.yaml")
    assert said.code == 2
    assert said.out == ""
    assert any(words in line for line in said.err.splitlines()), said.err


@pytest.mark.parametrize("verb", ["policy check", "policy publish", "check", "setup"])
def test_a_missing_policy_is_one_line(terminal: Terminal, verb: str) -> None:
    said = terminal.run(*verb.split())
    assert said.code == 1
    assert said.line.endswith("policy.yaml: there is no such file; 'lockstep init' writes one to start from")


def test_a_policy_that_is_a_folder_is_not_called_missing(terminal: Terminal) -> None:
    terminal.write("policy: .\n")
    assert "cannot be read: Is a directory" in terminal.run("policy", "check").line
