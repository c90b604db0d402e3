"""Shadow mode at its lowest place: a request that could change something at a vendor is refused before it is sent.

The decision is by method and path of the request as it would go out, not by what the caller says of it (``Request.write``), so
that no fault above can make a shadow write. Two kinds of POST read: a query of Autotask's, and NinjaOne's token.
"""

from __future__ import annotations

import re

from schemas.facts import ConnectionName

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
#: The POSTs that read, by the end of their path. Autotask: ``<Entity>/query`` and ``<Entity>/query/count`` (vendor REST help);
#: NinjaOne: ``/ws/oauth/token``, ``/oauth/token`` (client credentials).
_READING_POSTS: dict[ConnectionName, re.Pattern[str]] = {
    "autotask": re.compile(r".*/[A-Za-z]+/query(/count)?", re.IGNORECASE),
    "ninjaone": re.compile(r"(/ws)?/oauth/token"),
}


class WriteRefused(RuntimeError):
    """A write that was not sent, because this installation only reads; one line."""


def refuse_write(connection: ConnectionName, method: str, path: str) -> None:
    """Raise ``WriteRefused`` unless the request only reads. ``path`` is that of the address, without its query."""
    if method.upper() in _READING:
        return
    if method.upper() == "POST" and _READING_POSTS[connection].fullmatch(path):
        return
    raise WriteRefused(
        f"{connection}: {method.upper()} {path} was not sent: this is a shadow (mode: shadow), which never writes at a vendor"
    )
