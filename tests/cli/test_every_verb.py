"""Whatever is wrong with what follows a verb, of every verb and every option there is: exit 64 and one line in our own words.

The verbs are found in the command tree, so that one that is added later is tried as well. None of them runs here.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from streams.cli import main
from streams.cli.base import ConfigFile

#: Parts of sentences that only the library which reads the command line would say.
FOREIGN = (
    *("Invalid value", "valid integer", "valid float", "valid boolean", "in the range", "is not one of", "No such"),
    *("Missing ", "missing option", "missing argument", "Got unexpected", "requires an argument", "does not take"),
    *("Choose from", "no such option", "range.", "Error:", "Usage:", "is a directory", "File '", "does not exist"),
)
HUGE, ENDLESS, NOT_UTF8 = "9" * 40, "x" * 5000, "caf\udce9"


def leaves(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every verb that does something, with the words that name it."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from leaves(below, (*words, name))
    else:
        yield words, command


VERBS = dict(leaves(main.root))


def is_switch(parameter: click.Parameter) -> bool:
    return isinstance(parameter, click.Option) and (parameter.is_flag or bool(parameter.count))


def name_of(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Option):
        return max(parameter.opts, key=len)
    return parameter.metavar or str(parameter.name).upper()


def wrong_values(parameter: click.Parameter) -> Iterator[str]:
    """Values that no parameter of this kind may take."""
    kind: Any = parameter.type
    yield from (ENDLESS, NOT_UTF8)
    if parameter.default != "":
        yield ""
    if isinstance(kind, click.types.IntParamType):
        yield from ("nonsense", HUGE, "1.5")
    if isinstance(kind, click.types.FloatParamType):
        yield from ("nonsense", "nan", "inf", "1e999")
    if getattr(kind, "min", None) is not None and kind.min >= 0:
        yield "-1"
    if isinstance(kind, click.Choice) or (type(kind).__module__.startswith("streams.") and not is_free(kind)):
        yield from ("nonsense", HUGE + "h")
    if isinstance(kind, click.Path):
        yield "." if not kind.dir_okay else __file__


def is_free(kind: click.ParamType) -> bool:
    """A path that may name anything that is there later."""
    return isinstance(kind, ConfigFile)


def given(parameter: click.Parameter, value: str) -> list[str]:
    return [name_of(parameter), value] if isinstance(parameter, click.Option) else ["--", value]


def wrong(words: tuple[str, ...], verb: click.Command) -> Iterator[tuple[list[str], str]]:
    """Command lines that are wrong in one thing, each with what the line has to name."""
    yield [*words, "--no-such-option"], "--no-such-option"
    yield [*words, "--no-such-option=\udcff\n"], "--no-such-option"
    parameters = [each for each in verb.params if each.name != "help"]
    required = [part for each in parameters if each.required for part in given(each, right(each))]
    arguments = [each for each in parameters if isinstance(each, click.Argument)]
    if all(each.nargs == 1 for each in arguments):
        yield [*words, *required, *[right(each) for each in arguments if not each.required], "one-more"], "one-more"
    for parameter in parameters:
        name = name_of(parameter)
        if parameter.required:
            yield [*words], "is missing; "
        if is_switch(parameter):
            yield [*words, f"{name}=7"], name
            continue
        for value in wrong_values(parameter):
            others = [
                part
                for each in parameters
                if each.required and each is not parameter
                for part in given(each, right(each))
            ]
            yield [*words, *sorted_for_click(others, given(parameter, value))], name
        if isinstance(parameter, click.Option):
            yield [*words, name], name
            if not parameter.multiple:
                yield [*words, name, right(parameter), name, right(parameter)], f"{name} is given twice"


def sorted_for_click(first: list[str], second: list[str]) -> list[str]:
    """Options before the sign that ends them."""
    options = [part for part in (first, second) if "--" not in part]
    ended = [part[1:] for part in (first, second) if "--" in part]
    return [word for part in options for word in part] + (
        ["--", *(word for part in ended for word in part)] if ended else []
    )


def right(parameter: click.Parameter) -> str:
    """A value that its type takes."""
    kind: Any = parameter.type
    if isinstance(kind, click.Choice):
        return str(next(iter(kind.choices)))
    if isinstance(kind, click.types.IntParamType | click.types.FloatParamType):
        return str(int(kind.min) if getattr(kind, "min", None) else 1)
    return {"TIME": "7d", "ids": "17", "KEY": "407", "EXTERNAL_ID": f"ls.407.{'a' * 32}", "SPAN": "15m"}.get(
        kind.name, "missed-close" if type(kind).__name__ == "DriftName" else "some-name"
    )


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_whatever_is_wrong_is_one_line_that_names_it_in_our_own_words(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def ran(*_: Any, **__: Any) -> int:
        return 0

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(VERBS[words], "callback", ran)
    for arguments, named in wrong(words, VERBS[words]):
        code = main.run_command_line(arguments)
        said = capsys.readouterr()
        assert (code, said.out) == (64, ""), (arguments, code, said)
        (line,) = said.err.splitlines()
        assert line.startswith(f"lockstep {' '.join(words)}: "), line
        assert line.endswith(f"(see 'lockstep {' '.join(words)} --help')"), line
        assert named in line, (named, line)
        assert not any(part in line for part in FOREIGN), line
        assert len(line) < 500, line
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_every_verb_and_option_is_explained_within_a_terminals_width(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    assert main.run_command_line([*words, "--help"]) == 0
    told = capsys.readouterr().out
    assert max(map(len, told.splitlines())) <= 100, told
    assert not any(word in told for word in ("RANGE", "INTEGER", "FLOAT")), told
    for parameter in VERBS[words].params:
        if isinstance(parameter, click.Option):
            assert parameter.help, (words, parameter.name)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--config a --config b status", "--config is given twice; give it once"),
        ("--config a status --config b", "--config is given twice, before and after the verb; give it once"),
        ("status --jsn", "there is no option --jsn; did you mean --json?"),
        ("status --role wroker", "'wroker' is none of connectors, worker, executor; did you mean 'worker'?"),
        ("audit tail --device", "--device needs a value (Decisions about a device (407), a location (l31) or o17)"),
        ("drill --seeds 1-99999999999", "--seeds: '1-99999999999' are more than 1000 drills; name fewer"),
        ("explain a b", "'b' is more than it takes; 'lockstep explain' takes ID"),
        ("rebuild --as-of 0001-01-01T00:00+14:00", "'0001-01-01T00:00+14:00' is not in the past"),
    ],
)
def test_the_way_out_is_named(arguments: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run_command_line(arguments.split()) == 64
    assert words in capsys.readouterr().err
