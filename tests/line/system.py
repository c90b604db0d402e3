"""A whole Lockstep as its users run it: sandboxes, ``lockstep up`` and the command line, each a process of its own.

Tests act through the sandboxes' control calls and the command line only, and judge by what the sandboxes recorded.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
import yaml

from streams.policy_file import STARTER
from streams.secrets_file import store_secrets
from streams.supervisor import die_with_parent

Row = dict[str, Any]
T = TypeVar("T")

#: Writes go out within a second; the rest is room for a machine whose two cores are shared with other work.
PATIENCE_S = 30.0
WEBHOOK_SECRET = "webhook-secret-of-the-line-tests"


def until(what: str, look: Callable[[], T], *, seconds: float = PATIENCE_S) -> T:
    """Look until there is something to see and return it; fails naming what did not happen."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: did not happen within {seconds:g} s")
        time.sleep(0.15)


class Sandbox:
    """The control calls of one vendor's simulator, as ``connectors.sandbox.remote`` has them, without a loop."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.http = httpx.Client(base_url=base, timeout=20, trust_env=False)

    def ask(self, method: str, path: str, parameters: Row | None = None, **body: Any) -> Any:
        """A control call; its JSON answer. Fails with the sandbox's own line."""
        json_body = body if method in ("POST", "PATCH") else None
        answer = self.http.request(method, f"/_sandbox/{path}", params=parameters, json=json_body)
        assert answer.status_code < 400, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def state(self) -> Row:
        """All rows, without the history."""
        return self.ask("GET", "state", {"since": 10**9})

    def history(self, since: int = 0) -> list[Row]:
        """Every change of a row after ``since``, whoever made it."""
        return self.ask("GET", "state", {"since": since})["history"]

    def calls(self, since: int = 0) -> list[Row]:
        """Every call after ``since``."""
        return self.ask("GET", "calls", {"since": since})

    def mark(self) -> int:
        """Where the record of calls stands now."""
        calls = self.calls()
        return calls[-1]["seq"] if calls else 0


def writes(calls: Iterable[Row]) -> list[Row]:
    """The calls among these that change something at the vendor (a token or a query by POST does not)."""
    return [
        call
        for call in calls
        if call["method"] in ("POST", "PATCH", "PUT", "DELETE")
        and "/query" not in call["path"]
        and "token" not in call["path"]
        and "webhook" not in call["path"].lower()
    ]


def is_complete(ticket: Row) -> bool:
    """Whether Autotask counts the ticket as done."""
    return ticket["completedDate"] is not None


def name_of(device: Row) -> str:
    """What Lockstep calls a device: its display name, else what it calls itself."""
    return str(device.get("displayName") or device["systemName"])


def fields_of(item: Row) -> dict[str, str | None]:
    """The user-defined fields of a configuration item by name."""
    return {field["name"]: field["value"] for field in item["userDefinedFields"]}


@dataclass(frozen=True, slots=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        return f"{self.out}\n{self.err}"

    def json(self) -> Any:
        assert self.code in (0, 1, 2), self
        return json.loads(self.out)


class System:
    """One installation in a folder of its own. ``start``, use, ``close``."""

    def __init__(self, folder: Path, *, workers: int = 2, devices: int = 220, organizations: int = 3) -> None:
        self.folder = folder
        self.workers = workers
        self.devices = devices
        self.organizations = organizations
        self.config = folder / "lockstep.yaml"
        self.policy_path = folder / "policy.yaml"
        self.secrets = folder / "secrets.yaml"
        self.up: subprocess.Popen[bytes] | None = None
        self.given: Row
        self.ninja: Sandbox
        self.psa: Sandbox
        self.receiver: str
        self._sandbox: subprocess.Popen[bytes] | None = None
        self._extra: list[subprocess.Popen[bytes]] = []
        self._used: set[int] = set()
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("LOCKSTEP_")}

    # --- beginning and end

    def start(self) -> System:
        """Bring everything up, to the point where every device has its item."""
        self.start_sandbox()
        self.start_up()
        until("every device has an item", self._all_items, seconds=90)
        return self

    def start_sandbox(self) -> None:
        """The two simulators, and a configuration that points at them."""
        self.folder.mkdir(parents=True, exist_ok=True)
        arguments = ["--organizations", str(self.organizations), "--devices", str(self.devices)]
        self._sandbox = self._spawn("sandbox", *arguments, stdout=subprocess.PIPE, log="sandbox")
        assert self._sandbox.stdout is not None
        self.given = json.loads(self._sandbox.stdout.readline())
        self.ninja = Sandbox(self.given["ninjaone"]["base_url"])
        self.psa = Sandbox(self.given["autotask"]["discovery_url"].split("/atservicesrest")[0])
        for name in ("Memory", "IP Addresses", "MAC Addresses"):
            self.psa.ask("POST", "udfs", name=name)
        self._configure()

    def start_up(self) -> None:
        """``lockstep up``."""
        self.up = self._spawn("up", "--config", str(self.config), stdout=subprocess.DEVNULL, log="up")

    def close(self) -> None:
        """End everything that was started here."""
        for process in [*self._extra, self.up, self._sandbox]:
            if process is not None and process.poll() is None:
                process.terminate()
                try:
                    process.wait(45)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()

    def log_lines(self) -> list[str]:
        """What ``lockstep up`` and its processes said so far."""
        return (self.folder / "up.log").read_text(errors="replace").splitlines()

    def _spawn(self, *arguments: str, stdout: int, log: str) -> subprocess.Popen[bytes]:
        with (self.folder / f"{log}.log").open("ab") as errors:
            return subprocess.Popen(
                [sys.executable, "-m", "streams.main", *arguments],
                stdout=stdout,
                stderr=errors,
                stdin=subprocess.DEVNULL,
                env=self.environment,
                preexec_fn=die_with_parent,
            )

    def _configure(self) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self.receiver = f"http://127.0.0.1:{port}"
        ninja, psa = self.given["ninjaone"], self.given["autotask"]
        document = {
            "kafka": {"data_dir": "kafka"},
            "ninjaone": {
                "base_url": ninja["base_url"],
                "client_id": ninja["client_id"],
                "poll_seconds": 1,
                "inventory_seconds": 3,
                "webhook": {"public_url": f"{self.receiver}/webhooks/ninjaone"},
            },
            "autotask": {
                "discovery_url": psa["discovery_url"],
                "username": psa["username"],
                "poll_seconds": 1,
                "companies_seconds": 5,
            },
            "receiver": {"port": port},
            # The shortest session that Kafka allows: a killed worker's partitions move on after 6 s.
            "worker": {"processes": self.workers, "session_timeout_seconds": 6},
            "executor": {"look_up_after_seconds": 2},
            "secrets_file": "secrets.yaml",
        }
        self.config.write_text(yaml.safe_dump(document, sort_keys=False))
        self.write_policy(self.policy())
        hook = {"secret": WEBHOOK_SECRET}
        store_secrets(self.secrets, "ninjaone", {"client_secret": ninja["client_secret"], "webhook": hook})
        store_secrets(self.secrets, "autotask", {"secret": psa["secret"], "integration_code": psa["integration_code"]})

    def _all_items(self) -> bool:
        approved = [device for device in self.fleet() if device["approvalStatus"] == "APPROVED"]
        return len(self.items()) >= len(approved)

    # --- the policy

    @staticmethod
    def policy() -> Row:
        """The policy that the tests begin with: the starter's, and devices are retired as soon as they are deleted."""
        document: Row = yaml.safe_load(STARTER)
        document["devices"]["grace"] = "0s"
        # Laptops have a role of their own, so that a change of role alone changes product and type.
        laptop = {"role": ["Windows Laptop"], "type": "Network Device", "product": "Managed Network Device"}
        document["devices"]["types"].insert(0, laptop)
        document["rules"] = [
            {
                "name": "servers-offline",
                "when": {"source_type": ["AGENT_OFFLINE"], "node_class": ["WINDOWS_SERVER", "LINUX_SERVER"]},
                "ticket": {
                    "queue": "NOC",
                    "priority": "Critical",
                    "status": "Dispatched",
                    "ticket_type": "Alert",
                    "source": "Other",
                    "title": "{{ device.name }} offline at {{ organization.name }}",
                },
            },
            {"name": "everything-else", "when": {}},
        ]
        return document

    def write_policy(self, document: Row) -> None:
        """Write the policy file; nothing is in force yet."""
        self.policy_path.write_text(yaml.safe_dump(document, sort_keys=False))

    def publish(self, document: Row) -> None:
        """Write the policy file and put it into force."""
        self.write_policy(document)
        said = self.lockstep("policy", "publish")
        assert said.code == 0, said

    # --- the command line

    def lockstep(self, *arguments: str, stdin: str = "", config: Path | None = None, **environment: str) -> Said:
        """Run a verb as an operator would."""
        done = subprocess.run(
            [sys.executable, "-m", "streams.main", *arguments, "--config", str(config or self.config)],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=90,
            env={**self.environment, **environment},
        )
        said = Said(done.returncode, done.stdout.strip(), done.stderr.strip())
        assert "Traceback" not in said.all, said.all
        return said

    def status(self) -> Row:
        """``lockstep status --json``."""
        return self.lockstep("status", "--json").json()

    def connection(self, name: str) -> Row:
        """One connection as ``status`` shows it."""
        return self.status()["connections"][name]

    def pids(self) -> dict[str, int]:
        """The process ids of the running roles by name."""
        return {role["name"]: role["pid"] for role in self.status()["roles"] if role["state"] == "running"}

    def kill(self, name: str) -> int:
        """SIGKILL a role that ``up`` supervises."""
        assert self.up is not None
        for child in psutil.Process(self.up.pid).children():
            arguments = child.cmdline()
            if "run" in arguments and name in (arguments[arguments.index("run") + 1], *_named(arguments)):
                child.send_signal(signal.SIGKILL)
                return child.pid
        raise AssertionError(f"role {name} is not running")

    def worker(self, name: str) -> subprocess.Popen[bytes]:
        """One more worker, beside those of ``up``."""
        arguments = ["run", "worker", "--name", name, "--config", str(self.config)]
        process = self._spawn(*arguments, stdout=subprocess.DEVNULL, log=name)
        self._extra.append(process)
        return process

    def partitions(self) -> dict[str, list[int]]:
        """Which partitions of the agent ``incidents`` each running worker holds."""
        return {
            role["name"]: role["figures"]["incidents"]["partitions"]
            for role in self.status()["roles"]
            if role["role"] == "worker" and role["state"] == "running" and "incidents" in role["figures"]
        }

    # --- NinjaOne

    def fleet(self) -> list[Row]:
        """All devices as the API shows them."""
        return self.ninja.state()["devices"]

    def take(self, count: int = 1, node_class: str = "WINDOWS_WORKSTATION") -> list[Row]:
        """Devices that no other test has taken."""
        free = [d for d in self.fleet() if d["nodeClass"] == node_class and d["id"] not in self._used]
        free = [d for d in free if d["approvalStatus"] == "APPROVED"][:count]
        assert len(free) == count, f"the fleet has too few devices of {node_class} for all tests"
        self._used |= {device["id"] for device in free}
        return free

    def add(self, **fields: Any) -> Row:
        """A device more in NinjaOne, for the test that asks only."""
        device = self.ninja.ask("POST", "devices", **{"nodeClass": "WINDOWS_WORKSTATION", **fields})
        self._used.add(device["id"])
        return device

    def alert(self, device: Row | int, message: str = "CPU above 95 %", **more: Any) -> str:
        """Raise an alert; its uid."""
        body = {"sourceType": "CONDITION_AGENT_CPU", "severity": "MAJOR", "message": message, **more}
        number = device if isinstance(device, int) else device["id"]
        return self.ninja.ask("POST", "alerts", deviceId=number, **body)["uid"]

    def clear(self, uid: str) -> None:
        """The condition is over."""
        self.ninja.ask("POST", f"alerts/{uid}/clear")

    def active(self) -> set[str]:
        """The uids of all active alerts."""
        return {alert["uid"] for alert in self.ninja.state()["alerts"]}

    def resets(self, uid: str) -> list[Row]:
        """The calls that reset this alert; one that came with an expired token and was refused is not among them."""
        return [call for call in writes(self.ninja.calls()) if uid in call["path"] and call["status"] != 401]

    # --- Autotask

    def items(self) -> list[Row]:
        """Our active configuration items."""
        rows = self.psa.state()["configurationItems"]
        return [row for row in rows if row["isActive"] and str(row["referenceNumber"] or "").startswith("ls.")]

    def item(self, device: Row | int) -> Row | None:
        """The active configuration item of a device."""
        number = device if isinstance(device, int) else device["id"]
        found = [item for item in self.items() if item["referenceNumber"] == f"ls.{number}"]
        assert len(found) < 2, f"device {number} has {len(found)} active items"
        return found[0] if found else None

    def tickets(self) -> list[Row]:
        """All our tickets."""
        return [t for t in self.psa.state()["tickets"] if str(t["externalID"] or "").startswith("ls.")]

    def ticket_of(self, uid: str) -> Row | None:
        """The ticket that an alert opened. Fails if there are two."""
        return self._by_uid().get(uid.replace("-", ""))

    def opened(self, *uids: str, seconds: float = PATIENCE_S) -> list[Row]:
        """Wait until each alert has its ticket."""
        wanted = [uid.replace("-", "") for uid in uids]

        def look() -> list[Row] | None:
            found = self._by_uid()
            return [found[uid] for uid in wanted] if all(uid in found for uid in wanted) else None

        return until(f"{len(uids)} alerts have tickets", look, seconds=seconds) or []

    def _by_uid(self) -> dict[str, Row]:
        return {ticket["externalID"].split(".")[2]: ticket for ticket in self.tickets()}

    def completed(self, *tickets: Row, seconds: float = PATIENCE_S) -> None:
        """Wait until these tickets are complete."""
        wanted = {ticket["id"] for ticket in tickets}
        until(
            f"{len(wanted)} tickets are complete",
            lambda: wanted <= {ticket["id"] for ticket in self.tickets() if is_complete(ticket)},
            seconds=seconds,
        )

    def complete(self, ticket: Row, **more: Any) -> None:
        """A technician completes a ticket."""
        self.psa.ask("POST", f"tickets/{ticket['id']}/complete", **more)

    def doubled(self, beyond: Collection[int] = ()) -> int:
        """Tickets beyond the first of each external id; of those that are not ``beyond`` (ids)."""
        ids = Counter(ticket["externalID"] for ticket in self.tickets() if ticket["id"] not in beyond)
        return sum(count - 1 for count in ids.values())

    # --- both

    def written(self) -> int:
        """Writes that reached either vendor so far."""
        return len(writes(self.psa.calls())) + len(writes(self.ninja.calls()))

    def silence(self, seconds: float, *, within: float = 60.0) -> None:
        """Wait for so many seconds without a write to either vendor."""
        last, since = self.written(), time.monotonic()
        deadline = since + within + seconds
        while time.monotonic() - since < seconds:
            assert time.monotonic() < deadline, f"there was no silence of {seconds:g} s"
            time.sleep(0.3)
            now = self.written()
            if now != last:
                last, since = now, time.monotonic()

    def reaches(self, name: str, state: str) -> Row:
        """Wait until a connection has this state; what ``status`` then shows of it. The waiting asks the receiver's
        health page, which costs nothing."""

        def look() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return httpx.get(f"{self.receiver}/healthz", trust_env=False).json()[name] == state
            return False

        until(f"{name} is {state}", look)
        shown = self.connection(name)
        assert shown["state"] == state
        return shown

    def processes(self) -> list[psutil.Process]:
        """``up`` and everything below it."""
        assert self.up is not None
        with contextlib.suppress(psutil.NoSuchProcess):
            top = psutil.Process(self.up.pid)
            return [top, *top.children(recursive=True)]
        return []


def _named(arguments: list[str]) -> list[str]:
    return [arguments[arguments.index("--name") + 1]] if "--name" in arguments else []
