"""Records golden journals: what today's code decides about each scenario, and the list of what was accepted.

    python -m tests.golden.record [NAME ...] [--because "a line of CHANGELOG.md"]

A journal that is the same as before stays accepted as it was. One that is another, or new, needs the line of the change log that says
why it may be: users read there what is decided otherwise than it was.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import Any

import orjson

from tests.golden.journal import FOLDER, Journal, journal_of, keep
from tests.golden.scenarios import SCENARIOS

ACCEPTED = Path(__file__).parent / "accepted.json"
CHANGELOG = Path(__file__).resolve().parents[2] / "CHANGELOG.md"


def scenarios() -> dict[str, tuple[str, Any]]:
    """All of them, by name."""
    for module in ("operator_scenarios", "storm_scenarios", "device_scenarios", "months"):
        importlib.import_module(f"tests.golden.{module}")
    return SCENARIOS


def accepted() -> dict[str, dict[str, Any]]:
    """Journal -> its digest, what is in it, and the line of the change log that accepted it."""
    found: dict[str, dict[str, Any]] = orjson.loads(ACCEPTED.read_bytes()) if ACCEPTED.exists() else {}
    return found


def words_of(text: str) -> str:
    """A text without its line breaks, so that a line of the change log may be wrapped."""
    return " ".join(text.split())


def says(line: str) -> bool:
    """Whether the change log has a line."""
    return len(words_of(line)) > 20 and words_of(line) in words_of(CHANGELOG.read_text())


def refusal(known: dict[str, Any] | None, journal: Journal, because: str | None) -> str | None:
    """Why a journal is not accepted, in one line; ``None`` where it may be."""
    if known is not None and known["digest"] == journal.digest():
        return None
    what = "is new" if known is None else "decides otherwise than was accepted"
    if because is None:
        return f"'{journal.name}' {what}: say so in CHANGELOG.md and give that line with --because"
    if known is not None and words_of(because) == known["change"]:
        return f"'{journal.name}' {what}: the line given is that of the last acceptance; write one about this change"
    return None if says(because) else f"'{journal.name}' {what}: CHANGELOG.md has no line '{because}'"


def main() -> int:
    """The command line: 0 recorded, 1 refused, 64 wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m tests.golden.record", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="which journals (default: all)")
    parser.add_argument("--because", help="the line of CHANGELOG.md that says what is decided otherwise, and why")
    arguments = parser.parse_args()
    known = scenarios()
    unknown = [name for name in arguments.names if name not in known]
    if unknown:
        sys.stderr.write(f"there is no scenario '{unknown[0]}'; there are {', '.join(sorted(known))}\n")
        return 64
    FOLDER.mkdir(exist_ok=True)
    manifest, refused = accepted(), False
    for name in arguments.names or sorted(known):
        story, make = known[name]
        journal = journal_of(name, story, make())
        no = refusal(manifest.get(name), journal, arguments.because)
        if no is not None:
            sys.stderr.write(f"{no}\n")
            refused = True
            continue
        before = manifest.get(name)
        same = before is not None and before["digest"] == journal.digest()
        change = before["change"] if same and before else words_of(arguments.because or "")
        manifest[name] = {"digest": journal.digest(), "events": len(journal.entries), "records": journal.records, "change": change}  # fmt: skip
        path = FOLDER / f"{name}.jsonl.xz"
        if not same or not path.exists():
            keep(journal)
        print(
            f"{name}: {len(journal.entries)} events, {journal.records} records, {path.stat().st_size} bytes{', as it was' if same else ''}"
        )
    whole = {name: manifest[name] for name in sorted(manifest) if name in known}
    ACCEPTED.write_bytes(orjson.dumps(whole, option=orjson.OPT_INDENT_2) + b"\n")
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
