"""Erasures of personal values: nothing changes for the core, which knows tokens only; the record of it stands in the audit."""

from __future__ import annotations

from collections.abc import Collection

from schemas.facts import ControlFact
from schemas.personal import PersonalDataErased
from streams.core.decision import Draft

#: Which kinds the facts of an agent name.
OF_DEVICES: frozenset[str] = frozenset({"last_user"})
OF_INCIDENTS: frozenset[str] = frozenset({"note_title", "note_text"})


def erased(draft: Draft, fact: ControlFact, kinds: Collection[str]) -> bool:
    """Say what was erased of this key: who did it and how many values. Returns whether anything was."""
    if not isinstance(fact, PersonalDataErased):
        return False
    mine = [entry for entry in fact.erased if entry.key == draft.key and entry.kind in kinds]
    for entry in mine:
        draft.reason("PersonalDataErased", entry.kind, f"{entry.count} by {fact.actor}, asked for {fact.selection}")
    return bool(mine)
