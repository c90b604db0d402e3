"""A verification is killed and interrupted on a real log: the next one goes on, names what is wrong after that, and knows another log."""

from __future__ import annotations

import asyncio
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from schemas.topics import AGENT_STATE, AUDIT, CATALOGUE, INCIDENTS_STATE
from streams.broker import EmbeddedBroker
from streams.kafka_options import KafkaOptions
from streams.log import KafkaLog
from streams.ports import OutputRecord
from streams.replay.going_on import Ledger
from streams.replay.verify import AuditResult, verify_audit
from streams.replay.verify_partition import WHOLE
from streams.topics import TopicSettings, create_topics
from tests.core.spec import START, Scene, incidents, reset, subject, triggered

pytestmark = pytest.mark.kafka

DEVICES = 205
TOPICS = [topic for topic in CATALOGUE if topic.name in (AUDIT, *AGENT_STATE.values())]
ONE_PARTITION = TopicSettings(partitions=1)

#: ``lockstep audit verify`` that keeps a bookmark at every hundredth record, and gets a signal when so many are done.
VERB = """
import functools, signal, sys
from streams.cli import audit, main
from streams.replay import verify_partition

class Progress(audit.Progress):
    def __call__(self, done, total):
        if done == int(sys.argv[2]):
            signal.raise_signal(int(sys.argv[1]))

verify_partition.BREATHE = 100
audit.Progress = Progress
audit.Ledger = functools.partial(audit.Ledger, every_s=0)
raise SystemExit(main.run_command_line(["audit", "verify", "--json"]))
"""


@pytest.fixture
async def options(broker: EmbeddedBroker) -> AsyncIterator[KafkaOptions]:
    """For the shared broker, on which the audit has the name of the catalogue for the time of one test."""
    found = KafkaOptions(bootstrap_servers=broker.bootstrap_servers)
    await create_topics(found, ONE_PARTITION, catalogue=TOPICS)
    yield found
    await delete(found, *(topic.name for topic in TOPICS))


async def delete(options: KafkaOptions, *topics: str) -> None:
    admin = AIOKafkaAdminClient(**options.client())
    await admin.start()
    try:
        await admin.delete_topics(list(topics))
    finally:
        await admin.close()


def story() -> Scene:
    scene = incidents()
    for number in range(DEVICES):
        key, uid = str(1000 + number), f"{number:032x}"
        scene.when(triggered(2 * number, uid, subject=subject(device=1000 + number)), key=key)
        scene.when(reset(2 * number + 1, uid), key=key)
    return scene


def verb(folder: Path, number: signal.Signals, done: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", VERB, str(int(number)), str(done)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        # What a shell starts in the background ignores Ctrl-C, and so would this.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


async def verified(options: KafkaOptions, folder: Path) -> tuple[AuditResult, Ledger, list[str]]:
    said: list[str] = []
    with Ledger(folder, "verify", asdict(WHOLE), tell=said.append) as ledger:
        return await verify_audit(options, ledger=ledger), ledger, said


async def test_a_verification_that_was_killed_goes_on_and_knows_the_log_that_it_is_about(
    options: KafkaOptions, tmp_path: Path
) -> None:
    scene = story()
    records = [OutputRecord(AUDIT, 0, record.key.encode(), record.to_json()) for record in scene.records]
    async with KafkaLog(options, now=lambda: START) as log:
        await log.write(records)
        await log.write([OutputRecord(INCIDENTS_STATE, 0, key, document) for key, document in scene.state.items()])
        at_once = await verify_audit(options)
        assert (at_once.records, at_once.difference, at_once.settled) == (len(records), None, True)

        (tmp_path / "lockstep.yaml").write_text(
            f"kafka: {{bootstrap_servers: '{options.bootstrap_servers}', data_dir: {tmp_path}/data/kafka}}\n"
        )
        folder = tmp_path / "data" / "kafka" / "replay"
        killed = await asyncio.to_thread(verb, tmp_path, signal.SIGKILL, 200)
        assert (killed.returncode, killed.stdout, killed.stderr) == (-signal.SIGKILL, "", "")
        interrupted = await asyncio.to_thread(verb, tmp_path, signal.SIGINT, 100)
        assert interrupted.returncode == 130
        goes_on, empty, end = interrupted.stderr.splitlines()
        assert goes_on.startswith(f"goes on where an earlier run was: 100 of about {len(records)} records were gone")
        # The signal is heard a breath or two later.
        told = re.fullmatch(
            r"lockstep: interrupted; (\d+) records are gone through and kept: run it again to go on", end
        )
        assert told is not None, end
        kept = int(told[1])
        assert (empty, kept % 100) == ("", 0)
        assert 200 <= kept < len(records)
        shutil.copytree(folder, tmp_path / "kept")

        result, ledger, said = await verified(options, folder)
        assert result == at_once
        assert ledger.earlier is not None
        assert (ledger.earlier.records, len(said)) == (kept, 1)
        assert not list(folder.glob("*.jsonl"))

        await log.write([records[-1]])
        result, ledger, _ = await verified(options, shutil.copytree(tmp_path / "kept", tmp_path / "doubled"))
        assert ledger.earlier is not None
        assert str(result.difference).startswith(
            f"incidents {1000 + DEVICES - 1} #2 (ninjaone.resets[0]@{DEVICES - 1}): count: "
        )

        await delete(options, AUDIT)
        await create_topics(options, ONE_PARTITION, catalogue=TOPICS)
        await log.write(records)
        result, ledger, said = await verified(options, tmp_path / "kept")
        assert (result.records, result.difference, ledger.earlier) == (len(records), None, None)
        assert said == [f"begins anew: audit[0]@{kept - 1} is another record now: the log was made anew or changed"]
