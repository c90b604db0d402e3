"""A policy file compared with all that it is for: what a running system knows, and what the tenant has.

What could not be looked at is said (``notes``), never taken for good. Vendors' and Kafka's libraries are loaded only where one
of them is asked: ``policy check`` of a file alone needs none.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from streams import broker_folder
from streams.core.policy.observed import Observed
from streams.policy_file import Located, PolicyFile, located
from streams.settings import Settings

if TYPE_CHECKING:
    from streams.kafka_options import KafkaOptions
    from streams.policy_tenant import TenantFinding

#: ``no``: the tenant is not asked; ``if healthy``: only through a connection known to work; ``must``: else it is an error.
AskTenant = Literal["no", "if healthy", "must"]


class TenantAway(RuntimeError):
    """Autotask was to be asked and could not be; one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What was found: by the file and by what is observed (``findings``), in the tenant (``missing``), and what was left out."""

    file: PolicyFile
    findings: list[Located]
    missing: list[TenantFinding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def all(self) -> list[Located]:
        """Every finding with its line, in the order of the lines."""
        found = [*self.findings, *located(self.file.root, [each.finding for each in self.missing])]
        return sorted(found, key=lambda finding: finding.line)

    def lines(self) -> list[str]:
        """Every finding as a line with file and line, then what was not looked at."""
        return [*(self.file.said(finding) for finding in self.all()), *(f"note: {note}" for note in self.notes)]

    def errors(self) -> list[Located]:
        """Those that keep the file from being published."""
        return [finding for finding in self.all() if finding.level == "error"]

    def tenant_rows(self) -> Iterator[dict[str, Any]]:
        """The tenant's findings as JSON data; ``line`` is the sentence, ``at`` the line of the file."""
        for each in self.missing:
            (where,) = located(self.file.root, [each.finding])
            missing = each.missing
            yield {"kind": missing.kind, "name": missing.name, "reason": missing.reason, "line": missing.line} | {
                "at": where.line,
                "key": where.key,
                "suggestion": where.suggestion,
                "level": where.level,
            }


async def check_policy(
    settings: Settings | None, file: PolicyFile, *, tenant: AskTenant, options: KafkaOptions | None = None
) -> Checked:
    """Compare a file with everything that can be reached. ``options``: a system that is known to run.

    Without ``settings`` the file alone is looked at.

    Raises ``TenantAway``, ``NoCredentials`` and ``AccessError`` where the tenant must be asked and cannot be.
    """
    if settings is None:
        return Checked(file=file, findings=file.warnings())
    notes: list[str] = []
    observed: Observed | None = None
    tickets: set[str] | None = None
    if options is None and (not settings.kafka.embedded or broker_folder.running(settings.data_dir) is not None):
        options = await _running(settings, notes)
    if options is not None:
        from streams.policy_known import known_tickets
        from streams.policy_known import observed as observed_by

        observed = await observed_by(options)
        if observed is None:
            notes.append("organizations and companies: not read from both vendors yet, so they were not looked at")
        tickets = await known_tickets(options) if tenant != "no" else None
    missing = await _in_tenant(settings, file, tenant, options, tickets, notes) if tenant != "no" else []
    return Checked(file=file, findings=file.warnings(observed), missing=missing, notes=notes)


async def _running(settings: Settings, notes: list[str]) -> KafkaOptions | None:
    from streams.kafka_runtime import BrokerError
    from streams.policy_known import ANSWER_S, reachable
    from streams.readers import ReadError

    try:
        return await reachable(settings)
    except TimeoutError:
        why = f"Kafka at {settings.kafka.bootstrap_servers} did not answer within {ANSWER_S:g} s"
    except (BrokerError, ReadError) as error:
        why = str(error)
    notes.append(f"{why}; organizations and companies were not looked at")
    return None


async def _in_tenant(
    settings: Settings,
    file: PolicyFile,
    tenant: AskTenant,
    options: KafkaOptions | None,
    tickets: set[str] | None,
    notes: list[str],
) -> list[TenantFinding]:
    from connectors.autotask.client import AccessError
    from connectors.autotask.probe import failed_step
    from connectors.errors import CallFailed
    from connectors.ports import CallsSuspended, OpenGate
    from streams.clock import clock_of
    from streams.policy_tenant import tenant_findings
    from streams.vendors import NoCredentials, autotask_client

    why = await closed(settings, options, healthy=tenant == "if healthy") if options is not None else None
    try:
        if why is None:
            gate = OpenGate("autotask")
            async with clock_of() as clock, autotask_client(settings, gate=gate, now=clock.now) as client:
                try:
                    return await tenant_findings(client, file.policy, known_tickets=tickets)
                except CallFailed as failure:
                    why = f"Autotask: {failed_step(client, failure).line}"
    except CallsSuspended as error:
        why = f"Autotask could not be asked: {error}"
    except (NoCredentials, AccessError) as error:
        if tenant == "must":
            raise
        why = str(error)
    if tenant == "must":
        raise TenantAway(why)
    notes.append(f"{why}; the policy was not compared with the tenant")
    return []


async def closed(settings: Settings, options: KafkaOptions, *, healthy: bool) -> str | None:
    """Why no call to Autotask may go out, by what the running system says; ``healthy``: it must be known to work."""
    from streams.credentials import same
    from streams.health import connections, told
    from streams.operations import pause_told
    from streams.vendors import credentials

    paused = await pause_told(options, "autotask")
    if paused is not None:
        return paused
    connection = (await connections(options))["autotask"]
    given = credentials(settings)["autotask"]
    # Not connected also says: never tested, or tested with others.
    refused = connection.state == "NotConnected" and given is not None and same(connection.credentials, given)
    if connection.state == "Unhealthy" or refused or (healthy and connection.state != "Healthy"):
        return f"{told(connection)}; no call is made before 'lockstep test autotask' succeeds"
    return None
