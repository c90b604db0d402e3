"""``send-test-alert`` before there is anything to send through: one line each."""

from __future__ import annotations

import pytest

from tests.cli.terminal import Terminal


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ("", 64, "--organization is missing; give it a value (for which organization of ninjaone)"),
        ("--organization 17 --within 0", 64, "--within: '0' is no number of at least 1"),
        ("--organization 17", 1, "no embedded broker is running"),
    ],
)
def test_what_is_missing_is_one_line(terminal: Terminal, arguments: str, code: int, words: str) -> None:
    said = terminal.run("send-test-alert", *arguments.split())
    assert said.code == code
    assert words in said.line.lower() if code == 64 else said.line
