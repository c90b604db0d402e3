"""Wrong usage in Lockstep's own words: what is wrong, at which option or argument, and what to write instead.

click's own sentences name its types ("not a valid integer range"); they are made anew here from the parameter, so that a verb
that is added later is covered. ``refuse`` is what click lets through: values that no verb means.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

import click

from streams.cli.base import ConfigFile
from streams.wording import one_line, quoted

#: No id, name, path or list that a verb takes is longer.
LONGEST = 4096
#: More digits are beyond what Kafka and both vendors count with (64 bits).
_DIGITS = 18


def told(error: click.UsageError) -> str:
    """The error as one line, without the verb and without a full stop."""
    context = error.ctx
    match error:
        case click.MissingParameter():
            return _missing(error)
        case click.BadParameter():
            return _bad_value(error)
        case click.NoSuchOption():
            return _unknown_option(error)
        case click.BadOptionUsage():
            return _option_without_value(error)
        case _:
            message = one_line(" ".join(error.format_message().split()))
            many = re.fullmatch(r"Got unexpected extra arguments? \((.*)\)", message)
            if many is not None and context is not None:
                return f"{quoted(many[1])} is more than it takes; {_takes(context)}"
            return message.rstrip(".")


def refuse(context: click.Context, arguments: Sequence[str]) -> None:
    """Refuse what click would pass on: an option twice, an empty or endless value, one that is no text, ``nan`` for seconds.

    Raises ``click.UsageError``, click's own errors of the same arguments included.
    """
    try:
        given, _, order = context.command.make_parser(context).parse_args(args=list(arguments))
    except click.UsageError as error:
        # click does not always say of which verb.
        error.ctx = context
        raise
    counts = Counter(parameter.name for parameter in order)
    for parameter in dict.fromkeys(order):
        if isinstance(parameter, click.Option) and counts[parameter.name] > 1 and _is_one(parameter):
            raise click.UsageError(f"{_name(parameter)} is given twice; give it once", context)
        written = given.get(parameter.name or "")
        for value in written if isinstance(written, list | tuple) else (written,):
            if isinstance(value, str):
                problem = _problem(parameter, value)
                if problem:
                    raise click.UsageError(f"{_name(parameter)}{problem}", context)


def with_plain_names(command: click.Command) -> click.Command:
    """The command, whose help calls a number a number and not by the name of a library's type; likewise those below it."""
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.metavar is None and not parameter.is_flag:
            if isinstance(parameter.type, click.types.IntParamType | click.types.FloatParamType):
                parameter.metavar = "NUMBER"
    if isinstance(command, click.Group):
        for below in command.commands.values():
            with_plain_names(below)
    return command


def _is_one(option: click.Option) -> bool:
    """Whether a second value would silently take the place of the first. A switch says the same however often."""
    return not (option.multiple or option.is_flag or option.count)


def _problem(parameter: click.Parameter, value: str) -> str:
    """What is wrong with a value as it was written, whatever the parameter's type says; empty where nothing is."""
    if value == "" and not isinstance(parameter.type, ConfigFile) and parameter.default != "":
        return " is empty; give it a value" + ("" if parameter.required else ", or leave it out") + _help(parameter)
    if not _is_text(value):
        return f": {quoted(value)} is not UTF-8 text; write it in UTF-8"
    if len(value) > LONGEST:
        return f" has {len(value)} characters; at most {LONGEST} are taken"
    if "\x00" in value:
        return " holds a zero byte; leave it out"
    if isinstance(parameter.type, click.types.IntParamType) and len(value) > _DIGITS:
        return f": {quoted(value)} is larger than any id or count; give a {_wanted(parameter)}"
    if isinstance(parameter.type, click.types.FloatParamType) and _is_no_number(value):
        return f": {quoted(value)} is no {_wanted(parameter)}"
    return ""


def _is_text(value: str) -> bool:
    """Whether the bytes of an argument were UTF-8: what was not stands in it as lone surrogates."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_no_number(value: str) -> bool:
    try:
        return not math.isfinite(float(value))
    except ValueError:
        return False


def _missing(error: click.MissingParameter) -> str:
    parameter = error.param
    if parameter is None:
        return "something is missing"
    kind = parameter.type
    if isinstance(kind, click.Choice):
        return f"{_name(parameter)} is missing; name one of {_listed(kind)}"
    return f"{_name(parameter)} is missing; give it a value{_help(parameter)}"


def _bad_value(error: click.BadParameter) -> str:
    parameter, message = error.param, one_line(" ".join(error.message.split())).rstrip(".")
    if parameter is None:
        return message
    where, kind = _name(parameter), parameter.type
    value = _value(message)
    if isinstance(kind, click.Choice):
        near = get_close_matches(value.lower(), [str(choice) for choice in kind.choices], 1)
        hint = f"; did you mean '{near[0]}'?" if near else ""
        return f"{where}: {quoted(value)} is none of {_listed(kind)}{hint}"
    if isinstance(kind, click.types.IntParamType | click.types.FloatParamType):
        return f"{where}: {quoted(value)} is no {_wanted(parameter)}"
    if isinstance(kind, click.Path) and value:
        return f"{where}: {_path(message, value)}"
    return f"{where}: {message}"


def _value(message: str) -> str:
    """The value that click's sentence is about: quoted at its beginning, or a number."""
    found = re.search(r"'(.*)' (?:is|does)|^(\S+?)(?:\.0)? is not in the range", message)
    return (found[1] or found[2] or "") if found else ""


def _path(message: str, value: str) -> str:
    if message.endswith("is a directory"):
        return f"{quoted(value)} is a folder; name a file"
    if message.endswith("is a file"):
        return f"{quoted(value)} is a file; name a folder"
    if message.endswith("does not exist"):
        return f"there is no {quoted(value)}"
    return f"{quoted(value)} cannot be read or written; check the path and its permissions"


def _wanted(parameter: click.Parameter) -> str:
    """What a number has to be."""
    kind: Any = parameter.type
    whole = isinstance(kind, click.types.IntParamType)
    low, high = getattr(kind, "min", None), getattr(kind, "max", None)
    what = "whole number" if whole else "number"
    if low is not None and high is not None:
        return f"{what} from {low} to {high}"
    return what + (f" of at least {low}" if low is not None else "" if high is None else f" of at most {high}")


def _unknown_option(error: click.NoSuchOption) -> str:
    near = sorted(error.possibilities or ())
    if not near and error.ctx is not None:
        known = [name for each in error.ctx.command.get_params(error.ctx) for name in each.opts if name[:2] == "--"]
        near = get_close_matches(error.option_name, known, 1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"there is no option {one_line(error.option_name)}{hint}"


def _option_without_value(error: click.BadOptionUsage) -> str:
    context = error.ctx
    name = error.option_name
    parameters = context.command.get_params(context) if context is not None else []
    found = next((each for each in parameters if name in (*each.opts, *each.secondary_opts)), None)
    if "does not take a value" in error.message:
        return f"{name} takes no value; write it alone"
    if found is None:
        return f"{name} needs a value"
    if isinstance(found.type, click.Choice):
        return f"{name} needs a value; name one of {_listed(found.type)}"
    return f"{name} needs a value{_help(found)}"


def _takes(context: click.Context) -> str:
    """The arguments of a verb."""
    wanted = [_name(each) for each in context.command.get_params(context) if isinstance(each, click.Argument)]
    return f"'{context.command_path}' takes {', '.join(wanted) or 'no argument'}"


def _listed(kind: click.Choice[Any]) -> str:
    return ", ".join(str(choice) for choice in kind.choices)


def _name(parameter: click.Parameter) -> str:
    """An option as it is written, an argument as its help calls it."""
    if isinstance(parameter, click.Option):
        return max(parameter.opts, key=len)
    return parameter.metavar or str(parameter.name).upper()


def _help(parameter: click.Parameter) -> str:
    text = getattr(parameter, "help", None)
    return f" ({text.rstrip('.')})" if text else ""
