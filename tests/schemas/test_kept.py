"""What is kept for how long: the page is the catalogue's, and the settings say so to Kafka."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas import kept
from schemas.topics import BY_NAME, CATALOGUE, PERSONAL
from streams.topics import DAY_MS, TopicSettings, wanted_configs

PAGE = Path(__file__).resolve().parents[2] / "docs" / "privacy.md"


def retention(topic: str, **settings: int) -> str | None:
    return wanted_configs(BY_NAME[topic], TopicSettings(**settings)).get("retention.ms")


def test_the_table_on_the_page_is_made_from_the_catalogue() -> None:
    assert kept.table() in PAGE.read_text(), "write it anew: .venv/bin/python -m schemas.kept"


def test_every_topic_says_what_of_it_may_be_about_a_person_or_that_nothing_is() -> None:
    rows = kept.table().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == [topic.name for topic in CATALOGUE]
    assert all(len(row.split(" | ")) == 4 for row in rows)


def test_everything_is_kept_for_400_days_unless_it_is_said_otherwise() -> None:
    for topic in CATALOGUE:
        if topic.cleanup != "compact" and topic.kept != "for ever":
            assert retention(topic.name) == str(400 * DAY_MS)


@pytest.mark.parametrize(("days", "milliseconds"), [(30, str(30 * DAY_MS)), (-1, "-1")])
def test_the_audit_may_be_kept_for_another_time_than_the_facts(days: int, milliseconds: str) -> None:
    assert retention("audit", audit_retention_days=days) == milliseconds
    assert retention("ninjaone.alerts", audit_retention_days=days) == str(400 * DAY_MS)
    assert retention("ninjaone.alerts", retention_days=days) == milliseconds
    assert retention("audit", retention_days=days) == milliseconds


def test_connections_are_kept_for_ever_and_states_have_no_time() -> None:
    assert retention("connections", retention_days=1) == "-1"
    assert retention("incidents.state") is None


def test_personal_values_are_compacted_kept_no_longer_than_facts_and_erased_within_minutes() -> None:
    configs = wanted_configs(BY_NAME[PERSONAL], TopicSettings(retention_days=30))
    assert configs["cleanup.policy"] == "compact,delete"
    assert configs["retention.ms"] == str(30 * DAY_MS)
    assert {configs[name] for name in ("segment.ms", "max.compaction.lag.ms")} == {"60000"}
    assert configs["min.cleanable.dirty.ratio"] == "0.0"
