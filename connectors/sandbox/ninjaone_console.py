"""The page behind a device link (``/#/deviceDashboard/<id>/overview``): says that it is a simulator, shows the device.

The device id stands in the fragment, which a browser never sends, so a few lines of script read it and ask the
control surface. Everything is written as text, never as markup.
"""

from __future__ import annotations

import base64
import hashlib

from connectors.sandbox.answers import Answer

_SCRIPT = """
const main = document.querySelector("main");
function add(parent, tag, text) {
  const made = document.createElement(tag);
  made.textContent = text;
  parent.append(made);
  return made;
}
async function show() {
  main.replaceChildren();
  const found = location.hash.match(/deviceDashboard\\/([0-9]+)/);
  const state = await (await fetch("/_sandbox/state?since=999999999")).json();
  const device = found && state.devices.find((row) => row.id === Number(found[1]));
  if (!device) {
    add(main, "h1", found ? "There is no device " + found[1] : "Devices");
    const list = add(main, "ul", "");
    for (const row of found ? [] : state.devices) {
      add(add(list, "li", ""), "a", row.systemName).href = "#/deviceDashboard/" + row.id + "/overview";
    }
    return;
  }
  const organization = state.organizations.find((row) => row.id === device.organizationId);
  add(main, "h1", device.displayName || device.systemName);
  add(main, "p", (organization ? organization.name : "") + ", " + (device.offline ? "offline" : "online"));
  add(main, "h2", "Active alerts");
  const alerts = add(main, "ul", "");
  const active = state.alerts.filter((row) => row.deviceId === device.id);
  for (const row of active) add(alerts, "li", (row.severity || "") + " " + row.message);
  if (!active.length) add(alerts, "li", "None");
  const table = add(main, "table", "");
  for (const [key, value] of Object.entries(device)) {
    const line = add(table, "tr", "");
    add(line, "th", key);
    add(line, "td", typeof value === "object" ? JSON.stringify(value) : String(value));
  }
}
addEventListener("hashchange", show);
show();
"""

_HASH = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
_STYLE = "body{font:16px/1.5 system-ui,sans-serif;margin:2rem;max-width:60rem}th{text-align:left;vertical-align:top;padding-right:1rem}"
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_PAGE = (
    "<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'><title>NinjaOne simulator</title>"
    f"<style>{_STYLE}</style></head><body>"
    "<p><strong>This is a simulator of NinjaOne, not NinjaOne.</strong></p><main></main>"
    f"<script>{_SCRIPT}</script></body></html>"
).encode()


def console_page() -> Answer:
    """The one page of the simulated console."""
    return Answer(
        200,
        _PAGE,
        {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": (
                f"default-src 'none'; script-src 'sha256-{_HASH}'; style-src 'sha256-{_STYLE_HASH}'; connect-src 'self'"
            ),
        },
    )
