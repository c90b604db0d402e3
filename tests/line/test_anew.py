"""The topics are lost, and a new log begins on a tenant where the one before it has open tickets: none is opened a second time."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from tests.line.system import System, until

pytestmark = pytest.mark.long


def test_after_the_topics_were_lost_each_alert_keeps_its_ticket_and_closes_it(tmp_path: Path) -> None:
    system = System(tmp_path / "anew", workers=1, devices=12, organizations=1)
    try:
        system.start()
        devices = system.take(4)
        first = [system.alert(device) for device in devices[:3]]
        before = system.opened(*first)
        assert system.up is not None
        system.up.send_signal(signal.SIGTERM)
        assert system.up.wait(60) == 0
        shutil.rmtree(system.folder / "kafka")
        system.start_up()
        until("Kafka answers", lambda: system.lockstep("status").code == 0, seconds=60)
        after = system.opened(system.alert(devices[3]), seconds=90)
        uids = {uid.replace("-", "") for uid in first}

        def settled() -> bool:
            said = system.lockstep("explain", before[-1]["externalID"])
            return said.code == 0 and "FoundByLookUp" in said.out

        until("the new log has the old tickets", settled, seconds=60)
        assert system.doubled() == 0
        assert len(system.tickets()) == len(before) + len(after)
        assert uids <= {ticket["externalID"].split(".")[2] for ticket in system.tickets()}
        system.clear(first[0])
        system.completed(*[t for t in before if first[0].replace("-", "") in t["externalID"]])
        assert system.lockstep("audit", "verify").code == 0
    finally:
        system.close()
