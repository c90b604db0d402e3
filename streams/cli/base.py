"""What all verbs share: common options, exit codes, one-line errors, output as text or JSON."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import getpass
import shutil
import signal
import stat
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO, TypeVar

import click

from streams.wording import one_line, wrapped

if TYPE_CHECKING:
    from streams.settings import Settings

#: Exit codes of every verb (design section 10).
OK, FAILED, FINDING, USAGE = 0, 1, 2, 64
#: And of one that Ctrl-C ended: 128 and the signal's number, as shells have it.
INTERRUPTED = 130

#: A table's last column keeps this much, however narrow the terminal.
_LAST_COLUMN = 16

#: Longer than what a verb takes back after an interruption (``send-test-alert``) needs.
_CANCEL_AGAIN_S = 15.0

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


class Failure(Exception):
    """Something a verb could not do: one line for standard error, and the exit code."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(one_line(message))
        self.code = code


class ConfigFile(click.Path):
    """The value of ``--config``. An empty one (an unset variable of a script) is not taken for the default."""

    def __init__(self) -> None:
        super().__init__(path_type=Path, dir_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "":
            self.fail("it is empty; name a file, or leave --config out for lockstep.yaml", param, ctx)
        return super().convert(value, param, ctx)


def common_but(json_help: str) -> Callable[[F], F]:
    """``--config`` and ``--json``, before or after the verb's own options; ``json_help`` says what ``--json`` prints."""

    def decorate(function: F) -> F:
        @click.option("--config", "config", type=ConfigFile(), help="Configuration file.")
        @click.option("--json", "as_json", is_flag=True, help=json_help)
        @click.pass_context  # type: ignore[arg-type]
        @functools.wraps(function)
        def wrapper(context: click.Context, config: Path | None, as_json: bool, **rest: Any) -> Any:
            shared = context.find_root().params
            if config and shared.get("config"):
                raise click.UsageError("--config is given twice, before and after the verb; give it once", context)
            return context.invoke(
                function, config=config or shared.get("config"), as_json=as_json or bool(shared.get("as_json")), **rest
            )

        return wrapper  # type: ignore[return-value]

    return decorate


def common(function: F) -> F:
    """``common_but`` for most verbs."""
    return common_but("Print one JSON document instead of text.")(function)


def settings_of(config: Path | None) -> Settings:
    """The settings that a verb works with. Raises ``SettingsError``."""
    from streams.settings import load_settings

    settings = load_settings(config)
    path = settings.secrets_path
    if path.is_file() and stat.S_IMODE(path.stat().st_mode) & 0o077:
        say_error(f"warning: {path} can be read by others on this machine; run 'chmod 600 {path}'")
    return settings


def say(text: str = "") -> None:
    """One line on standard output, at once; a terminal that is narrower gets it broken between words."""
    print(wrapped(text, width()), flush=True)


def say_whole(text: str) -> None:
    """A text that somebody pastes or a program reads, as it is."""
    print(text, flush=True)


def say_error(text: str, end: str = "\n") -> None:
    """One line on standard error, at once; broken between words like ``say`` where it ends."""
    shown = wrapped(text, width(sys.stderr)) if end == "\n" else text
    print(shown, file=sys.stderr, end=end, flush=True)


def say_json(document: Any) -> None:
    """One JSON document on one line."""
    import orjson

    print(orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS).decode(), flush=True)


def end(code: int) -> NoReturn:
    """Leave with this exit code."""
    raise SystemExit(code)


def actor() -> str:
    """Who runs this verb, for the audit: the system's user, or ``unknown`` where it has no name for it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a verb's coroutine. Ctrl-C ends it with ``KeyboardInterrupt``, a second one at once."""
    return asyncio.run(_interruptible(main))


async def _interruptible(main: Coroutine[Any, Any, T]) -> T:
    """asyncio's own way loses a Ctrl-C where something swallows the cancellation (``wait_for`` may, when both come at once)."""
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    interrupted = False

    def asked() -> None:
        nonlocal interrupted
        if interrupted:
            raise KeyboardInterrupt
        interrupted = True
        cancel()

    def cancel() -> None:
        if task is not None and not task.done():
            task.cancel()
            loop.call_later(_CANCEL_AGAIN_S, cancel)

    # Not possible outside the main thread, where no Ctrl-C arrives.
    with contextlib.suppress(ValueError, RuntimeError, NotImplementedError):
        loop.add_signal_handler(signal.SIGINT, asked)
    try:
        result = await main
    except asyncio.CancelledError:
        if interrupted:
            raise KeyboardInterrupt from None
        raise
    finally:
        loop.remove_signal_handler(signal.SIGINT)
    if interrupted:
        raise KeyboardInterrupt
    return result


def width(stream: TextIO | None = None) -> int | None:
    """How wide a line for people may be: the terminal's columns; ``None`` (all of it) where output is no terminal."""
    return shutil.get_terminal_size().columns if (stream or sys.stdout).isatty() else None


def full_option(function: F) -> F:
    """``--full``, for verbs whose lines are cut to the terminal's width."""
    return click.option("--full", is_flag=True, help="Whole lines, also where the terminal is narrower.")(function)


def say_table(rows: list[list[str]], headings: list[str]) -> None:
    """A table on standard output, fitted to the terminal."""
    say_whole(table(rows, headings, within=width()))


def table(rows: list[list[str]], headings: list[str], *, within: int | None = None) -> str:
    """Aligned columns for a terminal. Where a line would be longer than ``within``, the last column goes on below itself."""
    rows = [[one_line(cell) for cell in row] for row in rows]
    if within is not None and rows:
        taken = sum(2 + max(len(row[i]) for row in [headings, *rows]) for i in range(len(headings) - 1))
        room = max(within - taken, len(headings[-1]), _LAST_COLUMN)
        rows = [
            [*(row[:-1] if first else [""] * (len(row) - 1)), part]
            for row in rows
            for first, part in _parts(row[-1], room)
        ]
    widths = [max(len(row[i]) for row in [headings, *rows]) for i in range(len(headings))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in [headings, *rows]
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def _parts(cell: str, room: int) -> list[tuple[bool, str]]:
    """A cell in lines of so much room, the first one marked."""
    return [(at == 0, part.strip()) for at, part in enumerate(wrapped(cell, room).split("\n"))]
