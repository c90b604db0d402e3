"""Wrong usage: exit 64 and one line on standard error that says what would be right."""

from __future__ import annotations

import subprocess
import sys

import pytest

from streams.cli import main
from tests.cli.terminal import LOCKSTEP, InProcess, Terminal


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("statsu", "there is no 'statsu'; did you mean 'status'?"),
        ("policy chekc", "there is no 'policy chekc'; did you mean 'check'?"),
        ("xyzzy", "there are init, test, connect"),
        ("rebuild --as-of yesterday", "'yesterday' is no time; write it like 2026-11-28T09:30:00Z or 7d"),
        ("--json reconcile --class missed-clse", "'missed-clse' is no class; there are missed-open, missed-close"),
        ("rebuild --as-of 99999999999d", "is no time"),
        ("whatif --policy x --since 2999-01-01", "'2999-01-01' is not in the past"),
        ("whatif", "--policy is missing; give it a value (The draft: a policy file)"),
        ("export", "--to is missing; give it a value"),
        (
            "export --to out --table ticket",
            "--table: 'ticket' is none of alerts, incidents, tickets, commands, calls, devices, health, audit, facts; did",
        ),
        ("export --to out --format csv", "--format: 'csv' is none of jsonl, parquet"),
        ("export --to out --organization Nordwind", "--organization: 'Nordwind' is no whole number of at least 1"),
        ("advise --since tomorrow", "'tomorrow' is no time; write it like 2026-11-28T09:30:00Z or 7d"),
        ("status --as-of 1d --role worker", "--role is about now: it cannot be asked for with --as-of"),
        ("explain x --as-of tomorrow", "'tomorrow' is no time"),
        ("audit verify --from-offset 3", "an offset is one of a partition: give --partition too"),
        ("audit tail --since 1h --until 2h", "--since is later than --until"),
        ("audit tail --device server", "'server' is no device's id, nor l31 or o17"),
        ("audit verify --incident T2026", "'T2026' is no external id of ours, such as ls.407."),
        ("run console", "'run console' is not available yet"),
        ("run nobody", "ROLE: 'nobody' is none of connectors, worker, executor"),
        ("connect", "CONNECTION is missing; name one of ninjaone, autotask"),
        ("explain", "ID is missing; give it a value"),
        ("status --bogus", "there is no option --bogus"),
        ("status --role nobody", "--role: 'nobody' is none of connectors, worker, executor"),
        ("up more", "'more' is more than it takes; 'lockstep up' takes no argument"),
        ("parked retry", "ids, --organization ID and/or --because REASON, or --all (one of them)"),
        ("parked retry --all some-id", "ids, --organization ID and/or --because REASON, or --all (one of them)"),
        ("parked retry --all --because NewerVersion", "or --all (one of them)"),
        ("parked dismiss --all", "--reason is missing; give it a value (Why it is given up; stands in the audit)"),
        (
            "parked dismiss --all --reason=",
            "--reason is empty; give it a value (Why it is given up; stands in the audit)",
        ),
        ("connect autotask --client-id x", "--client-id belongs to ninjaone"),
        ("connect ninjaone --username x", "--username and --integration-code belong to autotask"),
        ("connect autotask", "nothing to connect with; give the user and --secret-stdin"),
        ("sandbox --ninjaone-port 99999", "--ninjaone-port: '99999' is no whole number from 0 to 65535"),
        ("shadow --grace soon", "'soon' is no length of time; write it like 15m, 2h or 1d"),
        ("init", "no terminal to ask at; give --client-id, --username, --integration-code, LOCKSTEP_NINJAONE"),
    ],
)
def test_wrong_usage_is_one_line_that_names_the_way_out(here: InProcess, arguments: str, words: str) -> None:
    said = here.run(*arguments.split())
    assert said.code == 64
    assert words in said.line
    assert "--help')" in said.line
    assert list(here.folder.iterdir()) == []


def test_a_script_sees_exit_code_64_and_the_line_on_standard_error(terminal: Terminal) -> None:
    said = terminal.run("export", "--to", "out", "--organization", "Nordwind")
    assert said.code == 64
    assert "--organization: 'Nordwind' is no whole number of at least 1" in said.line
    assert list(terminal.folder.iterdir()) == []


@pytest.mark.parametrize("arguments", [["up", "--config", ""], ["--config", "", "status"], ["sandbox", "--config="]])
def test_an_empty_config_is_not_taken_for_the_default(terminal: Terminal, arguments: list[str]) -> None:
    said = terminal.run(*arguments)
    assert said.code == 64
    assert "it is empty; name a file, or leave --config out for lockstep.yaml" in said.line


@pytest.mark.parametrize("arguments", ["", "policy", "parked"])
def test_no_verb_shows_the_verbs_and_is_wrong_usage(terminal: Terminal, arguments: str) -> None:
    said = terminal.run(*arguments.split())
    assert (said.code, said.out) == (64, "")
    assert said.err.startswith("Usage: lockstep")
    assert "Commands:" in said.err


def test_every_verb_of_the_design_is_there(terminal: Terminal) -> None:
    verbs = """demo up run sandbox init check test status explain audit rebuild whatif shadow resync reconcile export advise
               parked topics policy drill doctor erase setup send-test-alert connect disconnect pause resume"""
    assert set(verbs.split()) == set(main.VERBS)
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
