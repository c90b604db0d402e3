"""The whole look, in the order in which a person would look."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

from connectors.autotask.client import AccessError
from connectors.autotask.vendor_clock import vendor_time
from connectors.errors import CallFailed
from connectors.ports import CallsSuspended, OpenGate
from streams import broker_folder
from streams.clock import machine_now
from streams.doctor.kafka import kafka
from streams.doctor.look import Line, ok, unseen, warning, wrong
from streams.doctor.machine import machine
from streams.doctor.running import running
from streams.kafka_options import KafkaOptions
from streams.kafka_runtime import BrokerError
from streams.policy_check import TenantAway, check_policy
from streams.policy_file import PolicyFileError, read_policy
from streams.policy_known import ANSWER_S, reachable
from streams.readers import ReadError
from streams.refusal_notes import RefusalNotes, folder_beside
from streams.settings import Settings
from streams.topics import TopicsError
from streams.vendors import NoCredentials, autotask_client

#: From here on what is read "since" some time misses or repeats more than the overlap of the polls (five minutes).
FAR_MS, SOME_MS = 240_000, 5_000
#: What cannot be looked at without Kafka.
_NOT_SEEN = "topics, lag, connections, roles, parked work, dead letters, budget, webhooks and the policy in force"


async def look(settings: Settings, config: Path | None, *, call: bool) -> AsyncIterator[Line]:
    """Every line, one after the other. ``call``: ask Autotask what the policy needs and what time it is there;
    nothing else calls a vendor."""
    for line in machine(settings, config):
        yield line
    options, line = await _kafka(settings)
    yield line
    if options is not None:
        try:
            async for line in kafka(settings, options):
                yield line
            async for line in running(settings, options):
                yield line
        except (ReadError, TopicsError) as error:
            options = None
            yield wrong("kafka", str(error))
    async for line in _tenant(settings, options, call=call):
        yield line


async def _kafka(settings: Settings) -> tuple[KafkaOptions | None, Line]:
    owned = settings.kafka.embedded and broker_folder.owner(settings.data_dir) is not None
    runs = settings.kafka.embedded and broker_folder.running(settings.data_dir) is not None
    if settings.kafka.embedded and not owned and not runs:
        return None, unseen("kafka", f"no system runs on {settings.data_dir}: {_NOT_SEEN}", "start 'lockstep up'")
    try:
        options = await reachable(settings)
    except TimeoutError:
        where = settings.kafka.bootstrap_servers
        return None, wrong("kafka", f"{where} does not answer within {ANSWER_S:g} s; not seen: {_NOT_SEEN}")
    except (BrokerError, ReadError) as error:
        return None, wrong("kafka", f"{error}; not seen: {_NOT_SEEN}")
    return options, ok("kafka", f"{options.bootstrap_servers} answers")


async def _tenant(settings: Settings, options: KafkaOptions | None, *, call: bool) -> AsyncIterator[Line]:
    if not call:
        yield unseen(
            "tenant", "Autotask was not called", "'lockstep doctor --call' asks it for missing fields and names"
        )
        return
    # Also where no system runs: the refusal that it noted last is still true.
    noted = RefusalNotes(folder_beside(settings.secrets_path)).read("autotask")
    if noted is not None:
        yield unseen("tenant", f"no call is made: {noted.reason}", "'lockstep test autotask'")
        return
    try:
        checked = await check_policy(settings, read_policy(settings.policy_path), tenant="must", options=options)
    except PolicyFileError:
        yield unseen("tenant", "the policy file cannot be read")
        return
    except (TenantAway, NoCredentials, AccessError, ReadError) as error:
        yield unseen("tenant", str(error))
        return
    for finding in checked.missing:
        yield warning("tenant", str(finding), "'lockstep check' says where it stands; 'lockstep setup' creates fields")
    if not checked.missing:
        yield ok("tenant", "everything that the policy names exists in Autotask")
    yield await _vendors_clock(settings)


async def _vendors_clock(settings: Settings) -> Line:
    try:
        async with autotask_client(settings, gate=OpenGate("autotask"), now=machine_now) as client:
            before = machine_now()
            told = await vendor_time(client)
            return clock_line(told, before, machine_now())
    except (CallFailed, CallsSuspended) as error:
        return unseen("vendor's clock", str(error))


def clock_line(told: int | None, before: int, after: int) -> Line:
    """How far this machine is from Autotask, whose answer was asked for and came at these times (epoch ms)."""
    if told is None:
        return unseen("vendor's clock", "Autotask's answer has no date")
    # The date is cut to whole seconds, and was written at some time between the two.
    off = max(told - after, before - told - 1000, 0)
    direction = "behind" if told > after else "ahead of"
    found = f"this machine is {off / 1000:.0f} s {direction} Autotask"
    if off > FAR_MS:
        return wrong("vendor's clock", found, "let this machine follow a time server (NTP)")
    if off > SOME_MS:
        return warning("vendor's clock", found, "let this machine follow a time server (NTP)")
    return ok("vendor's clock", "this machine agrees with Autotask")
