"""The export's tables as a contract: the page in the repository is what the code says, and names can be asked for in SQL."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from schemas import tables, topics
from schemas.tables import TABLES, USUAL, Table

DOCS = Path(__file__).resolve().parents[2] / "docs"
#: Words that SQL keeps for itself, in one dialect or another, and that columns were named by at first.
RESERVED = {"at", "by", "offset", "partition", "count", "order", "group", "when", "to", "from", "end", "table"}


def test_the_page_in_the_repository_is_what_the_tables_say() -> None:
    assert (DOCS / "analytics" / "columns.md").read_text() == tables.text(), (
        "write it anew: .venv/bin/python -m schemas.tables > docs/analytics/columns.md"
    )


@pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
def test_a_table_has_each_column_once_a_key_among_them_and_names_that_need_no_quotes(table: Table) -> None:
    assert len(set(table.names)) == len(table.names)
    assert set(table.key) <= set(table.names)
    assert "recorded_at" in table.names
    assert set(table.topics) <= topics.BY_NAME.keys()
    assert not set(table.names) & RESERVED
    assert all(re.fullmatch(r"[a-z][a-z_]*", name) for name in table.names)


def test_the_guide_tells_of_every_table() -> None:
    guide = (DOCS / "analytics.md").read_text()
    assert all(f"| `{name}` |" in guide for name in TABLES)
    assert set(USUAL) == TABLES.keys() - {"audit", "facts"}


def test_the_guide_tells_of_every_query() -> None:
    guide = (DOCS / "analytics.md").read_text()
    assert all(f"(analytics/{path.name})" in guide for path in (DOCS / "analytics").glob("*.sql"))
