"""How rows become a file: JSON Lines by ourselves, Parquet by DuckDB (an optional extra, docs/decisions/0013-parquet-by-duckdb.md)."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import orjson

from schemas.tables import ColumnType, Table

Format = Literal["jsonl", "parquet"]
FORMATS: tuple[Format, ...] = ("jsonl", "parquet")

#: Columns of DuckDB, and so of Parquet, by ours. Instants stay whole numbers: the same rows in both formats.
DUCKDB_TYPES: dict[ColumnType, str] = {
    "instant": "BIGINT",
    "integer": "BIGINT",
    "text": "VARCHAR",
    "texts": "VARCHAR[]",
    "boolean": "BOOLEAN",
}


class ExportError(RuntimeError):
    """An export that cannot go on; one line: what, where, what to do. ``exit_code`` is 64 where the request is wrong."""

    def __init__(self, message: str, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Writer(Protocol):
    """Writes the rows of one table to a new file, whole and on the disk when it returns."""

    suffix: Format

    def write(self, table: Table, rows: Sequence[dict[str, Any]], path: Path) -> None: ...


class JsonLines:
    """One JSON object per row, with every column of its table, in order."""

    suffix: Format = "jsonl"

    def write(self, table: Table, rows: Sequence[dict[str, Any]], path: Path) -> None:
        """Only what the table names goes out, whatever else a row may hold. Raises ``OSError``."""
        with path.open("wb") as file:
            file.writelines(orjson.dumps({name: row.get(name) for name in table.names}) + b"\n" for row in rows)
            file.flush()
            os.fsync(file.fileno())


class Parquet:
    """DuckDB reads the rows as JSON Lines with the columns' types and writes them as Parquet: one path for both formats."""

    suffix: Format = "parquet"

    def __init__(self) -> None:
        """Raises ``ExportError`` where the extra is not installed."""
        try:
            import duckdb
        except ImportError:
            raise ExportError(
                "--format parquet needs DuckDB, which is not installed: pip install 'lockstep-psa[analytics]', or take --format jsonl"
            ) from None
        # It shares a machine with what it reports on, and a file holds some thousands of rows.
        self._duckdb = duckdb.connect(":memory:", config={"memory_limit": "256MB", "threads": 1})

    def write(self, table: Table, rows: Sequence[dict[str, Any]], path: Path) -> None:
        """As ``JsonLines.write``. Raises ``OSError``, and ``ExportError`` for what DuckDB does not take."""
        lines = path.with_suffix(".jsonl")
        JsonLines().write(table, rows, lines)
        columns = ", ".join(f"{column.name}: '{DUCKDB_TYPES[column.type]}'" for column in table.columns)
        source = f"read_json({_quoted(lines)}, format = 'newline_delimited', hive_partitioning = false, columns = {{{columns}}})"
        try:
            self._duckdb.execute(f"COPY (SELECT * FROM {source}) TO {_quoted(path)} (FORMAT parquet, COMPRESSION zstd)")
        except Exception as error:
            first = str(error).partition("\n")[0][:300]
            raise ExportError(f"{path}: cannot be written as Parquet: {first}") from None
        lines.unlink()
        with path.open("rb") as file:
            os.fsync(file.fileno())


def writer_of(name: Format) -> Writer:
    """The writer of a format. Raises ``ExportError`` where its library is missing."""
    return Parquet() if name == "parquet" else JsonLines()


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
