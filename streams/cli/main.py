"""The command line's root: registers the verbs and turns every error into one line and an exit code."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from streams.cli.base import FAILED, USAGE, Failure, say_error
from streams.policy_file import PolicyFileError
from streams.settings import SettingsError

VERSION = "0.1.0"

#: Verbs of the design that a later version brings: refused by name, so that nobody takes silence for success.
NOT_YET = {
    "rebuild": "state from the recorded decisions",
    "whatif": "recorded facts under a draft policy",
    "shadow": "predicting beside another connector",
    "resync": "reading both vendors anew",
    "reconcile": "comparing log, NinjaOne and Autotask",
    "export": "audit and facts as files",
    "drill": "faults by seed",
    "doctor": "a look at the whole installation",
    "send-test-alert": "one marked ticket through the whole line",
}


class Root(click.Group):
    """The group of all verbs; knows which are still to come."""

    def resolve_command(
        self, context: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] in NOT_YET:
            raise click.UsageError(f"'{args[0]}' ({NOT_YET[args[0]]}) is not available yet")
        return super().resolve_command(context, args)


@click.group(cls=Root, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="lockstep", message="%(prog)s %(version)s")
@click.option(
    "--config", type=click.Path(path_type=Path, dir_okay=False), help="Configuration file (default: lockstep.yaml)."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead of text.")
def root(config: Path | None, as_json: bool) -> None:
    """Keeps NinjaOne and Autotask in step."""


def register() -> None:
    """Attach every verb. Imported here, so that 'lockstep --version' does not load Faust."""
    from streams.cli import connections, observe, policy, running, work

    for module in (connections, observe, policy, running, work):
        for command in module.COMMANDS:
            root.add_command(command)


def _one_liners() -> tuple[type[Exception], ...]:
    """Errors whose text is written for the person at the terminal."""
    from connectors.autotask.client import AccessError
    from streams.broker import BrokerError
    from streams.clock import ClockError
    from streams.delivery.fatal import StartRefused
    from streams.kafka_options import KafkaOptionsError
    from streams.log import LogError
    from streams.readers import ReadError
    from streams.roles.connectors import ReceiverError
    from streams.topics import TopicsError
    from streams.vendors import NoCredentials

    return (
        AccessError, BrokerError, ClockError, KafkaOptionsError, LogError, NoCredentials, ReadError, ReceiverError,
        SettingsError,
        StartRefused, TopicsError,
    )  # fmt: skip


def run_command_line(arguments: Sequence[str] | None = None) -> int:
    """Run one verb. Returns the exit code: 0 ok, 1 failed, 2 difference or finding, 64 wrong usage."""
    register()
    try:
        result = root.main(args=arguments, prog_name="lockstep", standalone_mode=False)
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx else "lockstep"
        say_error(f"{where}: {error.format_message()}")
        say_error(f"Try '{where} --help'.")
        return USAGE
    except (click.Abort, KeyboardInterrupt):
        say_error("lockstep: interrupted")
        return 130
    except Failure as failure:
        say_error(f"lockstep: {failure}")
        return failure.code
    except _one_liners() as error:
        say_error(f"lockstep: {error}")
        return int(getattr(error, "exit_code", FAILED))
    except PolicyFileError as error:
        for line in error.lines:
            say_error(line)
        return FAILED
    except BrokenPipeError:
        # The reader went away (lockstep audit tail | head): nothing to say, and nothing more to flush.
        with contextlib.suppress(OSError):
            sys.stdout = None
        return 0
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else FAILED
    return result if isinstance(result, int) else 0
