"""``lockstep test autotask``: each step of the way in, told apart as far as the API allows, ending at the first refusal.

Order and wording follow the integration guide's way back: Active, Locked, secret, tracking identifier, permissions. Wrong
secret, locked and inactive are the same answer (401 without a body), so the line names all three.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from connectors.autotask.client import AutotaskClient, condition
from connectors.autotask.metadata import Metadata
from connectors.autotask.tenant_check import TenantCheck
from connectors.calls import Request
from connectors.errors import CallFailed, Kind, Situation
from connectors.ports import CallsSuspended
from connectors.probing import ProbeResult, ProbeStep
from schemas.autotask import EntityInfo, member

ZONE, USER, CREDENTIALS = "zone", "user", "credentials"
TRACKING_IDENTIFIER, PERMISSIONS = "tracking identifier", "permissions"

_NO_COMPANY = (
    "Autotask shows this API user no company, not even the tenant's own; give its security level access to companies "
    "(Admin > Security Levels)"
)

_ZONE_PATH = "/zoneinformation "

#: What Lockstep does with each entity; asked for with ``entityInformation``, which needs no right of its own.
_NEEDED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("Companies", ("query",)),
    ("Tickets", ("query", "create", "update")),
    ("TicketNotes", ("query", "create")),
    ("ConfigurationItems", ("query", "create", "update")),
    ("Products", ("query",)),
)


async def probe(
    client: AutotaskClient,
    *,
    fields: Sequence[str] = (),
    dates: Collection[str] = (),
    worked_until: str | None = None,
    metadata: Metadata | None = None,
) -> ProbeResult:
    """Test the connection. ``fields``: user-defined fields of configuration items that the policy uses, ``dates`` for days.

    ``worked_until`` (a time as people write it) is added where credentials are refused that worked before. At most one
    call is refused. Never raises for what the vendor answers.
    """
    steps: list[ProbeStep] = []
    step = ZONE
    try:
        zone = await client.zone()
        steps.append(ProbeStep(step=ZONE, ok=True, line=zone.zone_name or zone.url))
        steps.append(ProbeStep(step=USER, ok=True, line=f"Autotask knows '{client.access.username}'"))
        step = CREDENTIALS
        await _signed_in(client)
        steps.append(ProbeStep(step=CREDENTIALS, ok=True, line="active, not locked, the secret is right"))
        steps.append(ProbeStep(step=TRACKING_IDENTIFIER, ok=True, line="accepted"))
        step = PERMISSIONS
        lacking = await _lacking(client)
        steps.append(ProbeStep(step=PERMISSIONS, ok=not lacking, line=_permission_line(client, lacking)))
        if lacking:
            return ProbeResult(steps=tuple(steps))
        if not await _reads(client):
            steps[-1] = ProbeStep(step=PERMISSIONS, ok=False, line=_NO_COMPANY)
            return ProbeResult(steps=tuple(steps))
        found = await TenantCheck(client, metadata).fields(fields, dates=dates)
    except CallFailed as failure:
        step, line = _explained(client, step, failure, worked_until)
        if step not in (ZONE, USER, CREDENTIALS) and not any(done.step == CREDENTIALS for done in steps):
            steps.append(ProbeStep(step=CREDENTIALS, ok=True, line="active, not locked, the secret is right"))
        steps = [done for done in steps if done.step != step]
        steps.append(ProbeStep(step=step, ok=False, line=client.one_line(line)))
        return ProbeResult(steps=tuple(steps), reachable=failure.kind in (Kind.CREDENTIALS, Kind.PERMANENT))
    except CallsSuspended as suspended:
        steps.append(ProbeStep(step=step, ok=False, line=f"no call was made: {suspended}"))
        return ProbeResult(steps=tuple(steps), reachable=False)
    return ProbeResult(steps=tuple(steps), findings=tuple(finding.line for finding in found))


def failed_step(client: AutotaskClient, failure: CallFailed) -> ProbeResult:
    """What any failed call says about the way in, in the words of the test: for verbs that ask Autotask something else.

    Makes no call: with credentials that do not work a second one would bring the API user nearer to its lock.
    """
    step = ZONE if _ZONE_PATH in failure.detail.lower() else PERMISSIONS
    step, line = _explained(client, step, failure, None)
    return ProbeResult(steps=(ProbeStep(step=step, ok=False, line=client.one_line(line)),))


async def _signed_in(client: AutotaskClient) -> None:
    """The cheapest call that needs the three headers and no right on any entity."""
    try:
        await client.read("Version", endpoint="Version")
    except CallFailed as failure:
        if not _absent(failure):
            raise
        await client.read("ThresholdInformation", endpoint="ThresholdInformation")


def _absent(failure: CallFailed) -> bool:
    """Whether the vendor has no such call: then another one has to tell."""
    return failure.status in (404, 405)


async def _lacking(client: AutotaskClient) -> list[tuple[str, list[str]]]:
    lacking: list[tuple[str, list[str]]] = []
    for entity, actions in _NEEDED:
        try:
            document = await client.read(f"{entity}/entityInformation", endpoint=entity)
        except CallFailed as failure:
            if not _absent(failure):
                raise
            continue
        info = client.rows(EntityInfo, [member(document, "info") or {}], endpoint=entity)[0]
        access = {
            "query": info.user_access_for_query,
            "create": info.user_access_for_create,
            "update": info.user_access_for_update,
        }
        # A shadow needs no right to change anything, and is safest with a user that has none.
        needed = [action for action in actions if action == "query" or not client.access.reads_only]
        refused = [action for action in needed if access[action] == 0]
        if refused:
            lacking.append((entity, refused))
    return lacking


async def _reads(client: AutotaskClient) -> bool:
    """Read a row of each entity: metadata may promise what a call is refused. Whether a company is to be seen.

    The tenant's own company always exists, so a list without any says that the rows are hidden from this user.
    """
    for entity, actions in _NEEDED:
        if "query" in actions:
            body = {"maxRecords": 1, "includeFields": ["id"], "filter": [condition("gte", "id", 0)]}
            request = Request(method="POST", path=f"{entity}/query", endpoint=entity, json=body)
            items = member((await client.call(request)).data, "items")
            if entity == "Companies" and items == []:
                return False
    return True


def _permission_line(client: AutotaskClient, lacking: Sequence[tuple[str, list[str]]]) -> str:
    if not lacking:
        return "everything that Lockstep needs is allowed"
    listed = "; ".join(f"{', '.join(actions)} {entity}" for entity, actions in lacking)
    return (
        f"the API user '{client.access.username}' has no permission to {listed}; allow it in its security level "
        "(Admin > Security Levels), or give it 'API User (system)'"
    )


def _explained(client: AutotaskClient, step: str, failure: CallFailed, worked_until: str | None) -> tuple[str, str]:
    user = client.access.username
    host = client.access.discovery_url
    match failure.situation:
        case Situation.UNKNOWN_USER:
            return USER, (
                f"Autotask does not know the user name '{user}'; use the Username (Key) of the API user, which looks "
                "like an e-mail address, and check that it has no typing error"
            )
        case Situation.UNAUTHORIZED | Situation.LOCKED:
            until = f"; worked until {worked_until} with the same secret" if worked_until else ""
            says = "401, which does not say why" if failure.situation is Situation.UNAUTHORIZED else failure.detail
            return CREDENTIALS, (
                f"Autotask refused the API user '{user}' ({says}). In Autotask, at the API user, "
                "check in this order: Active is ticked; Locked is not ticked; the secret is right (if it is lost, "
                f"generate a new one){until}. Where all three are, compare the tracking identifier: some tenants refuse "
                "a wrong one in the same way"
            )
        case Situation.WRONG_TRACKING_IDENTIFIER:
            return TRACKING_IDENTIFIER, (
                "user name and secret are right, the tracking identifier (integration code) is not; copy it from the "
                "API user's page in Autotask, section API Tracking Identifier"
            )
        case Situation.FORBIDDEN:
            return PERMISSIONS, failure.detail
        case _ if step == ZONE:
            return (
                ZONE,
                f"the zone of '{user}' could not be found at {host}: {failure.detail}; check autotask.discovery_url"
                + (" and the user name" if failure.kind is Kind.PERMANENT else ""),
            )
        case _:
            return (
                step,
                f"Autotask did not answer as expected: {failure.detail}; nothing is known to be wrong with the credentials",
            )
