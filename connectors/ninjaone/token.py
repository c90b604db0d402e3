"""OAuth client credentials at NinjaOne: one token in memory, renewed ahead of its end, never written anywhere."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from connectors.errors import CallFailed, Kind, Situation
from connectors.ninjaone.config import NinjaOneConfig
from connectors.ports import Now
from connectors.transport import Request, Transport
from schemas.ninjaone import RowError, TokenAnswer, read_row

TOKEN_PATH = "/ws/oauth/token"


class TokenSource:
    """Credentials that the transport asks for. Several callers at once share one token request."""

    def __init__(self, *, transport: Transport, config: NinjaOneConfig, now: Now) -> None:
        self._transport = transport
        self._config = config
        self._now = now
        self._lock = asyncio.Lock()
        self._headers: Mapping[str, str] = {}
        self._renew_at = 0
        #: The scopes that the last token was granted, empty where the answer did not say.
        self.granted: frozenset[str] = frozenset()

    async def headers(self) -> Mapping[str, str]:
        if self._fresh():
            return self._headers
        async with self._lock:
            if not self._fresh():
                await self._ask()
            return self._headers

    async def renewed(self, refused: Mapping[str, str]) -> bool:
        async with self._lock:
            # Another call may have renewed it while this one was under way.
            if dict(refused) == dict(self._headers):
                self._headers = {}
                await self._ask()
            return True

    def _fresh(self) -> bool:
        return bool(self._headers) and self._now() < self._renew_at

    async def _ask(self) -> None:
        request = Request(
            method="POST",
            path=TOKEN_PATH,
            endpoint="token",
            authenticated=False,
            form={
                "grant_type": "client_credentials",
                "client_id": self._config.client_id,
                "client_secret": self._config.client_secret,
                "scope": self._config.scope,
            },
        )
        asked = self._now()
        try:
            answer = await self._transport.call(request)
        except CallFailed as failure:
            if failure.kind is not Kind.PERMANENT:
                raise
            # Without a token nothing was asked of the API itself: a 404 here must not read as "that alert is gone".
            await self._transport.gate.troubled(failure.detail)
            raise failure.as_situation(Situation.NO_TOKEN) from None
        try:
            token = read_row(TokenAnswer, answer.data)
        except RowError as error:
            raise self._transport.unusable(request, f"the token answer cannot be read: {error}") from None
        self._headers = {"Authorization": f"Bearer {token.access_token}"}
        self.granted = frozenset(token.scope.replace(",", " ").split())
        # A tenth of its life ahead of the end, at most five minutes: 3600 s is renewed after 3300 s, so that a call
        # which starts now (30 s at most) still ends with a valid token.
        margin = min(300.0, token.expires_in / 10)
        self._renew_at = asked + round((token.expires_in - margin) * 1000)
