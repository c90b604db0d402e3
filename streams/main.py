"""The command line's entry point: ``lockstep``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and leave with its exit code; see ``lockstep --help``."""
    from streams.cli.main import run_command_line

    sys.exit(run_command_line())


if __name__ == "__main__":
    main()
