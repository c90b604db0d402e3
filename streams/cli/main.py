"""The command line's root: finds the verbs, and turns every error into one line and an exit code."""

from __future__ import annotations

import importlib
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

import click

from schemas import VERSION
from streams.cli.base import FAILED, INTERRUPTED, USAGE, ConfigFile, Failure, say_error
from streams.cli.usage import refuse, told, with_plain_names
from streams.wording import one_line, quoted

#: Every verb and the module that has it: loaded when the verb is used, so that a check of a file does not load Faust.
VERBS = {
    **dict.fromkeys(("init", "test", "connect", "disconnect", "check", "setup"), "connections"),
    **dict.fromkeys(("up", "run", "sandbox", "demo"), "running"),
    **dict.fromkeys(("status", "topics"), "observe"),
    **dict.fromkeys(("explain", "audit"), "audit"),
    **dict.fromkeys(("rebuild", "whatif"), "replaying"),
    "export": "exporting",
    "advise": "advising",
    **dict.fromkeys(("resync", "reconcile"), "reconciling"),
    "shadow": "shadow",
    "parked": "parked",
    **dict.fromkeys(("pause", "resume"), "work"),
    "policy": "policy",
    "erase": "erase",
    "doctor": "doctor",
    "send-test-alert": "sample",
    "drill": "drill",
}

#: Errors whose text is written for the person at the terminal. By name: only a module that is loaded can have raised.
ONE_LINERS = (
    ("streams.settings", "SettingsError"),
    ("streams.policy_file", "PolicyFileError"),
    ("streams.kafka_options", "KafkaOptionsError"),
    ("streams.kafka_runtime", "BrokerError"),
    ("streams.clock", "ClockError"),
    ("streams.log", "LogError"),
    ("streams.readers", "ReadError"),
    ("streams.topics", "TopicsError"),
    ("streams.mode", "ModeError"),
    ("streams.vendors", "NoCredentials"),
    ("streams.policy_check", "TenantAway"),
    ("streams.policy_log", "NothingToTry"),
    ("streams.send_test_alert", "UnknownOrganization"),
    ("streams.receiver_port", "ReceiverError"),
    ("streams.roles.connectors", "SideError"),
    ("streams.connection_watch", "WatchError"),
    ("streams.analytics.formats", "ExportError"),
    ("streams.delivery.fatal", "StartRefused"),
    ("streams.drill.schedule", "ScheduleError"),
    ("streams.reconciling.vendors_side", "ConnectionClosed"),
    ("streams.reconciling.scope", "UnknownScope"),
    ("connectors.ninjaone.survey", "SurveyIncomplete"),
    ("connectors.ports", "CallsSuspended"),
    ("connectors.errors", "CallFailed"),
    ("connectors.autotask.client", "AccessError"),
    ("connectors.reading_only", "WriteRefused"),
    ("connectors.sandbox.remote", "SandboxAway"),
)


class Group(click.Group):
    """A group of verbs that answers an unknown one with the nearest."""

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0] if args else ""
        whole = f"{context.command_path} {name}".partition(" ")[2]
        if name and not name.startswith("-") and self.get_command(context, name) is None:
            near = get_close_matches(name, self.list_commands(context), 1)
            hint = f"did you mean '{near[0]}'?" if near else f"there are {', '.join(self.list_commands(context))}"
            raise click.UsageError(f"there is no {quoted(whole)}; {hint}", context)
        found = super().resolve_command(context, args)
        command = found[1]
        if command is not None and not context.resilient_parsing:
            inner = command.context_class(command, info_name=name, parent=context, **command.context_settings)
            refuse(inner, found[2])
        return found


class Root(Group):
    """The group of all verbs, in the order of ``VERBS``; loads the module of the one that is used."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        if not context.resilient_parsing:
            refuse(context, args)
        return super().parse_args(context, args)

    def list_commands(self, context: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        commands: Sequence[click.Command] = importlib.import_module(f"streams.cli.{VERBS[name]}").COMMANDS
        return with_plain_names(next(command for command in commands if command.name == name))


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(VERSION, prog_name="lockstep", message="%(prog)s %(version)s")
@click.option("--config", type=ConfigFile(), help="Configuration file (default: lockstep.yaml).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
def root(config: Path | None, as_json: bool) -> None:
    """Keeps NinjaOne and Autotask in step.

    Exit codes: 0 done, 1 failed, 2 difference or finding, 64 wrong usage, 130 stopped by Ctrl-C.
    """


def run_command_line(arguments: Sequence[str] | None = None) -> int:
    """Run one verb. Returns the exit code: 0 ok, 1 failed, 2 difference or finding, 64 wrong usage."""
    # What libraries log is for the roles, which set logging up; a verb's own line says what is wrong, once.
    for library in ("aiokafka", "asyncio", "faust", "mode"):
        logging.getLogger(library).addHandler(logging.NullHandler())
    try:
        result = root.main(args=arguments, prog_name="lockstep", standalone_mode=False)
        sys.stdout.flush()
    except click.UsageError as error:
        return _wrong_usage(error)
    except (click.Abort, KeyboardInterrupt):
        say_error("lockstep: interrupted")
        return INTERRUPTED
    except Failure as failure:
        say_error(f"lockstep: {failure}")
        return failure.code
    except BrokenPipeError:
        # The reader went away (lockstep audit tail | head). Python flushes once more at its end: into nothing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else FAILED
    except Exception as error:
        return _failed(error)
    return result if isinstance(result, int) else 0


def _wrong_usage(error: click.UsageError) -> int:
    where = error.ctx.command_path if error.ctx else "lockstep"
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        say_error(error.format_message())
        return USAGE
    say_error(f"{where}: {told(error)} (see '{where} --help')")
    return USAGE


def _failed(error: Exception) -> int:
    if isinstance(error, _one_liners()):
        # A policy has a line for each finding; all else has one.
        lines = getattr(error, "lines", [str(error)])
        for line in lines:
            say_error(f"lockstep: {one_line(line)}")
        return int(getattr(error, "exit_code", FAILED))
    if isinstance(error, OSError) and error.filename is not None:
        say_error(
            f"lockstep: {one_line(os.fsdecode(error.filename))}: {error.strerror}; check the path and its permissions"
        )
        return FAILED
    # Only roles set logging up: their standard error is a log, where the trace belongs.
    if "LOCKSTEP_TRACEBACK" in os.environ or logging.getLogger().handlers:
        traceback.print_exception(error)
    # The text of an unforeseen error may hold anything, a secret too; where it came from does not.
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "an unknown place"
    say_error(
        f"lockstep: unexpected {type(error).__name__} at {place}; this is a fault in Lockstep: "
        "LOCKSTEP_TRACEBACK=1 shows the details, which may hold secrets"
    )
    return FAILED


def _one_liners() -> tuple[type[Exception], ...]:
    return tuple(getattr(sys.modules[module], name) for module, name in ONE_LINERS if module in sys.modules)
