"""Wrong usage: exit 64 and one line on standard error that says what would be right."""

from __future__ import annotations

import subprocess
import sys

import pytest

from streams.cli import main
from tests.cli.terminal import LOCKSTEP, Terminal


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("statsu", "there is no 'statsu'; did you mean 'status'?"),
        ("policy chekc", "there is no 'policy chekc'; did you mean 'check'?"),
        ("xyzzy", "there are init, test, connect"),
        ("doctor", "'doctor' (a look at the whole installation) is not available yet"),
        ("rebuild --as-of yesterday", "'yesterday' is no time; write it like 2026-11-28T09:30:00Z or 7d"),
        ("--json reconcile --class missed-clse", "'missed-clse' is no class; there are missed-open, missed-close"),
        ("rebuild --as-of 99999999999d", "is no time"),
        ("whatif --policy x --since 2999-01-01", "'2999-01-01' is not in the past"),
        ("whatif", "missing option '--policy'"),
        ("run console", "'run console' is not available yet"),
        ("run nobody", "'nobody' is not one of 'connectors', 'worker', 'executor'"),
        ("connect", "missing argument '{ninjaone|autotask}'. Choose from: ninjaone, autotask"),
        ("explain", "missing argument 'ID'"),
        ("status --bogus", "no such option: --bogus"),
        ("status --role nobody", "'nobody' is not one of"),
        ("up more", "unexpected extra argument (more)"),
        ("parked retry", "ids, --organization ID and/or --because REASON, or --all (one of them)"),
        ("parked retry --all some-id", "ids, --organization ID and/or --because REASON, or --all (one of them)"),
        ("parked retry --all --because NewerVersion", "or --all (one of them)"),
        ("parked dismiss --all", "missing option '--reason'"),
        ("parked dismiss --all --reason=", "--reason is empty; say why it is given up"),
        ("connect autotask --client-id x", "--client-id belongs to ninjaone"),
        ("connect ninjaone --username x", "--username and --integration-code belong to autotask"),
        ("connect autotask", "nothing to connect with; give the user and --secret-stdin"),
        ("sandbox --ninjaone-port 99999", "99999 is not in the range"),
        ("init", "no terminal to ask at; give --client-id, --username, --integration-code, LOCKSTEP_NINJAONE"),
    ],
)
def test_wrong_usage_is_one_line_that_names_the_way_out(terminal: Terminal, arguments: str, words: str) -> None:
    said = terminal.run(*arguments.split())
    assert said.code == 64
    assert words in said.line
    assert "--help')" in said.line
    assert list(terminal.folder.iterdir()) == []


@pytest.mark.parametrize("arguments", ["", "policy", "parked"])
def test_no_verb_shows_the_verbs_and_is_wrong_usage(terminal: Terminal, arguments: str) -> None:
    said = terminal.run(*arguments.split())
    assert (said.code, said.out) == (64, "")
    assert said.err.startswith("Usage: lockstep")
    assert "Commands:" in said.err


def test_every_verb_of_the_design_is_there_or_said_to_be_coming(terminal: Terminal) -> None:
    verbs = """demo up run sandbox init check test status explain audit rebuild whatif shadow resync reconcile export
               parked topics policy drill doctor setup send-test-alert connect disconnect pause resume"""
    assert set(verbs.split()) == {*main.VERBS, *(verb for verb in main.NOT_YET if " " not in verb)}
    told = terminal.run("--help")
    assert told.code == 0
    assert all(f"\n  {verb} " in told.out for verb in main.VERBS)


def test_every_error_with_a_line_of_its_own_is_known_by_the_name_it_has() -> None:
    import importlib

    for module, name in main.ONE_LINERS:
        assert issubclass(getattr(importlib.import_module(module), name), Exception)


@pytest.mark.parametrize(
    ("arguments", "never"),
    [
        ("--version", ("faust", "aiokafka", "httpx", "pydantic", "streams.settings")),
        ("policy check", ("faust", "aiokafka", "httpx")),
    ],
)
def test_a_verb_loads_only_what_it_needs(terminal: Terminal, arguments: str, never: tuple[str, ...]) -> None:
    program = (
        "import sys; from streams.cli.main import run_command_line; "
        f"run_command_line({arguments.split()!r}); print(*[name for name in {never!r} if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=terminal.folder,
        env=terminal.environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == ""


def test_a_reader_that_goes_away_is_no_error(terminal: Terminal) -> None:
    done = subprocess.run(
        ["sh", "-c", f"{LOCKSTEP} --help | true; {LOCKSTEP} policy check --json 2>&1 | head -1 >/dev/null"],
        cwd=terminal.folder,
        env=terminal.environment(),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_an_unforeseen_error_is_one_line_without_its_text(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    import streams.policy_file

    def broken(path: object) -> None:
        raise RuntimeError("canary-4711-secret")

    monkeypatch.setattr(streams.policy_file, "read_policy", broken)
    monkeypatch.setattr("streams.cli.policy.read_policy", broken)
    monkeypatch.setattr("logging.root.handlers", [])
    assert main.run_command_line(["policy", "check", "x.yaml"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.startswith("lockstep: unexpected RuntimeError at test_usage.py:")
    assert "canary" not in told.err
    assert len(told.err.splitlines()) == 1
