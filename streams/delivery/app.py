"""One Faust app per agent: it joins the group, gets partitions, fetches, and hands whole batches to the lanes."""

from __future__ import annotations

import asyncio
from typing import Any

import faust
from faust.app.base import BootStrategy
from yarl import URL

from streams.delivery.assignment import Assignment
from streams.delivery.fatal import described, die
from streams.delivery.lane import Batch
from streams.delivery.transport import Transport


class _OnlyConsuming(BootStrategy):
    """No web server, and no producer of Faust's: what is sent goes through our own transactions."""

    enable_web = False
    enable_kafka_producer = False


class AgentApp(faust.App):
    """A Faust app that keeps nothing on disk."""

    BootStrategy = _OnlyConsuming

    def _create_directories(self) -> None:
        """Faust would create a folder for tables; there are none."""


class Agent:
    """The Faust side of one agent. ``start`` returns once the app runs, ``stop`` after it has left its group."""

    def __init__(self, assignment: Assignment) -> None:
        self.assignment = assignment
        self.name = assignment.stage.name
        self._stopping = False
        self._app = self._new_app()
        self._channel = self._app.channel(maxsize=0)
        self._app.transport = Transport([self._app.conf.broker[0]], self._app, assignment=assignment, hand=self._hand)
        self._app.agent(self._channel, name=f"{self.name}-lanes")(self._to_lanes)
        self._app.agent(self._subscription(), name=f"{self.name}-subscription")(self._never)

    def _new_app(self) -> AgentApp:
        settings = self.assignment.settings
        return AgentApp(
            settings.group(self.name),
            broker=[URL(f"kafka://{server}") for server in settings.bootstrap_servers.split(",")],
            datadir=settings.data_dir,
            store="memory://",
            key_serializer="raw",
            value_serializer="raw",
            consumer_group_instance_id=settings.instance_id,
            consumer_auto_offset_reset="earliest",
            broker_session_timeout=settings.session_timeout_s,
            broker_heartbeat_interval=settings.session_timeout_s / 5,
            broker_commit_interval=1.0,
            stream_recovery_delay=0,
            stream_wait_empty=True,
            table_standby_replicas=0,
            topic_disable_leader=True,
            topic_allow_declare=False,
            web_enabled=False,
            loop=asyncio.get_running_loop(),
        )

    def _subscription(self) -> Any:
        return self._app.topic(*self.assignment.stage.topics, key_type=bytes, value_type=bytes)

    async def _hand(self, batch: Batch) -> None:
        # The channel is unbounded and emptied at once: what bounds memory is that full lanes are not fetched for.
        await self._channel.put(batch)

    async def _to_lanes(self, batches: Any) -> None:
        """The agent: every batch to the lane of its partition. No exception may leave it, Faust would go on."""
        try:
            async for batch in batches:
                self.assignment.deliver(batch)
        except asyncio.CancelledError:
            if not self._stopping:
                die(f"agent {self.name}: Faust cancelled the agent while it should run")
            raise
        except BaseException as error:
            die(f"agent {self.name}: batch not handed on: {described(error)}")

    async def _never(self, events: Any) -> None:
        """Keeps Faust's subscription and assignment; its events bypass the lanes, so there must be none."""
        async for _ in events:
            die(f"agent {self.name}: Faust delivered an event past the lanes")

    @property
    def consumer(self) -> Any:
        """Faust's consumer (ours, ``transport.Consumer``)."""
        return self._app.consumer

    async def run(self) -> None:
        """Start the app and wait until it stops. A crash of any of its services ends the process."""
        try:
            await self._app.start()
            await self._app.wait()
        except Exception as error:
            die(f"agent {self.name}: {described(error)}")
        if not self._stopping:
            reason = self._app.crash_reason
            die(f"agent {self.name}: Faust stopped by itself: {described(reason) if reason else 'no reason given'}")

    async def stop(self) -> None:
        """Finish the slices under way, leave the group, close the producers."""
        self._stopping = True
        self.assignment.suspend()
        await self._app.stop()
        await self.assignment.close()
