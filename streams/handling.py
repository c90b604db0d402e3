"""What an operator does with dead letters: read them, have them read again, give them up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import orjson

from schemas.envelope import rfc3339
from schemas.identity import partition_of
from schemas.topics import BY_NAME, CONTROL, DEAD_LETTERS, OPERATIONS
from streams.dead_letters import DEAD_KEY, DeadLetter, letters_of
from streams.kafka_options import KafkaOptions
from streams.log import KafkaLog
from streams.ports import OutputRecord
from streams.readers import read_all

#: Letters per round of writing: what was written again and what is said about it are never further apart than this.
_AT_ONCE = 200

T = TypeVar("T")


async def dead_letters(options: KafkaOptions) -> list[DeadLetter]:
    """All dead letters that are still kept, oldest first. Raises ``ReadError``."""
    words: dict[str, dict[str, Any]] = {}
    async for record in read_all(options, OPERATIONS):
        key = (record.key or b"").decode("utf-8", "replace")
        if key.startswith(DEAD_KEY) and record.value is not None:
            words[key.removeprefix(DEAD_KEY)] = orjson.loads(record.value)
    records = [record async for record in read_all(options, DEAD_LETTERS)]
    return letters_of(records, words)


async def retry(log: KafkaLog, letters: Sequence[DeadLetter], *, actor: str, note: str, at: int) -> None:
    """Write the records to their topics once more, bytes, headers and id as they were, in their order.

    First the records, then the word about them: a stop in between costs a second retry, which the derived ids absorb.
    What is still not understood comes back as another letter, linked by the place at which it was written. Only for
    letters that are ``retryable``. Raises ``LogError``.
    """
    for some in _parts(letters):
        records = [await _again(log, letter) for letter in some]
        offsets = await log.write(records)
        words = [
            (letter, {"to": [record.topic, record.partition, offset]})
            for letter, record, offset in zip(some, records, offsets, strict=True)
        ]
        await _say(log, words, what="retried", reason=note, actor=actor, at=at)


async def dismiss(log: KafkaLog, letters: Sequence[DeadLetter], *, actor: str, reason: str, at: int) -> None:
    """Give the letters up; who and why stays in topic ``operations``. Raises ``LogError``."""
    for some in _parts(letters):
        await _say(log, [(letter, {}) for letter in some], what="dismissed", reason=reason, actor=actor, at=at)


async def _again(log: KafkaLog, letter: DeadLetter) -> OutputRecord:
    assert letter.place is not None
    topic, partition, _ = letter.place
    key = letter.record.key
    # By the number of partitions as it is now; a control record was written to each partition for itself.
    if topic != CONTROL and BY_NAME[topic].partitions is None:
        partition = partition_of(key or b"", await log.partitions(topic))
    return OutputRecord(topic, partition, key, letter.record.value, letter.original_headers())


async def _say(
    log: KafkaLog,
    letters: Sequence[tuple[DeadLetter, dict[str, Any]]],
    *,
    what: str,
    reason: str,
    actor: str,
    at: int,
) -> None:
    partitions = await log.partitions(OPERATIONS)
    words = []
    for letter, more in letters:
        key = DEAD_KEY + letter.id
        word = {"what": what, "reason": reason, "actor": actor, "at": rfc3339(at), **more}
        words.append(OutputRecord(OPERATIONS, partition_of(key, partitions), key.encode(), orjson.dumps(word)))
    await log.write(words)


def _parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]
