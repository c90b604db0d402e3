"""The connection test of NinjaOne: host, client id, secret, scopes, then a cheap read. Stops at the first refusal."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from connectors.errors import CallFailed, Kind, Situation
from connectors.ninjaone.client import NinjaOneClient
from connectors.ninjaone.config import NinjaOneConfig
from connectors.ports import CallsSuspended, Now, OpenGate
from connectors.probing import ProbeResult, ProbeStep
from connectors.transport import FixedHeaders, Jitter, Request, Retries, Sleep, Timeouts

HOST, CLIENT_ID, SECRET, SCOPE, READ = "host", "client id", "client secret", "scope", "read"

_REGIONS = "app, us2, eu, ca, oc, fed (.ninjarmm.com)"

# A person waits for the answer: connect 5 + answer 10 stays at 15 s, and nothing is tried twice, so that a wrong
# secret costs exactly one refused call.
_TIMEOUTS = Timeouts(connect=5.0, read=10.0, total=15.0)

_TOKEN_STEPS: Mapping[Situation, tuple[str, str]] = {
    Situation.UNKNOWN_CLIENT: (
        CLIENT_ID,
        "{host} does not know this client id; often it is the wrong region: base_url must be the host your technicians"
        f" sign in to, one of {_REGIONS}; else compare it with Administration > Apps > API > Client App IDs",
    ),
    Situation.WRONG_SECRET: (
        SECRET,
        "the client id is known but the secret is wrong; create a new one at Administration > Apps > API",
    ),
    Situation.UNAUTHORIZED: (
        SECRET,
        "the client id or secret was refused; check both at Administration > Apps > API",
    ),
    Situation.SCOPE_REFUSED: (
        SCOPE,
        "the client app may not have the scopes monitoring and management; allow both in the client app, and the"
        " grant type client credentials (API Services, machine-to-machine)",
    ),
}

_NO_TOKENS = (
    SCOPE,
    "the client app may not request a token; it must be of the platform API Services (machine-to-machine)",
)


async def probe(config: NinjaOneConfig, *, now: Now, sleep: Sleep, jitter: Jitter) -> ProbeResult:
    """Test the connection with these credentials. Never raises for what a vendor or network can do."""
    gate = OpenGate("ninjaone")
    client = NinjaOneClient.create(
        config, gate=gate, now=now, sleep=sleep, jitter=jitter, timeouts=_TIMEOUTS, retries=Retries(attempts=1)
    )
    async with client:
        return await _steps(client, config)


async def _steps(client: NinjaOneClient, config: NinjaOneConfig) -> ProbeResult:
    host = urlsplit(config.base_url).netloc
    try:
        headers = await client.tokens.headers()
    except CallFailed as failure:
        return _token_failed(failure, host)
    except CallsSuspended as suspended:
        return ProbeResult(steps=(ProbeStep(step=HOST, ok=False, line=str(suspended)),))
    steps = (
        ProbeStep(step=HOST, ok=True, line=f"{host} answers"),
        ProbeStep(step=CLIENT_ID, ok=True, line="known"),
        ProbeStep(step=SECRET, ok=True, line="accepted"),
    )
    needed = config.scope.split()
    missing = [scope for scope in needed if client.tokens.granted and scope not in client.tokens.granted]
    if missing:
        line = f"the client app lacks {' and '.join(missing)}; allow it at Administration > Apps > API"
        return ProbeResult(steps=(*steps, ProbeStep(step=SCOPE, ok=False, line=line)))
    # A refused read must not ask for another token: one refusal is enough to know.
    client.transport.credentials = FixedHeaders(headers)
    request = Request(method="GET", path="/v2/organizations", endpoint="organizations", params=(("pageSize", "1"),))
    try:
        await client.transport.call(request)
    except CallFailed as failure:
        return ProbeResult(steps=(*steps, _read_failed(failure)), reachable=failure.kind is not Kind.TRANSIENT)
    scope = ProbeStep(step=SCOPE, ok=True, line=" and ".join(needed))
    return ProbeResult(steps=(*steps, scope, ProbeStep(step=READ, ok=True, line="organizations can be read")))


def _token_failed(failure: CallFailed, host: str) -> ProbeResult:
    forbidden = failure.situation is Situation.NO_TOKEN and failure.status == 403
    step, line = _NO_TOKENS if forbidden else _TOKEN_STEPS.get(failure.situation, (HOST, ""))
    if step != HOST:
        before = {CLIENT_ID: (), SECRET: (CLIENT_ID,), SCOPE: (CLIENT_ID, SECRET)}[step]
        passed = [ProbeStep(step=HOST, ok=True, line=f"{host} answers")]
        # A 401 that names nothing cannot tell the client id from the secret, so neither is called right.
        if failure.situation is not Situation.UNAUTHORIZED:
            passed += [ProbeStep(step=name, ok=True, line="accepted") for name in before]
        return ProbeResult(steps=(*passed, ProbeStep(step=step, ok=False, line=line.format(host=host))))
    # A refusal that is not in NinjaOne's own form, or its web page, comes from something else than the API.
    stranger = failure.status is not None and 300 <= failure.status <= 499 and failure.kind is Kind.TRANSIENT
    advice = f"base_url must be the host your technicians sign in to, one of {_REGIONS}"
    if failure.situation is Situation.NOT_SENT:
        words = f"{host} cannot be reached; check name, network and proxy; {advice}"
    elif not stranger and failure.kind in (Kind.TRANSIENT, Kind.FLOW_CONTROL):
        words = f"{host} is in trouble, try again later ({failure.detail})"
    else:
        words = f"{host} does not answer like NinjaOne ({failure.detail}); {advice}"
    reachable = stranger or failure.kind not in (Kind.TRANSIENT, Kind.FLOW_CONTROL)
    return ProbeResult(steps=(ProbeStep(step=HOST, ok=False, line=words),), reachable=reachable)


def _read_failed(failure: CallFailed) -> ProbeStep:
    if failure.situation in (Situation.FORBIDDEN, Situation.UNAUTHORIZED):
        line = f"the token was refused for reading; allow the scope monitoring in the client app ({failure.detail})"
        return ProbeStep(step=SCOPE, ok=False, line=line)
    return ProbeStep(step=READ, ok=False, line=f"organizations cannot be read ({failure.detail})")
