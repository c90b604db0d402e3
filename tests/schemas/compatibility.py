"""Whether a contract (``schemas.contract``) is still what it was in a former version: only additions are.

A consumer written for the former version must be able to read what is written now, and the readers of now what was written then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from schemas.model import Model
from schemas.upcasting import UPCASTS

Contract = Mapping[str, Any]


def findings(old: Contract, new: Contract, readers: Mapping[str, type[Model]]) -> list[str]:
    """What is no mere addition, one line each: event, field, what. ``readers`` are today's models by message name."""
    lines: list[str] = []
    was, now = old["components"]["messages"], new["components"]["messages"]
    for name, message in was.items():
        kind = message.get("name", name)
        if name not in now or now[name].get("name") != message.get("name"):
            if kind not in UPCASTS:
                lines.append(f"{kind}: is gone, and nothing in schemas.upcasting reads it")
            continue
        if not message["payload"]:
            continue
        before, after = (_schema(contract, message["payload"]) for contract in (old, new))
        lines += [f"{kind}: {line}" for line in _parting(before, after, old, new, "", frozenset())]
        lines += [f"{kind}: {line}" for line in _needed(before, readers[name])]
    for topic in old["channels"]:
        if topic not in new["channels"]:
            lines.append(f"topic {old['channels'][topic]['address']} is gone")
    return lines


def _needed(before: dict[str, Any], model: type[Model]) -> Iterator[str]:
    for name in model.model_json_schema(mode="validation").get("required", ()):
        if name not in before["properties"]:
            yield f"field '{name}' is new and required: what was written before has none; give it a default, or a new version with an upcast"


def _schema(contract: Contract, reference: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = dict(reference)
    while "$ref" in found:
        found = contract["components"]["schemas"][found["$ref"].rpartition("/")[2]]
    return found


def _parting(
    was: dict[str, Any], now: dict[str, Any], old: Contract, new: Contract, path: str, above: frozenset[str]
) -> Iterator[str]:
    """Where a value that is written now may not be one of then."""
    if was.get("title") in above and "properties" in was:
        return
    inner = above | ({was["title"]} if "properties" in was and "title" in was else set())
    for name, field in was.get("properties", {}).items():
        at = f"{path}.{name}".lstrip(".")
        if name not in now.get("properties", {}):
            yield f"field '{at}' was removed"
            continue
        if name in was.get("required", ()) and name not in now.get("required", ()):
            yield f"field '{at}' may be left out now"
        yield from _alternatives(field, now["properties"][name], old, new, at, inner)


def _alternatives(was: Any, now: Any, old: Contract, new: Contract, path: str, above: frozenset[str]) -> Iterator[str]:
    known = [_schema(old, one) for one in was.get("anyOf", [was])]
    for one in now.get("anyOf", [now]):
        candidate = _schema(new, one)
        same = [each for each in known if each.get("type") == candidate.get("type")]
        if not same and known != [{}]:
            yield f"field '{path}' was {_kinds(known)}, and may be {_kinds([candidate])} now"
            continue
        choices = [each for each in same if _choices(candidate) is not None and _choices(each) is not None]
        allowed = {choice for each in choices for choice in _choices(each) or ()}
        more = [choice for choice in _choices(candidate) or () if choice not in allowed]
        if choices and more:
            yield f"field '{path}' may be {', '.join(map(str, more))} now"
        elif len(choices) == len(same) and same and _choices(candidate) is None:
            yield f"field '{path}' may be any {candidate.get('type')} now"
        for each in same:
            yield from _parting(each, candidate, old, new, path, above)
            for inside in ("items", "additionalProperties"):
                if isinstance(each.get(inside), dict) and isinstance(candidate.get(inside), dict):
                    yield from _alternatives(each[inside], candidate[inside], old, new, f"{path}[]", above)


def _choices(schema: dict[str, Any]) -> list[Any] | None:
    found: list[Any] | None = [schema["const"]] if "const" in schema else schema.get("enum")
    return found


def _kinds(schemas: list[dict[str, Any]]) -> str:
    return " or ".join(str(schema.get("type", "anything")) for schema in schemas)
