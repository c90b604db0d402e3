"""A running sandbox's control surface, as a client: for the demo, for drills and for tests in other processes."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

import httpx


class SandboxRefused(Exception):
    """The control surface answered with an error; the message is its own line."""


class SandboxAway(Exception):
    """The control surface did not answer; one line."""


class Remote:
    """The ``/_sandbox`` endpoints of one vendor's simulator at ``base`` (scheme, host and port)."""

    def __init__(self, base: str) -> None:
        self.base = base.rstrip("/")
        # A sandbox answers its control calls at once; half a minute covers a machine that starts Java and ten Pythons.
        self._client = httpx.AsyncClient(base_url=self.base, timeout=30, trust_env=False)

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
        return await self._ask("GET", path, params=parameters)

    async def post(self, path: str, **body: Any) -> Any:
        """``POST /_sandbox/<path>`` with a JSON body."""
        return await self._ask("POST", path, json=body)

    async def patch(self, path: str, **body: Any) -> Any:
        """``PATCH /_sandbox/<path>`` with a JSON body."""
        return await self._ask("PATCH", path, json=body)

    async def delete(self, path: str) -> Any:
        """``DELETE /_sandbox/<path>``."""
        return await self._ask("DELETE", path)

    async def fetch(self, url: str) -> tuple[int, str]:
        """Open a page as a browser would: status and text."""
        answer = await self._client.get(url)
        return answer.status_code, answer.text

    async def _ask(self, method: str, path: str, **arguments: Any) -> Any:
        try:
            answer = await self._client.request(method, f"/_sandbox/{path}", **arguments)
        except httpx.TransportError as error:
            raise SandboxAway(
                f"the simulator at {self.base} did not answer {method} {path} ({type(error).__name__})"
            ) from None
        if answer.status_code >= 400:
            raise SandboxRefused(
                f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:200]}"
            )
        return answer.json() if answer.content else None
