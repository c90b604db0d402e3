"""Reports ``/v2/queries/*`` with cursor paging (reference sections 3.1 and 4.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from connectors.sandbox.answers import Answer, json_answer
from connectors.sandbox.ninjaone_catalogue import Row
from connectors.sandbox.ninjaone_devices import Device
from connectors.sandbox.ninjaone_errors import ApiError
from connectors.sandbox.ninjaone_paging import device_filter, int_param
from connectors.sandbox.ninjaone_store import Store
from connectors.sandbox.routing import Routes
from connectors.sandbox.settings import Settings
from connectors.sandbox.vendor import Call
from schemas.identity import derived_id

#: Reports this tenant has no rows for: the real API answers an empty result as well.
_EMPTY = (
    "antivirus-threats",
    "backup/usage",
    "os-patches",
    "os-patch-installs",
    "software-patches",
    "software-patch-installs",
    "policy-overrides",
    "raid-controllers",
    "raid-drives",
)


@dataclass(slots=True)
class Cursor:
    """A report under way: its rows as they were when it began, how far it was read, when it expires."""

    report: str
    rows: list[Row]
    offset: int
    expires: float


class ReportsApi:
    """Handlers of the reports."""

    def __init__(self, *, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._cursors: dict[str, Cursor] = {}
        self._opened = 0

    def declare(self, routes: Routes) -> None:
        """Add the routes."""
        for name, rows_of in self._reports().items():
            routes.add("GET", f"/v2/queries/{name}", "queries", self._handler(name, rows_of))

    def _reports(self) -> dict[str, Callable[[Device], Iterator[Row]]]:
        reports: dict[str, Callable[[Device], Iterator[Row]]] = {
            "device-health": self._health,
            "operating-systems": lambda device: _single(device.row.get("os")),
            "computer-systems": lambda device: _single(device.row.get("system")),
            "processors": lambda device: iter(device.row.get("processors", [])),
            "volumes": lambda device: iter(device.row.get("volumes", [])),
            "disks": lambda device: iter(device.disks),
            "network-interfaces": lambda device: iter(device.interfaces),
            "software": lambda device: iter(device.software),
            "windows-services": lambda device: iter(device.services),
            "logged-on-users": self._users,
            "antivirus-status": self._antivirus,
        }
        for name in (
            "custom-fields",
            "custom-fields-detailed",
            "scoped-custom-fields",
            "scoped-custom-fields-detailed",
        ):
            reports[name] = lambda device: _single({"fields": device.custom_fields} if device.custom_fields else None)
        for name in _EMPTY:
            reports[name] = lambda device: iter(())
        return reports

    def _handler(self, name: str, rows_of: Callable[[Device], Iterator[Row]]) -> Callable[[Call], Answer]:
        timed = not name.endswith("custom-fields") and name != "device-health"

        def handle(call: Call) -> Answer:
            largest = 10_000 if "custom-fields" in name else None
            size = int_param(call, "pageSize", minimum=1, maximum=largest) or 1000
            cursor_name = call.query("cursor")
            if cursor_name:
                return self._next(name, cursor_name, size)
            wanted = device_filter(call, self._store.fleet)
            stamp = {"timestamp": self._store.now()} if timed else {}
            rows = [
                {"deviceId": device.id, **stamp, **row}
                for _, device in sorted(self._store.fleet.devices.items())
                if wanted.matches(device.row)
                for row in rows_of(device)
            ]
            return self._first(name, _chosen_fields(call, rows), size)

        return handle

    def _first(self, report: str, rows: list[Row], size: int) -> Answer:
        self._opened += 1
        expires = self._store.now() + self._settings["cursor_lifetime_seconds"]
        name = derived_id("cursor", report, self._opened, repr(expires))
        self._cursors[name] = Cursor(report, rows, 0, expires)
        return self._page(name, size)

    def _next(self, report: str, name: str, size: int) -> Answer:
        cursor = self._cursors.get(name)
        if cursor is None or cursor.report != report or cursor.expires <= self._store.clock.now():
            self._cursors.pop(name, None)
            raise ApiError(400, "the cursor is unknown or expired", "INVALID_CURSOR")
        return self._page(name, size)

    def _page(self, name: str, size: int) -> Answer:
        cursor = self._cursors[name]
        rows = cursor.rows[cursor.offset : cursor.offset + size]
        cursor.offset += len(rows)
        ended = cursor.offset >= len(cursor.rows)
        if ended and (self._settings["report_end"] == "no_cursor" or not rows):
            del self._cursors[name]
            return json_answer({"results": rows})
        shown = {"name": name, "offset": cursor.offset, "count": len(cursor.rows), "expires": cursor.expires}
        return json_answer({"cursor": shown, "results": rows})

    def _health(self, device: Device) -> Iterator[Row]:
        alerts = self._store.alerts_of(device.id)
        yield {
            "healthStatus": "NEEDS_ATTENTION" if alerts else "HEALTHY",
            "offline": bool(device.row.get("offline")),
            "parentOffline": False,
            "alertCount": len(alerts),
            "activeJobCount": 0,
            "activeThreatsCount": 0,
            "quarantinedThreatsCount": 0,
            "blockedThreatsCount": 0,
            "failedOSPatchesCount": 0,
            "pendingOSPatchesCount": 0,
            "failedSoftwarePatchesCount": 0,
            "pendingSoftwarePatchesCount": 0,
            "productsInstallationStatuses": {},
            "installationIssuesCount": 0,
        }

    def _users(self, device: Device) -> Iterator[Row]:
        user = device.row.get("lastLoggedInUser")
        return _single({"userName": user, "logonTime": device.row["lastUpdate"]} if user else None)

    def _antivirus(self, device: Device) -> Iterator[Row]:
        windows = str(device.row["nodeClass"]).startswith("WINDOWS")
        return _single({"productName": "Example Antivirus", "productState": "ON"} if windows else None)


def _single(row: Row | None) -> Iterator[Row]:
    if row is not None:
        yield row


def _chosen_fields(call: Call, rows: list[Row]) -> list[Row]:
    """``fields=a,b`` of the custom field reports."""
    chosen = call.query("fields")
    if not chosen:
        return rows
    names = set(chosen.split(","))
    return [
        {**row, "fields": {key: value for key, value in row["fields"].items() if key in names}}
        if "fields" in row
        else row
        for row in rows
    ]
