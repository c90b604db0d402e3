"""A drill from beginning to end: bring everything up, load and faults, heal, wait until quiet, judge."""

from __future__ import annotations

import asyncio
import importlib.metadata
import platform
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from schemas.facts import ConnectionName
from streams.core.connection import Connection
from streams.demo.tally import our_items
from streams.demo.theatre import StoryFailed, Theatre, until
from streams.drill.faults import FAULTS
from streams.drill.judging import judge
from streams.drill.load import Load
from streams.drill.policy import drill_policy
from streams.drill.quiet import KAFKA_IS_AWAY, until_quiet
from streams.drill.report import DrillResult
from streams.drill.scene import Scene
from streams.drill.schedule import Planned, lines
from streams.health import connections
from streams.kafka_runtime import KAFKA_VERSION

Tell = Callable[[str], None]

#: Small enough that every device is known before the first fault, large enough that lists have several pages.
DEVICES, PAGE_SIZE = 40, 10
#: A killed broker, roles at their longest restart delay and a write that timed out need a minute and a half together, a
#: machine that does other things besides three times that.
READY_WITHIN_S, QUIET_WITHIN_S = 180.0, 270.0
#: Whose logs are quoted where something was found, and how many lines of each.
TELLING, LAST_WORDS = ("connectors", "executor", "worker-1", "worker-2"), 3
#: An hour, for the deliveries that come an hour late; a second look after an unknown create comes ten minutes after it.
LATE_S = 3600.0
#: For how much of the drill the policy's maintenance window lasts; what fires in it is in front of the rest then.
WINDOW_SHARE = 0.4

#: What differs from an installation as it comes: polls are frequent, so that minutes are enough to see what they find;
#: a look-up follows 2 s after an attempt of unknown outcome (15 s) since the simulators show a row at once.
CHANGES = {
    "ninjaone": {"inventory_seconds": 10},
    "autotask": {"companies_seconds": 10},
    "executor": {"look_up_after_seconds": 2},
}


async def drill(
    *, seed: int, minutes: float, schedule: Sequence[Planned], folder: Path, tell: Tell, cluster: bool = False
) -> DrillResult:
    """Run one drill in a folder of its own, on one broker or on a cluster of three. Raises ``StoryFailed`` and ``BrokerError`` where it could not be run."""
    begun = time.monotonic()
    seconds = minutes * 60

    def told(line: str) -> None:
        tell(f"[{time.monotonic() - begun:5.1f} s] {line}")

    theatre = Theatre(
        seed=seed, tell=told, folder=folder, devices=DEVICES, changes=CHANGES, sandbox_clock=True, cluster=cluster
    )
    async with theatre:
        (folder / "schedule.jsonl").write_text(lines(schedule), encoding="utf-8")
        await _prepare(theatre)
        await _publish_policy(theatre, seconds)
        told(f"everything runs; {len(schedule)} faults in {seconds:g} s")
        scene, load = Scene(theatre, told), Load(theatre, seed)
        injected = await _play(scene, load, schedule, seconds)
        told("healed; waiting for quiet")
        await _settle(scene, load)
        told("quiet; judging")
        verdict = await judge(scene, folder)
        return DrillResult(
            seed=seed,
            minutes=minutes,
            faults=dict(sorted(injected.items())),
            events=load.events,
            lost=verdict.lost,
            duplicate_tickets=verdict.duplicate_tickets,
            redelivered=verdict.redelivered,
            seconds=round(time.monotonic() - begun, 1),
            findings=verdict.findings,
            counts={**verdict.counts, "happened": dict(load.happened), "operator_tests": dict(scene.operator_tests)},
            last_words=last_words(folder) if verdict.findings else [],
            versions={**versions(), "brokers": str(len(theatre.brokers))},
        )


def last_words(folder: Path) -> list[str]:
    """The last warnings and errors of every role, one line each, cut to what a terminal shows."""
    said = []
    for path in sorted(folder.rglob("*.log")):
        lines = path.read_text("utf-8", "replace").splitlines() if path.stem in TELLING else []
        loud = [line for line in lines if " WARNING " in line or " ERROR " in line or " CRITICAL " in line]
        said += [line[:240] for line in loud[-LAST_WORDS:]]
    return said


def versions() -> dict[str, str]:
    """What a result depends on."""
    libraries = {name: importlib.metadata.version(name) for name in ("faust-streaming", "aiokafka")}
    return {"python": platform.python_version(), "kafka": KAFKA_VERSION, **libraries}


async def _prepare(theatre: Theatre) -> None:
    await theatre.ninja.patch("settings", max_page_size=PAGE_SIZE)
    for name in ("Memory", "IP Addresses", "MAC Addresses"):
        await theatre.psa.post("udfs", name=name)

    async def most_are_known() -> bool:
        return len(our_items(await theatre.psa.get("state"))) >= DEVICES // 2

    await until("the devices become configuration items", most_are_known, seconds=READY_WITHIN_S)


async def _publish_policy(theatre: Theatre, seconds: float) -> None:
    """The drill's own policy, with a maintenance window over the first part of the drill for one organization."""
    organizations = {device["organizationId"] for device in (await theatre.ninja.get("state"))["devices"]}
    now = theatre.clock.now()
    ends = now + round(seconds * 1000 * WINDOW_SHARE)
    policy = drill_policy(organization=min(organizations), begins=now - 60_000, ends=ends)
    (theatre.folder / "policy.yaml").write_text(policy, encoding="utf-8")
    code, said = await theatre.lockstep("policy", "publish")
    if code:
        raise StoryFailed(f"the drill's policy was not published: {said}")


async def _play(scene: Scene, load: Load, schedule: Sequence[Planned], seconds: float) -> Counter[str]:
    """Load and faults side by side. Every fault is healed when this returns, whatever happened."""
    stop = asyncio.Event()
    begun = time.monotonic()
    injected: Counter[str] = Counter()
    loading = asyncio.create_task(load.run(stop))
    faults = [asyncio.create_task(_one(scene, planned, begun, injected)) for planned in schedule]
    try:
        await asyncio.wait({loading, *faults}, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        await asyncio.sleep(0 if loading.done() else max(begun + seconds - time.monotonic(), 0))
        scene.tell("healing")
        stop.set()
        await asyncio.gather(loading, *faults)
    finally:
        for task in (loading, *faults):
            task.cancel()
        await asyncio.gather(loading, *faults, return_exceptions=True)
    return injected


async def _one(scene: Scene, planned: Planned, begun: float, injected: Counter[str]) -> None:
    await asyncio.sleep(max(begun + planned.at - time.monotonic(), 0))
    async with FAULTS[planned.kind](scene, planned.parameters) as whom:
        injected[planned.kind] += 1
        lasts = f" for {planned.lasts:g} s" if planned.lasts else ""
        scene.tell(f"at second {planned.at:g}, {planned.kind}: {whom}{lasts}")
        await asyncio.sleep(planned.lasts)


async def _settle(scene: Scene, load: Load) -> None:
    """Wait for quiet, let a shift end and an hour pass, let come what was kept for then, and wait for quiet again."""
    await _mended(scene)
    await _quiet(scene)
    await load.close_up()
    scene.tell(f"quiet; {LATE_S:g} s pass at once, and {len(scene.at_end)} held deliveries come")
    await scene.theatre.psa.post("clock", advance=LATE_S)
    for heal in scene.at_end:
        await heal()
    await _quiet(scene)


async def _quiet(scene: Scene) -> None:
    """What does not come to rest is found, and judged all the same."""
    try:
        await until_quiet(scene.theatre, seconds=QUIET_WITHIN_S)
    except StoryFailed as failure:
        scene.trouble.append(f"NotQuiet: {failure}")


async def _mended(scene: Scene) -> None:
    """Every account that was locked was mended and tested until the test succeeded: a connection that is Unhealthy all the
    same is found. It is tested once more, so that the rest can be judged.
    """

    async def known() -> Mapping[ConnectionName, Connection] | None:
        try:
            return await connections(scene.theatre.options)
        except KAFKA_IS_AWAY:
            return None

    for name, connection in (await until("Kafka answers", known, seconds=QUIET_WITHIN_S)).items():
        if connection.state == "Unhealthy":
            scene.trouble.append(f"StillUnhealthy: {name}: after a test that succeeded: {connection.reason}")
            scene.tell(f"{name} is Unhealthy ({connection.reason}); an operator tests it once more")
            await scene.operator_tests_until_it_works(name)
