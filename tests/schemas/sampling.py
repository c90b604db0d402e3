"""Values that fit a model, made from its JSON Schema: every field set, and every choice of a field in one of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from schemas.model import Model


def samples_of(model: type[Model]) -> list[Model]:
    """With what is required only, with everything, and with each other choice of a field that has choices."""
    schema = model.model_json_schema(mode="validation")
    least = {name: _filled(schema["properties"][name], schema, 0) for name in schema.get("required", ())}
    most = {name: _filled(field, schema, 0) for name, field in schema["properties"].items()}
    others = [
        {**most, name: choice} for name, field in schema["properties"].items() for choice in _others(field, schema)
    ]
    found = dict.fromkeys(model.model_validate_json(_json(value)).to_json() for value in (least, most, *others))
    return [model.from_json(value) for value in found]


def _json(value: Any) -> bytes:
    from orjson import dumps

    return dumps(value)


def _others(field: dict[str, Any], whole: dict[str, Any]) -> Iterator[Any]:
    """What else may stand there: the rest of an enumeration, and every alternative of a union."""
    field = _resolved(field, whole)
    yield from field.get("enum", ())[1:]
    for other in field.get("anyOf", ())[1:]:
        yield _filled(other, whole, 1)


def _resolved(field: dict[str, Any], whole: dict[str, Any]) -> dict[str, Any]:
    reference = field.get("$ref")
    resolved: dict[str, Any] = field if reference is None else whole["$defs"][reference.rpartition("/")[2]]
    return resolved


def _filled(field: dict[str, Any], whole: dict[str, Any], depth: int) -> Any:
    field = _resolved(field, whole)
    if "anyOf" in field:
        return _filled(field["anyOf"][0], whole, depth)
    if "const" in field:
        return field["const"]
    if "enum" in field:
        return field["enum"][0]
    match field.get("type"):
        case "string":
            return "text"
        case "integer":
            return 1_795_489_200_000
        case "boolean":
            return True
        case "null":
            return None
        case "array":
            return [_filled(field["items"], whole, depth + 1)]
        case "object" if "properties" in field:
            return {name: _filled(entry, whole, depth + 1) for name, entry in field["properties"].items()}
        case "object":
            values = field.get("additionalProperties")
            return {"name": _filled(values, whole, depth + 1) if isinstance(values, dict) else "text"}
        case unknown:
            raise TypeError(f"no sample for {unknown}: {field}")
