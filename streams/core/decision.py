"""A decision in the making, and what it comes to: named changes, reasons, dispositions and commands.

A ``Draft`` applies each change to its body at once, so that later steps of the same decision see it; the decision then
holds all of them, and ``documents.evolve`` makes the same body of them. Nothing else may touch the body.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from schemas.commands import Command, topic_of
from schemas.envelope import Envelope
from schemas.facts import Fact
from schemas.identity import derived_id
from streams.core.documents import Body, apply


class Issued(NamedTuple):
    """A command with its envelope, and the topic that it goes to."""

    envelope: Envelope
    command: Command
    topic: str


class Told(NamedTuple):
    """A fact for another agent with its envelope, whose key is the receiver's, and the topic that the agent reads."""

    envelope: Envelope
    fact: Fact
    topic: str

    def entry(self) -> dict[str, str]:
        """What the audit record says of it."""
        return {
            "id": self.envelope.id,
            "type": self.envelope.type,
            "topic": self.topic,
            "key": self.envelope.key,
            "value": self.fact.to_json().decode(),
        }


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about one key because of one fact. ``document()`` is what the audit record keeps.

    ``dispositions`` holds those that changed: alert uid to (disposition, reason).
    """

    changes: list[dict[str, Any]]
    reasons: list[dict[str, str]] = field(default_factory=list)
    dispositions: dict[str, tuple[str, str]] = field(default_factory=dict)
    rule: str | None = None
    commands: tuple[Issued, ...] = ()
    told: tuple[Told, ...] = ()

    def document(self) -> dict[str, Any]:
        """As JSON data, without what is empty."""
        result: dict[str, Any] = {}
        if self.changes:
            result["changes"] = self.changes
        if self.reasons:
            result["reasons"] = self.reasons
        if self.dispositions:
            result["dispositions"] = self.dispositions
        if self.rule is not None:
            result["rule"] = self.rule
        if self.told:
            result["told"] = [told.entry() for told in self.told]
        return result


class Draft:
    """The working copy of one key's body while a fact is decided. ``now`` is the fact's recorded time (epoch ms).

    ``rule`` is the last rule that was asked, ``revision`` the policy revision that it stands in.
    """

    __slots__ = (
        "_issued", "_told", "agent", "body", "changes", "dispositions", "envelope", "key", "now", "reasons", "revision", "rule",
    )  # fmt: skip

    def __init__(self, *, agent: str, key: str, body: Body, envelope: Envelope) -> None:
        self.agent = agent
        self.key = key
        self.body = body
        self.envelope = envelope
        self.now = envelope.recorded
        self.changes: list[dict[str, Any]] = []
        self.reasons: list[dict[str, str]] = []
        self.dispositions: dict[str, tuple[str, str]] = {}
        self.rule: str | None = None
        self.revision: int | None = None
        self._issued: dict[str, Issued] = {}
        self._told: dict[str, Told] = {}

    def change(self, name: str, patch: dict[str, Any] | None, *at: str) -> None:
        """One named change: a patch to the entry ``at`` (section, id), to the body itself, or ``None`` to remove it."""
        self.changes.append({"change": name, "at": list(at), "set": patch})
        apply(self.body, list(at), patch)

    def reason(self, noun: str, of: str = "", detail: str = "") -> None:
        """Why nothing, or not more, came of the fact: a noun, what it is about, and one line where that helps."""
        entry = {"reason": noun}
        if of:
            entry["of"] = of
        if detail:
            entry["detail"] = detail
        self.reasons.append(entry)

    def issue(self, command: Command, *, incident: str | None = None, ordinal: int = 1) -> tuple[str, int]:
        """Give out a command. Returns its id and the ordinal that it got (the next free one from ``ordinal``)."""
        identity, ordinal = self._free(self._issued, incident or self.key, command.ce_type, ordinal)
        envelope = self._caused(identity, command.ce_type, key=self.key, about=incident)
        self._issued[identity] = Issued(envelope, command, topic_of(command))
        return identity, ordinal

    def tell(self, fact: Fact, *, key: str, topic: str, about: str | None = None) -> None:
        """Tell another agent a fact, by the key that it concerns there. ``about``: the incident (its external id)."""
        identity, _ = self._free(self._told, key, fact.ce_type, 1)
        self._told[identity] = Told(self._caused(identity, fact.ce_type, key=key, about=about), fact, topic)

    def _free(self, taken: Container[str], scope: str, kind: str, ordinal: int) -> tuple[str, int]:
        """An id that follows from the scope, the fact that is decided and the kind, and its ordinal."""
        while (identity := derived_id(scope, self.envelope.id, kind, ordinal)) in taken:
            ordinal += 1
        return identity, ordinal

    def _caused(self, identity: str, kind: str, *, key: str, about: str | None) -> Envelope:
        """The envelope of what comes of the fact that is decided."""
        return Envelope(
            id=identity,
            type=kind,
            source=f"lockstep/{self.agent}",
            time=self.now,
            recorded=self.now,
            key=key,
            causation_id=self.envelope.id,
            correlation_id=about,
        )

    @property
    def idle(self) -> bool:
        """Whether the fact changed nothing and caused nothing."""
        return not self.changes and not self._issued and not self._told

    def decision(self) -> Decision:
        """What the draft came to."""
        commands, told = tuple(self._issued.values()), tuple(self._told.values())
        return Decision(self.changes, self.reasons, self.dispositions, self.rule, commands, told)
