r"""Whether a webhook comes from Autotask: ``X-Hook-Signature: sha1=<base64 of HMAC-SHA1 over the body>``. Pure.

The vendor documents the raw body. One client in production had to hash an escaped form instead (inside strings, quotes,
backslash, ``& < > ' + ``` and everything beyond ASCII as ``\uXXXX``), so that is tried second.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re

import orjson

HEADER = "x-hook-signature"
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_ESCAPED = frozenset("&<>'\"\\`+")


def signed_by(secret: str, body: bytes, header: str | None) -> bool:
    """Whether the header is this body's signature; compared in constant time."""
    given = (header or "").strip()
    if not secret or not given.lower().startswith("sha1="):
        return False
    claimed = given[5:].strip().encode()
    if hmac.compare_digest(_digest(secret, body), claimed):
        return True
    other = escaped(body)
    return other is not None and hmac.compare_digest(_digest(secret, other), claimed)


def escaped(body: bytes) -> bytes | None:
    """The escaped form, ``None`` where the body is not made of JSON strings. Only strings change, numbers and order stay."""
    try:
        return _STRING.sub(lambda match: _written(match[0]), body.decode()).encode()
    except (UnicodeDecodeError, UnicodeEncodeError, orjson.JSONDecodeError):
        return None


def _written(token: str) -> str:
    return '"' + "".join(_character(character) for character in str(orjson.loads(token))) + '"'


def _character(character: str) -> str:
    if character in _ESCAPED or ord(character) > 0x7E:
        units = character.encode("utf-16-be")
        return "".join(f"\\u{units[at]:02X}{units[at + 1]:02X}" for at in range(0, len(units), 2))
    return orjson.dumps(character).decode()[1:-1]


def _digest(secret: str, body: bytes) -> bytes:
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha1).digest())
