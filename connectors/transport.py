"""The one way out: every HTTP call to a vendor is made here, under the connection's gate and within its limits.

It tells apart what surely did not happen (nothing was sent), what may have happened (a write was sent and no usable
answer came) and what the vendor refused (``connectors.errors``). Reads are tried again with back-off and jitter;
writes never, except after one renewal of the credentials, since a refused write did nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson

from connectors.calls import (
    Answer,
    Credentials,
    FixedHeaders,
    Jitter,
    Limits,
    Request,
    Retries,
    Sleep,
    Timeouts,
)
from connectors.errors import CallFailed, Kind, Situation, counsel, recognise, vendor_words
from connectors.ports import Gate
from connectors.reading_only import refuse_write
from connectors.redaction import Redactor
from connectors.turns import Turns

__all__ = [
    "Answer",
    "Credentials",
    "FixedHeaders",
    "Jitter",
    "Limits",
    "Request",
    "Retries",
    "Sleep",
    "Timeouts",
    "Transport",
]

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_REQUEST_ID_HEADERS = ("x-nj-request-id", "x-request-id")


class Transport:
    """All calls of one process to one vendor's address. Use as an async context manager, or ``aclose`` it.

    ``reads_only`` (shadow mode) refuses what could change something, before it is sent (``connectors.reading_only``).
    """

    def __init__(
        self,
        *,
        base_url: str,
        gate: Gate,
        redactor: Redactor,
        sleep: Sleep,
        jitter: Jitter,
        credentials: Credentials | None = None,
        limits: Limits | None = None,
        timeouts: Timeouts | None = None,
        retries: Retries | None = None,
        user_agent: str = "lockstep-psa",
        turns: Turns | None = None,
        reads_only: bool = False,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.gate = gate
        self.credentials = credentials
        #: HTTP calls made since the start, of whatever outcome.
        self.calls = 0
        self._redactor = redactor
        self._sleep = sleep
        self._jitter = jitter
        self._limits = limits or Limits()
        self._timeouts = timeouts or Timeouts()
        self._retries = retries or Retries()
        self._turns = turns
        self._reads_only = reads_only
        self._doors: dict[str, asyncio.Semaphore] = {}
        loopback = urlsplit(self.base_url).hostname in _LOOPBACK
        self._http = httpx.AsyncClient(
            follow_redirects=False,
            # A proxy of the environment is how many servers reach the internet, but never this machine itself.
            trust_env=not loopback,
            headers={"User-Agent": user_agent, "Accept": "application/json"},
            # The doors below limit the calls; the pool must not be a second, invisible limit. Connections are let go
            # after 15 idle seconds, well before the 60 s and more after which gateways drop them under a request.
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=16, keepalive_expiry=15.0),
        )

    async def __aenter__(self) -> Transport:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def call(self, request: Request) -> Answer:
        """Make the call. Raises ``CallFailed`` (see ``kind``) or ``CallsSuspended`` (no call was made), ``WriteRefused``."""
        made = 0
        tried = 0
        renewals = 0
        attempts = 1 if request.write else (request.attempts or self._retries.attempts)
        while True:
            tried += 1
            used: Mapping[str, str] = await self._authorisation(request)
            async with self._door(request.endpoint), self._turn(request.endpoint):
                epoch = self.gate.enter()
                made += 1
                outcome = await self._once(request, used)
            if isinstance(outcome, Answer):
                await self.gate.worked()
                return Answer(status=outcome.status, data=outcome.data, headers=outcome.headers, calls=made)
            outcome.calls = made
            if outcome.kind is Kind.CREDENTIALS:
                if self._renewable(request, outcome) and renewals == 0 and await self._renewed(used):
                    renewals, tried = 1, tried - 1
                    continue
                await self.gate.refused(counsel(outcome), epoch)
                raise outcome
            await self._told(outcome)
            wait = self._wait(outcome, tried) if tried < attempts else None
            if wait is None:
                raise outcome
            await self._sleep(wait)

    def address(self, path: str) -> str:
        """The full address of a path. Raises ``ValueError`` for an absolute address of another host."""
        if "://" not in path:
            return f"{self.base_url}/{path.lstrip('/')}"
        base, other = urlsplit(self.base_url), urlsplit(path)
        if (base.scheme, base.netloc) != (other.scheme, other.netloc):
            raise ValueError(f"{other.scheme}://{other.netloc} is not {base.scheme}://{base.netloc}")
        return path

    def unusable(self, request: Request, words: str) -> CallFailed:
        """The failure of an answer that was whole JSON but not what the reference promises, for clients to raise."""
        return self._failure(request, Situation.BROKEN_BODY, words)

    def _door(self, endpoint: str) -> asyncio.Semaphore:
        if endpoint not in self._doors:
            self._doors[endpoint] = asyncio.Semaphore(self._limits.in_flight)
        return self._doors[endpoint]

    def _turn(self, endpoint: str) -> contextlib.AbstractAsyncContextManager[None]:
        return contextlib.nullcontext() if self._turns is None else self._turns.turn(endpoint)

    async def _authorisation(self, request: Request) -> Mapping[str, str]:
        if not request.authenticated or self.credentials is None:
            return {}
        return await self.credentials.headers()

    def _renewable(self, request: Request, failure: CallFailed) -> bool:
        return request.authenticated and failure.situation is Situation.UNAUTHORIZED

    async def _renewed(self, used: Mapping[str, str]) -> bool:
        return self.credentials is not None and await self.credentials.renewed(used)

    async def _told(self, failure: CallFailed) -> None:
        """Tell the gate: a refusal of one call and flow control are answers of a working vendor."""
        if failure.kind in (Kind.TRANSIENT, Kind.UNKNOWN):
            await self.gate.troubled(failure.detail)
        else:
            await self.gate.worked()

    def _wait(self, failure: CallFailed, tried: int) -> float | None:
        """Seconds until the next attempt, or ``None`` where there shall be none."""
        if failure.kind is Kind.PERMANENT:
            return None
        if failure.retry_after is not None:
            return failure.retry_after if failure.retry_after <= self._retries.patience else None
        return self._retries.wait(tried, self._jitter())

    async def _once(self, request: Request, headers: Mapping[str, str]) -> Answer | CallFailed:
        timeouts = request.timeouts or self._timeouts
        sent = _Sent()
        self.calls += 1
        try:
            async with asyncio.timeout(timeouts.total):
                return await self._exchange(request, headers, timeouts, sent)
        except (TimeoutError, httpx.TimeoutException):
            situation = Situation.TIMED_OUT if sent.begun else Situation.NOT_SENT
            return self._failure(request, situation, f"no answer within {timeouts.total:g} s")
        except httpx.RequestError as error:
            situation = Situation.CUT_OFF if sent.begun else Situation.NOT_SENT
            return self._failure(request, situation, _words(error) if sent.begun else _unreachable(error))

    async def _exchange(
        self, request: Request, headers: Mapping[str, str], timeouts: Timeouts, sent: _Sent
    ) -> Answer | CallFailed:
        built = self._http.build_request(
            request.method,
            self.address(request.path),
            params=list(request.params) or None,
            headers={**headers, **({"Content-Type": "application/json"} if request.json is not None else {})},
            content=orjson.dumps(request.json) if request.json is not None else None,
            data=request.form,
            timeout=httpx.Timeout(timeouts.read, connect=timeouts.connect),
            extensions={"trace": sent.trace},
        )
        if self._reads_only:
            refuse_write(self.gate.connection, built.method, built.url.path)
        response = await self._http.send(built, stream=True)
        try:
            body = await self._body(response)
        finally:
            await response.aclose()
        if body is None:
            limit = self._limits.body_bytes // (1024 * 1024)
            return self._failure(request, Situation.TOO_LARGE, f"the answer is larger than {limit} MiB", response)
        return self._judged(request, response, body)

    async def _body(self, response: httpx.Response) -> bytes | None:
        """The whole decoded body, ``None`` when it passes the limit; counted as it comes, so a bomb stays small."""
        parts: list[bytes] = []
        size = 0
        async for part in response.aiter_bytes():
            size += len(part)
            if size > self._limits.body_bytes:
                return None
            parts.append(part)
        return b"".join(parts)

    def _judged(self, request: Request, response: httpx.Response, body: bytes) -> Answer | CallFailed:
        success = response.is_success
        kind = response.headers.get("content-type", "")
        page = "html" in kind or body[:1] == b"<"
        document: Any = None
        if body and not page:
            try:
                document = orjson.loads(body)
            except orjson.JSONDecodeError:
                if success:
                    words = "the answer is not whole JSON" if "json" in kind else f"the answer is '{kind}', not JSON"
                    return self._failure(request, Situation.BROKEN_BODY, words, response, body)
        if success and page:
            return self._failure(request, Situation.HTML_PAGE, "a web page came instead of data", response, body)
        vendor = self.gate.connection
        situation = recognise(vendor, status=response.status_code, body=body, document=document)
        if situation is None:
            return Answer(status=response.status_code, data=document, headers=response.headers)
        words = vendor_words(document) or response.reason_phrase or "no text"
        if situation is Situation.REDIRECTED:
            words = f"the address redirects to {_host(response)}; check the configured address"
        return self._failure(request, situation, words, response, body)

    def _failure(
        self,
        request: Request,
        situation: Situation,
        words: str,
        response: httpx.Response | None = None,
        body: bytes = b"",
    ) -> CallFailed:
        host = urlsplit(self.base_url).netloc
        status = f"{response.status_code} " if response is not None else ""
        return CallFailed(
            vendor=self.gate.connection,
            situation=situation,
            write=request.write,
            detail=self._redactor.line(
                f"{request.method} {_path(request.path)} at {host}: {status}{words}{_request_id(response)}"
            ),
            status=response.status_code if response is not None else None,
            body=body,
            retry_after=_retry_after(response) if response is not None else None,
        )


class _Sent:
    """Whether the first byte of a request went out, from httpcore's own trace of what it does."""

    def __init__(self) -> None:
        self.begun = False

    async def trace(self, name: str, info: Mapping[str, Any]) -> None:
        if name.endswith("send_request_headers.started"):
            self.begun = True


def _path(path: str) -> str:
    """The path that an error names; a query is left out."""
    return f"/{urlsplit(path).path.lstrip('/')}"


def _words(error: Exception) -> str:
    return str(error) or type(error).__name__


def _unreachable(error: Exception) -> str:
    return f"the host cannot be reached ({_words(error)})"


def _host(response: httpx.Response) -> str:
    return urlsplit(response.headers.get("location", "")).netloc or "another path"


def _request_id(response: httpx.Response | None) -> str:
    if response is None:
        return ""
    for name in _REQUEST_ID_HEADERS:
        if name in response.headers:
            return f" (request {response.headers[name]})"
    return ""


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds to wait, from either form of Retry-After; a date counts from the answer's own Date, not our clock."""
    value = response.headers.get("retry-after")
    if value is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value.strip()):
        return float(value)
    try:
        then = parsedate_to_datetime(value)
        asked = parsedate_to_datetime(response.headers["date"])
        return max(0.0, (then - asked).total_seconds())
    except (KeyError, ValueError, TypeError):
        return None
