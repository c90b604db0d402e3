"""While policies are tried, promoted and taken back at any moment, any order and any duplicates converge all the same."""

from __future__ import annotations

from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import rule

from streams.core.context import parse_context
from streams.core.revisions import standing
from tests.core.spec import policy
from tests.core.test_convergence import _FAST, AnyOrder

#: What may be tried without changing how everything has to end.
TRIED: list[dict[str, Any]] = [
    {"hold": "3s"},
    {"settle": "5s"},
    {"hold": "2s", "settle": "2s", "note_every": 0},
    {"reopen_within": "1h", "note_every": "1s"},
]


class Tried(AnyOrder):
    """The canary's organization is the one of the alerts, or another one; the facts about policies arrive in any order."""

    lifecycle: ClassVar[dict[str, Any]] = {}

    @rule(lifecycle=st.sampled_from(TRIED), organization=st.sampled_from([17, 18]))
    def a_policy_is_tried(self, lifecycle: dict[str, Any], organization: int) -> None:
        fact = policy(self._next(), defaults={"queue": "NOC", "lifecycle": lifecycle})
        self.tried = fact.model_copy(update={"organizations": (organization,)})
        self.on_the_way.append(self.tried)

    @rule()
    def what_is_tried_is_promoted(self) -> None:
        if getattr(self, "tried", None) is not None:
            self.on_the_way.append(self.tried.model_copy(update={"organizations": ()}))

    @rule()
    def what_is_tried_is_taken_back(self) -> None:
        self.on_the_way.append(policy(self._next()))

    def _next(self) -> int:
        self.revision = getattr(self, "revision", 1) + 1
        return self.revision

    def _check_all(self) -> None:
        super()._check_all()
        context = parse_context(self.scene.state[b"~context"])
        published = [policy(), *(fact for fact in self.delivered if hasattr(fact, "revision"))]
        found = standing(published)  # type: ignore[arg-type]
        tried = context.canary.revision if context.canary is not None else 0
        assert (context.revision, tried) == (found.revision, found.canary_revision), "the tools and the agents differ"


TestTried = Tried.TestCase
TestTried.settings = _FAST
