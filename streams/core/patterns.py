"""Patterns that a policy searches in alert messages: ordinary regular expressions whose work has a bound.

Python's matcher tries alternatives one after the other, so a hostile message can make some patterns run for years. Two
things make that impossible: a repetition inside a repetition (or a choice inside one, or a back reference) is refused,
and what is left, a polynomial in the length of the text, is kept small by how much of the text is searched.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from math import factorial

# The parser behind re.compile has no public name since sre_parse was deprecated; from 3.11 on it is this one.
from re import _constants, _parser  # type: ignore[attr-defined]
from typing import Any

#: How much of a message is searched: the most, and what a pattern with several repetitions must do with.
REACHES = (2_000, 1_000, 500, 250)
LONGEST_PATTERN = 500
#: Steps of the matcher for the worst text, about 50 million a second: half a second, for a text made to be the worst.
_MOST_STEPS = 25_000_000
#: A repetition with more room than this counts as one without an end.
_FEW = 50


class PatternFault(ValueError):
    """A pattern that cannot be used; ``suggestion`` says what to write instead."""

    def __init__(self, reason: str, suggestion: str) -> None:
        super().__init__(reason)
        self.suggestion = suggestion


@dataclass(frozen=True, slots=True)
class Pattern:
    """A pattern that is safe to search in the first ``reach`` characters of any text."""

    compiled: re.Pattern[str]
    reach: int

    def found_in(self, text: str) -> bool:
        """Whether it occurs, within its reach."""
        return self.compiled.search(text[: self.reach]) is not None


@lru_cache(maxsize=512)
def pattern(text: str) -> Pattern:
    """The pattern of a policy's text. Raises ``PatternFault``."""
    if len(text) > LONGEST_PATTERN:
        raise PatternFault(f"the pattern has {len(text)} characters", f"{LONGEST_PATTERN} are the most")
    try:
        compiled = re.compile(text)
        loops, ways = _weight(_parser.parse(text))
    except re.error as error:
        raise PatternFault(
            f"'{text}' is not a regular expression: {error}", "write a literal dot, bracket or star as \\. \\( \\*"
        ) from None
    except (OverflowError, RecursionError):
        raise PatternFault(f"'{text[:40]}' is too large for a regular expression", "write it simpler") from None
    for reach in REACHES:
        if reach ** (loops + 1) // factorial(loops + 1) * ways <= _MOST_STEPS:
            return Pattern(compiled, reach)
    raise PatternFault(
        f"'{text}' could take minutes on a text made to slow it down",
        "use at most two of * and +, or several rules with a pattern each",
    )


def _weight(items: Any) -> tuple[int, int]:
    """Repetitions without an end, and the ways in which the rest can match at one place."""
    loops, ways = 0, 1
    for operation, value in items:
        more = _weight_of(operation, value)
        loops, ways = loops + more[0], ways * more[1]
    return loops, ways


def _weight_of(operation: Any, value: Any) -> tuple[int, int]:
    c = _constants
    if operation in (c.MAX_REPEAT, c.MIN_REPEAT, c.POSSESSIVE_REPEAT):
        return _repeated(*value)
    if operation is c.SUBPATTERN:
        return _weight(value[-1])
    if operation is c.BRANCH:
        branches = [_weight(branch) for branch in value[1]]
        return max(loops for loops, _ in branches), sum(ways for _, ways in branches)
    if operation in (c.ASSERT, c.ASSERT_NOT):
        return _weight(value[1])
    if operation is c.ATOMIC_GROUP:
        return _weight(value)
    if operation in (c.GROUPREF, c.GROUPREF_EXISTS):
        raise PatternFault("the pattern refers back to a group of its own", "write out what is meant")
    return 0, 1


def _repeated(least: int, most: int, body: Any) -> tuple[int, int]:
    loops, ways = _weight(body)
    endless = most is _constants.MAXREPEAT or most - least > _FEW
    if (loops and most > 1) or (ways > 1 and endless):
        raise PatternFault(
            "the pattern repeats something that itself repeats or has a choice, which a hostile text can make run for ever",
            "repeat single characters or sets only, such as [0-9.]+",
        )
    if endless:
        return 1, 1
    total = 1
    for _ in range(most):
        total *= ways
        if total > _MOST_STEPS:
            break
    return loops, total * (most - least + 1)
