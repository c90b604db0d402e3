"""The story itself: what happens in the simulators, what Lockstep does about it, and what was measured."""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import time
from collections.abc import Callable
from typing import Any

from connectors.probing import SUCCESS_LINE
from streams.cli.base import FINDING, say, say_error, say_json, table
from streams.demo import words
from streams.demo.tally import Tally, count, doubled, is_complete, our_items, our_tickets
from streams.demo.theatre import StoryFailed, Theatre, until
from streams.health import connections

#: Nothing is written for this long at the end before the demo believes that all is said.
SILENCE_S = 3.0

#: What the demo says of an item, and the starter policy fills.
SHOWN_FIELDS = ("Operating System", "Memory", "IP Addresses", "NinjaOne Link")

Row = dict[str, Any]


class Story:
    """The acts, in their order. Each waits for what it promises and fails by name when that does not happen."""

    def __init__(self, theatre: Theatre, tell: Callable[[str], None]) -> None:
        self._theatre = theatre
        self._tell = tell
        self._raised: dict[str, float] = {}
        self._number = 0

    @property
    def raised(self) -> set[str]:
        """Every alert that was raised so far."""
        return set(self._raised)

    async def fields_are_checked_and_made(self) -> None:
        """The policy wants user-defined fields that the tenant does not have: named, then created."""
        code, said = await self._theatre.lockstep("check")
        if code != FINDING:
            raise StoryFailed(f"'lockstep check' found nothing missing: {said}")
        missing = [line for line in said.splitlines() if "user-defined field" in line]
        code, said = await self._theatre.lockstep("setup")
        if code != 0:
            raise StoryFailed(f"'lockstep setup' said: {said}")
        self._tell(f"check named {len(missing)} user-defined fields that Autotask lacks; setup created them")

    async def devices_become_items(self) -> None:
        """Every device of the simulated fleet gets a configuration item with a link back."""
        devices = await self._devices()
        approved = [device for device in devices if device.get("approvalStatus", "APPROVED") == "APPROVED"]

        shown = f"ls.{self._servers(approved)[0]['id']}"

        async def all_there() -> tuple[list[Row], Row, dict[str, str]] | None:
            items = our_items(await self._theatre.psa.get("state"))
            server = next((item for item in items if item["referenceNumber"] == shown), None)
            if server is None or len(items) < len(approved):
                return None
            fields = {field["name"]: field["value"] for field in server["userDefinedFields"]}
            # Items that were made before 'setup' created their fields get them with a write of their own.
            return (items, server, fields) if all(fields.get(name) for name in SHOWN_FIELDS) else None

        found: tuple[list[Row], Row, dict[str, str]] = await until(
            "every device has a configuration item, with its fields filled", all_there, seconds=60
        )
        items, server, fields = found
        self._tell(f"{len(items)} devices are configuration items; one of them:")
        self._tell(
            f"    {server['referenceTitle']}, serial {server['serialNumber']}, {fields['Operating System']}, "
            f"{fields['Memory']}, {fields['IP Addresses']}"
        )
        link = fields["NinjaOne Link"]
        status, _ = await self._theatre.ninja.fetch(link.replace("/#/", "/?#/"))
        if status != 200:
            raise StoryFailed(f"the link {link} does not open (HTTP {status})")
        self._tell(f"    its link {link} opens the device (HTTP {status})")

    async def alerts_become_tickets(self) -> list[Row]:
        """Two rules, two queues; the time from alert to ticket by the simulators' own clocks."""
        devices = await self._devices()
        servers, others = self._servers(devices)[:2], self._workstations(devices)[:4]
        uids = [await self._raise(device, "AGENT_OFFLINE", "The agent is offline", "CRITICAL") for device in servers]
        uids += [await self._raise(device, "CONDITION_AGENT_CPU", "CPU above 95 %", "MAJOR") for device in others]
        tickets = await self._tickets_for(uids)
        for ticket in (tickets[0], tickets[-1]):
            queue = await self._label("queueID", ticket["queueID"])
            priority = await self._label("priority", ticket["priority"])
            self._tell(f"    {ticket['ticketNumber']} '{ticket['title']}' in queue {queue}, priority {priority}")
        self._tell(words.opened(len(uids), len(tickets), await self._latency(uids)))
        return tickets

    async def a_cleared_alert_completes_its_ticket(self, tickets: list[Row]) -> None:
        """The condition clears in NinjaOne."""
        chosen = tickets[:2]
        for ticket in chosen:
            await self._theatre.ninja.post(f"alerts/{self._uid_of(ticket)}/clear")
        await self._complete(chosen)
        self._tell(f"{len(chosen)} conditions cleared in NinjaOne, and their tickets are complete")

    async def a_completed_ticket_resets_its_alerts(self) -> None:
        """A technician completes one ticket that gathers two alerts of one condition."""
        device = self._workstations(await self._devices())[5]
        same = {"sourceConfigUid": "0b5d0f0a-0000-4000-8000-00000000c0de", "sourceName": "Disk", "subject": "C:"}
        uids = [
            await self._raise(device, "CONDITION_AGENT_DISK_FREE_SPACE", text, "MODERATE", **same)
            for text in ("Disk C: below 10 %", "Disk C: below 5 %")
        ]
        ticket = (await self._tickets_for(uids[:1]))[0]

        async def noted() -> bool:
            notes = (await self._theatre.psa.get("state"))["ticketNotes"]
            return any(note["ticketID"] == ticket["id"] for note in notes)

        await until("the second alert is a note on the first one's ticket", noted, seconds=30)
        await self._theatre.psa.post(f"tickets/{ticket['id']}/complete")
        await self._until_reset(uids)
        self._tell(f"a technician completed {ticket['ticketNumber']}, and its {len(uids)} alerts are reset in NinjaOne")

    async def the_post_goes_wrong(self) -> None:
        """Deliveries twice, in reverse and late change nothing."""
        before = await self._written()
        await self._theatre.ninja.post("webhooks/redeliver", last=20, order="reversed")
        await self._theatre.ninja.post("faults", kind="webhook_double", match={}, count=4)
        devices = self._workstations(await self._devices())[6:8]
        uids = [await self._raise(device, "CONDITION_AGENT_MEMORY", "Memory above 90 %", "MINOR") for device in devices]
        await self._tickets_for(uids)
        await self._quiet()
        psa = await self._theatre.psa.get("state")
        written = await self._written() - before
        self._tell(words.redelivered(len(uids), written, doubled(psa)))

    async def the_api_user_is_locked(self) -> None:
        """Unhealthy: no call goes out, work waits; after a successful test it goes out once."""
        await self._theatre.psa.patch("api-user", locked=True)
        devices = self._workstations(await self._devices())[8:11]
        uids = [await self._raise(device, "CONDITION_AGENT_CPU", "CPU above 95 %", "MAJOR") for device in devices]
        state = await until("status turns Unhealthy", self._unhealthy, seconds=30)
        self._tell(f"the API user was locked: Autotask is {state.state}: {state.reason}")
        await asyncio.sleep(1)
        seen = await self._calls("autotask")
        await asyncio.sleep(3)
        during = await self._calls("autotask") - seen
        if during:
            raise StoryFailed(f"{during} calls went to Autotask while it was Unhealthy")
        self._tell(f"    {during} calls in 3 s, {len(uids)} alerts wait")
        await self._theatre.psa.patch("api-user", locked=False)
        code, said = await self._theatre.lockstep("test", "autotask")
        if code != 0 or SUCCESS_LINE not in said:
            raise StoryFailed(f"the test after unlocking said: {said}")
        self._tell(f"    unlocked and tested: {SUCCESS_LINE}")
        tickets = await self._tickets_for(uids)
        self._tell(f"    what waited went out: {len(tickets)} tickets")

    async def a_worker_is_killed(self) -> None:
        """SIGKILL in the middle of a burst."""
        devices = await self._devices()
        burst = [device for device in devices if device["nodeClass"] in ("WINDOWS_WORKSTATION", "LINUX_SERVER")][:20]
        uids = []
        for number, device in enumerate(burst):
            uids.append(
                await self._raise(device, "CONDITION_AGENT_PATCH_LAST_INSTALLED", "Patches overdue", "MODERATE")
            )
            if number == len(burst) // 3:
                pid = self._theatre.pid_of("worker-1")
                os.kill(pid, signal.SIGKILL)
                self._tell(f"worker-1 (process {pid}) was killed with SIGKILL in the middle of {len(burst)} alerts")
            await asyncio.sleep(0.05)
        begun = time.monotonic()
        tickets = await self._tickets_for(uids)
        took = time.monotonic() - begun
        psa = await self._theatre.psa.get("state")
        self._tell(f"    {words.after_a_kill(len(tickets), doubled(psa), took)}")

    async def everything_is_quiet(self) -> None:
        """Nothing is written any more."""
        await self._quiet()
        self._tell(f"silence: no write to either vendor for {SILENCE_S:g} s")

    async def _devices(self) -> list[Row]:
        rows: list[Row] = (await self._theatre.ninja.get("state"))["devices"]
        return rows

    @staticmethod
    def _servers(devices: list[Row]) -> list[Row]:
        return [device for device in devices if device["nodeClass"] == "WINDOWS_SERVER"]

    @staticmethod
    def _workstations(devices: list[Row]) -> list[Row]:
        return [device for device in devices if device["nodeClass"] == "WINDOWS_WORKSTATION"]

    async def _raise(self, device: Row, source: str, message: str, severity: str, **more: Any) -> str:
        answer = await self._theatre.ninja.post(
            "alerts", deviceId=device["id"], sourceType=source, message=message, severity=severity, **more
        )
        uid: str = answer["uid"]
        self._raised[uid] = time.time()
        return uid

    @staticmethod
    def _uid_of(ticket: Row) -> str:
        digits = str(ticket["externalID"]).split(".")[2]
        return "-".join([digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]])

    async def _tickets_for(self, uids: list[str]) -> list[Row]:
        wanted = [uid.replace("-", "") for uid in uids]

        async def there() -> list[Row] | None:
            tickets = {t["externalID"].split(".")[2]: t for t in our_tickets(await self._theatre.psa.get("state"))}
            return [tickets[uid] for uid in wanted] if all(uid in tickets for uid in wanted) else None

        found: list[Row] = await until(f"{len(uids)} alerts become tickets", there, seconds=45)
        return found

    async def _complete(self, tickets: list[Row]) -> None:
        wanted = {ticket["id"] for ticket in tickets}

        async def complete() -> bool:
            rows = our_tickets(await self._theatre.psa.get("state"))
            return all(is_complete(ticket) for ticket in rows if ticket["id"] in wanted)

        await until(f"{len(tickets)} tickets are complete", complete, seconds=30)

    async def _until_reset(self, uids: list[str]) -> None:
        async def reset() -> bool:
            return not set(uids) & {alert["uid"] for alert in (await self._theatre.ninja.get("state"))["alerts"]}

        await until(f"{len(uids)} alerts are reset", reset, seconds=30)

    async def _latency(self, uids: list[str]) -> str:
        posts = {
            call["itemId"]: call["t"]
            for call in await self._theatre.psa.get("calls")
            if call["method"] == "POST" and call["entity"] == "Tickets" and call["itemId"] is not None
        }
        tickets = await self._tickets_for(uids)
        pairs = zip(uids, tickets, strict=True)
        spans = [posts[t["id"]] - self._raised[uid] for uid, t in pairs if t["id"] in posts]
        return f"alert to ticket {statistics.median(spans) * 1000:.0f} ms in the median" if spans else ""

    async def _label(self, field: str, value: int) -> str:
        from connectors.sandbox.autotask_picklists import FIXED

        choices = FIXED[{"queueID": "queue"}.get(field, field)]
        return next((choice.label for choice in choices if choice.value == value), str(value))

    async def _unhealthy(self) -> Any:
        state = (await connections(self._theatre.options))["autotask"]
        return state if state.state == "Unhealthy" else None

    async def _calls(self, vendor: str) -> int:
        remote = self._theatre.ninja if vendor == "ninjaone" else self._theatre.psa
        return len(await remote.get("calls"))

    async def _written(self) -> int:
        """Writes that reached either vendor: creates, changes and notes in Autotask, resets in NinjaOne."""
        writes = [
            call
            for call in await self._theatre.psa.get("calls")
            if call["method"] in ("POST", "PATCH", "PUT") and "/query" not in call["path"]
        ]
        return len(writes) + len((await self._theatre.ninja.get("state"))["resets"])

    async def _quiet(self) -> None:
        last, since = await self._written(), time.monotonic()

        async def silent() -> bool:
            nonlocal last, since
            now = await self._written()
            if now != last:
                last, since = now, time.monotonic()
            return time.monotonic() - since >= SILENCE_S

        await until("silence", silent, seconds=40)


async def run_demo(*, as_json: bool, keep: bool, seed: int, stop: asyncio.Event) -> bool:
    """Play the story. Returns whether everything it promises was seen; ``--json`` ends with one object on its own line."""
    begun = time.monotonic()

    def tell(line: str) -> None:
        text = f"[{time.monotonic() - begun:5.1f} s] {line}"
        say_error(text) if as_json else say(text)

    try:
        telling = asyncio.create_task(_play(tell, begun, as_json, keep, seed, stop))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({telling, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if not telling.done():
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)
            say_error("lockstep: interrupted; everything of the demo has ended")
            return False
        stopping.cancel()
        return await telling
    except StoryFailed as failure:
        say_error(f"the demo failed: {failure}; the roles' logs are in .lockstep/demo/logs")
        return False


async def _play(
    tell: Callable[[str], None], begun: float, as_json: bool, keep: bool, seed: int, stop: asyncio.Event
) -> bool:
    tell("starting a real Apache Kafka, two vendor simulators, connectors, two workers, the executor")
    async with Theatre(seed=seed, tell=tell) as theatre:
        tell(f"Kafka at {theatre.options.bootstrap_servers}, NinjaOne simulator at {theatre.ninja.base}, "
             f"Autotask simulator at {theatre.psa.base}")  # fmt: skip
        story = Story(theatre, tell)
        await story.fields_are_checked_and_made()
        await story.devices_become_items()
        tickets = await story.alerts_become_tickets()
        await story.a_cleared_alert_completes_its_ticket(tickets)
        await story.a_completed_ticket_resets_its_alerts()
        await story.the_post_goes_wrong()
        await story.the_api_user_is_locked()
        await story.a_worker_is_killed()
        await story.everything_is_quiet()
        tally = await count(theatre, raised=story.raised, seconds=time.monotonic() - begun)
        tell(
            f"audit: {tally.audit_records} decisions decided again, "
            + ("byte for byte the same, hash chain whole" if tally.audit_verified else tally.audit_difference)
        )
        if as_json:
            say_json(tally.as_dict())
        else:
            say(_shown(tally))
        if keep:
            say_error(
                f"everything keeps running; try: .venv/bin/lockstep status --config {theatre.config}   (Ctrl-C ends it)"
            )
            await stop.wait()
    return tally.good


def _shown(tally: Tally) -> str:
    rows = [
        ["alerts raised", str(tally.alerts)],
        ["incidents", str(tally.incidents)],
        ["tickets opened", str(tally.tickets_opened)],
        ["tickets completed", str(tally.tickets_completed)],
        ["alerts reset by us", str(tally.alerts_reset)],
        ["configuration items", str(tally.configuration_items)],
        ["duplicate tickets", str(tally.duplicate_tickets)],
        ["lost", str(tally.lost)],
        ["dispositions", ", ".join(f"{name} {number}" for name, number in tally.dispositions.items())],
        ["audit records", f"{tally.audit_records} ({'verified' if tally.audit_verified else 'NOT VERIFIED'})"],
        *([f"calls to {vendor}", str(calls)] for vendor, calls in tally.vendor_calls.items()),
        ["seconds", f"{tally.seconds:.1f}"],
    ]
    return "\n" + table(rows, ["MEASURED", "COUNT"])
