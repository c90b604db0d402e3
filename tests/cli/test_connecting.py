"""``init``, ``connect``, ``test`` and ``check`` when something is wrong, over the sandbox as a process of its own."""

from __future__ import annotations

import json
import os
import pty
import select
import stat
import subprocess
import time
from typing import Any

import pytest
import yaml

from tests.cli.terminal import CANARY, LOCKSTEP, InProcess, Terminal

SUCCESS = "Status: Connection succeeded with provided credentials."


def configured(terminal: Terminal, sandbox: dict[str, Any], **changes: dict[str, Any]) -> dict[str, str]:
    """A configuration for the sandbox, and the environment with its secrets."""
    ninjaone, autotask = sandbox["ninjaone"], sandbox["autotask"]
    document = {
        "ninjaone": {"base_url": ninjaone["base_url"], "client_id": ninjaone["client_id"]},
        "autotask": {"discovery_url": autotask["discovery_url"], "username": autotask["username"]},
    }
    for section, values in changes.items():
        document[section] |= values
    terminal.write(yaml.safe_dump(document))
    return {
        "LOCKSTEP_NINJAONE__CLIENT_SECRET": ninjaone["client_secret"],
        "LOCKSTEP_AUTOTASK__SECRET": autotask["secret"],
        "LOCKSTEP_AUTOTASK__INTEGRATION_CODE": autotask["integration_code"],
    }


def test_a_good_connection_says_exactly_the_line_first_and_findings_after_it(
    terminal: Terminal, sandbox: dict[str, Any]
) -> None:
    secrets = configured(terminal, sandbox)
    said = terminal.run("test", "ninjaone", **secrets)
    assert (said.code, said.out, said.err) == (0, SUCCESS + "\n", "")
    terminal.write(
        "version: 1\ndevices: {types: [{type: Workstation, product: Managed Device}], fields: {link: No Such Field}}\n"
        "rules: [{name: all, when: {}}]\n",
        "policy.yaml",
    )
    said = terminal.run("test", "autotask", **secrets)
    first, *findings = said.out.splitlines()
    assert first == SUCCESS
    assert (said.code, said.err) == (2, "")
    assert ["'No Such Field'" in finding for finding in findings] == [True]


@pytest.mark.parametrize(
    ("vendor", "changes", "words"),
    [
        ("ninjaone", {"client_id": "of-another-region"}, "Status: client id: "),
        ("ninjaone", {"base_url": "https://127.0.0.1:1"}, "Status: host: 127.0.0.1:1 cannot be reached"),
        ("autotask", {"discovery_url": "https://127.0.0.1:1/atservicesrest/"}, "Status: zone: "),
        ("autotask", {"username": "nobody@example.com"}, "Status: user: Autotask does not know the user name"),
    ],
)
def test_a_wrong_region_zone_host_or_user_is_one_line(
    terminal: Terminal, sandbox: dict[str, Any], vendor: str, changes: dict[str, Any], words: str
) -> None:
    secrets = configured(terminal, sandbox, **{vendor: changes})
    said = terminal.run("test", vendor, **secrets)
    assert said.code == 1
    assert said.err == ""
    assert said.out.startswith(words)
    assert len(said.out.splitlines()) == 1


def test_a_discovery_url_that_is_no_autotask_is_named(terminal: Terminal, sandbox: dict[str, Any]) -> None:
    wrong = sandbox["ninjaone"]["base_url"] + "/atservicesrest/"
    said = terminal.run("test", "autotask", **configured(terminal, sandbox, autotask={"discovery_url": wrong}))
    assert said.code == 1
    assert said.out.startswith("Status: zone: ")
    assert "autotask.discovery_url" in said.out
    assert len(said.out.splitlines()) == 1


def test_a_wrong_secret_is_told_and_shown_nowhere(terminal: Terminal, sandbox: dict[str, Any]) -> None:
    secrets = configured(terminal, sandbox)
    said = terminal.run("test", "ninjaone", **{**secrets, "LOCKSTEP_NINJAONE__CLIENT_SECRET": CANARY})
    assert said.code == 1
    assert said.out.startswith("Status: client secret: ")
    said = terminal.run("test", "autotask", "--json", **{**secrets, "LOCKSTEP_AUTOTASK__SECRET": CANARY})
    assert said.code == 1
    assert json.loads(said.out)["step"] == "credentials"
    said = terminal.run("test", "autotask", **{**secrets, "LOCKSTEP_AUTOTASK__INTEGRATION_CODE": CANARY})
    assert said.code == 1
    assert said.out.startswith("Status: tracking identifier: ")
    assert terminal.files_with_the_secret() == []


def test_credentials_that_do_not_work_are_not_stored(terminal: Terminal, sandbox: dict[str, Any]) -> None:
    configured(terminal, sandbox)
    said = terminal.run("connect", "ninjaone", "--secret-stdin", stdin=f"{CANARY}\n")
    assert said.code == 1
    assert said.out.startswith("Status: client secret: ")
    assert said.err == "nothing was stored\n"
    assert not (terminal.folder / ".lockstep").exists()


def test_credentials_that_work_are_stored_for_the_owner_only(terminal: Terminal, sandbox: dict[str, Any]) -> None:
    configured(terminal, sandbox)
    secret = sandbox["ninjaone"]["client_secret"]
    said = terminal.run("connect", "ninjaone", "--secret-stdin", stdin=f"{secret}\n")
    assert said.code == 0
    assert said.out.splitlines()[0] == SUCCESS
    assert secret not in said.out + said.err
    stored = terminal.folder / ".lockstep/secrets.yaml"
    assert stat.S_IMODE(stored.stat().st_mode) == 0o600
    assert terminal.run("test", "ninjaone").out == SUCCESS + "\n"
    assert terminal.run("disconnect", "ninjaone", "--json").code == 0
    assert secret not in stored.read_text()


@pytest.mark.parametrize(
    ("arguments", "stdin", "words"),
    [
        (
            ("autotask", "--username", "u@x", "--secret-stdin"),
            "",
            "the secret is empty: nothing came on standard input",
        ),
        (("autotask", "--username", "u@x", "--secret-stdin"), " \n", "the secret is empty"),
        (("autotask", "--username", "u@x", "--secret-stdin"), CANARY, "--integration-code, of which some are neither"),
        (("ninjaone", "--secret-stdin"), CANARY, "NinjaOne needs --client-id and --secret-stdin"),
    ],
)
def test_half_a_set_of_credentials_is_refused_before_any_call(
    terminal: Terminal, arguments: tuple[str, ...], stdin: str, words: str
) -> None:
    said = terminal.run("connect", *arguments, stdin=stdin)
    assert said.code == 64
    assert words in said.line
    assert terminal.files_with_the_secret() == []


def test_connect_without_a_test_answers_in_json_too(terminal: Terminal) -> None:
    arguments = ("connect", "ninjaone", "--client-id", "x", "--secret-stdin", "--no-test", "--json")
    said = terminal.run(*arguments, stdin=CANARY)
    assert said.code == 0
    assert json.loads(said.out) == {"connection": "ninjaone", "stored": ".lockstep/secrets.yaml", "tested": False}
    assert terminal.files_with_the_secret() == [".lockstep/secrets.yaml"]


@pytest.mark.parametrize(
    ("arguments", "stdin", "words"),
    [
        (
            ("autotask", "--username", "u@x", "--integration-code", "I" * 27, "--secret-stdin"),
            "short",
            "the Autotask secret has 5 characters, and none is shorter than 8: copy all of it; nothing was stored",
        ),
        (
            ("autotask", "--username", "u@x", "--integration-code", "I", "--secret-stdin", "--no-test"),
            CANARY,
            "the Autotask tracking identifier has 1 character, and none is shorter than 8",
        ),
        (("ninjaone", "--client-id", "x", "--secret-stdin"), "1234567", "the NinjaOne client secret has 7 characters"),
    ],
)
def test_a_part_of_a_secret_is_refused_before_any_call_and_not_stored(
    here: InProcess, arguments: tuple[str, ...], stdin: str, words: str
) -> None:
    said = here.run("connect", *arguments, stdin=stdin)
    assert said.code == 64
    assert words in said.line
    assert list(here.folder.iterdir()) == []


def test_init_refuses_a_part_of_a_secret_and_writes_nothing(
    terminal: Terminal, here: InProcess, sandbox: dict[str, Any]
) -> None:
    secrets = configured(terminal, sandbox)
    (terminal.folder / "lockstep.yaml").unlink()
    said = here.run("init", *arguments_of(sandbox), **{**secrets, "LOCKSTEP_AUTOTASK__SECRET": "the"})
    assert said.code == 64
    assert "the Autotask secret has 3 characters, and none is shorter than 8: copy all of it; nothing was" in said.line
    assert list(terminal.folder.iterdir()) == []


@pytest.mark.parametrize(
    ("variable", "value", "step"),
    [
        ("LOCKSTEP_AUTOTASK__USERNAME", "nobody@example.com", "user: Autotask does not know the user name 'nobody@"),
        ("LOCKSTEP_AUTOTASK__SECRET", CANARY, "credentials: Autotask refused the API user"),
        ("LOCKSTEP_AUTOTASK__INTEGRATION_CODE", CANARY, "tracking identifier: user name and secret are right, the"),
        ("LOCKSTEP_AUTOTASK__DISCOVERY_URL", "http://127.0.0.1:1/", "zone: the zone of 'lockstep-api@"),
    ],
)
def test_check_and_setup_say_of_wrong_credentials_what_init_says(
    terminal: Terminal, here: InProcess, sandbox: dict[str, Any], variable: str, value: str, step: str
) -> None:
    terminal.write(
        "version: 1\ndevices: {types: [{type: W, product: P}]}\nrules: [{name: all, when: {}}]\n", "policy.yaml"
    )
    wrong = {**configured(terminal, sandbox), variable: value}
    tested = here.run("test", "autotask", **wrong).out.strip()
    assert tested.startswith(f"Status: {step}"), tested
    for verb in ("check", "setup"):
        said = here.run(verb, **wrong)
        assert (said.code, said.line) == (1, f"lockstep: Autotask: {tested}")


@pytest.mark.parametrize("verb", ["check", "setup"])
def test_check_and_setup_without_credentials_are_one_line(terminal: Terminal, verb: str) -> None:
    terminal.write(
        "version: 1\ndevices: {types: [{type: W, product: P}]}\nrules: [{name: all, when: {}}]\n", "policy.yaml"
    )
    said = terminal.run(verb)
    assert said.code == 1
    assert "'lockstep connect autotask' stores them" in said.line


def arguments_of(sandbox: dict[str, Any]) -> list[str]:
    ninjaone, autotask = sandbox["ninjaone"], sandbox["autotask"]
    return [
        *("--base-url", ninjaone["base_url"], "--client-id", ninjaone["client_id"]),
        *("--username", autotask["username"], "--discovery-url", autotask["discovery_url"]),
    ]


def test_init_without_a_terminal_takes_flags_and_environment(terminal: Terminal, sandbox: dict[str, Any]) -> None:
    secrets = configured(terminal, sandbox)
    (terminal.folder / "lockstep.yaml").unlink()
    said = terminal.run("init", *arguments_of(sandbox), **secrets)
    assert said.code == 0, said
    lines = said.out.splitlines()
    assert lines[0].startswith("written: lockstep.yaml, policy.yaml, .lockstep/secrets.yaml")
    assert f"NinjaOne: {SUCCESS}" in lines
    assert f"Autotask: {SUCCESS}" in lines
    assert not any(secret in said.out for secret in secrets.values())
    for name in ("lockstep.yaml", "policy.yaml"):
        assert not any(secret in (terminal.folder / name).read_text() for secret in secrets.values())
    before = (terminal.folder / "lockstep.yaml").read_bytes()
    said = terminal.run("init", *arguments_of(sandbox), **secrets)
    assert said.code == 1
    assert said.line == "lockstep: lockstep.yaml exists; edit it, or use --force to replace it"
    assert (terminal.folder / "lockstep.yaml").read_bytes() == before
    said = terminal.run("init", "--force", "--json", *arguments_of(sandbox), **secrets)
    assert said.code == 0
    assert json.loads(said.out)["connections"]["autotask"]["line"] == SUCCESS


def test_an_answer_to_init_that_cannot_be_used_leaves_nothing_behind(
    terminal: Terminal, sandbox: dict[str, Any]
) -> None:
    secrets = configured(terminal, sandbox)
    (terminal.folder / "lockstep.yaml").unlink()
    arguments = arguments_of(sandbox)
    arguments[1] = "http://eu.ninjarmm.com"
    said = terminal.run("init", *arguments, **secrets)
    assert said.code == 1
    assert "what was given: ninjaone.base_url: plain http is accepted for this machine only" in said.line
    assert list(terminal.folder.iterdir()) == []


def test_init_asks_at_a_terminal_and_never_shows_a_secret(terminal: Terminal, sandbox: dict[str, Any]) -> None:
    ninjaone, autotask = sandbox["ninjaone"], sandbox["autotask"]
    answers = {
        "NinjaOne host": ninjaone["base_url"],
        "NinjaOne client id": ninjaone["client_id"],
        "NinjaOne client secret": ninjaone["client_secret"],
        "Autotask API user": autotask["username"],
        "Autotask API secret": autotask["secret"],
        "tracking identifier": autotask["integration_code"],
    }
    shown, code = at_a_terminal(terminal, ["init", "--discovery-url", autotask["discovery_url"]], answers)
    assert code == 0, shown
    assert shown.count(SUCCESS) == 2
    for secret in (ninjaone["client_secret"], autotask["secret"], autotask["integration_code"]):
        assert secret not in shown


def at_a_terminal(terminal: Terminal, arguments: list[str], answers: dict[str, str]) -> tuple[str, int]:
    """Run the command on a pseudo-terminal, answering each question as it shows. Returns all that was shown."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [LOCKSTEP, *arguments],
        cwd=terminal.folder,
        env=terminal.environment(),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown, asked, left = "", 0, list(answers.items())
    deadline = time.monotonic() + 40
    try:
        while time.monotonic() < deadline:
            if not select.select([ours], [], [], 0.2)[0]:
                continue
            try:
                chunk = os.read(ours, 4096)
            except OSError:  # the other end is closed
                break
            if not chunk:
                break
            shown += chunk.decode()
            if left and left[0][0] in shown[asked:] and shown.endswith(": "):
                os.write(ours, f"{left.pop(0)[1]}\n".encode())
                asked = len(shown)
        return shown, process.wait(10)
    finally:
        process.kill()
        process.wait(5)
        os.close(ours)
