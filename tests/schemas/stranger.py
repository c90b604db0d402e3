"""A consumer that knows nothing of Lockstep but its AsyncAPI document, and CloudEvents by the official SDK."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import fastjsonschema
import orjson
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.json import JSONFormat


class Stranger:
    """Reads records by what the document says of their topic."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document
        self.addresses = {channel["address"]: channel for channel in document["channels"].values()}
        self._compiled: dict[str, Callable[[Any], Any]] = {}

    def read(self, topic: str, headers: Iterable[tuple[str, bytes]], key: bytes | None, value: bytes | None) -> Any:
        """The content of a record. Raises where it is not what the document says."""
        channel = self.addresses[topic]
        messages = {name: self._resolved(ref["$ref"]) for name, ref in channel["messages"].items()}
        if value is None:
            assert "last record of each key" in channel["description"], f"{topic}: a record without a value"
            return None
        kinds = {message["contentType"] for message in messages.values()}
        if kinds != {"application/json"}:
            return value
        named = dict(headers)
        if "ce_type" not in named:
            content = orjson.loads(value)
            [(name, message)] = messages.items()
            assert "headers" not in message, f"{topic}: {name} comes without headers"
            self._validate(message["payload"], content)
            return content
        event = from_binary(KafkaMessage(named, key, value), JSONFormat())
        [message] = [message for message in messages.values() if message["name"] == event.get_type()]
        self._validate(message["headers"], {name: text.decode() for name, text in named.items()})
        self._validate(message["payload"], event.get_data())
        assert event.get_extension("partitionkey") == (key or b"").decode()
        return event.get_data()

    def _resolved(self, reference: str) -> Any:
        found: Any = self._document
        for part in reference.removeprefix("#/").split("/"):
            found = found[part]
        return found

    def _validate(self, schema: dict[str, Any], content: Any) -> None:
        name = orjson.dumps(schema).decode()
        if name not in self._compiled:
            whole = {**schema, "components": self._document["components"]}
            self._compiled[name] = fastjsonschema.compile(whole)
        self._compiled[name](content)
