"""Policy revisions in the log: reading them, and publishing one for everybody or for some organizations first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from connectors.ports import Now, Publication
from schemas.envelope import DecodeError
from schemas.events import decode_fact
from schemas.facts import PolicyPublished
from schemas.identity import derived_id
from schemas.topics import CONTROL
from streams.core.revisions import Standing, standing
from streams.kafka_options import KafkaOptions
from streams.log import KafkaLog
from streams.policy_file import read_policy
from streams.readers import read_all
from streams.settings import Settings


class NothingToTry(ValueError):
    """A canary that cannot be published, or one to end that is not there; one line."""


@dataclass(frozen=True, slots=True)
class Revision:
    """A publication of a policy revision; ``at`` is epoch ms. A canary that was promoted has two."""

    fact: PolicyPublished
    at: int


async def policy_revisions(options: KafkaOptions) -> list[Revision]:
    """Every publication that the log still has, the first sight of each, in the order in which they were written."""
    found: dict[tuple[int, tuple[int, ...]], Revision] = {}
    async for record in read_all(options, CONTROL, partitions=[0]):
        try:
            event = decode_fact(record.headers, record.value)
        except DecodeError:
            continue  # the agents keep it as a dead letter; here it only means: not a policy
        fact = event.data
        if isinstance(fact, PolicyPublished):
            found.setdefault((fact.revision, fact.organizations), Revision(fact, event.envelope.recorded))
    return list(found.values())


async def policy_standing(options: KafkaOptions) -> Standing:
    """What is in force, for all and for those who try a canary."""
    return standing(revision.fact for revision in await policy_revisions(options))


async def policy_in_force(options: KafkaOptions) -> PolicyPublished | None:
    """The policy revision that is in force for all, or ``None`` before the first."""
    return (await policy_standing(options)).in_force


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What came of publishing: the revision that is now in force, whether that is new, and what became of a canary."""

    revision: int
    published: bool
    promoted: bool = False
    ended: PolicyPublished | None = None


async def publish_policy(
    log: KafkaLog,
    options: KafkaOptions,
    document: str,
    *,
    now: Now,
    author: str,
    note: str = "",
    organizations: Sequence[int] = (),
) -> Published:
    """Put a policy into force for every partition; with ``organizations``, as a canary for these only.

    ``document`` is canonical JSON of a policy that passed its check. What is in force already is not published again;
    publishing for all what a canary says promotes it, publishing anything else for all ends it. Raises ``NothingToTry``.
    """
    revisions = await policy_revisions(options)
    current = standing(revision.fact for revision in revisions)
    fact, known = _next(current, [revision.fact.revision for revision in revisions], document, tuple(organizations))
    if known:
        return Published(revision=fact.revision, published=False)
    fact = fact.model_copy(update={"author": author, "note": note})
    canary = current.canary if not fact.organizations else None
    promoted = canary is not None and canary.revision == fact.revision
    # A promotion has the revision and the document of its canary, and must not pass for the same publication.
    marks: tuple[str | int, ...] = ("canary", *fact.organizations) if fact.organizations else ()
    identity = derived_id("policy", fact.revision, document, *marks)
    await log.publish(
        [Publication(topic=CONTROL, key="policy", id=identity, source="lockstep/policy", time=now(), fact=fact)]
    )
    ended = canary if canary is not None and not promoted else None
    return Published(revision=fact.revision, published=True, promoted=promoted, ended=ended)


def _next(
    current: Standing, revisions: Sequence[int], document: str, organizations: tuple[int, ...]
) -> tuple[PolicyPublished, bool]:
    """The publication that puts a document into force, and whether it already is."""
    in_force, canary = current.in_force, current.canary
    wanted = tuple(sorted(set(organizations)))
    if wanted and in_force is None:
        raise NothingToTry("there is no policy in force yet: publish one for all before one for some organizations")
    if wanted and canary is not None and (canary.document, canary.organizations) == (document, wanted):
        return canary, True
    if in_force is not None and in_force.document == document and (wanted or canary is None):
        return in_force, True
    promoted = not wanted and canary is not None and canary.document == document
    number = canary.revision if promoted and canary is not None else max(revisions, default=0) + 1
    return PolicyPublished(revision=number, document=document, organizations=wanted), False


async def first_policy(
    settings: Settings, log: KafkaLog, options: KafkaOptions, *, now: Now, tell: Callable[[str], None]
) -> None:
    """Publish the policy file at the first start; later, say when the file differs from what is in force.

    Raises ``PolicyFileError`` only where there is nothing in force yet.
    """
    current = await policy_standing(options)
    if current.in_force is None:
        document = read_policy(settings.policy_path).document
        first = await publish_policy(log, options, document, now=now, author="first start")
        tell(f"policy {settings.policy_path} published as revision {first.revision}")
        return
    try:
        document = read_policy(settings.policy_path).document
        if document == current.in_force.document:
            return
        difference = f"differs from revision {current.revision}, which is in force"
        if current.canary is not None and document == current.canary.document:
            told = organizations_told(current.canary.organizations)
            tell(f"policy file {settings.policy_path} is revision {current.canary_revision}, which {told} try")
            return
    except ValueError as error:
        difference = f"cannot be used ({error}); revision {current.revision} is in force"
    tell(f"policy file {settings.policy_path} {difference}; 'lockstep policy publish' puts the file into force")


def organizations_told(organizations: Sequence[int]) -> str:
    """Organizations for people: ``organizations 17, 23``."""
    return f"organization{'s' * (len(organizations) != 1)} {', '.join(map(str, organizations))}"
