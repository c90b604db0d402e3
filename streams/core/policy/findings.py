"""What is wrong in a policy, in a person's words: the path of the key, the reason and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticCustomError

from streams.core.policy.refusals import in_words

Path = tuple[str | int, ...]

#: Keys that people look for elsewhere: what to do instead.
_BELOW_A_RULE = {"storm": "write it below a rule, beside its lifecycle"}


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong in a policy: where (path of keys), what, and what to do about it.

    An error cannot come into force; a warning can, and is probably not what was meant.
    """

    path: Path
    reason: str
    suggestion: str = ""
    level: Literal["error", "warning"] = "error"

    @property
    def key(self) -> str:
        """The path as people write it: ``rules.0.when.severity``."""
        return ".".join(str(part) for part in self.path) or "policy"

    def __str__(self) -> str:
        level = "warning: " if self.level == "warning" else ""
        return f"{self.key}: {level}{self.reason}" + (f"; {self.suggestion}" if self.suggestion else "")


class PolicyError(ValueError):
    """A policy that cannot come into force; ``findings`` holds every reason."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__("; ".join(str(finding) for finding in findings))
        self.findings = findings


def wrong(reason: str, suggestion: str = "", *at: str | int) -> PydanticCustomError:
    """What a validator of the policy raises: the reason, what to do, and where below the validated value (``at``)."""
    # pydantic's templates would read braces in a text that is not ours.
    return PydanticCustomError("policy", "{reason}", {"reason": reason, "suggestion": suggestion, "at": at})


@dataclass(frozen=True, slots=True)
class Fault:
    """One of several things that a validator finds: as ``wrong``, but kept until all of them are known."""

    reason: str
    suggestion: str
    at: Path = ()


def all_wrong(faults: Sequence[Fault]) -> PydanticCustomError:
    """What a validator raises that found several things: they are told together, each at its place."""
    return PydanticCustomError("policy", "{faults}", {"faults": tuple(faults)})


def near(written: str, known: Collection[str]) -> str:
    """The suggestion for a word that is not known: the nearest, else all there are."""
    found = get_close_matches(written, known, 1)
    return f"did you mean '{found[0]}'?" if found else "there are " + ", ".join(known)


def findings_of(error: ValidationError, model: type[BaseModel]) -> list[Finding]:
    """Every error of a document that was validated against ``model``, one for each place."""
    found: dict[Path, Finding] = {}
    details = error.errors(include_url=False)
    for detail in details:
        if _is_another_kind(detail, details):
            continue
        for finding in _findings(detail, model):
            # A value of several possible kinds is refused once for each of them; the first is what it looks like most.
            found.setdefault(finding.path, finding)
    return list(found.values())


def _is_another_kind(detail: Any, details: Sequence[Any]) -> bool:
    """Whether a section was refused as a word although it could be one, and what is wrong stands in it."""
    place = detail["loc"][:-1]
    return (
        detail["type"] == "literal_error"
        and isinstance(detail["input"], dict)
        and any(other is not detail and other["loc"][: len(place)] == place for other in details)
    )


def _findings(detail: Any, root: type[BaseModel]) -> list[Finding]:
    faults = detail.get("ctx", {}).get("faults") if detail["type"] == "policy" else None
    if faults is None:
        return [_finding(detail, root)]
    base = tuple(part for part in detail["loc"] if _in_document(part))
    return [Finding((*base, *fault.at), fault.reason, fault.suggestion) for fault in faults]


def _finding(detail: Any, root: type[BaseModel]) -> Finding:
    location = detail["loc"]
    # What is unknown may be written in any way, also as nothing that pydantic or the format would write.
    written = location[-1:] if detail["type"] == "extra_forbidden" else ()
    path: Path = (*(part for part in location[: len(location) - len(written)] if _in_document(part)), *written)
    kind, message = detail["type"], detail["msg"].removeprefix("Value error, ")
    if kind == "policy":
        told = detail["ctx"]
        return Finding((*path, *told["at"]), told["reason"], told["suggestion"])
    if kind == "extra_forbidden":
        key = str(path[-1])
        if path == ("canary",):
            hint = "remove it, and give the organizations to 'lockstep policy publish --canary 17,23'"
            return Finding(
                path, "'canary' is no key of the file: for whom it is in force is said when it is published", hint
            )
        if key in _BELOW_A_RULE:
            return Finding(path, f"'{key}' stands in the wrong place", _BELOW_A_RULE[key])
        known = _siblings(root, path[:-1])
        return Finding(path, f"unknown key '{key}'", near(key, known))
    if kind == "missing":
        if path == ("version",):
            return Finding(path, "the file format's version is missing", "write version: 1 at the top")
        return Finding(path, "is missing", f"write {path[-1]} here")
    told = in_words(kind, detail.get("input"), detail.get("ctx", {}), _siblings(root, path))
    if told is not None:
        return Finding(path, *told)
    return Finding(path, message[0].lower() + message[1:] if kind != "value_error" else message)


def _in_document(part: str | int) -> bool:
    # pydantic adds the names of union branches and validators to the path; those are no keys of the file
    return isinstance(part, int) or (re.fullmatch(r"[a-z_A-Z]+", part) is not None and part not in _UNION_BRANCHES)


_UNION_BRANCHES = {"str", "int", "dict", "CatchAll"}


def _siblings(root: type[BaseModel], path: Path) -> list[str]:
    model: Any = root
    for part in path:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part) if hasattr(model, "model_fields") else None
        if field is None:
            return []
        model = _model_in(field.annotation)
    if not hasattr(model, "model_fields"):
        return []
    return [field.alias or name for name, field in model.model_fields.items() if field.exclude is not True]


def _model_in(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        found = _model_in(argument)
        if found is not None:
            return found
    return None
