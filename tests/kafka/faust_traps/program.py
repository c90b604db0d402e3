"""What the plain programs share: an app without tables or a web server, and one line for each fact handled."""

from __future__ import annotations

import logging
from typing import Any

import faust

from bench.contenders.common import arguments, job_of, say

args = arguments()

app = faust.App(
    f"{args.own_prefix}plain",
    broker=f"kafka://{args.servers}",
    store="memory://",
    datadir=str(args.data_dir / args.own_prefix),
    topic_partitions=args.partitions,
    broker_session_timeout=args.session,
    broker_heartbeat_interval=1.0,
    # Soon, so that a test need not wait 2.8 s for what is committed anyway.
    broker_commit_interval=0.5,
    consumer_auto_offset_reset="earliest",
    key_serializer="raw",
    value_serializer="raw",
    web_enabled=False,
    topic_disable_leader=True,
)
facts = app.topic(*job_of(args).stage.topics, key_type=bytes, value_type=bytes)


def handled(event: Any) -> None:
    """Tell the test that this fact was worked on to its end."""
    say(event="handled", offset=event.message.offset)


def run() -> None:
    """Until a signal."""
    for name in ("faust", "aiokafka", "mode"):
        logging.getLogger(name).setLevel(logging.WARNING)
    faust.Worker(app, loglevel="WARNING", redirect_stdouts=False).execute_from_commandline()
