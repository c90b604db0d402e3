"""Notes of refusals: what one process of a machine tells the others while Kafka cannot be told."""

import os

import pytest

from streams.refusal_notes import Refusal, RefusalNotes

NOTED = Refusal(epoch=3, credentials="aa.bb", reason="the API user is locked", since=1_000)


def test_what_one_process_notes_another_reads_until_it_is_removed(tmp_path):
    folder = tmp_path / "refusals"
    RefusalNotes(folder).write("autotask", NOTED)
    other = RefusalNotes(folder)
    assert other.read("autotask") == NOTED
    assert other.read("ninjaone") is None
    assert [oct(path.stat().st_mode & 0o777) for path in folder.iterdir()] == ["0o600"]
    other.remove("autotask")
    other.remove("autotask")
    assert other.read("autotask") is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"epoch": 3}', b'{"epoch": 3, "unknown": 1}', b"\xff\xfe"])
def test_a_note_that_cannot_be_read_says_nothing(tmp_path, content):
    (tmp_path / "autotask").write_bytes(content)
    assert RefusalNotes(tmp_path).read("autotask") is None


def test_where_nothing_can_be_written_it_is_a_line_in_the_log_and_leaves_nothing(tmp_path, caplog):
    folder = tmp_path / "a file"
    folder.write_text("in the way")
    RefusalNotes(folder).write("autotask", NOTED)
    assert "the refusal of autotask is not noted" in caplog.text
    assert sorted(os.listdir(tmp_path)) == ["a file"]


def test_without_a_folder_there_are_no_notes():
    notes = RefusalNotes(None)
    notes.write("autotask", NOTED)
    notes.remove("autotask")
    assert notes.read("autotask") is None
