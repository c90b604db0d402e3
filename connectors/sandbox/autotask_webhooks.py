"""Webhooks: their rules as rows, and the sender that turns changes into callouts (reference section 7).

Ten seconds per attempt, thirty between attempts, five attempts, then the error log; twenty-five failed events in a
row disable the webhook, with an unsigned ``Deactivated`` notice. Events of one webhook queue in order.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from connectors.sandbox import autotask_payloads as payloads
from connectors.sandbox.autotask_fields import Entity
from connectors.sandbox.autotask_rules import Actor, Row, Rules
from connectors.sandbox.autotask_store import ENTITIES
from connectors.sandbox.autotask_tables_webhooks import WATCHED
from connectors.sandbox.autotask_tenant import Tenant, webhook_fields
from connectors.sandbox.faults import Faults
from connectors.sandbox.webhooks import Delivery, DeliveryPolicy, WebhookSender
from schemas.identity import derived_id

_TIMEOUT_SECONDS, _RETRY_SECONDS = 10.0, 30.0
#: Error log rows are kept this long.
_LOG_MILLISECONDS = 30 * 24 * 3_600_000
#: Families whose id the error log can hold; neither Swagger has a column for the others.
_LOGGED_ID = {"Company": "accountWebhookID", "Contact": "contactWebhookID"}
_KIND_OF = {records: kind for kind, records in WATCHED.items()}


class WebhookRules(Rules):
    """A webhook row: needs two URLs that can be called; the server gives GUID, owner and readiness."""

    def __init__(self, tenant: Tenant, kind: str) -> None:
        super().__init__(tenant)
        self._kind = kind

    def fill(self, row: Row, actor: Actor) -> None:
        if row.get("isActive") is None:
            row["isActive"] = True

    def check(self, row: Row, before: Mapping[str, Any] | None, changed: set[str]) -> list[str]:
        errors = [
            f"{name} must be an https address on port 443 (the simulator also takes http on loopback)."
            for name in ("webhookUrl", "deactivationUrl")
            if not _callable_url(str(row[name]))
        ]
        if before is not None:
            return errors
        owned = sum(len(self.tenant.rows[f"{kind}Webhooks"]) for kind in WATCHED)
        if owned >= self.tenant.settings["webhooks_maximum"]:
            errors.append("The logged in Resource does not have the adequate permissions to create this entity type")
        twins = self.tenant.rows[f"{self._kind}Webhooks"].where(webhookUrl=row["webhookUrl"])
        if twins and self.tenant.settings["webhook_duplicate_create"] == "reject":
            errors.append("A webhook with the same entity and URL already exists.")
        return errors

    def stamp(self, row: Row, before: Mapping[str, Any] | None, changed: set[str], actor: Actor) -> None:
        if before is None:
            count = sum(len(self.tenant.rows[f"{kind}Webhooks"]) for kind in WATCHED)
            digits = derived_id("webhook", self._kind, str(row["webhookUrl"]), count)
            row["webhookGUID"] = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))
            row["ownerResourceID"] = actor.resource_id
            row["isReady"] = False


class WebhookFieldRules(Rules):
    """A webhook is ready once it has a field."""

    def __init__(self, tenant: Tenant, kind: str) -> None:
        super().__init__(tenant)
        self._kind = kind

    def done(self, row: Row, before: Mapping[str, Any] | None, changed: set[str], actor: Actor) -> None:
        self.tenant.rows[f"{self._kind}Webhooks"].change(row["webhookID"], {"isReady": True})

    def removing(self, row: Row) -> None:
        families = (f"{self._kind}WebhookFields", f"{self._kind}WebhookUdfFields")
        tables = [self.tenant.rows[name] for name in families if name in self.tenant.rows]
        if sum(len(rows.where(webhookID=row["webhookID"])) for rows in tables) <= 1:
            self.tenant.rows[f"{self._kind}Webhooks"].change(row["webhookID"], {"isReady": False})


def rules(tenant: Tenant) -> dict[str, Rules]:
    """The rules of every webhook family by entity name."""
    made: dict[str, Rules] = {}
    for kind in WATCHED:
        made[f"{kind}Webhooks"] = WebhookRules(tenant, kind)
        made[f"{kind}WebhookFields"] = WebhookFieldRules(tenant, kind)
        made[f"{kind}WebhookUdfFields"] = WebhookFieldRules(tenant, kind)
    return made


class Callouts:
    """Sends what changed to whoever subscribed."""

    def __init__(self, tenant: Tenant, faults: Faults) -> None:
        self._tenant = tenant
        self._sequence = 0
        self._failed: Counter[str] = Counter()
        self._events: dict[int, tuple[str, int, int]] = {}
        self.sender = WebhookSender(
            clock=tenant.clock,
            faults=faults,
            policy=self._policy,
            on_settled=self._settled,
            still_wanted=self._still_wanted,
        )

    def notify(self, entity: str, action: str, row: Mapping[str, Any], changed: set[str], actor: Actor) -> None:
        """A committed change: queue an event for each webhook that wants it."""
        kind = _KIND_OF.get(entity)
        if kind is None:
            return
        called: set[str] = set()
        for webhook in self._tenant.rows[f"{kind}Webhooks"]:
            # Exact duplicates are not called separately; an inactive one counts as a duplicate too.
            if webhook["webhookUrl"] not in called:
                called.add(webhook["webhookUrl"])
                self._call(kind, ENTITIES[entity], webhook, action, row, changed, actor)

    def _call(
        self,
        kind: str,
        entity: Entity,
        webhook: Row,
        action: str,
        row: Mapping[str, Any],
        changed: set[str],
        actor: Actor,
    ) -> None:
        if not (webhook["isActive"] and webhook["isReady"] and webhook[f"isSubscribedTo{action}Events"]):
            return
        if self._tenant.rows[f"{kind}WebhookExcludedResources"].where(
            webhookID=webhook["id"], resourceID=actor.resource_id
        ):
            return
        names, udf_ids = self._selected(kind, entity, webhook, action, row, changed)
        if names is None:
            return
        with_fields = action != "Delete" or self._tenant.settings["webhook_delete_fields"]
        shown = payloads.fields(self._tenant, entity, row, names, udf_ids) if with_fields else None
        self._send(kind, entity, webhook, action, row, shown, actor)

    def _selected(
        self, kind: str, entity: Entity, webhook: Row, action: str, row: Mapping[str, Any], changed: set[str]
    ) -> tuple[list[str] | None, list[int]]:
        """Columns and UDFs of an event: all chosen ones, on update the changed subscribed and the always shown."""
        by_number = webhook_fields(entity)
        chosen = self._tenant.rows[f"{kind}WebhookFields"].where(webhookID=webhook["id"])
        udf_table = f"{kind}WebhookUdfFields"
        udfs = self._tenant.rows[udf_table].where(webhookID=webhook["id"]) if udf_table in self._tenant.rows else []
        if action != "Update":
            return [by_number[field["fieldID"]] for field in chosen], [field["udfFieldID"] for field in udfs]
        hit = [f for f in chosen if f["isSubscribedField"] and by_number[f["fieldID"]] in changed]
        udf_hit = [f for f in udfs if f["isSubscribedField"] and f"udf:{f['udfFieldID']}" in changed]
        if not hit and not udf_hit:
            return None, []
        names = [by_number[f["fieldID"]] for f in chosen if f in hit or f["isDisplayAlwaysField"]]
        return names, [f["udfFieldID"] for f in udfs if f in udf_hit or f["isDisplayAlwaysField"]]

    def _send(
        self,
        kind: str,
        entity: Entity,
        webhook: Row,
        action: str,
        row: Mapping[str, Any],
        shown: Mapping[str, Any] | None,
        actor: Actor,
    ) -> None:
        self._sequence += 1
        settings = self._tenant.settings
        guid = webhook["webhookGUID"]
        if settings["webhook_guid"] == "event":
            guid = derived_id("event", guid, self._sequence)
        body = payloads.payload(
            action=action,
            guid=guid,
            entity_type=entity.shown if settings["webhook_entity_type"] == "legacy" else entity.name,
            item=row["id"],
            event_time=self._tenant.time(self._tenant.now()),
            sequence=self._sequence,
            person=actor.resource_id,
            shown=shown,
        )
        delivery = self.sender.send(
            callout=f"{kind}:{webhook['id']}",
            url=webhook["webhookUrl"],
            body=body,
            headers={"X-Hook-Signature": payloads.signature(webhook["secretKey"], body, settings["webhook_signature"])},
            entity=entity.name,
            item_id=row["id"],
            status_code=row.get("status"),
        )
        self._events[delivery.id] = (kind, webhook["id"], self._sequence)

    def _policy(self) -> DeliveryPolicy:
        settings = self._tenant.settings
        return DeliveryPolicy(
            timeout=_TIMEOUT_SECONDS,
            attempts=settings["webhook_attempts"],
            retry_seconds=_RETRY_SECONDS * settings["webhook_time_scale"],
            ordered=True,
        )

    def _still_wanted(self, delivery: Delivery) -> bool:
        event = self._events.get(delivery.id)
        if event is None:
            return True  # the notice of a deactivation belongs to no event
        webhook = self._tenant.rows[f"{event[0]}Webhooks"].get(event[1])
        return webhook is not None and bool(webhook["isActive"])

    def _settled(self, delivery: Delivery) -> None:
        event = self._events.get(delivery.id)
        if event is None:
            return
        kind, number, sequence = event
        webhook = self._tenant.rows[f"{kind}Webhooks"].get(number)
        if delivery.outcome == "delivered":
            self._failed[delivery.callout] = 0
            return
        self._log(kind, number, sequence, delivery)
        self._failed[delivery.callout] += 1
        if webhook is not None and self._failed[delivery.callout] >= self._tenant.settings["webhook_disable_after"]:
            self._failed[delivery.callout] = 0
            self._deactivate(kind, webhook)

    def _log(self, kind: str, number: int, sequence: int, delivery: Delivery) -> None:
        rows = self._tenant.rows["WebhookEventErrorLogs"]
        now = self._tenant.now()
        for old in list(rows):
            if old["createDateTime"] < now - _LOG_MILLISECONDS:
                rows.remove(old["id"])
        last = delivery.attempts[-1] if delivery.attempts else {}
        values: dict[str, Any] = {
            "createDateTime": now,
            "errorMessage": str(last.get("error") or f"HTTP {last.get('status')}"),
            "payload": delivery.body.decode()[:8000],
            "sequenceNumber": sequence,
        }
        if kind in _LOGGED_ID:
            values[_LOGGED_ID[kind]] = number
        rows.insert(values)

    def owner_deactivated(self, resource_id: int) -> None:
        """A webhook whose owner is deactivated is disabled, and stays so when the owner comes back (vendor help)."""
        for kind in WATCHED:
            for webhook in self._tenant.rows[f"{kind}Webhooks"].where(ownerResourceID=resource_id, isActive=True):
                self._deactivate(kind, webhook)

    def _deactivate(self, kind: str, webhook: Row) -> None:
        entity = ENTITIES[f"{kind}Webhooks"]
        self._tenant.rows[entity.name].change(webhook["id"], {"isActive": False})
        self._tenant.journal.record(
            entity=entity.name, item=webhook["id"], what="Deactivated", by="vendor", after={"isActive": False}
        )
        self._sequence += 1
        body = payloads.payload(
            action="Deactivated",
            guid=webhook["webhookGUID"],
            entity_type=ENTITIES[WATCHED[kind]].shown,
            item=webhook["id"],
            event_time=self._tenant.time(self._tenant.now()),
            sequence=self._sequence,
            person=0,
            shown=None,
        )
        self.sender.send(
            callout=f"notice:{kind}:{webhook['id']}",
            url=webhook["deactivationUrl"],
            body=body,
            headers={},
            entity=entity.name,
            item_id=webhook["id"],
        )


def _callable_url(url: str) -> bool:
    parts = urlsplit(url)
    host = parts.hostname or ""
    if parts.scheme == "http":
        return host == "localhost" or _is_loopback(host)
    return parts.scheme == "https" and bool(host) and (_is_loopback(host) or parts.port in (None, 443))


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
