"""Publishing a policy: which revision it gets, for whom it is in force, and what becomes of a canary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from schemas.facts import PolicyPublished
from streams import policy_log
from streams.core.revisions import standing
from streams.kafka_options import KafkaOptions
from streams.policy_log import NothingToTry, Published, Revision, publish_policy

pytestmark = pytest.mark.asyncio

OLD, NEW, NEWER = '{"version":1}', '{"version":1,"rules":[]}', '{"version":1,"devices":{}}'


class Log:
    """The topic ``control``, as far as policies go."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.written: list[Any] = []

        async def revisions(options: KafkaOptions) -> list[Revision]:
            return [Revision(publication.fact, 1) for publication in self.written]

        monkeypatch.setattr(policy_log, "policy_revisions", revisions)

    async def publish(self, publications: Sequence[Any]) -> None:
        self.written += publications

    async def put(self, document: str, *organizations: int) -> Published:
        return await publish_policy(
            self,  # type: ignore[arg-type]
            KafkaOptions(bootstrap_servers="127.0.0.1:1"),
            document,
            now=lambda: 1,
            author="ann",
            organizations=organizations,
        )

    @property
    def facts(self) -> list[PolicyPublished]:
        return [publication.fact for publication in self.written]


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    return Log(monkeypatch)


async def test_revisions_count_up_and_what_is_in_force_is_not_published_again(log: Log) -> None:
    assert [(await log.put(document)).revision for document in (OLD, OLD, NEW, OLD)] == [1, 1, 2, 3]
    assert [fact.revision for fact in log.facts] == [1, 2, 3]


async def test_a_canary_is_promoted_as_the_revision_that_was_tried(log: Log) -> None:
    await log.put(OLD)
    tried = await log.put(NEW, 23, 17, 17)
    assert (tried.revision, log.facts[-1].organizations) == (2, (17, 23))
    assert (await log.put(NEW, 17, 23)).published is False
    promoted = await log.put(NEW)
    assert (promoted.revision, promoted.promoted, promoted.ended) == (2, True, None)
    found = standing(log.facts)
    assert (found.revision, found.canary) == (2, None)
    assert len({publication.id for publication in log.written}) == 3, "a promotion is not taken for its canary again"


async def test_publishing_what_is_in_force_takes_a_canary_back(log: Log) -> None:
    await log.put(OLD)
    await log.put(NEW, 17)
    back = await log.put(OLD)
    assert (back.revision, back.published) == (3, True)
    assert back.ended is not None
    assert (back.ended.revision, standing(log.facts).canary) == (2, None)


async def test_trying_what_is_in_force_for_all_is_nothing_to_publish(log: Log) -> None:
    await log.put(OLD)
    assert (await log.put(OLD, 17)) == Published(revision=1, published=False)


async def test_other_organizations_or_another_policy_are_another_canary(log: Log) -> None:
    await log.put(OLD)
    assert [(await log.put(*given)).revision for given in ((NEW, 17), (NEW, 17, 23), (NEWER, 23))] == [2, 3, 4]
    found = standing(log.facts)
    assert (found.revision, found.canary_revision) == (1, 4)


async def test_there_is_nothing_to_try_before_a_policy_is_in_force_for_all(log: Log) -> None:
    with pytest.raises(NothingToTry, match="publish one for all before"):
        await log.put(NEW, 17)
    assert log.written == []
