"""The page behind a deep link: says that it is a simulator and shows the row."""

from __future__ import annotations

import html
from collections.abc import Mapping

from connectors.sandbox.answers import Answer, html_answer
from connectors.sandbox.autotask_store import ENTITIES
from connectors.sandbox.autotask_tenant import Tenant

#: Entity and parameter by ``Code`` of ExecuteCommand (lower case).
_COMMANDS = {
    "openticketdetail": ("Tickets", "ticketid"),
    "openaccount": ("Companies", "accountid"),
    "newticket": ("Companies", "accountid"),
    "opencontact": ("Contacts", "contactid"),
    "editinstalledproduct": ("ConfigurationItems", "installedproductid"),
}


def command_page(tenant: Tenant, parameters: Mapping[str, str]) -> Answer:
    """``GET /Autotask/AutotaskExtend/ExecuteCommand.aspx?Code=OpenTicketDetail&TicketID=...``."""
    given = {key.lower(): value for key, value in parameters.items()}
    entity, name = _COMMANDS.get(given.get("code", "").lower(), ("", ""))
    if not entity:
        return _page("Unknown command", "The simulator knows no such Code.", 404)
    number = given.get(name, "")
    row = tenant.rows[entity].get(int(number)) if number.isascii() and number.isdigit() else None
    if row is None and entity == "Tickets" and given.get("ticketnumber"):
        row = next(iter(tenant.rows["Tickets"].where(ticketNumber=given["ticketnumber"])), None)
    if row is None:
        return _page("Not found", f"There is no such row in {entity}.", 404)
    shown = tenant.shown(ENTITIES[entity], row)
    cells = "".join(
        f"<tr><th>{html.escape(key)}</th><td>{html.escape(str(value))}</td></tr>"
        for key, value in shown.items()
        if value not in (None, "", [])
    )
    title = str(row.get("ticketNumber") or row.get("companyName") or row.get("referenceTitle") or row["id"])
    return _page(title, f"<table>{cells}</table>", escape=False)


def _page(title: str, content: str, status: int = 200, *, escape: bool = True) -> Answer:
    body = html.escape(content) if escape else content
    text = (
        f"<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'><title>{html.escape(title)} - simulator</title>"
        f"</head><body><p><strong>This is a simulator of Autotask, not Autotask.</strong></p>"
        f"<h1>{html.escape(title)}</h1>{body}</body></html>"
    )
    return html_answer(status, text.encode())
