"""``lockstep erase`` at the terminal: one selection, an id that is one, and a question before anything is gone for good."""

from __future__ import annotations

import io

import pytest

from streams.cli import erase
from streams.cli.base import Failure
from streams.personal import Erasure
from tests.cli.terminal import Terminal

FOUND = Erasure(selection="device 407", names=("407/a", "407/b"), erased=())


class Typed(io.StringIO):
    """What a person types."""

    def isatty(self) -> bool:
        return True


def test_it_takes_one_selection_and_an_id_that_is_one(terminal: Terminal) -> None:
    for arguments, words in (
        ((), "name one of --organization ID and --device ID"),
        (("--device", "srv01"), "'srv01' is not the id of a device"),
    ):
        said = terminal.run("erase", *arguments)
        assert said.code == 64
        assert words in said.line


@pytest.mark.parametrize("answer", ["y\n", "Yes\n"])
def test_a_terminal_is_asked_and_a_yes_goes_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], answer: str
) -> None:
    monkeypatch.setattr("sys.stdin", Typed(answer))
    assert erase._confirmed(FOUND, False)
    assert "2 personal values of device 407 will be erased for good" in capsys.readouterr().err


@pytest.mark.parametrize("answer", ["\n", "n\n", "", "yess\n"])
def test_anything_else_erases_nothing_and_says_so(monkeypatch: pytest.MonkeyPatch, answer: str) -> None:
    monkeypatch.setattr("sys.stdin", Typed(answer))
    with pytest.raises(Failure, match="nothing was erased"):
        erase._confirmed(FOUND, False)


def test_what_is_no_terminal_and_json_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert not erase._confirmed(FOUND, False)
    monkeypatch.setattr("sys.stdin", Typed("y\n"))
    assert not erase._confirmed(FOUND, True)
