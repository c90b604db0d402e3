"""What a vendor handler returns: a whole response, so that a fault can still cut, delay or drop it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete HTTP response. Header names as they shall appear on the wire."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def with_headers(self, extra: Mapping[str, str]) -> Answer:
        """The same answer with further headers; the answer's own win."""
        return Answer(self.status, self.body, {**extra, **self.headers})


class ControlError(Exception):
    """A control call that cannot be carried out; the message is one clear line (what, where, what to do)."""

    def __init__(self, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.status = status


def json_answer(document: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer with a JSON body."""
    return Answer(status, orjson.dumps(document), {"Content-Type": "application/json", **(headers or {})})


def empty_answer(status: int = 204, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer without a body."""
    return Answer(status, b"", headers or {})


OVERLOAD_PAGE = (
    b"<!DOCTYPE html><html><head><title>Too many requests</title></head>"
    b"<body><h1>Service temporarily unavailable</h1><p>Rate limit: too many requests. Please try again later.</p></body></html>"
)


def html_answer(status: int = 200, body: bytes = OVERLOAD_PAGE) -> Answer:
    """The overload page some gateways send instead of an error (NinjaOne: observed with status 200)."""
    return Answer(status, body, {"Content-Type": "text/html; charset=utf-8"})
