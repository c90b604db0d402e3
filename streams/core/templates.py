"""Texts for tickets and notes: Jinja2's sandbox, narrowed to a fixed table of names, a few filters and conditions.

Alert texts come from machines that an attacker may own, so they are data: inserted once, never read as templates. The
template itself is the operator's, and still can neither loop nor call nor reach into Python: what is not on the list of
``_ALLOWED`` is refused when a policy is checked. A rendering depends on its arguments alone, so it can be decided again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from jinja2 import Template, TemplateSyntaxError, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

from streams.core.template_words import unreadable

#: What a template may name, with what each group is about.
VARIABLES: dict[str, tuple[str, ...]] = {
    "device": ("name", "id", "link", "class", "role", "tags"),
    "organization": ("name", "id"),
    "location": ("name",),
    "alert": ("message", "subject", "severity", "priority", "source_type", "uid", "condition", "raised_at"),
    "incident": ("external_id", "repeats"),
}

#: A template is read as a program once; more than a vendor's longest text has room for is no template.
LONGEST_TEMPLATE = 8_000
#: An argument of a filter, and what a filter may make of a text: ``replace`` of one letter by this much is the most.
_LONGEST_ARGUMENT = 200
_LONGEST_TEXT = 32_000

# Everything below the space but tab and line feed, and DEL: nothing a ticket wants, and CR/LF tricks end here.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")

#: Everything that a template may consist of. No loop, assignment, call, arithmetic or index: so no work that grows.
_ALLOWED = (
    nodes.Output, nodes.TemplateData, nodes.Name, nodes.Getattr, nodes.Const, nodes.Filter, nodes.If,
    nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And, nodes.Or, nodes.Not,
)  # fmt: skip


class TemplateFault(ValueError):
    """What a template may not hold; ``suggestion`` says what to write instead."""

    def __init__(self, reason: str, suggestion: str) -> None:
        super().__init__(reason)
        self.suggestion = suggestion


def _default(value: object, instead: str) -> str:
    """What is not known is empty text, not undefined: so Jinja's own ``default`` would never speak."""
    return str(value) or instead


def _replace(value: object, old: str, new: str) -> str:
    return str(value).replace(old, new)[:_LONGEST_TEXT]


def _truncate(value: object, length: int) -> str:
    return _cut(str(value), length)


def _upper(value: object) -> str:
    return str(value).upper()


def _lower(value: object) -> str:
    return str(value).lower()


#: The filters, each with the kinds of its arguments.
FILTERS: dict[str, tuple[Any, tuple[type, ...]]] = {
    "default": (_default, (str,)),
    "upper": (_upper, ()),
    "lower": (_lower, ()),
    "truncate": (_truncate, (int,)),
    "replace": (_replace, (str, str)),
}


def _environment() -> ImmutableSandboxedEnvironment:
    made = ImmutableSandboxedEnvironment(keep_trailing_newline=True)
    made.filters = {name: function for name, (function, _) in FILTERS.items()}
    made.globals = {}
    made.tests = {}
    return made


_SANDBOX = _environment()


@lru_cache(maxsize=512)
def _compiled(template: str) -> Template:
    return _SANDBOX.from_string(template)


def render(template: str, values: Mapping[str, Mapping[str, str]], limit: int) -> str:
    """The template with its names filled in, at most ``limit`` characters (cut with an ellipsis).

    For a template that ``fault_of`` passed; a name that is not among ``values`` becomes empty text.
    """
    full = {group: {name: values.get(group, {}).get(name, "") for name in names} for group, names in VARIABLES.items()}
    return _cut(_CONTROL.sub("", _compiled(template).render(full)).strip(), limit)


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: max(limit - 1, 0)].rstrip() + "…"


def fault_of(template: str) -> TemplateFault | None:
    """What is wrong with a template, ``None`` for a good one."""
    if len(template) > LONGEST_TEMPLATE:
        return TemplateFault(
            f"the template has {len(template)} characters", f"{LONGEST_TEMPLATE} are the most that a ticket can hold"
        )
    try:
        parsed = _SANDBOX.parse(template)
    except TemplateSyntaxError as error:
        reason, suggestion = unreadable(template, error.message or "")
        return TemplateFault(f"the template cannot be read: {reason}", suggestion)
    except RecursionError:
        return TemplateFault("the template is nested too deep", "write it flat")
    return next(_faults(parsed), None)


def fixed_text(template: str) -> str:
    """What of a template stands in every text that it makes, as far as it is outside of conditions."""
    parts = [part for part in _SANDBOX.parse(template).body if isinstance(part, nodes.Output)]
    return "".join(piece.data for part in parts for piece in part.nodes if isinstance(piece, nodes.TemplateData))


def _faults(parent: nodes.Node) -> Iterator[TemplateFault]:
    for node in parent.iter_child_nodes():
        if isinstance(node, nodes.Getattr):
            yield from _name_faults(node)
        elif isinstance(node, nodes.Name):
            yield _unknown(node.name, "")
        elif isinstance(node, nodes.Const) and not isinstance(node.value, str):
            # A number would meet a text in a comparison, and that only shows when an alert is there.
            yield TemplateFault(f"the template holds {node.value!r}, which is no text", "write it in quotes")
        elif isinstance(node, nodes.Compare) and not all(map(_plain, _compared(node))):
            yield TemplateFault("the template compares conditions", "compare names and texts, and join with and, or")
        elif not isinstance(node, _ALLOWED):
            yield TemplateFault(
                f"the template holds {_said(node)}, which templates cannot do",
                "they have names ({{ device.name }}), filters (" + ", ".join(FILTERS) + ") and {% if %}",
            )
        else:
            if isinstance(node, nodes.Filter):
                yield from _filter_faults(node)
                node = nodes.Output(
                    [part for part in (node.node, *node.args) if part and not isinstance(part, nodes.Const)]
                )
            yield from _faults(node)


def _compared(node: nodes.Compare) -> list[nodes.Expr]:
    return [node.expr, *(operand.expr for operand in node.ops)]


def _plain(node: nodes.Expr) -> bool:
    return isinstance(node, nodes.Getattr | nodes.Const | nodes.Filter)


def _name_faults(node: nodes.Getattr) -> Iterator[TemplateFault]:
    if not isinstance(node.node, nodes.Name):
        yield TemplateFault(f"the template reaches into .{node.attr}", "names have two parts, such as device.name")
    elif node.attr not in VARIABLES.get(node.node.name, ()):
        yield _unknown(node.node.name, node.attr)


def _unknown(group: str, name: str) -> TemplateFault:
    written = f"{group}.{name}" if name else group
    every = [f"{known}.{part}" for known, parts in VARIABLES.items() for part in parts]
    near = get_close_matches(written, every, 1)
    if group in VARIABLES:
        hint = f"there are {', '.join(f'{group}.{part}' for part in VARIABLES[group])}"
    else:
        hint = f"there are {', '.join(VARIABLES)}, each with parts (device.name)"
    return TemplateFault(
        f"the template names {{{{ {written} }}}}, which does not exist", f"did you mean {near[0]}?" if near else hint
    )


def _filter_faults(node: nodes.Filter) -> Iterator[TemplateFault]:
    if node.name not in FILTERS:
        near = get_close_matches(node.name, FILTERS, 1)
        hint = f"did you mean {near[0]}?" if near else "there are " + ", ".join(FILTERS)
        yield TemplateFault(f"the template uses the filter '{node.name}', which does not exist", hint)
        return
    kinds = FILTERS[node.name][1]
    given = [argument.value if isinstance(argument, nodes.Const) else None for argument in node.args]
    fits = len(given) == len(kinds) and all(
        isinstance(value, kind) or (node.name == "default" and isinstance(argument, nodes.Getattr | nodes.Filter))
        for value, kind, argument in zip(given, kinds, node.args, strict=True)
    )
    bounded = all(len(str(value)) <= _LONGEST_ARGUMENT for value in given)
    if not fits or not bounded or node.kwargs or node.dyn_args or node.dyn_kwargs:
        shown = ", ".join("a text" if kind is str else "a number" for kind in kinds) or "nothing"
        yield TemplateFault(
            f"the filter '{node.name}' takes {shown}",
            f"write it with literal values of at most {_LONGEST_ARGUMENT} characters, such as {_EXAMPLES[node.name]}",
        )
    elif node.name == "replace" and given[0] == "":
        # Between every two letters: the one way in which it makes much of little.
        yield TemplateFault("the filter 'replace' has nothing to look for", f"write it as {_EXAMPLES['replace']}")


_EXAMPLES = {
    "default": "default('unknown') or default(alert.subject)",
    "upper": "upper",
    "lower": "lower",
    "truncate": "truncate(80)",
    "replace": "replace('.local', '')",
}

_WORDS = {"For": "a loop", "Call": "a call", "Getitem": "an index", "Assign": "an assignment", "Macro": "a macro"}


def _said(node: nodes.Node) -> str:
    name = type(node).__name__
    return _WORDS.get(
        name, "a calculation" if isinstance(node, nodes.BinExpr | nodes.UnaryExpr) else f"'{name.lower()}'"
    )
