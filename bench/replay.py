"""How fast the log is gone through again: ``audit verify``, ``rebuild`` and ``whatif`` over a recorded log of a given length.

    python -m bench.replay [--facts 1000000]

The log is made by the real stage of the agent ``incidents`` (alerts raised, ticketed, cleared, completed; twelve alerts on each
device) and written to an embedded broker; then each verb runs as the command line runs it. Memory is the largest resident size of
this process and of its children.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import yaml

from bench.incidents import BEGIN_MS, ORGANIZATIONS, envelope_at, fact_at
from bench.kafka_io import Publisher
from schemas.envelope import Envelope
from schemas.facts import CompaniesObserved, Company, Fact, PolicyPublished
from schemas.identity import derived_id, partition_of
from schemas.topics import COMMAND_TOPICS, CONTROL, INCIDENTS_STATE, NINJAONE_ALERTS
from streams.broker import EmbeddedBroker
from streams.kafka_options import KafkaOptions
from streams.policy_file import STARTER
from streams.ports import InputRecord, OutputRecord
from streams.replay.going_on import Ledger
from streams.replay.rebuild import rebuild
from streams.replay.verify import verify_audit
from streams.replay.whatif import what_if
from streams.stage import AgentStage
from streams.topics import TopicSettings, create_topics

PARTITIONS = 6
FACTS_A_DEVICE = 48
#: Written and forgotten at this many, so that making a long log needs no more memory than a short one.
_BATCH = 5_000
MIB = 1024 * 1024
#: The goals are about a what-if over the first, and about the other two verbs over the second.
LENGTHS = (100_000, 1_000_000)
PATIENT = STARTER.replace("defaults:\n", "defaults:\n  lifecycle: {hold: 5m}\n")


class Log:
    """Six partitions of the agent, decided one fact after another."""

    def __init__(self) -> None:
        self.stage = AgentStage("incidents")
        self.states: list[dict[bytes, bytes]] = [{} for _ in range(PARTITIONS)]
        self._decided = [0] * PARTITIONS
        self._offsets: dict[tuple[str, int], int] = {}

    def decided(self, topic: str, partition: int, envelope: Envelope, fact: Fact) -> list[OutputRecord]:
        """What a fact makes: audit records and commands."""
        place = (topic, partition)
        offset = self._offsets[place] = self._offsets.get(place, -1) + 1
        value, headers = fact.to_json(), envelope.to_headers()
        record = InputRecord(topic, partition, offset, envelope.key.encode(), value, headers, envelope.recorded)
        result = self.stage.decide(partition, [record], self.states[partition], self._decided[partition])
        self._decided[partition] += result.decisions
        for key, document in result.states.items():
            assert document is not None
            self.states[partition][key] = document
        return list(result.outputs)

    async def write(self, publisher: Publisher, count: int, say: Callable[[str], None]) -> None:
        """A log of so many facts about devices, after a policy and the companies."""
        companies = tuple(Company(id=100 + n, name=f"Organization {n}", active=True) for n in range(ORGANIZATIONS))
        policy = orjson.dumps(yaml.safe_load(STARTER)).decode()
        waiting: list[OutputRecord] = []
        for number, fact in enumerate(
            (PolicyPublished(revision=1, document=policy), CompaniesObserved(digest="bench", companies=companies))
        ):
            identity = derived_id("context", number)
            envelope = Envelope(
                id=identity, type=fact.ce_type, source="/bench", time=BEGIN_MS, recorded=BEGIN_MS, key="control"
            )
            for partition in range(PARTITIONS):
                waiting += self.decided(CONTROL, partition, envelope, fact)
        devices = max(1, count // FACTS_A_DEVICE)
        ordered: dict[int, OutputRecord] = {}
        for number in range(count):
            turn, device = divmod(number, devices)
            fact = fact_at(number, turn, device, ordered.get(device))
            envelope = envelope_at(number, device, fact)
            partition = partition_of(envelope.key.encode(), PARTITIONS)
            for out in self.decided(NINJAONE_ALERTS, partition, envelope, fact):
                if out.topic in COMMAND_TOPICS:
                    ordered[device] = out
                else:
                    waiting.append(out)
            if len(waiting) >= _BATCH:
                await publisher.publish(waiting)
                waiting = []
            if number % 100_000 == 99_999:
                say(f"  {number + 1} facts decided and written")
        await publisher.publish(waiting)
        for partition, documents in enumerate(self.states):
            await publisher.publish(
                OutputRecord(INCIDENTS_STATE, partition, key, document) for key, document in documents.items()
            )


async def measure(count: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Make a log of ``count`` facts, and go through it with each verb."""
    with (
        tempfile.TemporaryDirectory(prefix="lockstep-replay-") as folder,
        EmbeddedBroker(Path(folder) / "kafka") as broker,
    ):
        options = KafkaOptions(bootstrap_servers=broker.bootstrap_servers)
        await create_topics(options, replace(TopicSettings(), partitions=PARTITIONS))
        log = Log()
        async with Publisher(broker.bootstrap_servers) as publisher:
            await log.write(publisher, count, say)
        documents = sum(len(state) for state in log.states)
        size = sum(len(document) for state in log.states for document in state.values())
        del log
        with Ledger(Path(folder), "verify", {}) as ledger:
            verified, verify_s = await _timed(verify_audit(options, ledger=ledger))
        say(f"  verify {verify_s:.1f} s")
        with Ledger(Path(folder), "rebuild", {}) as ledger:
            rebuilt, rebuild_s = await _timed(rebuild(options, ledger=ledger))
        same = rebuilt.compared and not rebuilt.differences
        del rebuilt
        say(f"  rebuild {rebuild_s:.1f} s")
        draft = orjson.dumps(yaml.safe_load(PATIENT)).decode()
        compared, whatif_s = await _timed(what_if(options, draft, since=BEGIN_MS + 1))
        say(f"  whatif {whatif_s:.1f} s")
    return {
        "facts": count,
        "records": verified.records,
        "documents": documents,
        "state_mib": round(size / MIB, 1),
        "verify_s": round(verify_s, 1),
        "verified": verified.difference is None and verified.settled,
        "rebuild_s": round(rebuild_s, 1),
        "rebuilt_equals_live": same,
        "whatif_s": round(whatif_s, 1),
        "whatif_changes": len(compared.changes()),
        "largest_child_mib": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024),
        "self_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def table(runs: list[dict[str, Any]]) -> str:
    """Lengths as rows, for people. The goals: verify 120 s and rebuild 60 s for a million, what-if 15 s for 100,000."""
    head = f"{'facts':>9} {'verify s':>9} {'rebuild s':>9} {'what-if s':>9} {'state MiB':>9} {'largest process MiB':>20} {'equal to live':>14}"
    rows = [
        f"{run['facts']:>9} {run['verify_s']:>9} {run['rebuild_s']:>9} {run['whatif_s']:>9} {run['state_mib']:>9} "
        f"{max(run['largest_child_mib'], run['self_mib']):>20} {run['verified'] and run['rebuilt_equals_live']!s:>14}"
        for run in runs
    ]
    return "\n".join(["going through the log again", head, *rows, ""])


async def _timed(work: Awaitable[Any]) -> tuple[Any, float]:
    began = time.monotonic()
    done = await work
    return done, time.monotonic() - began


def main() -> None:
    """The command line: one JSON line per length."""
    parser = argparse.ArgumentParser(prog="python -m bench.replay", description=__doc__)
    parser.add_argument("--facts", type=int, action="append", help="how long the log is; may be given several times")
    arguments = parser.parse_args()

    def say(line: str) -> None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    for count in arguments.facts or LENGTHS:
        say(f"{count} facts")
        found = asyncio.run(measure(count, say))
        machine = {"cpus": os.cpu_count(), "python": platform.python_version(), "load": round(os.getloadavg()[0], 1)}
        sys.stdout.write(orjson.dumps({"bench": "replay", **machine, **found}).decode() + "\n")


if __name__ == "__main__":
    main()
