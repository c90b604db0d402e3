"""A running sandbox's control surface, as a client: for the demo, for drills and for tests in other processes."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import httpx


class SandboxRefused(Exception):
    """The control surface answered with an error; the message is its own line."""


class Remote:
    """The ``/_sandbox`` endpoints of one vendor's simulator at ``base`` (scheme, host and port)."""

    def __init__(self, base: str) -> None:
        self.base = base.rstrip("/")
        # A sandbox answers its control calls at once; ten seconds cover a machine that is busy starting Java.
        self._client = httpx.AsyncClient(base_url=self.base, timeout=10, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connections back."""
        await self._client.aclose()

    async def get(self, path: str, **parameters: Any) -> Any:
        """``GET /_sandbox/<path>`` as JSON."""
        return self._answer(await self._client.get(f"/_sandbox/{path}", params=parameters))

    async def post(self, path: str, **body: Any) -> Any:
        """``POST /_sandbox/<path>`` with a JSON body."""
        return self._answer(await self._client.post(f"/_sandbox/{path}", json=body))

    async def patch(self, path: str, **body: Any) -> Any:
        """``PATCH /_sandbox/<path>`` with a JSON body."""
        return self._answer(await self._client.patch(f"/_sandbox/{path}", json=body))

    async def delete(self, path: str) -> Any:
        """``DELETE /_sandbox/<path>``."""
        return self._answer(await self._client.delete(f"/_sandbox/{path}"))

    async def fetch(self, url: str) -> tuple[int, str]:
        """Open a page as a browser would: status and text."""
        answer = await self._client.get(url)
        return answer.status_code, answer.text

    @staticmethod
    def _answer(answer: httpx.Response) -> Any:
        if answer.status_code >= 400:
            raise SandboxRefused(
                f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:200]}"
            )
        return answer.json() if answer.content else None
