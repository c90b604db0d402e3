"""Tokens, scopes and refusals of the NinjaOne sandbox (reference section 2)."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from hmac import compare_digest
from typing import Any
from urllib.parse import parse_qsl

from connectors.sandbox.answers import Answer, json_answer
from connectors.sandbox.clock import Clock
from connectors.sandbox.settings import Settings
from connectors.sandbox.vendor import Call, Refusal
from schemas.identity import derived_id

KNOWN_SCOPES = ("monitoring", "management", "control", "offline_access")
_READS = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Token:
    """What an access token or refresh token allows; ``expires`` is epoch seconds on the sandbox clock."""

    scopes: frozenset[str]
    expires: float


def auth_error(status: int, error: str, description: str, code: int) -> Answer:
    """The error body of the auth layer."""
    return json_answer({"error": error, "error_description": description, "error_code": code}, status)


def not_authenticated() -> Answer:
    """The answer to an invalid or expired token."""
    return auth_error(401, "not_authenticated", "Invalid credentials", 10)


class Authority:
    """The token end point of one API client app, and the check of bearer tokens."""

    def __init__(self, *, clock: Clock, settings: Settings, client_id: str, client_secret: str) -> None:
        self.client_id = client_id
        self.secret = client_secret
        self.active = True
        self._clock = clock
        self._settings = settings
        self._tokens: dict[str, Token] = {}
        self._refresh_tokens: dict[str, Token] = {}
        self._issued = 0

    def revoke(self) -> int:
        """Make every token invalid; returns how many there were."""
        count = len(self._tokens)
        self._tokens.clear()
        self._refresh_tokens.clear()
        return count

    def valid_tokens(self) -> int:
        """Access tokens that still work."""
        return sum(1 for token in self._tokens.values() if token.expires > self._clock.now())

    def refuse_token_call(self, call: Call, incident: str) -> Refusal | None:
        """Why a token call is refused: unknown client, wrong secret, unknown grant, bad scope."""
        form = _form(call)
        if not compare_digest(form.get("client_id", "").encode(), self.client_id.encode()) or not self.active:
            answer = json_answer({"resultCode": "Client app not exist", "incidentId": incident}, 404)
            return Refusal(answer=answer, auth="unknown_client", why="the client id is unknown or the app is inactive")
        if not compare_digest(form.get("client_secret", "").encode(), self.secret.encode()):
            answer = json_answer({"error": "invalid_client"}, self._settings["wrong_secret_status"])
            return Refusal(answer=answer, auth="wrong_secret", why="the client secret is wrong")
        grant = form.get("grant_type", "")
        if grant not in ("client_credentials", "refresh_token"):
            return _oauth_refusal("unsupported_grant_type", f"grant_type '{grant}' is not served by this simulator")
        if grant == "refresh_token" and form.get("refresh_token", "") not in self._refresh_tokens:
            return _oauth_refusal("invalid_grant", "the refresh token is unknown")
        if not self._granted(form):
            return _oauth_refusal("invalid_scope", f"scope '{form.get('scope', '')}' is not one of the app's")
        return None

    def issue(self, call: Call) -> Answer:
        """A new access token (after ``refuse_token_call`` found nothing wrong)."""
        form = _form(call)
        scopes = self._granted(form)
        lifetime = int(self._settings["token_lifetime_seconds"])
        value = self._new_token(scopes)
        self._tokens[value] = Token(scopes, self._clock.now() + lifetime)
        document: dict[str, Any] = {
            "access_token": value,
            "expires_in": lifetime,
            "scope": " ".join(scope for scope in KNOWN_SCOPES if scope in scopes),
            "token_type": "Bearer",
        }
        policy = self._settings["refresh_tokens"]
        wanted = form.get("grant_type") == "refresh_token" or "offline_access" in scopes
        if policy == "always" or (policy == "offline_access" and wanted):
            refresh = self._new_token(scopes)
            self._refresh_tokens[refresh] = Token(scopes, float("inf"))
            document["refresh_token"] = refresh
        return json_answer(document)

    def refuse(self, call: Call) -> Refusal | None:
        """Why a call is refused; sets ``call.actor`` when it is not."""
        header = call.headers.get("authorization")
        if header is None:
            answer = auth_error(400, "missing_header", "Missing required header", 2)
            return Refusal(answer=answer, auth="missing_header", why="no Authorization header")
        scheme, _, value = header.partition(" ")
        if scheme.lower() != "bearer" or not value.strip() or " " in value.strip():
            answer = auth_error(400, "invalid_header", "Invalid 'Authorization' header", 1)
            return Refusal(answer=answer, auth="invalid_header", why="the Authorization header is not 'Bearer <token>'")
        token = self._tokens.get(value.strip())
        if token is None or token.expires <= self._clock.now():
            why = "the token is unknown or was revoked" if token is None else "the token is expired"
            return Refusal(answer=not_authenticated(), auth="not_authenticated", why=why)
        needed = self._needed_scope(call)
        if needed not in token.scopes:
            answer = auth_error(403, "insufficient_scope", f"Scope '{needed}' is required", 11)
            return Refusal(answer=answer, auth="insufficient_scope", why=f"the token lacks scope {needed}")
        call.actor = self.client_id
        return None

    def _needed_scope(self, call: Call) -> str:
        if call.method in _READS or call.entity == "webhook":
            return "monitoring"
        return str(self._settings["reset_scope"]) if call.entity == "alerts" else "management"

    def _granted(self, form: dict[str, str]) -> frozenset[str]:
        """Asked scopes that the app has; nothing asked means all of the app's."""
        allowed = frozenset(self._settings["client_scopes"].split()) | {"offline_access"}
        if form.get("grant_type") == "refresh_token" and "scope" not in form:
            known = self._refresh_tokens.get(form.get("refresh_token", ""))
            return known.scopes if known is not None else frozenset()
        asked = form.get("scope", "").split()
        granted = frozenset(asked) & allowed if asked else allowed - {"offline_access"}
        return granted if granted - {"offline_access"} else frozenset()

    def _new_token(self, scopes: frozenset[str]) -> str:
        self._issued += 1
        # The time is part of it, so that a token of an earlier run of the sandbox is not valid in this one.
        return "sim-" + derived_id("token", self.client_id, self._issued, repr(self._clock.now()), *sorted(scopes))


def _form(call: Call) -> dict[str, str]:
    """The form of a token call, with the client from HTTP Basic where the form names none."""
    form = dict(parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True))
    scheme, _, value = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "basic" and "client_id" not in form:
        try:
            name, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return form
        form |= {"client_id": name, "client_secret": secret}
    return form


def _oauth_refusal(error: str, why: str) -> Refusal:
    return Refusal(answer=json_answer({"error": error}, 400), auth=error, why=why)
