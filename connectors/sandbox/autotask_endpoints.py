"""What each endpoint of an entity answers."""

from __future__ import annotations

import base64
import binascii
from itertools import islice
from typing import Any
from urllib.parse import quote

import orjson

from connectors.sandbox import autotask_metadata as metadata
from connectors.sandbox.answers import Answer, empty_answer, json_answer
from connectors.sandbox.autotask_api_user import API_RESOURCE, ApiUser
from connectors.sandbox.autotask_fields import DATETIME, DOUBLE, ApiError, Entity
from connectors.sandbox.autotask_paths import Target
from connectors.sandbox.autotask_picklists import DATE, NUMBER
from connectors.sandbox.autotask_query import MAX_PAGE, Search, understand
from connectors.sandbox.autotask_rules import Actor
from connectors.sandbox.autotask_tenant import Tenant
from connectors.sandbox.autotask_writer import Writer
from connectors.sandbox.vendor import BadJson, Call

_NO_IMPERSONATION = "The logged in Resource does not have the adequate permissions to impersonate"


_UDF_KINDS = {NUMBER: DOUBLE, DATE: DATETIME}


class Endpoints:
    """Answers calls on entities. ``zone_url`` gives the address that ``nextPageUrl`` starts with."""

    def __init__(self, tenant: Tenant, writer: Writer, user: ApiUser) -> None:
        self._tenant = tenant
        self._writer = writer
        self._user = user
        self.zone_url = ""

    def answer(self, target: Target, call: Call) -> Answer:
        """Carry out a call whose method the target supports. Raises ``ApiError``."""
        entity = target.entity
        if entity is None:
            raise ApiError(f"No entity at {call.path}.")
        if target.action in ("information", "fields", "udfs"):
            return json_answer(self._metadata(target.action, entity))
        if target.action in ("query", "next", "count"):
            return self._queried(target.action, entity, call)
        if target.action == "item":
            return self._deleted(entity, target, call) if call.method == "DELETE" else self._item(entity, target, call)
        if call.method == "GET":
            return self._children(entity, target, call)
        return self._written(entity, target, call)

    def _metadata(self, action: str, entity: Entity) -> dict[str, Any]:
        if action == "information":
            return metadata.information(entity, self._user)
        return (
            metadata.fields(self._tenant, entity) if action == "fields" else metadata.udf_fields(self._tenant, entity)
        )

    # -- reads -------------------------------------------------------------------------------------------------

    def _queried(self, action: str, entity: Entity, call: Call) -> Answer:
        self._may_read(entity, call)
        page = _page(call) if action == "next" else None
        if page is not None and page["via"] == "POST" and call.method == "GET":
            return not_supported(call.method)
        search = self._search(entity, call)
        if entity.name == "TicketHistory" and (set(search.equal) != {"ticketID"} or search.conditions != 1):
            raise ApiError("TicketHistory can only be queried by one ticketID with the operator eq.")
        if self._user.allowed(entity.name, "query") == "empty":
            search.test = lambda row: False
        rows = self._tenant.rows[entity.name]
        if action == "count":
            return json_answer({"queryCount": sum(1 for _ in rows.found(search))})
        after = page["after"] if page is not None else -1
        listed = list(islice(rows.found(search, after), search.max_records + 1))
        shown = [self._tenant.shown(entity, row, search.include) for row in listed[: search.max_records]]
        more = len(listed) > search.max_records
        trail = [*page["trail"], after] if page is not None else []
        last = listed[search.max_records - 1]["id"] if more else None
        return json_answer(
            {
                "items": shown,
                "pageDetails": {
                    "count": len(shown),
                    "requestCount": search.max_records,
                    "prevPageUrl": self._page_url(entity, call, trail[-2], trail[:-2]) if len(trail) > 1 else None,
                    "nextPageUrl": self._page_url(entity, call, last, trail or [-1]) if last is not None else None,
                },
            }
        )

    def _search(self, entity: Entity, call: Call) -> Search:
        if call.method == "POST":
            body = _body(call)
        else:
            text = next((value for key, value in call.queries().items() if key.lower() == "search"), "")
            body = _decoded(text.encode())
        encrypted = frozenset(row["id"] for row in self._tenant.udfs(entity) if row["isEncrypted"])
        return understand(
            body,
            entity,
            udfs=self._tenant.udf_ids(entity),
            encrypted=encrypted,
            udf_kinds={
                row["id"]: _UDF_KINDS[row["dataType"]]
                for row in self._tenant.udfs(entity)
                if row["dataType"] in _UDF_KINDS
            },
            dialect=self._tenant.dialect(),
        )

    def _page_url(self, entity: Entity, call: Call, after: int, trail: list[int]) -> str:
        token = base64.urlsafe_b64encode(orjson.dumps({"after": after, "trail": trail, "via": call.method})).decode()
        url = f"{self.zone_url}V1.0/{entity.name}/query/next?paging={quote(token)}"
        search = next((value for key, value in call.queries().items() if key.lower() == "search"), None)
        return url if search is None else f"{url}&search={quote(search)}"

    def _item(self, entity: Entity, target: Target, call: Call) -> Answer:
        self._may_read(entity, call)
        row = self._tenant.rows[entity.name].get(target.item_id)
        hidden = self._user.allowed(entity.name, "query") == "empty"
        foreign = target.parent_id is not None and row is not None and row[entity.parent_field] != target.parent_id
        if row is None or hidden or foreign:
            return empty_answer(404) if self._tenant.settings["missing_item"] == "404" else json_answer({"item": None})
        return json_answer({"item": self._tenant.shown(entity, row)})

    def _children(self, entity: Entity, target: Target, call: Call) -> Answer:
        self._may_read(entity, call)
        rows = self._tenant.rows[entity.name].where(**{entity.parent_field: target.parent_id})[:MAX_PAGE]
        if self._user.allowed(entity.name, "query") == "empty":
            rows = []
        details = {"count": len(rows), "requestCount": MAX_PAGE, "prevPageUrl": None, "nextPageUrl": None}
        return json_answer({"items": [self._tenant.shown(entity, row) for row in rows], "pageDetails": details})

    def _require(self, entity: Entity, action: str) -> None:
        self._user.require(entity.name, action, self._tenant.settings["permission_status"])

    def _may_read(self, entity: Entity, call: Call) -> None:
        self._require(entity, "query")
        if "impersonationresourceid" in call.headers:
            raise ApiError(_NO_IMPERSONATION)

    # -- writes ------------------------------------------------------------------------------------------------

    def _written(self, entity: Entity, target: Target, call: Call) -> Answer:
        action = "create" if call.method == "POST" else "update"
        self._require(entity, action)
        body, actor = _body(call), self._actor(call)
        if action == "create":
            number = self._writer.create(entity, body, actor, parent=target.parent_id)
        else:
            replace = call.method == "PUT"
            number = self._writer.update(entity, body, actor, replace=replace, parent=target.parent_id)
        call.item_id = number
        return json_answer({"itemId": number})

    def _deleted(self, entity: Entity, target: Target, call: Call) -> Answer:
        self._require(entity, "delete")
        number = self._writer.delete(entity, target.item_id or 0, self._actor(call), parent=target.parent_id)
        return json_answer({"itemId": number})

    def _actor(self, call: Call) -> Actor:
        text = call.headers.get("impersonationresourceid")
        if text is None:
            return Actor(resource_id=API_RESOURCE, by="api", stale=call.stale)
        number = int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else -1
        resource = self._tenant.rows["Resources"].get(number)
        if resource is None or not resource["isActive"] or number == API_RESOURCE:
            raise ApiError(_NO_IMPERSONATION)
        return Actor(resource_id=number, by="api", impersonator=API_RESOURCE, stale=call.stale)


def not_supported(method: str) -> Answer:
    """405, in the words of the vendor's web framework."""
    return json_answer({"Message": f"The requested resource does not support http method '{method}'."}, 405)


def _body(call: Call) -> Any:
    try:
        return call.json()
    except BadJson as error:
        raise ApiError(f"The request body is not valid JSON: {error}") from None


def _decoded(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ApiError(f"The search parameter is not valid JSON: {error}") from None


def _page(call: Call) -> dict[str, Any]:
    token = call.query("paging") or ""
    try:
        page = orjson.loads(base64.urlsafe_b64decode(token))
        return {"after": int(page["after"]), "trail": list(page["trail"]), "via": str(page["via"])}
    except (binascii.Error, ValueError, KeyError, TypeError):
        raise ApiError("The paging parameter is not valid.") from None
