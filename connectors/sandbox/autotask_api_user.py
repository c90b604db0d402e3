"""The API user of the simulated tenant: three headers, flags, permissions, and how each refusal looks."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from connectors.sandbox.answers import ControlError, empty_answer, json_answer
from connectors.sandbox.autotask_fields import ApiError
from connectors.sandbox.autotask_store import BY_LOWER, ENTITIES
from connectors.sandbox.autotask_tenant import Tenant
from connectors.sandbox.vendor import Refusal

API_RESOURCE = 29_682_899
USERNAME = "lockstep-api@sandbox.example"
SECRET = "autotask-sandbox-secret"
INTEGRATION_CODE = "LOCKSTEPSANDBOXTRACKINGID01"
#: SOAP says so (seen live); what REST says is unconfirmed, hence a switch.
_LOCKED_TEXT = "The user account has been locked. Please see your Autotask Administrator for details."
_ACTIONS = ("create", "update", "query", "delete")


@dataclass(slots=True, repr=False)
class ApiUser:
    """``permissions`` by entity and action: ``True``, ``False`` (refused) or, for query, ``"empty"`` (sees no rows)."""

    username: str = USERNAME
    secret: str = SECRET
    integration_code: str = INTEGRATION_CODE
    active: bool = True
    locked: bool = False
    failed_logins: int = 0
    permissions: dict[str, dict[str, Any]] = field(default_factory=dict)

    def refuse(self, headers: Mapping[str, str], tenant: Tenant, realm_url: str) -> Refusal | None:
        """Whether these headers may call. All bad credentials look alike from outside; the call log tells them apart."""
        auth, why = self._problem(headers, tenant)
        if auth == "ok":
            return None
        if auth == "bad_code" and tenant.settings["bad_code_status"] == 500:
            return Refusal(answer=json_answer({"errors": ["IntegrationCode is invalid."]}, 500), auth=auth, why=why)
        if auth in ("locked", "inactive") and tenant.settings["locked_answer"] == "text":
            return Refusal(answer=json_answer({"errors": [_LOCKED_TEXT]}, 500), auth=auth, why=why)
        realm = urlsplit(realm_url).hostname or "sandbox"
        return Refusal(answer=empty_answer(401, {"WWW-Authenticate": f'Basic Realm="{realm}"'}), auth=auth, why=why)

    def allowed(self, entity: str, action: str) -> Any:
        """The permission of an action: ``True``, ``False`` or ``"empty"``."""
        return self.permissions.get(entity, {}).get(action, True)

    def require(self, entity: str, action: str, status: int = 500) -> None:
        """Raise the vendor's permission error: status 500, not 403 (seen live; the Swagger declares 403)."""
        if self.allowed(entity, action) is False:
            raise ApiError(
                f"The logged in Resource does not have the adequate permissions to {action} this entity type",
                status=status,
            )

    def patch(self, changes: Mapping[str, Any], tenant: Tenant) -> None:
        """Change the user as an administrator would. Raises ``ControlError``; nothing is changed then."""
        checked = {name: _checked(name, value) for name, value in changes.items()}
        for name, value in checked.items():
            if name == "permissions":
                for entity, actions in value.items():
                    self.permissions.setdefault(entity, {}).update(actions)
            elif name == "protected_data":
                tenant.protected_data = value
            else:
                setattr(self, name, value)
        if checked.get("locked") is False:
            self.failed_logins = 0
        if "active" in checked:
            tenant.rows["Resources"].change(API_RESOURCE, {"isActive": self.active})

    def shown(self, tenant: Tenant) -> dict[str, Any]:
        """For ``state``: without secret and code."""
        return {
            "username": self.username,
            "active": self.active,
            "locked": self.locked,
            "failedLogins": self.failed_logins,
            "permissions": self.permissions,
            "protectedData": tenant.protected_data,
            "resourceID": API_RESOURCE,
        }

    def _problem(self, headers: Mapping[str, str], tenant: Tenant) -> tuple[str, str]:
        username, secret = headers.get("username", ""), headers.get("secret", "")
        if username.casefold() != self.username.casefold():
            return "bad_user", "unknown user name" if username else "no UserName header"
        if not _same(secret, self.secret):
            self._failed(tenant)
            return "bad_secret", "wrong secret" if secret else "no Secret header"
        if self.locked:
            return "locked", "the API user is locked"
        if not self.active:
            return "inactive", "the API user is not active"
        if not _same(headers.get("apiintegrationcode", ""), self.integration_code):
            return "bad_code", "wrong tracking identifier"
        self.failed_logins = 0
        return "ok", ""

    def _failed(self, tenant: Tenant) -> None:
        self.failed_logins += 1
        limit = tenant.settings["lock_after"]
        if limit and self.failed_logins >= limit:
            self.locked = True


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


def _checked(name: str, value: Any) -> Any:
    if name in ("active", "locked", "protected_data"):
        if not isinstance(value, bool):
            raise ControlError(f"api-user: '{name}' must be true or false")
        return value
    if name in ("secret", "integration_code", "username"):
        if not isinstance(value, str) or not value:
            raise ControlError(f"api-user: '{name}' must be a text")
        return value
    if name == "permissions":
        return _checked_permissions(value)
    raise ControlError(
        f"api-user: unknown key '{name}'; known: active, integration_code, locked, permissions, protected_data,"
        " secret, username"
    )


def _checked_permissions(value: Any) -> dict[str, dict[str, Any]]:
    if not isinstance(value, dict):
        raise ControlError("api-user: 'permissions' must be an object by entity")
    checked: dict[str, dict[str, Any]] = {}
    for name, actions in value.items():
        entity = BY_LOWER.get(str(name).lower())
        if entity is None:
            raise ControlError(f"api-user: unknown entity '{name}'; known: {', '.join(sorted(ENTITIES))}")
        if not isinstance(actions, dict) or not set(actions) <= set(_ACTIONS):
            raise ControlError(f"api-user: permissions of {entity.name} take {', '.join(_ACTIONS)}")
        for action, allowed in actions.items():
            if not isinstance(allowed, bool) and not (action == "query" and allowed == "empty"):
                raise ControlError(f"api-user: {entity.name}.{action} must be true or false (query also 'empty')")
        checked[entity.name] = actions
    return checked
