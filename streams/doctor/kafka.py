"""Kafka: whether it answers, which one it is, its topics, and who lags behind."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence

from streams.doctor.kafka_version import ask
from streams.doctor.look import Line, listed, ok, unseen, warning, wrong
from streams.kafka_options import KafkaOptions
from streams.settings import Settings
from streams.topics import Finding, TopicsError, describe, examine
from streams.wiring import topic_settings
from streams.wording import counted

#: The release that everything was run on, and the next, which may lose the end of a transaction (KAFKA-20734).
TESTED = "4.2"
#: Between two looks at what a group has read: longer than any of ours takes to commit.
LOOK_AGAIN_S = 6.0
#: A lag that is worth a word though it shrinks: some minutes of work for one executor.
MUCH = 10_000
#: Settings of a topic without which work does not go on, or not as promised.
_GRAVE = ("partitions", "cleanup.policy")


async def kafka(settings: Settings, options: KafkaOptions) -> AsyncIterator[Line]:
    """Everything about a Kafka that answers."""
    yield await _version(settings, options)
    try:
        first = await _lag(options)
        missing, findings = await examine(options, topic_settings(settings))
    except TopicsError as error:
        yield wrong("topics", str(error))
        return
    for line in _topics(missing, findings):
        yield line
    if not first:
        yield ok("lag", "every group has read everything")
        return
    await asyncio.sleep(LOOK_AGAIN_S)
    for line in lagging(first, await _lag(options)):
        yield line


async def _version(settings: Settings, options: KafkaOptions) -> Line:
    context: ssl.SSLContext | None = options.security().get("ssl_context")
    try:
        release = (await ask(options.servers[0], context=context)).release
    except (OSError, TimeoutError, ValueError) as error:
        return unseen("kafka version", f"{options.servers[0]} does not say what it is ({str(error) or 'no answer'})")
    whose = "embedded" if settings.kafka.embedded else f"at {options.bootstrap_servers}"
    if release == TESTED:
        return ok("kafka version", f"{release}, {whose}")
    if release.startswith("newer"):
        return warning(
            "kafka version",
            f"{release}, {whose}: 4.3.0 to 4.4.0 may end a transaction without telling its partitions, which then stay closed",
            f"run {TESTED}, or a release in which KAFKA-20734 is mended (docs/decisions/0008-the-version-of-kafka.md)",
        )
    return warning("kafka version", f"{release}, {whose}: Lockstep was run on {TESTED} only", f"run {TESTED}")


def _topics(missing: Sequence[str], findings: Sequence[Finding]) -> list[Line]:
    lines = []
    if missing:
        lines.append(
            wrong("topics", f"missing: {listed(missing)}", "the next start of 'lockstep up' or of a role creates them")
        )
    for finding in findings:
        say = wrong if finding.setting in _GRAVE else warning
        lines.append(
            say(
                "topics", f"{finding.topic}: {finding.setting} is {finding.found}, not {finding.expected}", finding.hint
            )
        )
    return lines or [ok("topics", "all there, with the partitions, the retention and the compaction of the catalogue")]


async def _lag(options: KafkaOptions) -> dict[tuple[str, str], int]:
    """By topic and group, where it is more than none. Raises ``TopicsError``, ``ReadError``."""
    return {(t.topic, group): lag for t in await describe(options) for group, lag in t.lag.items() if lag}


def lagging(first: Mapping[tuple[str, str], int], second: Mapping[tuple[str, str], int]) -> list[Line]:
    """What two looks say: who has not read anything in between though there is something to read."""
    lines = []
    for (topic, group), now in sorted(second.items()):
        before = first.get((topic, group), 0)
        found = f"{group} has {counted(now, 'record')} of {topic} to read"
        if before and now >= before:
            lines.append(
                warning(
                    "lag", f"{found}, and read none in {LOOK_AGAIN_S:g} s", "'lockstep status' says what waits, and why"
                )
            )
        elif now >= MUCH:
            lines.append(warning("lag", f"{found}, and is reading"))
    return lines or [ok("lag", "what was not read yet is being read")]
