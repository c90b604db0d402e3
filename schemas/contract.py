"""The feed as a contract: an AsyncAPI 3 document of every topic, made from the catalogue and the models.

``python -m schemas.contract > docs/asyncapi.json`` writes it anew; a test compares. A consumer may rely on what it says and needs
nothing else. Schemas say what is written; they allow more fields than they name, so that a consumer of today reads what a later
version adds. Sources: AsyncAPI 3.0.0 specification; CloudEvents 1.0 Kafka binding, binary mode.
"""

from __future__ import annotations

import sys
from typing import Any

import orjson

from schemas import VERSION, commands, drift, facts, personal, shadow, storms, topics
from schemas.audit import AuditRecord
from schemas.model import Model

#: What stands in each topic. Those that are not here hold what is said in ``PLAIN``.
MESSAGES: dict[str, tuple[type[Model], ...]] = {
    topics.NINJAONE_ALERTS: (facts.AlertTriggered, facts.AlertObserved, facts.AlertAcknowledged),
    topics.NINJAONE_RESETS: (facts.AlertReset, facts.AlertGone),
    topics.NINJAONE_DEVICES: (facts.DeviceObserved, facts.DeviceRemoved, drift.DriftObserved),
    topics.AUTOTASK_TICKETS: (facts.TicketObserved, facts.TicketNoteObserved, drift.DriftObserved),
    topics.STORM_CANDIDATES: (storms.StormCandidateSeen, storms.StormCandidateLeft, storms.StormTicketCompleted),
    topics.STORM_VERDICTS: (
        *(storms.StormDeclared, storms.StormListed, storms.StormJoined, storms.StormReleased),
        facts.AlertGone,
    ),
    topics.HANDOFFS: (*storms.STORM_FACTS, facts.AlertGone),
    topics.SHADOW: shadow.SHADOW_FACTS,
    topics.OUTCOMES: (facts.CommandSettled,),
    topics.TIMERS: (facts.TimerFired,),
    topics.CONTROL: (
        *(model for model in facts.FACTS if issubclass(model, facts.ControlFact)),
        personal.PersonalDataErased,
    ),
    topics.CONNECTIONS: (facts.ConnectionChanged,),
    topics.AUDIT: (AuditRecord,),
    **{
        topic: tuple(model for model in commands.COMMANDS if model.topic == topic or model is commands.WithdrawCommand)
        for topic in topics.COMMAND_TOPICS
    },
}
#: Content type and meaning of values that are no event. They are Lockstep's own: their form may change with any version.
PLAIN: dict[str, tuple[str, str]] = {
    topics.DEAD_LETTERS: (
        "application/octet-stream",
        "the original bytes; dead_* headers say where they stood and why",
    ),
    topics.CHECKPOINTS: (
        "application/gzip",
        "state documents as JSON lines; headers say of which checkpoint, and how many records it has",
    ),
    topics.ATTEMPTS: ("application/json", "the attempt of an effect"),
    topics.TICKETS: ("text/plain", "the device key of the ticket"),
    topics.DEVICE_DIGESTS: ("text/plain", "the digest of what was published last"),
    topics.CURSORS: ("application/json", "how far a poller has read"),
    topics.OPERATIONS: ("application/json", "an operator's switch, or whose log it is"),
    topics.PERSONAL: ("application/json", "a personal value and the salt of its token; no value: erased"),
    topics.ROLES: ("application/json", "the figures of a running role"),
    **dict.fromkeys(
        topics.AGENT_STATE.values(),
        ("application/json", "a state document, and one record per partition with the next input offsets"),
    ),
}

_TEXT = {"type": "string"}
_INSTANT = {"type": "string", "format": "date-time"}
_HEADERS: dict[str, Any] = {
    "type": "object",
    "description": "CloudEvents 1.0 in Kafka's binary mode; values are UTF-8 text.",
    "properties": {
        "ce_specversion": {"const": "1.0"},
        "ce_id": {**_TEXT, "description": "The same for the same thing however often it is told: drop what you know."},
        "ce_source": _TEXT,
        "ce_type": _TEXT,
        "ce_time": {**_INSTANT, "description": "When it happened, by the vendor's clock."},
        "ce_recordedtime": {**_INSTANT, "description": "When its publisher wrote it, once."},
        "ce_partitionkey": {**_TEXT, "description": "The record's key, which decides the partition."},
        "ce_causationid": {**_TEXT, "description": "The id of the event that led to this one."},
        "ce_correlationid": {**_TEXT, "description": "The incident: the ticket's externalID."},
        "content-type": {"const": "application/json"},
    },
    "required": ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "ce_recordedtime", "ce_partitionkey"],
}


def document() -> dict[str, Any]:
    """The AsyncAPI document as JSON data."""
    models = sorted({model for held in MESSAGES.values() for model in held}, key=lambda model: model.__name__)
    messages = {model.__name__: _message(model) for model in models}
    messages |= {f"{_named(topic)}Record": _plain(kind, text) for topic, (kind, text) in PLAIN.items()}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Lockstep",
            "version": VERSION,
            "description": "Facts, commands and decisions of Lockstep. Read with isolation level read_committed. "
            "Every topic may hold a record twice: an id tells it.",
        },
        "defaultContentType": "application/json",
        "channels": {_named(topic.name): _channel(topic) for topic in topics.CATALOGUE},
        "operations": {
            f"read{_named(topic.name)}": {"action": "receive", "channel": {"$ref": f"#/channels/{_named(topic.name)}"}}
            for topic in topics.CATALOGUE
        },
        "components": {"messages": messages, "schemas": _schemas(models)},
    }


def _channel(topic: topics.Topic) -> dict[str, Any]:
    held = [model.__name__ for model in MESSAGES.get(topic.name, ())] or [f"{_named(topic.name)}Record"]
    setting = "kafka.audit_retention_days" if topic.kept == "audit" else "kafka.retention_days"
    days = "for ever" if topic.kept == "for ever" else f"as the setting {setting} says (400 by default)"
    last = "the last record of each key"
    kept = {"compact": last, "compact,delete": f"{last}, {days}"}.get(topic.cleanup, f"kept {days}")
    partitions = "kafka.partitions (6 by default)" if topic.partitions is None else str(topic.partitions)
    return {
        "address": topic.name,
        "description": f"{topic.holds}. Key: {topic.key}. Partitions: {partitions}. {kept[0].upper()}{kept[1:]}.",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in held},
        "x-lockstep-internal": topic.name in PLAIN,
        "x-lockstep-transactional": topic.transactional,
    }


def _message(model: type[Model]) -> dict[str, Any]:
    kind = getattr(model, "ce_type", None)
    found: dict[str, Any] = {
        "name": kind or model.__name__,
        "summary": _first_line(model),
        "contentType": "application/json",
        "payload": {"$ref": f"#/components/schemas/{model.__name__}"},
    }
    if kind is not None:
        properties = {**_HEADERS["properties"], "ce_type": {"const": kind}}
        found["headers"] = {**_HEADERS, "properties": properties}
    return found


def _plain(kind: str, text: str) -> dict[str, Any]:
    return {"summary": text[0].upper() + text[1:] + ".", "contentType": kind, "payload": {}}


def _schemas(models: list[type[Model]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for model in models:
        schema = model.model_json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
        found |= schema.pop("$defs", {})
        found[model.__name__] = schema
    return {name: _open(found[name]) for name in sorted(found)}


def _open(schema: Any) -> Any:
    """Without "no other fields": that is what Lockstep itself insists on, and no consumer should."""
    if isinstance(schema, dict):
        return {
            name: _open(value)
            for name, value in schema.items()
            if not (name == "additionalProperties" and value is False)
        }
    return [_open(entry) for entry in schema] if isinstance(schema, list) else schema


def _first_line(model: type[Model]) -> str:
    return " ".join((model.__doc__ or "").strip().partition("\n\n")[0].split())


def _named(topic: str) -> str:
    return "".join(part.capitalize() for part in topic.replace("-", ".").split("."))


def text() -> str:
    """The document as it is kept in the repository."""
    return orjson.dumps(document(), option=orjson.OPT_INDENT_2).decode() + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
