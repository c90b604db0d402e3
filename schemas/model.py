"""The base of every model that we ourselves publish, and how it becomes bytes."""

from __future__ import annotations

from typing import Any, Self

import orjson
from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """A frozen record that refuses unknown fields: what Lockstep writes, Lockstep understands whole."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    def to_json(self) -> bytes:
        """The value of the Kafka record: UTF-8 JSON in the order of the fields, the same bytes for the same content."""
        return self.__pydantic_serializer__.to_json(self)

    @classmethod
    def from_json(cls, value: bytes | str) -> Self:
        """Decode once, from bytes. Raises ``pydantic.ValidationError`` for anything that does not fit."""
        return cls.model_validate_json(value)


def canonical(document: Any) -> bytes:
    """JSON with sorted keys and no white space: equal documents give equal bytes, whatever their history."""
    return orjson.dumps(document, option=orjson.OPT_SORT_KEYS)
