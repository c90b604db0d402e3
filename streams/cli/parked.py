"""``lockstep parked list | held | retry | dismiss``: work that waits for a human, and records that could not be understood."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import click

from connectors.ports import Publication
from schemas.envelope import rfc3339
from schemas.facts import ParkedDismissed, ParkedRetried, Selection
from schemas.identity import derived_id
from schemas.topics import CONTROL
from streams import handling
from streams.cli.base import Failure, actor, common, run, say, say_json, say_table, settings_of
from streams.cli.main import Group
from streams.clock import clock_of
from streams.core.views import ParkedItem, WaitingAlert
from streams.dead_letters import DEAD_ERROR, DEAD_OFFSET, DEAD_TIME, DeadLetter
from streams.kafka_options import KafkaOptions
from streams.log import KafkaLog
from streams.policy_known import meant as nearest
from streams.policy_known import organizations
from streams.settings import Settings
from streams.views import parked, waiting
from streams.wiring import kafka_options
from streams.wording import counted, cut

#: Of the error of a dead letter a person is shown so much; ``--json`` has all.
_ERROR = 160

Verb = Literal["retried", "dismissed"]
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Choice:
    """What an operator named. Empty: everything."""

    ids: tuple[str, ...] = ()
    organization: int | None = None
    because: str | None = None

    def means_work(self, entry: ParkedItem) -> bool:
        """Whether this piece of parked work is meant."""
        named = not self.ids or entry.id in self.ids or entry.key in self.ids
        return named and self._fits(entry.organization_id, entry.reason)

    def means_letter(self, letter: DeadLetter) -> bool:
        """Whether this dead letter is meant."""
        named = not self.ids or not {letter.id, *letter.other_ids}.isdisjoint(self.ids)
        return named and self._fits(letter.organization_id, letter.reason)

    def _fits(self, organization: int | None, reason: str) -> bool:
        return self.organization in (None, organization) and self.because in (None, reason)


@dataclass(slots=True)
class Found:
    """Parked work and dead letters, as they are or as they are meant.

    ``already``: letters that were dealt with before; ``skipped``: letters that cannot be read again, of a selection that
    did not name them. ``organizations`` are NinjaOne's by id, as far as it matters which there are.
    """

    work: list[ParkedItem] = field(default_factory=list)
    letters: list[DeadLetter] = field(default_factory=list)
    already: list[DeadLetter] = field(default_factory=list)
    skipped: list[DeadLetter] = field(default_factory=list)
    organizations: Mapping[int, str] = field(default_factory=dict)

    def counts(self) -> list[dict[str, Any]]:
        """How many of each, by organization and reason, the most first."""
        counter: Counter[tuple[str, int | None, str]] = Counter()
        counter.update(("parked", entry.organization_id, entry.reason) for entry in self.work)
        counter.update(("dead letter", letter.organization_id, letter.reason) for letter in self.letters)
        ordered = sorted(counter.items(), key=lambda one: (-one[1], one[0][0], one[0][1] or 0, one[0][2]))
        return [
            {"kind": kind, "organization_id": organization, "reason": reason, "count": count}
            for (kind, organization, reason), count in ordered
        ]


def _selecting(function: F) -> F:
    for option in (
        click.option("--because", metavar="REASON", help="Only what waits for this reason, as 'parked list' names it."),
        click.option("--organization", type=click.IntRange(0), help="Only this NinjaOne organization."),
        click.argument("ids", nargs=-1),
    ):
        function = option(function)
    return function


@click.group("parked", cls=Group)
def parked_group() -> None:
    """Work that waits for a human, and records that could not be understood."""


@parked_group.command("list")
@_selecting
@click.option("--all", "everything", is_flag=True, help="Also dead letters that were dealt with.")
@common
def list_parked(
    config: Path | None,
    as_json: bool,
    ids: tuple[str, ...],
    organization: int | None,
    because: str | None,
    everything: bool,
) -> int:
    """What waits, since when, why, and what to do about it; how much per organization and reason."""
    choice = Choice(ids, organization, because)
    waiting = run(_waiting(settings_of(config), choice))
    _refuse_unknown(choice, waiting)
    found = Found(
        work=[entry for entry in waiting.work if choice.means_work(entry)],
        letters=[
            letter
            for letter in waiting.letters
            if choice.means_letter(letter) and (everything or ids or letter.handled is None)
        ],
    )
    if as_json:
        say_json(
            {
                "parked": [asdict(entry) for entry in found.work],
                "dead_letters": [letter.as_dict() for letter in found.letters],
                "counts": found.counts(),
            }
        )
    elif not found.work and not found.letters:
        say("nothing is parked" if choice == Choice() else "nothing like that is parked")
    else:
        _show(found)
        say(
            "'lockstep parked retry ID' decides again, 'lockstep parked dismiss ID --reason TEXT' gives up; "
            "instead of an id: --organization ID, --because REASON, --all"
        )
    return 0


@parked_group.command("held")
@click.option("--organization", type=click.IntRange(0), help="Only this NinjaOne organization.")
@common
def list_held(config: Path | None, as_json: bool, organization: int | None) -> int:
    """What waits by itself: alerts that a rule holds or a maintenance window suppresses, and until when."""
    alerts = run(_held(settings_of(config), organization))
    if as_json:
        say_json({"held": [asdict(alert) for alert in alerts]})
    elif not alerts:
        say("nothing is held")
    else:
        rows = [
            [
                alert.uid,
                alert.disposition,
                alert.key,
                _number(alert.organization_id),
                alert.reason,
                "" if alert.until is None else rfc3339(alert.until),
            ]
            for alert in alerts
        ]
        say_table(rows, ["ALERT", "WHAT", "DEVICE", "ORGANIZATION", "REASON", "UNTIL"])
    return 0


def _show(found: Found) -> None:
    if found.work:
        rows = [[e.id, e.what, e.key, _number(e.organization_id), e.reason] for e in found.work]
        say_table(rows, ["ID", "WHAT", "KEY", "ORGANIZATION", "REASON"])
        for detail in dict.fromkeys(entry.detail for entry in found.work if entry.detail):
            say(f"  {detail}")
    if found.letters:
        rows = [
            [
                letter.id,
                letter.place.topic if letter.place else ", ".join(letter.stages),
                letter.about.get(DEAD_OFFSET, ""),
                letter.about[DEAD_TIME],
                _number(letter.organization_id),
                letter.reason,
                cut(" ".join(letter.about.get(DEAD_ERROR, "").split()), _ERROR) + _story(letter),
            ]
            for letter in found.letters
        ]
        say_table(rows, ["DEAD LETTER", "TOPIC", "OFFSET", "TIME", "ORGANIZATION", "REASON", "ERROR"])
    rows = [[str(c["count"]), c["kind"], _number(c["organization_id"]), c["reason"]] for c in found.counts()]
    say_table(rows, ["COUNT", "KIND", "ORGANIZATION", "REASON"])


def _number(organization: int | None) -> str:
    return "" if organization is None else str(organization)


def _story(letter: DeadLetter) -> str:
    back = f" [came back after the retry of {letter.came_back}]" if letter.came_back else ""
    return back + (f" [{_handled(letter)}]" if letter.handled else "")


def _handled(letter: DeadLetter) -> str:
    word = letter.handled or {}
    why = f": {word['reason']}" if word.get("reason") else ""
    return f"{word.get('what')} by {word.get('actor')} at {word.get('at')}{why}"


async def _held(settings: Settings, organization: int | None) -> list[WaitingAlert]:
    options = await kafka_options(settings)
    alerts = [alert for alert in await waiting(options) if organization in (None, alert.organization_id)]
    if organization is not None and not alerts:
        _refuse_unknown(Choice(organization=organization), Found(organizations=await organizations(options)))
    return alerts


async def _waiting(settings: Settings, choice: Choice) -> Found:
    return await _everything(await kafka_options(settings), choice)


async def _everything(options: KafkaOptions, choice: Choice) -> Found:
    return Found(
        work=await parked(options),
        letters=await handling.dead_letters(options),
        organizations=await organizations(options) if choice.organization is not None else {},
    )


@parked_group.command("retry")
@_selecting
@click.option("--all", "everything", is_flag=True, help="All that is parked.")
@click.option("--note", default="", help="Why, for the audit.")
@click.option("--dry-run", is_flag=True, help="Only show what is meant.")
@common
def retry(
    config: Path | None,
    as_json: bool,
    ids: tuple[str, ...],
    organization: int | None,
    because: str | None,
    everything: bool,
    note: str,
    dry_run: bool,
) -> int:
    """Decide parked work again, under the policy and mapping in force now; read dead letters again, as they were."""
    choice = _choice(ids, organization, because, everything)
    return _ask(config, as_json, choice, "retried", note, dry_run)


@parked_group.command("dismiss")
@_selecting
@click.option("--all", "everything", is_flag=True, help="All that is parked.")
@click.option("--reason", required=True, help="Why it is given up; stands in the audit.")
@click.option("--dry-run", is_flag=True, help="Only show what is meant.")
@common
def dismiss(
    config: Path | None,
    as_json: bool,
    ids: tuple[str, ...],
    organization: int | None,
    because: str | None,
    everything: bool,
    reason: str,
    dry_run: bool,
) -> int:
    """Give parked work and dead letters up, with a reason."""
    if not reason.strip():
        raise click.UsageError("--reason is empty; say why it is given up")
    choice = _choice(ids, organization, because, everything)
    return _ask(config, as_json, choice, "dismissed", reason, dry_run)


def _choice(ids: tuple[str, ...], organization: int | None, because: str | None, everything: bool) -> Choice:
    if sum([bool(ids), organization is not None or because is not None, everything]) != 1:
        raise click.UsageError(
            "name what is meant: ids, --organization ID and/or --because REASON, or --all (one of them)"
        )
    return Choice(ids, organization, because)


def _ask(config: Path | None, as_json: bool, choice: Choice, what: Verb, note: str, dry_run: bool) -> int:
    meant = run(_asked(settings_of(config), choice, what, note, dry_run))
    count = len(meant.work) + len(meant.letters)
    if as_json:
        say_json(
            {
                what: 0 if dry_run else count,
                "dry_run": dry_run,
                "parked": [entry.id for entry in meant.work],
                "dead_letters": [letter.id for letter in meant.letters],
                "already": [letter.id for letter in meant.already],
                "skipped": [letter.id for letter in meant.skipped],
                "counts": meant.counts(),
            }
        )
        return 0
    for letter in meant.already:
        say(f"{letter.id} was {_handled(letter)}; nothing to do")
    if meant.skipped:
        say(f"{counted(len(meant.skipped), 'dead letter')} never came from a topic and can only be dismissed")
    if dry_run and count:
        _show(meant)
    elif count or not meant.already:
        say(f"{counted(count, 'piece')} of work {what}" if count else "nothing like that is parked")
    return 0


async def _asked(settings: Settings, choice: Choice, what: Verb, note: str, dry_run: bool) -> Found:
    options = await kafka_options(settings)
    waiting = await _everything(options, choice)
    _refuse_unknown(choice, waiting)
    meant = _meant(choice, waiting, what)
    if dry_run or not (meant.work or meant.letters):
        return meant
    async with clock_of() as clock, KafkaLog(options, now=clock.now) as log:
        if meant.work:
            await _publish(log, choice, what, note, at=clock.now())
        if what == "retried":
            await handling.retry(log, meant.letters, actor=actor(), note=note, at=clock.now())
        else:
            await handling.dismiss(log, meant.letters, actor=actor(), reason=note, at=clock.now())
    return meant


def _refuse_unknown(choice: Choice, waiting: Found) -> None:
    known = {name for entry in waiting.work for name in (entry.id, entry.key)}
    known |= {name for letter in waiting.letters for name in (letter.id, *letter.other_ids)}
    unknown = [name for name in choice.ids if name not in known]
    if unknown:
        some = ", ".join(unknown[:5]) + (" and more" if len(unknown) > 5 else "")
        raise Failure(f"not parked and no dead letter: {some}; 'lockstep parked list --all' shows what there is")
    there = {entry.organization_id for entry in waiting.work} | {letter.organization_id for letter in waiting.letters}
    # One that is gone from NinjaOne may have left work behind; before NinjaOne was read nobody knows which there are.
    if choice.organization is not None and waiting.organizations and choice.organization not in there:
        if choice.organization not in waiting.organizations:
            hint = nearest(waiting.organizations, choice.organization)
            raise Failure(f"NinjaOne has no organization {choice.organization}; {hint}")


def _meant(choice: Choice, waiting: Found, what: Verb) -> Found:
    meant = Found(work=[entry for entry in waiting.work if choice.means_work(entry)])
    for letter in filter(choice.means_letter, waiting.letters):
        # A letter that was given up can be taken up again by its id; all else that was dealt with stays as it is.
        revived = what == "retried" and choice.ids and (letter.handled or {}).get("what") == "dismissed"
        if letter.handled is not None and not revived:
            if choice.ids:
                meant.already.append(letter)
        elif what == "dismissed" or letter.retryable:
            meant.letters.append(letter)
        elif choice.ids:
            raise Failure(f"{letter.id} never was a record of a topic ({_stage(letter)}); it can only be dismissed")
        else:
            meant.skipped.append(letter)
    return meant


def _stage(letter: DeadLetter) -> str:
    return f"it came by {', '.join(letter.stages)}" if letter.stages else "it names none"


async def _publish(log: KafkaLog, choice: Choice, what: Verb, note: str, *, at: int) -> None:
    named: Sequence[str] = choice.ids
    everything = not named and choice.organization is None
    selection = Selection(
        ids=tuple(named), organization_id=choice.organization, everything=everything, because=choice.because
    )
    fact: ParkedRetried | ParkedDismissed
    if what == "retried":
        fact = ParkedRetried(selection=selection, actor=actor(), note=note)
    else:
        fact = ParkedDismissed(selection=selection, actor=actor(), note=note)
    identity = derived_id("parked", what, fact.to_json().decode(), at)
    await log.publish(
        [Publication(topic=CONTROL, key="parked", id=identity, source="lockstep/cli", time=at, fact=fact)]
    )


COMMANDS = [parked_group]
