"""The secrets file."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from streams.secrets_file import read_secrets, store_secrets
from streams.settings import SettingsError


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "secrets.yaml"
    store_secrets(path, "autotask", {"username": "u@x", "secret": "s"})
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["secrets.yaml"]


def test_one_connection_is_replaced_and_the_other_kept(tmp_path: Path) -> None:
    path = tmp_path / "secrets.yaml"
    store_secrets(path, "autotask", {"username": "u@x", "secret": "old"})
    store_secrets(path, "ninjaone", {"client_id": "app", "client_secret": "n"})
    store_secrets(path, "autotask", {"secret": "new"})
    assert read_secrets(path) == {
        "autotask": {"username": "u@x", "secret": "new"},
        "ninjaone": {"client_id": "app", "client_secret": "n"},
    }
    store_secrets(path, "ninjaone", None)
    assert list(read_secrets(path)) == ["autotask"]


def test_a_broken_file_is_named_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "secrets.yaml"
    path.write_text("- not\n- ours\n")
    with pytest.raises(SettingsError, match="is not a secrets file"):
        store_secrets(path, "autotask", {"secret": "s"})
    assert path.read_text() == "- not\n- ours\n"
