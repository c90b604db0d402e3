"""How a worker ends when it must not go on: one line, then gone, without any clean-up that could commit something."""

from __future__ import annotations

import logging
import os
import sys
import traceback
from typing import NoReturn

#: ``EX_SOFTWARE`` of sysexits: a supervisor restarts the process, and the slice that was cut off is decided afresh.
EXIT_FATAL = 70

log = logging.getLogger("lockstep.delivery")


class StartRefused(RuntimeError):
    """The worker cannot start as things are; the message is one line that says what to change.

    ``exit_code`` is 1 where the surroundings are to blame (topics, settings, no broker) and 70 where this
    installation is (other versions of Faust or aiokafka than the ones that were read and tested).
    """

    def __init__(self, message: str, *, exit_code: int = 1) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def die(line: str) -> NoReturn:
    """Write ``line`` and end the process with 70 at once: no ``finally``, no flush of producers, no offset commit.

    ``os._exit`` and not an exception, because Faust acknowledges the event of an agent that raised.
    """
    log.critical("%s", line)
    for handler in (*log.handlers, *logging.getLogger().handlers):
        handler.flush()
    sys.stderr.flush()
    os._exit(EXIT_FATAL)


def described(error: BaseException) -> str:
    """An exception as one line: its kind, its first line of text and where it was raised."""
    text = str(error).strip().splitlines()
    frames = traceback.extract_tb(error.__traceback__)
    where = f" at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{': ' + text[0] if text else ''}{where}"
