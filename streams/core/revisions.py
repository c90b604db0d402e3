"""Which policy revision counts for whom: one for everybody, and perhaps a canary that some organizations try first.

A canary is in force for its organizations until the same revision is published for all (promoted), or another one is
(which takes it back). At most one is tried at a time: a second one takes the first one's place. Revisions only grow, so
publications that arrive twice or late change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from schemas.facts import PolicyPublished


@dataclass(frozen=True, slots=True)
class Standing:
    """What is in force: for all, and for the canary's ``organizations``."""

    in_force: PolicyPublished | None = None
    canary: PolicyPublished | None = None

    def after(self, fact: PolicyPublished) -> Standing:
        """What is in force after one more publication."""
        if refusal(self.revision, self.canary_revision, fact) is not None:
            return self
        return Standing(self.in_force, fact) if fact.organizations else Standing(fact)

    @property
    def revision(self) -> int:
        """The revision for all, 0 before the first."""
        return self.in_force.revision if self.in_force else 0

    @property
    def canary_revision(self) -> int:
        """The revision that is tried, 0 where none is."""
        return self.canary.revision if self.canary else 0


def refusal(revision: int, canary: int, fact: PolicyPublished) -> str | None:
    """Why a publication changes nothing, as a noun; ``None`` where it comes into force. 0: there is none yet."""
    if fact.organizations and not revision:
        return "NoPolicyForAll"
    if fact.revision == (canary if fact.organizations else revision):
        return "Duplicate"
    if fact.revision < max(revision, canary) or (fact.organizations and fact.revision == revision):
        return "Superseded"
    return None


def standing(publications: Iterable[PolicyPublished]) -> Standing:
    """What is in force after these publications, in the order in which they were written."""
    found = Standing()
    for fact in publications:
        found = found.after(fact)
    return found
