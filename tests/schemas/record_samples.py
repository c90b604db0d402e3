"""Records what a version writes: ``samples/<version>/``, once, when the version is released.

    python -m tests.schemas.record_samples

``samples.jsonl.xz`` has events, commands, audit records, state documents and an executor's memory, as bytes and headers; ``contract.json.xz`` is the
version's AsyncAPI document. Later versions are tested against both. Until a version is released it may be recorded anew.
"""

from __future__ import annotations

import lzma
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from schemas import VERSION, contract
from schemas.commands import COMMANDS
from schemas.envelope import Envelope
from schemas.events import ALL_FACTS
from schemas.model import Model
from streams.executor.attempt import Attempt, Position, Told
from streams.operations import Pause
from tests.core.spec import HOUR, START, UID_B, UID_C, Scene, device, devices, incidents, lifecycle, subject, triggered
from tests.core.storm_world import World, storm_policy
from tests.schemas.sampling import samples_of

FOLDER = Path(__file__).parent / "samples"
#: What executors and operators keep, by the name that a sample has.
KEPT: dict[str, type[Model]] = {"attempt": Attempt, "told": Told, "position": Position, "pause": Pause}


def scenes() -> list[Scene]:
    """Documents with everything in them that a state has: tickets, waiting, parked and pending work, items, a storm."""
    held = {
        "rules": [{"name": "d", "when": {"subject": ["D:"]}, "lifecycle": {"hold": "5m"}}, {"name": "r", "when": {}}]
    }
    alerts = incidents(triggered(), **{**lifecycle(settle="10m"), **held}).settle("CreateTicket")
    alerts.when(triggered(11, UID_B, alert_subject="D:"))
    alerts.when(triggered(12, UID_C, subject=subject(organization=99, organization_name="Westwind")))
    alerts.later(HOUR).when(triggered(13, "0" * 32, alert_subject="E:"))
    items = devices(device()).settle("UpsertConfigurationItem").when(device(where=subject(device=408)), key="408")
    world = World(**storm_policy()).down(1, 2, 3, 4).work()
    return [alerts, items, world.incidents, world.storms]


def samples() -> Iterator[dict[str, Any]]:
    """What this version writes, one line each: kind, headers, value, and for a document its agent and key."""
    for of, models in (("fact", ALL_FACTS), ("command", COMMANDS)):
        for model in models:
            for number, sample in enumerate(samples_of(model)):
                envelope = Envelope(
                    id=f"{number:032x}", type=model.ce_type, source="lockstep/samples", time=START, recorded=START,
                    key="407", causation_id="0" * 32 if number else None, correlation_id="ls.407.0" if number else None,
                )  # fmt: skip
                headers = [[name, text.decode()] for name, text in envelope.to_headers()]
                yield {"of": of, "kind": model.ce_type, "headers": headers, "value": sample.to_json().decode()}
    for number, scene in enumerate(scenes()):
        for record in scene.records:
            value = record.to_json().decode()
            yield {"of": "audit", "kind": "AuditRecord", "headers": [], "value": value, "scene": number}
        for key, document in scene.state.items():
            place = {"agent": scene.agent, "key": key.decode(), "scene": number}
            yield {"of": "state", "kind": f"{scene.agent}.state", "headers": [], "value": document.decode(), **place}
    for name, model in KEPT.items():
        for kept in samples_of(model):
            yield {"of": "kept", "kind": name, "headers": [], "value": kept.to_json().decode()}


def main() -> None:
    """Write the folder of this version."""
    folder = FOLDER / VERSION
    folder.mkdir(parents=True, exist_ok=True)
    lines = [orjson.dumps(sample) + b"\n" for sample in samples()]
    (folder / "samples.jsonl.xz").write_bytes(lzma.compress(b"".join(lines)))
    (folder / "contract.json.xz").write_bytes(lzma.compress(contract.text().encode()))
    sys.stdout.write(f"{folder}: {len(lines)} samples\n")


if __name__ == "__main__":
    main()
