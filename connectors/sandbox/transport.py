"""uvicorn, started from code on loopback, with a way to really close the connection under a call."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

#: Where the app finds the connection's transport in its ASGI scope.
TRANSPORT = "lockstep.transport"


class _TransportInScope(H11Protocol):
    """Hands the TCP transport to the app, so that a dropped connection is dropped on the wire."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        app = self.app

        async def with_transport(scope: Any, receive: Any, send: Any) -> None:
            scope[TRANSPORT] = transport
            await app(scope, receive, send)

        self.app = with_transport


class _Server(uvicorn.Server):
    """A server that leaves the process's signals to whoever runs it."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ending = asyncio.Event()

    async def main_loop(self) -> None:
        """As uvicorn's, but it ends at once when asked instead of at the next tenth of a second."""
        while not await self.on_tick(0) and not self.ending.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(self.ending.wait(), 1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's without its fixed waits: close what is idle, give running calls two seconds, cancel the rest."""
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        if self.server_state.tasks:
            _, late = await asyncio.wait(set(self.server_state.tasks), timeout=2)
            for task in late:
                task.cancel()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class RunningServer:
    """One app on one loopback port. ``port`` 0 takes any free one; the port is bound before ``start`` returns."""

    def __init__(self, app: Any, port: int) -> None:
        # Named as TCP, because asyncio sets TCP_NODELAY on such sockets only; without it every answer on a kept
        # connection waits 40 ms for a delayed acknowledgement.
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._socket.bind(("127.0.0.1", port))
        except OSError:
            self._socket.close()
            raise
        self.port: int = self._socket.getsockname()[1]
        # Idle connections are kept far longer than any client pool keeps them, so that the only connections
        # which break are those that a fault breaks.
        config = uvicorn.Config(
            app,
            http=_TransportInScope,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_keep_alive=120,
        )
        self._server = _Server(config)
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """The base address without a trailing slash."""
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Listen; returns when connections are accepted."""
        self._task = asyncio.get_running_loop().create_task(self._server.serve(sockets=[self._socket]))
        while not self._server.started:
            if self._task.done():
                self._task.result()
                raise RuntimeError("the sandbox server ended before it listened")
            await asyncio.sleep(0.002)

    async def stop(self) -> None:
        """Stop accepting, let running calls end, close the rest."""
        self._server.should_exit = True
        self._server.ending.set()
        if self._task is not None:
            await self._task


async def drop_connection(scope: Any, receive: Any) -> None:
    """Close the call's TCP connection without an answer and wait until it is closed."""
    transport: asyncio.Transport = scope[TRANSPORT]
    transport.abort()
    while (await receive())["type"] != "http.disconnect":
        pass
