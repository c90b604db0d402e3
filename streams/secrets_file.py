"""The file that ``connect`` writes: credentials of the connections, readable by their owner only (mode 0600)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from schemas.facts import ConnectionName
from streams.settings import SettingsError

_HEADER = "# Written by 'lockstep connect'. Secrets: keep this file to yourself.\n"


def read_secrets(path: Path) -> dict[str, dict[str, Any]]:
    """What is stored, by connection; empty where there is no file. Raises ``SettingsError`` for an unreadable one."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(
            f"{path}: cannot be read ({type(error).__name__}); mend or remove it, then connect again"
        ) from None
    if document is None:
        return {}
    if not isinstance(document, dict) or not all(isinstance(part, dict) for part in document.values()):
        raise SettingsError(f"{path}: is not a secrets file; remove it, then connect again")
    return document


def store_secrets(path: Path, connection: ConnectionName, values: dict[str, Any] | None) -> None:
    """Replace what is stored for a connection (``None`` forgets it). Other connections are kept.

    The new file is complete before it takes the place of the old one, and is never readable by others, not even for
    a moment.
    """
    document = read_secrets(path)
    if values is None and connection not in document:
        return
    if values is None:
        document.pop(connection, None)
    else:
        document[connection] = {**document.get(connection, {}), **values}
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(_HEADER + yaml.safe_dump(document, sort_keys=True, allow_unicode=True))
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise SettingsError(
            f"{path}: cannot be written ({error.strerror}); choose another secrets_file, or mend its folder"
        ) from None
