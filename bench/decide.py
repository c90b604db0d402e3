"""The decide stage on one broker, in one run: our worker, the idiomatic Faust agent, and an aiokafka loop by hand.

Rates are taken in turn, several rounds, median; ratios are what counts, the digits belong to the machine. Then each is
killed with SIGKILL while facts come in and the outputs are held up, and the harness counts what was lost and doubled.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.fleet import Fleet, Plan
from bench.job import Job, load_job
from bench.kafka_io import Publisher, Reader, create_job_topics, read_all
from bench.verdict import Verdict, lost_and_doubled
from streams.broker import EmbeddedBroker


@dataclass(frozen=True)
class Way:
    """One way to do the job. ``facts`` is how many a round measures: the slow one gets fewer."""

    title: str
    contender: str
    share: float = 1.0
    environment: tuple[tuple[str, str], ...] = ()


OURS = Way("Lockstep worker", "ours")
HAND = Way("aiokafka loop by hand", "hand_loop")
IDIOMATIC = Way("idiomatic Faust agent", "idiomatic", 0.05)
SKIPPING = Way(
    "idiomatic Faust agent that skips what it has seen", "idiomatic", 0.05, (("LOCKSTEP_IDIOMATIC", "seen"),)
)


@dataclass
class Result:
    """What came out for one way."""

    way: Way
    rates: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    verdict: Verdict | None = None

    @property
    def rate(self) -> float:
        return statistics.median(self.rates) if self.rates else 0.0


@dataclass(frozen=True)
class Bench:
    """The settings of one run."""

    servers: str
    folder: Path
    job: str
    partitions: int
    #: Names of this run's topics and groups, so that an existing broker may have seen other runs.
    prefix: str

    def job_of(self, facts_prefix: str, own_prefix: str) -> Job:
        return load_job(self.job, facts_prefix, own_prefix, self.partitions)

    def plan(self, facts_prefix: str, own_prefix: str) -> Plan:
        return Plan(
            servers=self.servers,
            facts_prefix=facts_prefix,
            own_prefix=own_prefix,
            folder=self.folder / own_prefix,
            job=self.job,
            partitions=self.partitions,
        )

    async def rates(self, results: Sequence[Result], facts: int, rounds: int) -> None:
        """Facts per second of each way, in turn; all read the same facts and write to topics of their own."""
        shared = f"{self.prefix}rate."
        await create_job_topics(self.servers, self.job_of(shared, shared), self.partitions)
        async with Publisher(self.servers) as publisher:
            await publisher.publish(self.job_of(shared, shared).facts(facts))
        for turn in range(rounds):
            for number, result in enumerate(results):
                await self._rate(result, shared, f"{self.prefix}rate{turn}-{number}.", int(facts * result.way.share))
                say(f"  round {turn + 1}: {result.way.title}: {result.rates[-1]:,.0f} facts/s")

    async def _rate(self, result: Result, shared: str, own: str, facts: int) -> None:
        await create_job_topics(self.servers, self.job_of(shared, own), self.partitions)
        async with Fleet(self.plan(shared, own)) as fleet:
            worker = fleet.start(
                contender=result.way.contender, extra=("--until", str(facts)), **dict(result.way.environment)
            )
            done = await worker.until("done", timeout_s=180)
        result.rates.append(done["per_second"])
        result.cpu_us.append(done["cpu_us"])

    async def kills(self, result: Result, number: int, facts: int, rounds: int) -> None:
        """Kill one way ``rounds`` times at random moments under load, let it finish, count."""
        prefix, chance = f"{self.prefix}kill{number}.", random.Random(7)
        job = self.job_of(prefix, prefix)
        await create_job_topics(self.servers, job, self.partitions)
        plan = self.plan(prefix, prefix)
        hold = plan.folder / "hold"
        environment = {**result.way.environment, "LOCKSTEP_TEST_HOLD": str(hold)}
        async with (
            Publisher(self.servers) as publisher,
            Fleet(plan) as fleet,
            Reader(self.servers, [job.audit_topic]) as reader,
        ):
            feeding = asyncio.create_task(publisher.publish(job.facts(facts), per_second=facts / (3 * rounds)))
            for _ in range(rounds):
                worker = fleet.start(contender=result.way.contender, instance="only", **environment)
                known = len(reader.records[job.audit_topic])
                await reader.until(job.audit_topic, known + 50, timeout_s=60)
                await asyncio.sleep(chance.uniform(0.0, 0.5))
                # Every kill comes while the outputs are held up for a moment, as by a replica that is away: what is
                # written beside them gets ahead. Without that the same loss shows in one kill of ten.
                hold.touch()
                await asyncio.sleep(chance.uniform(0.0, 0.5))
                await worker.kill()
                hold.unlink()
                await reader.read_to_end()
            fleet.start(contender=result.way.contender, instance="only", **environment)
            await feeding
            # There may be more audit records than facts, so the end is when none came for a while.
            await reader.until(job.audit_topic, sys.maxsize, timeout_s=240, quiet_s=8)
            done = await read_all(self.servers, [*job.stage.topics, *job.command_topics])
            inputs = [record for topic in job.stage.topics for record in done[topic]]
            commands = [record for topic in job.command_topics for record in done[topic]]
            result.verdict = lost_and_doubled(job, inputs, reader.records[job.audit_topic], commands)
        verdict = result.verdict
        say(
            f"  {result.way.title}: of {verdict.facts:,} facts {verdict.lost} lost, {verdict.doubled} doubled; "
            f"commands {verdict.lost_commands} lost, {verdict.doubled_commands} doubled"
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of this benchmark."""
    parser.add_argument("--job", default="bench.incidents:job", help="module:factory of the stage under test")
    parser.add_argument("--facts", type=int, default=30_000, help="facts a round measures")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kills", type=int, default=10, help="SIGKILLs per way; 0 leaves them out")
    parser.add_argument("--kill-facts", type=int, default=4_000)
    parser.add_argument(
        "--controls", action="store_true", help="kill the idiomatic agent that skips what it has seen too"
    )
    parser.add_argument("--partitions", type=int, default=6)
    parser.add_argument("--servers", help="an existing broker instead of an embedded one of its own")


def run(args: argparse.Namespace) -> dict[str, object]:
    """The whole benchmark; returns what the JSON line says."""
    with tempfile.TemporaryDirectory(prefix="lockstep-bench-") as folder:
        if args.servers:
            return asyncio.run(_run(args, args.servers, Path(folder)))
        with EmbeddedBroker(Path(folder) / "kafka", progress=say) as broker:
            return asyncio.run(_run(args, broker.bootstrap_servers, Path(folder)))


async def _run(args: argparse.Namespace, servers: str, folder: Path) -> dict[str, object]:
    bench = Bench(servers, folder, args.job, args.partitions, f"bench-{int(time.time())}.")
    ours, hand, plain = (Result(way) for way in (OURS, HAND, IDIOMATIC))
    say(f"rates: {args.rounds} rounds, {args.facts:,} facts over {args.partitions} partitions")
    await bench.rates([ours, hand, plain], args.facts, args.rounds)
    results = [ours, hand, plain, *([Result(SKIPPING)] if args.controls else [])]
    if args.kills:
        say(f"kills: {args.kills} SIGKILLs each, {args.kill_facts:,} facts")
        for number, result in enumerate(results):
            await bench.kills(result, number, args.kill_facts, args.kills)
    return report(args, results)


def report(args: argparse.Namespace, results: Sequence[Result]) -> dict[str, object]:
    """The content of the JSON line."""
    ours, hand, plain = results[:3]
    return {
        "bench": "decide",
        "job": args.job,
        "ways": {
            result.way.title: {
                "facts_per_second": round(result.rate),
                "cpu_us_per_fact": round(statistics.median(result.cpu_us), 1) if result.cpu_us else None,
                "kills": args.kills,
                "killed": _counts(result.verdict) if result.verdict else None,
            }
            for result in results
        },
        "times_idiomatic": round(ours.rate / plain.rate, 2),
        "times_hand_loop": round(ours.rate / hand.rate, 2),
    }


def _counts(verdict: Verdict) -> dict[str, int]:
    return {
        "facts": verdict.facts,
        "lost": verdict.lost,
        "doubled": verdict.doubled,
        "lost_commands": verdict.lost_commands,
        "doubled_commands": verdict.doubled_commands,
    }


def table(done: dict[str, object]) -> str:
    """The same for people."""
    lines = [f"{'decide stage':52}{'facts/s':>10}{'CPU us':>8}{'lost':>7}{'doubled':>9}{'commands lost/doubled':>24}"]
    ways = done["ways"]
    assert isinstance(ways, dict)
    for title, way in ways.items():
        killed = way["killed"]
        rate = f"{way['facts_per_second']:,}" if way["facts_per_second"] else "-"
        commands = f"{killed['lost_commands']}/{killed['doubled_commands']}" if killed else "-"
        lost, doubled = (killed["lost"], killed["doubled"]) if killed else ("-", "-")
        lines.append(f"{title:52}{rate:>10}{way['cpu_us_per_fact'] or '-':>8}{lost:>7}{doubled:>9}{commands:>24}")
    lines.append(f"{done['times_idiomatic']} x the idiomatic agent, {done['times_hand_loop']} x the loop by hand")
    return "\n".join(lines)


def say(line: str) -> None:
    """Progress goes to standard error, so that standard output holds the result alone."""
    sys.stderr.write(line + "\n")
