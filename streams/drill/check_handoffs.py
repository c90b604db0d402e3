"""What agents tell each other: said in a decision, once in ``handoffs``, and forwarded at least once, byte for byte."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from schemas.topics import HANDOFFS, STORM_CANDIDATES, STORM_VERDICTS
from streams.drill.finding import Finding
from streams.drill.reading import Reading
from streams.ports import InputRecord

#: The topics that hold nothing but what one agent told another.
TOLD = (STORM_CANDIDATES, STORM_VERDICTS)


def check_handoffs(reading: Reading) -> Iterator[Finding]:
    """Nothing that was told is missing, doubled in the transaction that told it, changed, or told by nobody."""
    said = {told["id"]: (row, told) for row in reading.decided for told in row.document["decision"].get("told", [])}
    handed = Counter(_id(raw) for raw in reading.records(HANDOFFS))
    arrived: dict[str, list[InputRecord]] = defaultdict(list)
    for topic in TOLD:
        for raw in reading.records(topic):
            # What a drill planted so that nobody can read it was told by nobody, and ends as a dead letter.
            if (raw.topic, raw.partition, raw.offset) not in reading.evidence.poison:
                arrived[_id(raw)].append(raw)
    for identity, (decided, told) in said.items():
        about = f"{decided.shown} told {told['key']} a {told['type']}"
        if not handed[identity]:
            yield Finding("LostHandoff", identity, f"{about}, and it is not in {HANDOFFS}")
        elif not any((raw.topic, raw.value) == (told["topic"], told["value"].encode()) for raw in arrived[identity]):
            yield Finding("LostHandoff", identity, f"{about}, and it never came to {told['topic']}")
        if handed[identity] > 1:
            yield Finding("DoubledHandoff", identity, f"{about}, and it is {handed[identity]} times in {HANDOFFS}")
    for identity in sorted((handed.keys() | arrived.keys()) - said.keys()):
        yield Finding("UnknownHandoff", identity, "no decision told it")


def _id(raw: InputRecord) -> str:
    return next((value.decode("utf-8", "replace") for name, value in raw.headers if name == "ce_id"), "")
