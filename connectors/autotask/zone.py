"""Which server keeps this API user's data: the checks that decide whether our secrets may be sent there."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from schemas.autotask import Zone

_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_VENDOR = ".autotask.net"


class ZoneRefused(ValueError):
    """The discovery answered with an address that our credentials must not be sent to; one line says which and why."""


def api_base(discovery_url: str, zone: Zone) -> str:
    """The base address of all calls, ``https://host/ATServicesRest/V1.0``. Raises ``ZoneRefused``.

    The secret travels in a header of each call, so an answer that was tampered with must not be able to redirect it:
    https only, at the vendor (``*.autotask.net``) or where the discovery itself is; on loopback only loopback.
    """
    asked, told = urlsplit(discovery_url), urlsplit(zone.url)
    host, home = (told.hostname or "").lower(), (asked.hostname or "").lower()
    if not host or told.scheme not in ("https", "http"):
        raise ZoneRefused(f"the zone address '{zone.url}' is not a web address")
    if home in _LOOPBACK or host in _LOOPBACK:
        if home not in _LOOPBACK or host not in _LOOPBACK:
            raise ZoneRefused(
                f"discovery at {home} named the zone host {host}; from this machine only this machine is accepted"
            )
    elif told.scheme != "https":
        raise ZoneRefused(
            f"the zone address {told.scheme}://{host} is not https; credentials are not sent in the clear"
        )
    elif host != home and not (host.endswith(_VENDOR) and home.endswith(_VENDOR)):
        raise ZoneRefused(f"discovery at {home} named the zone host {host}, which is not at {_VENDOR[1:]}")
    # Older answers carry a doubled slash in the path; joined as it is, every call would be a 404.
    parts = [part for part in told.path.split("/") if part]
    if parts and parts[-1].lower() == "v1.0":
        parts.pop()
    path = "/".join(parts)
    return urlunsplit((told.scheme, told.netloc, f"/{path}/V1.0" if path else "/V1.0", "", ""))


def web_base(zone: Zone) -> str:
    """The base of links for people (``https://ww14.autotask.net``), empty where the answer has none that is usable."""
    parts = urlsplit(zone.web_url)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        return ""
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        return ""
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def ticket_link(web: str, ticket_id: int) -> str:
    """Opens a ticket (vendor help, ExecuteCommand: ``OpenTicketDetail`` with ``TicketID``; a sign-in is needed)."""
    return f"{web}/Autotask/AutotaskExtend/ExecuteCommand.aspx?Code=OpenTicketDetail&TicketID={ticket_id}"


def item_link(web: str, item_id: int) -> str:
    """Opens a configuration item (``EditInstalledProduct`` with ``InstalledProductID``)."""
    return f"{web}/Autotask/AutotaskExtend/ExecuteCommand.aspx?Code=EditInstalledProduct&InstalledProductID={item_id}"


def company_link(web: str, company_id: int) -> str:
    """Opens a company (``OpenAccount`` with ``AccountID``)."""
    return f"{web}/Autotask/AutotaskExtend/ExecuteCommand.aspx?Code=OpenAccount&AccountID={company_id}"
