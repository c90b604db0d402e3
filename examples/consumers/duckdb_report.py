"""Asks an export's questions with DuckDB and prints the answers. Needs duckdb and a folder that ``lockstep export`` wrote.

lockstep export --to export --format parquet
python duckdb_report.py export docs/analytics/*.sql
"""

from __future__ import annotations

import argparse
from pathlib import Path

import duckdb


def connected(folder: Path) -> duckdb.DuckDBPyConnection:
    """A connection that has the export's tables as views; their paths are relative to the folder."""
    connection = duckdb.connect(":memory:")
    quoted = str(folder.resolve()).replace("'", "''")
    connection.execute(f"SET file_search_path = '{quoted}'")
    connection.execute((folder / "views.sql").read_text(encoding="utf-8"))
    return connection


def main() -> None:
    """One table for each query."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("queries", type=Path, nargs="+")
    given = parser.parse_args()
    connection = connected(given.folder)
    for path in given.queries:
        result = connection.execute(path.read_text(encoding="utf-8"))
        names = [column[0] for column in result.description or ()]
        rows = [[str(value) for value in row] for row in result.fetchall()]
        widths = [max([len(name), *(len(row[place]) for row in rows)]) for place, name in enumerate(names)]
        print(f"\n{path.stem}")
        for row in [names, *rows]:
            print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    main()
