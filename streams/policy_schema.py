"""The policy file's JSON Schema, for editors: made from the format itself, kept in ``docs/policy.schema.json``."""

from __future__ import annotations

import json

from streams.core.policy.policy import Policy


def policy_schema() -> str:
    """The schema as indented JSON, ending in a line feed. Meaning (order of rules, names) is ``policy check``'s."""
    document = Policy.model_json_schema(by_alias=True)
    # Filled in at publication; in a file it is refused.
    document["properties"].pop("zones", None)
    document["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    document["title"] = "Lockstep policy"
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
