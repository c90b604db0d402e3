"""The agent ``devices``: a NinjaOne device becomes one configuration item, follows its changes and its moves, and is retired.

Facts only move what is known; ``_reconcile`` compares it with what was last asked for and issues the difference.
Fields of a body (times in epoch ms)::

    observed   the last DeviceObserved that counts, without its defaults (while the device exists)
    seen       its observed_at;  removed {at, recorded, cause}
    written    {company, organization, digest, serial, n} of the last UpsertConfigurationItem
    item       {id, company} from its outcome
    moved      {company, item, at}: where the item was before the one that is being made; until that one is there
    retire_at  when the item of a removed device is retired, unless it comes back (timer ``retire``)
    parked     upsert | retire: {reason, detail, organization, ...};  dismissed [reason, organization]
               of a refused command: n, its ordinal; of one that lost its mapping since: refused, the same
    pending    command id: {type, n, company, digest, ..., due when deferred}
"""

from __future__ import annotations

from typing import Any

from schemas.commands import RetireConfigurationItem, UpsertConfigurationItem
from schemas.drift import DriftObserved
from schemas.envelope import rfc3339
from schemas.events import Event
from schemas.facts import (
    CommandSettled,
    ControlFact,
    DeviceObserved,
    DeviceRemoved,
    Fact,
    FieldsCreated,
    ParkedDismissed,
    ParkedRetried,
    Selection,
    TimerFired,
)
from schemas.identity import reference_number
from streams.core import documents
from streams.core.context import Context
from streams.core.decision import Decision, Draft
from streams.core.documents import Body, Timer, copy_of
from streams.core.drift.items_mended import item_drift
from streams.core.erasure import OF_DEVICES, erased
from streams.core.items import content_digest, restored, stored, upsert
from streams.core.mapping import NOT_KNOWN, Unmapped

AGENT = "devices"

#: A deferred command comes again after ten minutes (design section 5, rule 4).
AGAIN_MS = 600_000
_AGAIN, _RETIRE = "again.", "retire"

_UPSERT, _RETIRE_ITEM = UpsertConfigurationItem.__name__, RetireConfigurationItem.__name__


def decide(body: Body, event: Event[Fact], context: Context) -> Decision:
    """The decision about a fact, given the state of its key. Changes nothing that it was given."""
    draft = Draft(agent=AGENT, key=event.envelope.key, body=copy_of(body), envelope=event.envelope)
    decide_into(draft, context, event.data)
    return draft.decision()


def evolve(body: Body, decision: Decision) -> Body:
    """The state after a decision. Changes nothing that it was given."""
    return documents.evolve(copy_of(body), decision.changes)


def decide_into(draft: Draft, context: Context, fact: Fact) -> None:
    """Decide a fact about the draft's key. ``control`` facts are the engine's."""
    match fact:
        case DeviceObserved():
            _observed(draft, context, fact)
        case DeviceRemoved():
            _removed(draft, context, fact)
        case CommandSettled():
            _settled(draft, fact)
        case TimerFired():
            _timer_fired(draft, context, fact)
        case DriftObserved():
            item_drift(draft, context, fact, again=lambda: _reconcile(draft, context, force=True))
        case _:
            draft.reason("NotForDevices", detail=fact.ce_type)


def timers_of(body: Body) -> list[Timer]:
    """The timers that a body asks for, the earliest first."""
    timers = [
        Timer(entry["due"], _AGAIN + identity) for identity, entry in body.get("pending", {}).items() if "due" in entry
    ]
    if "retire_at" in body:
        timers.append(Timer(body["retire_at"], _RETIRE))
    return sorted(timers)


def mapping_changed(draft: Draft, context: Context) -> None:
    """Policy, companies or organizations changed: ask again what the item should look like."""
    if "observed" in draft.body or "removed" in draft.body:
        _reconcile(draft, context)


def _observed(draft: Draft, context: Context, fact: DeviceObserved) -> None:
    body = draft.body
    if fact.observed_at <= body.get("seen", -1):
        same = fact.observed_at == body["seen"] and body.get("observed", {}).get("digest") == fact.digest
        return draft.reason("Duplicate" if same else "Superseded")
    if fact.observed_at <= body.get("removed", {}).get("at", -1):
        return draft.reason("Superseded", detail="the device was removed since")
    if fact.approval_status != "APPROVED":
        draft.change("DeviceSeen", {"seen": fact.observed_at})
        return draft.reason("PendingApproval", detail=fact.approval_status)
    back = {"removed": None, "retire_at": None} if "removed" in body else {}
    draft.change("DeviceBack" if back else "DeviceSeen", {"seen": fact.observed_at, "observed": stored(fact), **back})
    # Where another device has this serial, it may have taken the item over while this one was gone.
    return _reconcile(draft, context, force=bool(back and fact.serial_twins))


def _removed(draft: Draft, context: Context, fact: DeviceRemoved) -> None:
    body = draft.body
    if fact.removed_at < body.get("seen", -1):
        return draft.reason("Superseded", detail="the device was seen since")
    if "removed" in body:
        # Told twice, by the activity and by the sweep: the earlier recorded one keeps its grace.
        if fact.removed_at > body["removed"]["at"]:
            draft.change("RemovalConfirmed", {"removed": {**body["removed"], "at": fact.removed_at}})
        return draft.reason("Duplicate")
    removed = {"at": fact.removed_at, "recorded": draft.now, "cause": fact.cause}
    draft.change("DeviceRemoved", {"removed": removed, "observed": None})
    return _reconcile(draft, context)


def _reconcile(draft: Draft, context: Context, *, ordinal: int = 1, force: bool = False) -> None:
    """Issue what stands between the last command and what the item should be now. ``force``: even if it is the same."""
    if "removed" in draft.body:
        return _reconcile_removed(draft, context, now=draft.now)
    if "observed" not in draft.body:
        return None
    fact = restored(draft.body["observed"])
    organization = fact.subject.organization_id
    written = draft.body.get("written")
    found = context.company_of(organization, fact.subject.organization_name)
    if isinstance(found, Unmapped):
        # A mapping that was lost (an entry slipped, a company renamed) retires nothing; a device that left does, unless
        # nobody knows yet that it went to another company.
        if written is not None and written["organization"] != organization and found.reason != NOT_KNOWN:
            _moved_away(draft, written, f"{_place(fact)}, which has no company in Autotask yet")
        return _park(draft, "upsert", found.reason, found.detail, organization, **_refused(draft))
    if written is not None and written["company"] != found.company_id:
        _moved_away(draft, written, f"{_place(fact)}, {_company(context, found.company_id)}")
        written = None
    note = _arrived(draft, context, found.company_id)
    command = upsert(
        key=draft.key, fact=fact, company_id=found.company_id, policy=context.in_force(organization), note=note
    )
    digest = content_digest(command)
    parked = draft.body.get("parked", {}).get("upsert", {})
    if written is not None and written["digest"] == digest and not force and "refused" not in parked:
        if written["organization"] != organization:
            draft.change("OrganizationFollowed", {"written": {**written, "organization": organization}})
        if "n" in parked:
            return draft.reason("StillParked")
        if parked:
            # It waited for its mapping alone, and the item is as it should be.
            draft.change("Unparked", None, "parked", "upsert")
        return draft.reason("Unchanged")
    item = draft.body.get("item")
    if item is not None and item["company"] == found.company_id:
        command = command.model_copy(update={"item_id": item["id"]})
    identity, got = draft.issue(command, ordinal=ordinal)
    asked = {
        "company": found.company_id,
        "organization": organization,
        "digest": digest,
        "serial": fact.serial,
        "n": got,
    }
    draft.change("ItemAsked", {"written": asked, "dismissed": None})
    draft.change("CommandAwaited", {"type": _UPSERT, **asked}, "pending", identity)
    if "upsert" in draft.body.get("parked", {}):
        draft.change("Unparked", None, "parked", "upsert")
    return None


def _reconcile_removed(draft: Draft, context: Context, *, now: int) -> None:
    written = draft.body.get("written")
    if "upsert" in draft.body.get("parked", {}):
        draft.change("Unparked", None, "parked", "upsert")
    policy = context.policy_of(written["organization"]) if written is not None else None
    if written is None or policy is None:
        return draft.reason("NothingToRetire")
    if policy.on_delete == "keep":
        if "retire_at" in draft.body:
            draft.change("RetirementCalledOff", {"retire_at": None})
        return draft.reason("KeptByPolicy")
    due = draft.body["removed"]["recorded"] + policy.grace_ms
    if now >= due:
        if "retire_at" in draft.body:
            draft.change("GraceOver", {"retire_at": None})
        gone = rfc3339(draft.body["removed"]["at"])[:10]
        return _retire(draft, {**written, "note": f"Lockstep: the device was removed from NinjaOne on {gone}."})
    if draft.body.get("retire_at") != due:
        draft.change("GraceBegun", {"retire_at": due})
    return draft.reason("WithinGrace")


def _retire(draft: Draft, written: dict[str, Any], *, ordinal: int = 1) -> None:
    """Retire the item in the company that it was written to. The executor reads first whether it is still this device's."""
    item = draft.body.get("item")
    known = item is not None and item["company"] == written["company"]
    command = RetireConfigurationItem(
        key=draft.key,
        effect_key=draft.key,
        organization_id=written["organization"],
        company_id=written["company"],
        reference_number=reference_number(draft.key),
        serial=written["serial"],
        item_id=item["id"] if known and item is not None else written.get("item_id"),
        note=written.get("note", ""),
    )
    identity, got = draft.issue(command, ordinal=ordinal)
    draft.change("ItemGivenUp", {"written": None, "item": None} if known else {"written": None})
    entry = {"type": _RETIRE_ITEM, **written, "n": got, "item_id": command.item_id}
    draft.change("CommandAwaited", {k: v for k, v in entry.items() if v is not None}, "pending", identity)


def _moved_away(draft: Draft, written: dict[str, Any], whereto: str) -> None:
    """Autotask cannot move an item: the old one is retired and says where to, the new one will say where from."""
    item = draft.body.get("item")
    known = item is not None and item["company"] == written["company"]
    before = {"company": written["company"], "item": item["id"] if known and item else None, "at": draft.now}
    moved = {name: value for name, value in before.items() if value is not None}
    _retire(draft, {**written, "note": f"Lockstep: moved on {rfc3339(draft.now)[:10]} to {whereto}."})
    draft.change("DeviceMoved", {"moved": moved})


def _arrived(draft: Draft, context: Context, company: int) -> str:
    """The line of history for an item that follows another one, empty where there was none before."""
    moved = draft.body.get("moved")
    if moved is None or moved["company"] == company:
        return ""
    item = f" (item {moved['item']})" if "item" in moved else ""
    day = rfc3339(moved["at"])[:10]
    return f"Lockstep: moved here on {day} from {_company(context, moved['company'])}{item}."


def _place(fact: DeviceObserved) -> str:
    where = fact.subject
    return f"NinjaOne organization {where.organization_id} '{where.organization_name}'"


def _company(context: Context, company: int) -> str:
    known = context.companies.get(company)
    return f"company {company}" + (f" '{known.name}'" if known is not None else "")


def _park(draft: Draft, kind: str, reason: str, detail: str, organization: int, **more: Any) -> None:
    entry = {"reason": reason, "detail": detail, "organization": organization, **more}
    if draft.body.get("dismissed") == [reason, organization]:
        return draft.reason("Dismissed", detail=reason)
    if draft.body.get("parked", {}).get(kind) == entry:
        return draft.reason("StillParked", detail=reason)
    gone = {name: None for name in ("n", "refused") if name in draft.body.get("parked", {}).get(kind, {})}
    draft.change("Parked", {"detail": None, **gone, **entry}, "parked", kind)
    return draft.reason(reason, detail=detail)


def _refused(draft: Draft) -> dict[str, int]:
    """The ordinal of a refused command, if one is parked: it is to be asked again once there is a company."""
    parked = draft.body.get("parked", {}).get("upsert", {})
    ordinal = parked.get("n", parked.get("refused"))
    return {} if ordinal is None else {"refused": ordinal}


def _settled(draft: Draft, fact: CommandSettled) -> None:
    pending: dict[str, Any] | None = draft.body.get("pending", {}).get(fact.command_id)
    if pending is None or "due" in pending:
        return draft.reason("NotAwaited", fact.command_id)
    wanted = _wanted(draft, pending)
    if fact.outcome in ("Deferred", "Withdrawn") and wanted:
        return draft.change("CommandDeferred", {"due": draft.now + AGAIN_MS}, "pending", fact.command_id)
    draft.change("CommandSettled", None, "pending", fact.command_id)
    if fact.outcome == "Succeeded":
        if pending["type"] == _UPSERT and fact.item_id is not None and wanted:
            item = {"id": fact.item_id, "company": fact.company_id or pending["company"]}
            if draft.body.get("item") != item:
                draft.change("ItemKnown", {"item": item})
            if "moved" in draft.body:
                draft.change("MoveTold", {"moved": None})
        return draft.reason(fact.reason, detail=fact.detail) if fact.reason else None
    if not wanted:
        return draft.reason("Superseded", fact.command_id, f"{fact.outcome} {fact.reason}".strip())
    if fact.outcome == "Rejected":
        kind, more = ("upsert", {}) if pending["type"] == _UPSERT else ("retire", {"asked": pending})
        more = {**more, "n": pending["n"]}
        reason = fact.reason or "ItemRejected"
        _park(draft, kind, reason, fact.detail, pending["organization"], **more)
    return None


def _wanted(draft: Draft, pending: dict[str, Any]) -> bool:
    """Whether a command's effect is still the one to bring about: no newer write, and the device not back again."""
    written = draft.body.get("written")
    if pending["type"] == _UPSERT:
        return written is not None and (written["company"], written["digest"]) == (
            pending["company"],
            pending["digest"],
        )
    return written is None or bool(written["company"] != pending["company"])


def _timer_fired(draft: Draft, context: Context, fact: TimerFired) -> None:
    if fact.timer == _RETIRE:
        if draft.body.get("retire_at") != fact.due_at:
            return draft.reason("TimerNotPending", fact.timer)
        return _reconcile_removed(draft, context, now=max(draft.now, fact.due_at))
    identity = fact.timer.removeprefix(_AGAIN)
    pending: dict[str, Any] | None = draft.body.get("pending", {}).get(identity)
    if pending is None or pending.get("due") != fact.due_at:
        return draft.reason("TimerNotPending", fact.timer)
    draft.change("TimerTaken", None, "pending", identity)
    if not _wanted(draft, pending):
        return draft.reason("Superseded", identity)
    return _again(draft, context, pending)


def _again(draft: Draft, context: Context, pending: dict[str, Any]) -> None:
    """The effect of a former command once more, with the next ordinal."""
    if pending["type"] == _UPSERT:
        return _reconcile(draft, context, ordinal=pending["n"] + 1, force=True)
    before = draft.body.get("written")
    asked = {name: value for name, value in pending.items() if name not in ("type", "due", "n")}
    _retire(draft, asked, ordinal=pending["n"] + 1)
    if before is not None:
        # The device lives in another company by now; giving up the old item leaves the new one as it is.
        draft.change("ItemKept", {"written": before})
    return None


def asked_by_operator(draft: Draft, context: Context, fact: ControlFact) -> bool:
    """Retry or dismiss what is parked here, if it is selected; write an item once more whose fields were created.

    Returns whether anything was meant.
    """
    if isinstance(fact, FieldsCreated):
        return _fields_created(draft, context, fact)
    if not isinstance(fact, ParkedRetried | ParkedDismissed):
        return erased(draft, fact, OF_DEVICES)
    chosen = [
        (kind, entry)
        for kind, entry in sorted(draft.body.get("parked", {}).items())
        if _selects(fact.selection, draft.key, entry["organization"], entry["reason"])
    ]
    for kind, entry in chosen:
        if isinstance(fact, ParkedDismissed):
            draft.change("ParkedDismissed", None, "parked", kind)
            if kind == "upsert" and "n" not in entry:
                draft.change("Dismissed", {"dismissed": [entry["reason"], entry["organization"]]})
            draft.reason("Dismissed", kind, f"{fact.actor}: {fact.note}")
        elif kind == "retire":
            draft.change("Unparked", None, "parked", kind)
            _again(draft, context, entry["asked"])
        else:
            _reconcile(draft, context, ordinal=entry.get("n", 0) + 1, force="n" in entry)
    return bool(chosen)


def _fields_created(draft: Draft, context: Context, fact: FieldsCreated) -> bool:
    """An item that was written without fields that did not exist then looks unchanged to us, and is written again."""
    if context.policy is None or "written" not in draft.body or "observed" not in draft.body:
        return False
    policy = context.in_force(draft.body["observed"]["subject"]["organization_id"])
    wanted = {name.casefold() for name in policy.devices.fields.values()}
    if not wanted & {name.casefold() for name in fact.fields}:
        return False
    _reconcile(draft, context, force=True)
    return True


def _selects(selection: Selection, key: str, organization: int, reason: str) -> bool:
    if selection.because not in (None, reason):
        return False
    return selection.everything or key in selection.ids or selection.organization_id == organization
