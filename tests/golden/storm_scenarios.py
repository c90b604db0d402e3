"""The small scenarios of storms: many devices of one site at once."""

from __future__ import annotations

from tests.core.spec import HOUR, MINUTE
from tests.core.storm_world import World, storm_policy
from tests.golden.scenarios import Records, scenario


def both(world: World) -> Records:
    """What both agents of a storm recorded."""
    return [*world.incidents.records, *world.storms.records]


@scenario("Forty devices of one site go offline and come back: one parent ticket.")
def storm_of_a_site() -> Records:
    world = World(**storm_policy(storm={"devices": 10, "within": "2m"}))
    for first in range(1, 41, 8):
        world.down(*range(first, first + 8)).work().later(20_000)
    world.later(10 * MINUTE).up(*range(1, 41)).work().later(10 * MINUTE)
    return both(world)


@scenario("Most devices of a storm are back; those that stay down get tickets of their own.")
def storm_with_stragglers() -> Records:
    world = World(**storm_policy(storm={"devices": 5, "within": "2m"}))
    world.down(*range(1, 13)).work().later(5 * MINUTE).up(*range(1, 10)).work().later(10 * MINUTE)
    return both(world.up(10, 11, 12).work().later(HOUR))


@scenario("A technician completes a storm's parent ticket while devices are still down.")
def storm_completed_by_a_technician() -> Records:
    world = World(**storm_policy(storm={"devices": 3, "within": "2m"}))
    world.down(1, 2, 3, 4).work().later(5 * MINUTE)
    return both(world.complete(world.parents[0]).work().later(HOUR))


@scenario("Two devices of a site are too few for a storm: each gets its own ticket when the watch is over.")
def too_few_for_a_storm() -> Records:
    world = World(**storm_policy(storm={"devices": 3, "within": "2m"})).down(1, 2).work().later(10 * MINUTE)
    return both(world.up(1, 2).work().later(HOUR))
