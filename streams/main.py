"""The command line's entry point."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; see ``lockstep --help``."""
    if sys.argv[1:] == ["--version"]:
        sys.stdout.write("lockstep 0.1.0\n")
        return
    raise SystemExit(64)
