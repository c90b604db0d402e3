"""The policy that a drill puts into force: every setting of a ticket's life, with times so short that minutes show them.

Rules choose by the alert's source type alone, so that the checker can tell by itself which one was meant
(``streams.drill.rules``). What no rule names has the defaults, as before.
"""

from __future__ import annotations

from typing import Any

import yaml

from schemas.envelope import rfc3339
from streams.policy_file import STARTER

#: What is held, settles and is reopened; each repeat its own ticket; left to a technician who touched it.
HELD, SETTLES, EACH, UNTOUCHED = (
    "AGENT_OFFLINE",
    "CONDITION_AGENT_MEMORY",
    "CONDITION_WINDOWS_SERVICE_STATE_CHANGED",
    "CONDITION_AGENT_DISK_FREE_SPACE",
)
LIFECYCLES: dict[str, dict[str, str]] = {
    HELD: {"hold": "3s", "settle": "3s", "reopen_within": "60s"},
    SETTLES: {"settle": "3s", "reopen_within": "60s"},
    EACH: {"repeat": "ticket"},
    UNTOUCHED: {"close_if": "untouched", "note_every": "10s"},
}
#: The name of the drill's maintenance window.
WINDOW = "drill-window"


def drill_policy(*, organization: int, begins: int, ends: int) -> str:
    """The starter's policy with the rules above, and a window (epoch ms) for one organization. As YAML."""
    document: dict[str, Any] = yaml.safe_load(STARTER)
    document["rules"] = rules()
    document["maintenance"] = [
        {"name": WINDOW, "organization": [organization], "from": rfc3339(begins), "to": rfc3339(ends)}
    ]
    return yaml.safe_dump(document, sort_keys=False)


def rules() -> list[dict[str, Any]]:
    """The rules alone."""
    chosen = [
        {"name": kind.lower().replace("_", "-"), "when": {"source_type": [kind]}, "lifecycle": lifecycle}
        for kind, lifecycle in LIFECYCLES.items()
    ]
    return [*chosen, {"name": "everything-else", "when": {}}]
