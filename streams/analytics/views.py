"""``views.sql`` in the folder of an export: every table as a view of DuckDB, typed, also those that have no row yet."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from schemas.tables import TABLES, Table
from streams.analytics.formats import DUCKDB_TYPES, Format

_HEAD = """-- The tables of this export as views; `day` is the UTC day of recorded_at, and the quick way to few files.
-- Run it in this folder: cd FOLDER && duckdb -init views.sql
"""


def views(format_: Format, tables: Iterable[str], filled: Collection[str]) -> str:
    """The statements. ``filled`` are the tables that have a file; a pattern that meets no file is an error in DuckDB."""
    statements = [_view(TABLES[name], format_ if name in filled else None) for name in tables]
    return _HEAD + "".join(f"CREATE OR REPLACE VIEW {statement};\n" for statement in statements)


def _view(table: Table, format_: Format | None) -> str:
    if format_ is None:
        nothing = ", ".join(f"NULL::{DUCKDB_TYPES[column.type]} AS {column.name}" for column in table.columns)
        return f"{table.name} AS SELECT {nothing}, NULL::DATE AS day WHERE false"
    files = f"'{table.name}/*/*.{format_}', hive_partitioning = true, hive_types = {{day: DATE}}"
    if format_ == "parquet":
        return f"{table.name} AS FROM read_parquet({files}, union_by_name = true)"
    columns = ", ".join(f"{column.name}: '{DUCKDB_TYPES[column.type]}'" for column in table.columns)
    return (
        f"{table.name} AS FROM read_json({files}, format = 'newline_delimited', columns = {{{columns}, day: 'DATE'}})"
    )
