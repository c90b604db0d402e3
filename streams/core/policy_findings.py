"""What is wrong in a policy, in a person's words: the path of the key, the reason and what to do about it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ValidationError

Path = tuple[str | int, ...]

#: Keys that the policy format has, but this version does not honour yet: refused, so that nobody relies on them.
NOT_YET: dict[str, str] = {
    "escalate": "raising the priority when the severity rises",
    "storm": "collapsing many devices into one ticket",
    "tags": "matching tags",
    "time": "matching the time of day",
    "days": "matching the day of the week",
    "contract": "contracts on tickets",
    "canary": "trying a policy on one organization",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong in a policy: where (path of keys), what, and what to do about it."""

    path: Path
    message: str
    suggestion: str = ""

    def __str__(self) -> str:
        where = ".".join(str(part) for part in self.path) or "policy"
        return f"{where}: {self.message}" + (f"; {self.suggestion}" if self.suggestion else "")


class PolicyError(ValueError):
    """A policy that cannot come into force; ``findings`` holds every reason."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__("; ".join(str(finding) for finding in findings))
        self.findings = findings


def findings_of(error: ValidationError, model: type[BaseModel]) -> list[Finding]:
    """Every error of a document that was validated against ``model``."""
    return [_finding(detail, model) for detail in error.errors(include_url=False)]


def _finding(detail: Any, root: type[BaseModel]) -> Finding:
    path: Path = tuple(part for part in detail["loc"] if _in_document(part))
    kind, message = detail["type"], detail["msg"].removeprefix("Value error, ")
    if kind == "extra_forbidden":
        key = str(path[-1])
        if key in NOT_YET:
            return Finding(path, f"'{key}' ({NOT_YET[key]}) is not supported yet", "remove it; it would have no effect")
        known = _siblings(root, path[:-1])
        near = get_close_matches(key, known, 1)
        return Finding(
            path, f"unknown key '{key}'", f"did you mean '{near[0]}'?" if near else "known: " + ", ".join(known)
        )
    if kind == "missing":
        if path == ("version",):
            return Finding(path, "the file format's version is missing", "write version: 1 at the top")
        return Finding(path, "is missing")
    return Finding(path, message[0].lower() + message[1:] if kind != "value_error" else message)


def _in_document(part: str | int) -> bool:
    # pydantic adds the names of union branches and validators to the path; those are no keys of the file
    return isinstance(part, int) or (re.fullmatch(r"[a-z_A-Z]+", part) is not None and part not in _UNION_BRANCHES)


_UNION_BRANCHES = {"str", "int", "dict", "CatchAll", "MessageMatch"}


def _siblings(root: type[BaseModel], path: Path) -> list[str]:
    model: Any = root
    for part in path:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part) if hasattr(model, "model_fields") else None
        if field is None:
            return []
        model = _model_in(field.annotation)
    fields = model.model_fields if hasattr(model, "model_fields") else {}
    return [field.alias or name for name, field in fields.items()]


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _model_in(argument)
        if found is not None:
            return found
    return None
