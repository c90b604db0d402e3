"""The command line's entry point: ``lockstep``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and leave with its exit code; see ``lockstep --help``."""
    try:
        from streams.cli.main import run_command_line

        code = run_command_line()
    except KeyboardInterrupt:
        # While modules are being loaded, or a second one while the first is being told.
        sys.stderr.write("lockstep: interrupted\n")
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
