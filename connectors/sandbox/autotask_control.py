"""Control calls of the Autotask sandbox: what technicians, administrators and other integrations do in the tenant."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.sandbox.answers import ControlError
from connectors.sandbox.autotask_api_user import API_RESOURCE, ApiUser
from connectors.sandbox.autotask_bodies import read_body
from connectors.sandbox.autotask_fields import ApiError
from connectors.sandbox.autotask_picklists import (
    COMPLETE,
    COMPLETE_STATUSES,
    DATE,
    LIST,
    MULTILINE,
    NUMBER,
    TEXT,
    UDF_TYPES,
)
from connectors.sandbox.autotask_rules import Actor
from connectors.sandbox.autotask_seed import TECHNICIANS, UDF_ITEMS, add_company, define_udf
from connectors.sandbox.autotask_store import ENTITIES
from connectors.sandbox.autotask_tenant import Tenant
from connectors.sandbox.autotask_webhooks import Callouts
from connectors.sandbox.autotask_writer import Writer
from connectors.sandbox.control import control_body, control_json, path_int

_IN_PROGRESS = 8
_YEAR_MS = 365 * 24 * 3_600_000
_NOTE = {"title": "Note by a technician", "description": "Looked at it.", "noteType": 3, "publish": 1}
_TICKET = {"title": "Reported by phone", "status": 1, "priority": 2, "queueID": 29_682_833, "source": 2}
_RULE_KEYS = frozenset({"required", "defaults", "note_title"})


class ControlCalls:
    """The vendor's own routes under ``/_sandbox``. A body's ``resourceID`` says who acts (default: a technician)."""

    def __init__(self, tenant: Tenant, writer: Writer, user: ApiUser, callouts: Callouts) -> None:
        self._callouts = callouts
        self._tenant = tenant
        self._writer = writer
        self._user = user

    def routes(self) -> Sequence[Route]:
        """All routes with their full paths."""
        return [
            Route("/_sandbox/api-user", self.api_user, methods=["GET", "PATCH"]),
            Route("/_sandbox/tickets", self.new_ticket, methods=["POST"]),
            Route("/_sandbox/tickets/{id}", self.one_ticket, methods=["GET", "PATCH", "DELETE"]),
            Route("/_sandbox/tickets/{id}/complete", self.complete, methods=["POST"]),
            Route("/_sandbox/tickets/{id}/time", self.time, methods=["POST"]),
            Route("/_sandbox/tickets/{id}/reopen", self.reopen, methods=["POST"]),
            Route("/_sandbox/tickets/{id}/note", self.note, methods=["POST"]),
            Route("/_sandbox/companies", self.new_company, methods=["POST"]),
            Route("/_sandbox/companies/{id}", self.one_company, methods=["PATCH"]),
            Route("/_sandbox/contracts", self.new_contract, methods=["POST"]),
            Route("/_sandbox/configuration-items", self.new_item, methods=["POST"]),
            Route("/_sandbox/configuration-items/{id}", self.one_item, methods=["PATCH", "DELETE"]),
            Route("/_sandbox/udfs", self.udfs, methods=["GET", "POST"]),
            Route("/_sandbox/udfs/{name}", self.one_udf, methods=["DELETE"]),
            Route("/_sandbox/ticket-categories/{id}", self.category, methods=["PATCH"]),
        ]

    async def api_user(self, request: Request) -> Response:
        """What an administrator sees and changes on the API user's form."""
        if request.method == "PATCH":
            was_active = self._user.active
            self._user.patch(await control_body(request), self._tenant)
            if was_active and not self._user.active and self._tenant.settings["webhook_owner_rule"]:
                self._callouts.owner_deactivated(API_RESOURCE)
        return control_json(self._user.shown(self._tenant))

    async def new_ticket(self, request: Request) -> Response:
        """A ticket of somebody else: a technician or another integration."""
        body = await control_body(request)
        return self._create("Tickets", body, {**_TICKET, "companyID": 0})

    async def one_ticket(self, request: Request) -> Response:
        """Look at, edit (read-only fields too) or delete a ticket; a deleted one moves to DeletedTicketLogs.

        ``quiet``: the edit leaves no activity and no notice, like a restored backup or a workflow that is not told of.
        """
        number = path_int(request)
        if request.method == "DELETE":
            return self._delete_ticket(number)
        body = await control_body(request) if request.method == "PATCH" else {}
        if body.pop("quiet", False):
            return self._quietly("Tickets", number, body)
        return self._update("Tickets", number, body) if body else self._shown("Tickets", number)

    async def complete(self, request: Request) -> Response:
        """A technician completes the ticket; ``status`` may be another complete-type status, ``resolution`` a text."""
        body = {"status": COMPLETE, **await control_body(request)}
        if not isinstance(body["status"], int) or body["status"] not in COMPLETE_STATUSES:
            raise ControlError(f"status {body['status']} is not of the complete type; use one of 5, 29")
        return self._update("Tickets", path_int(request), body)

    async def reopen(self, request: Request) -> Response:
        """A technician reopens the ticket (In Progress unless ``status`` says otherwise)."""
        return self._update("Tickets", path_int(request), {"status": _IN_PROGRESS, **await control_body(request)})

    async def note(self, request: Request) -> Response:
        """A technician writes a note."""
        number = path_int(request)
        self._row("Tickets", number)
        return self._create("TicketNotes", await control_body(request), {**_NOTE, "ticketID": number})

    async def time(self, request: Request) -> Response:
        """A technician books time on the ticket."""
        number = path_int(request)
        self._row("Tickets", number)
        values = {"hoursWorked": 0.25, **await control_body(request), "ticketID": number}
        return self._create("TimeEntries", values, {})

    async def new_company(self, request: Request) -> Response:
        """A company with a location and a contact; only ``companyName`` is needed."""
        values = self._values("Companies", await control_body(request))
        name = values.pop("companyName", None)
        if not name:
            raise ControlError("companies: companyName is missing")
        row = add_company(self._tenant, name, **values)
        shown = self._tenant.shown(ENTITIES["Companies"], row)
        self._tenant.journal.record(entity="Companies", item=row["id"], what="Created", by="control", after=shown)
        return control_json({"itemId": row["id"], "item": shown})

    async def one_company(self, request: Request) -> Response:
        """Rename, deactivate or otherwise edit a company."""
        return self._update("Companies", path_int(request), await control_body(request))

    async def new_contract(self, request: Request) -> Response:
        """A contract of a company, in force for a year unless told otherwise."""
        values = self._values("Contracts", {"contractName": "Managed services", **await control_body(request)})
        now = self._tenant.now()
        row = self._tenant.rows["Contracts"].insert({"startDate": now, "endDate": now + _YEAR_MS, **values})
        return control_json({"itemId": row["id"], "item": self._tenant.shown(ENTITIES["Contracts"], row)})

    async def new_item(self, request: Request) -> Response:
        """A configuration item that somebody else made."""
        return self._create(
            "ConfigurationItems", await control_body(request), {"productID": 29_682_954, "isActive": True}
        )

    async def one_item(self, request: Request) -> Response:
        """Edit a configuration item (read-only fields too; ``quiet``: even its company), or delete it, as only people can."""
        if request.method == "DELETE":
            number = path_int(request)
            self._row("ConfigurationItems", number)
            self._writer.delete(ENTITIES["ConfigurationItems"], number, self._actor({}))
            if self._tenant.settings["deleted_item"] == "clear":
                for ticket in self._tenant.rows["Tickets"].where(configurationItemID=number):
                    self._tenant.rows["Tickets"].change(ticket["id"], {"configurationItemID": None})
            return control_json({"itemId": number})
        body = await control_body(request)
        if body.pop("quiet", False):
            return self._quietly("ConfigurationItems", path_int(request), body)
        return self._update("ConfigurationItems", path_int(request), body)

    async def udfs(self, request: Request) -> Response:
        """Define a user-defined field ``{name, entity, dataType, ...}`` as an administrator."""
        definitions = self._tenant.rows["UserDefinedFieldDefinitions"]
        if request.method == "POST":
            body = dict(await control_body(request))
            name, entity = body.pop("name", None), body.pop("entity", "ConfigurationItems")
            kind = next((number for number, row in UDF_TYPES.items() if row[0].lower() == str(entity).lower()), None)
            if not isinstance(name, str) or not name or kind is None:
                known = ", ".join(row[0] for row in UDF_TYPES.values())
                raise ControlError(f"udfs: 'name' must be a text and 'entity' one of {known}")
            values = self._values("UserDefinedFieldDefinitions", {"dataType": TEXT, **body})
            data_type = values.pop("dataType")
            for known in ("name", "udfType"):
                values.pop(known, None)
            if data_type not in (TEXT, MULTILINE, NUMBER, DATE, LIST):
                raise ControlError(f"udfs: 'dataType' is one of {TEXT}, {MULTILINE}, {NUMBER}, {DATE}, {LIST}")
            if definitions.where(name=name, udfType=kind):
                raise ControlError(f"udfs: '{name}' is already defined for {UDF_TYPES[kind][0]}")
            define_udf(self._tenant, name, udf_type=kind, data_type=data_type, **values)
        return control_json([self._tenant.shown(definitions.entity, row) for row in definitions])

    async def one_udf(self, request: Request) -> Response:
        """Take a user-defined field away (of configuration items first, then of other entities)."""
        name = request.path_params["name"].casefold()
        definitions = self._tenant.rows["UserDefinedFieldDefinitions"]
        found = sorted(
            (row for row in definitions if row["name"].casefold() == name), key=lambda row: row["udfType"] != UDF_ITEMS
        )
        if not found:
            raise ControlError(f"there is no user-defined field '{request.path_params['name']}'", 404)
        definitions.remove(found[0]["id"])
        return control_json({"removed": found[0]["id"]})

    async def category(self, request: Request) -> Response:
        """What a ticket category requires and fills in: ``{required: [field], defaults: {field: value}, note_title}``."""
        number, body = path_int(request), await control_body(request)
        self._row("TicketCategories", number)
        if not set(body) <= _RULE_KEYS:
            raise ControlError(f"ticket-categories: known keys are {', '.join(sorted(_RULE_KEYS))}")
        fields = ENTITIES["Tickets"].fields
        required, defaults = body.get("required", []), body.get("defaults", {})
        if not isinstance(required, list) or not isinstance(defaults, dict):
            raise ControlError("ticket-categories: 'required' is a list of fields, 'defaults' an object by field")
        unknown = [name for name in (*required, *defaults) if not isinstance(name, str) or name not in fields]
        if unknown:
            raise ControlError(f"ticket-categories: Tickets has no field '{unknown[0]}'")
        if defaults:
            body["defaults"] = self._values("Tickets", defaults)
        rules = self._tenant.category_rules.setdefault(number, {})
        rules.update(body)
        return control_json(rules)

    def _create(self, entity: str, body: Mapping[str, Any], defaults: Mapping[str, Any]) -> Response:
        values = {**defaults, **body}
        actor = self._actor(values)
        number = _checked(lambda: self._writer.create(ENTITIES[entity], values, actor))
        return self._shown(entity, number)

    def _update(self, entity: str, number: int, body: Mapping[str, Any]) -> Response:
        self._row(entity, number)
        values = {**body, "id": number}
        actor = self._actor(values)
        _checked(lambda: self._writer.update(ENTITIES[entity], values, actor))
        return self._shown(entity, number)

    def _quietly(self, entity: str, number: int, body: Mapping[str, Any]) -> Response:
        row = self._row(entity, number)
        self._tenant.rows[entity].change(number, {**row, **self._values(entity, body)})
        after = self._tenant.shown(ENTITIES[entity], self._row(entity, number), list(body))
        self._tenant.journal.record(entity=entity, item=number, what="Restored", by="control", after=after)
        return self._shown(entity, number)

    def _delete_ticket(self, number: int) -> Response:
        row = self._row("Tickets", number)
        shown = self._tenant.shown(ENTITIES["Tickets"], row)
        actor = self._actor({})
        self._writer.delete(ENTITIES["Tickets"], number, actor)
        self._tenant.rows["DeletedTicketLogs"].insert(
            {
                "ticketID": number,
                "ticketNumber": row["ticketNumber"],
                "ticketTitle": row["title"],
                "deletedByResourceID": actor.resource_id,
                "deletedDateTime": self._tenant.now(),
            }
        )
        return control_json({"itemId": number, "item": shown})

    def _values(self, entity: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The body's fields under their own names, typed and checked like those of a write."""
        for name in body:
            if ENTITIES[entity].find(str(name)) is None:
                raise ControlError(f"unknown field '{name}' of {entity}")
        try:
            written = read_body(self._tenant, ENTITIES[entity], dict(body), "create", privileged=True)
        except ApiError as error:
            raise ControlError("; ".join(error.errors)) from None
        return written.values

    def _actor(self, values: dict[str, Any]) -> Actor:
        resource = values.pop("resourceID", TECHNICIANS[0])
        if not isinstance(resource, int):
            raise ControlError("'resourceID' must be the id of a row of Resources")
        self._row("Resources", resource)
        return Actor(resource_id=resource, by="control")

    def _shown(self, entity: str, number: int) -> Response:
        row = self._row(entity, number)
        return control_json({"itemId": number, "item": self._tenant.shown(ENTITIES[entity], row)})

    def _row(self, entity: str, number: Any) -> dict[str, Any]:
        row = self._tenant.rows[entity].get(number)
        if row is None:
            raise ControlError(f"there is no row {number} in {entity}", 404)
        return row


def _checked(work: Callable[[], int]) -> int:
    try:
        return work()
    except ApiError as error:
        raise ControlError("; ".join(error.errors)) from None
