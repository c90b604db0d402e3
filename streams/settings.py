"""Settings: one YAML file, every key also as ``LOCKSTEP_<SECTION>__<KEY>``; secrets from elsewhere only.

Order of precedence: environment, ``*_FILE``, the secrets file, the YAML file, the default. A key that does not exist is
fatal, with a "did you mean". Secrets are refused in the YAML file, so that it can be shown and kept under version control.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator

from streams.limit import DeadLetterLimit
from streams.shadow_settings import ShadowSettings

CONFIG_NAME = "lockstep.yaml"
_PREFIX = "LOCKSTEP_"
#: Variables with our prefix that are no settings.
_NOT_SETTINGS = {"LOCKSTEP_CLOCK", "LOCKSTEP_CONFIG", "LOCKSTEP_TRACEBACK"}
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class SettingsError(ValueError):
    """A configuration that cannot be used; one line: the key, what is wrong and what to do."""


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def _url(value: str | None) -> str | None:
    if value is None:
        return None
    parts = urlsplit(value)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError("is not a web address; write it as https://host")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise ValueError("plain http is accepted for this machine only; write https://")
    if parts.username or parts.password:
        raise ValueError("must not carry a user or password")
    return value.rstrip("/")


class KafkaSecurity(_Section):
    """How to talk to a cluster that is not on this machine."""

    protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    username: str | None = None
    password: SecretStr | None = None
    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    allow_plaintext: bool = False


class KafkaSettings(_Section):
    """Where Kafka is. ``embedded`` starts a real single broker on this machine, its data under ``data_dir``."""

    bootstrap_servers: str = "embedded"
    data_dir: str = ".lockstep/kafka"
    partitions: int = Field(default=6, ge=1, le=64)
    replication_factor: int = Field(default=1, ge=1, le=5)
    retention_days: int = Field(default=400, ge=-1)
    audit_retention_days: int | None = Field(default=None, ge=-1)
    heap_mb: int = Field(default=384, ge=256, le=4096)
    security: KafkaSecurity = KafkaSecurity()

    @property
    def embedded(self) -> bool:
        """Whether Lockstep runs the broker itself."""
        return self.bootstrap_servers == "embedded"


class NinjaOneWebhook(_Section):
    """The webhook that NinjaOne calls: set up when ``public_url`` is given."""

    public_url: str | None = None
    header: str = "X-Lockstep-Token"
    secret: SecretStr | None = None

    _check_url = field_validator("public_url")(_url)


class AutotaskWebhook(_Section):
    """The webhook that Autotask calls: set up when ``public_url`` is given."""

    public_url: str | None = None
    secret: SecretStr | None = None

    _check_url = field_validator("public_url")(_url)


class NinjaOneSettings(_Section):
    """NinjaOne: the host where your technicians sign in, and the client app's credentials."""

    base_url: str = "https://eu.ninjarmm.com"
    console_url: str | None = None
    client_id: str | None = None
    client_secret: SecretStr | None = None
    poll_seconds: float = Field(default=30, gt=0)
    inventory_seconds: float = Field(default=900, gt=0)
    backfill: Literal["active", "none"] = "active"
    webhook: NinjaOneWebhook = NinjaOneWebhook()

    _check_url = field_validator("base_url", "console_url")(_url)

    @property
    def links(self) -> str:
        """The base of device links."""
        return self.console_url or self.base_url


class AutotaskSettings(_Section):
    """Autotask: the API user's name (key) and secret, and its tracking identifier."""

    discovery_url: str = "https://webservices.autotask.net/atservicesrest/"
    username: str | None = None
    secret: SecretStr | None = None
    integration_code: SecretStr | None = None
    poll_seconds: float = Field(default=30, gt=0)
    companies_seconds: float = Field(default=900, gt=0)
    webhook: AutotaskWebhook = AutotaskWebhook()

    @field_validator("discovery_url")
    @classmethod
    def _check_url(cls, value: str) -> str:
        return f"{_url(value)}/"


class Endpoint(_Section):
    """A host and port that a role listens on."""

    host: str = "127.0.0.1"
    port: int = Field(default=8420, ge=0, le=65535)


class ReceiverSettings(Endpoint):
    """Where webhooks arrive: ``POST /webhooks/ninjaone`` and ``POST /webhooks/autotask``."""

    port: int = Field(default=8421, ge=0, le=65535)


class DeadLetterSettings(_Section):
    """When a reader stops rather than fill the dead letters (``streams.limit``). ``consecutive: -1``: never."""

    consecutive: int = Field(default=100, ge=-1)
    ratio: float = Field(default=0.5, gt=0, le=1)
    window: int = Field(default=1000, ge=1)

    @field_validator("consecutive")
    @classmethod
    def _not_zero(cls, value: int) -> int:
        if value == 0:
            raise ValueError("must be at least 1, or -1 for no limit")
        return value

    def limit(self, setting: str) -> DeadLetterLimit:
        """For the parts; ``setting`` is the name of this section."""
        return DeadLetterLimit(consecutive=self.consecutive, ratio=self.ratio, window=self.window, setting=setting)


class ConnectorsSettings(_Section):
    """The pollers: where a list of a vendor that cannot be read stops."""

    dead_letters: DeadLetterSettings = DeadLetterSettings()


class WorkerSettings(_Section):
    """The decide stage. ``instance_id`` makes a member static: quick after a restart, slow to hand over for good."""

    processes: int = Field(default=1, ge=1, le=16)
    session_timeout_seconds: float = Field(default=10, ge=6)
    instance_id: str | None = None
    dead_letters: DeadLetterSettings = DeadLetterSettings()


class ExecutorSettings(_Section):
    """The executors: how much they read ahead, when an unknown outcome is looked up, when a command is deferred."""

    window: int = Field(default=20_000, ge=1)
    concurrency: int = Field(default=2, ge=1, le=2)
    look_up_after_seconds: float = Field(default=15, ge=0)
    look_again_after_seconds: float = Field(default=600, ge=0)
    defer_after_seconds: float = Field(default=600, gt=0)
    dead_letters: DeadLetterSettings = DeadLetterSettings()


class Settings(_Section):
    """All of ``lockstep.yaml``. ``root``: what relative paths refer to. ``mode: shadow`` only predicts (docs/shadow.md)."""

    mode: Literal["live", "shadow"] = "live"
    kafka: KafkaSettings = KafkaSettings()
    ninjaone: NinjaOneSettings = NinjaOneSettings()
    autotask: AutotaskSettings = AutotaskSettings()
    console: Endpoint = Endpoint()
    receiver: ReceiverSettings = ReceiverSettings()
    connectors: ConnectorsSettings = ConnectorsSettings()
    worker: WorkerSettings = WorkerSettings()
    executor: ExecutorSettings = ExecutorSettings()
    shadow: ShadowSettings = ShadowSettings()
    secrets_file: str = ".lockstep/secrets.yaml"
    policy: str = "policy.yaml"
    root: Path = Field(default=Path(), exclude=True)

    @property
    def shadowing(self) -> bool:
        """Whether this installation is a shadow: it never writes at a vendor."""
        return self.mode == "shadow"

    def path(self, value: str) -> Path:
        """A path of the configuration, relative to the configuration file's folder."""
        return self.root / Path(value).expanduser()

    @property
    def data_dir(self) -> Path:
        """Where the embedded broker keeps its data and ``broker.json``."""
        return self.path(self.kafka.data_dir)

    @property
    def secrets_path(self) -> Path:
        """The file that ``connect`` writes."""
        return self.path(self.secrets_file)

    @property
    def policy_path(self) -> Path:
        """The policy file."""
        return self.path(self.policy)


#: Keys whose values are secret: refused in the YAML file.
SECRETS: tuple[tuple[str, ...], ...] = (
    ("ninjaone", "client_secret"),
    ("ninjaone", "webhook", "secret"),
    ("autotask", "secret"),
    ("autotask", "webhook", "secret"),
    ("kafka", "security", "password"),
)


def config_path(config: Path | None, environment: Mapping[str, str]) -> Path:
    """Which file is read: the one given, else that of ``LOCKSTEP_CONFIG``, else ``lockstep.yaml`` in the current folder."""
    return config or Path(environment.get("LOCKSTEP_CONFIG") or CONFIG_NAME)


def load_settings(
    config: Path | None = None, environment: Mapping[str, str] | None = None, *, must_exist: bool = False
) -> Settings:
    """Read the configuration. Without ``config``: ``LOCKSTEP_CONFIG``, else ``lockstep.yaml`` in the current folder.

    Raises ``SettingsError`` in one line for a missing file that was asked for, unreadable YAML, an unknown key, a
    value that does not fit or a secret in the YAML file.
    """
    environment = os.environ if environment is None else environment
    named = config is not None or bool(environment.get("LOCKSTEP_CONFIG"))
    path = config_path(config, environment)
    document: dict[str, Any] = {}
    if path.is_file():
        document = _read_yaml(path)
    elif named or must_exist:
        raise SettingsError(
            f"{path}: there is no such file; run 'lockstep init' to write one, or name another with --config"
        )
    for key in SECRETS:
        if _get(document, key) is not None:
            raise SettingsError(
                f"{path}: {'.'.join(key)}: a secret does not belong in this file; set {_variable(key)} or {_variable(key)}_FILE, "
                "or store it with 'lockstep connect'"
            )
    secrets_file = environment.get("LOCKSTEP_SECRETS_FILE") or document.get("secrets_file", ".lockstep/secrets.yaml")
    secrets_path = path.parent / Path(str(secrets_file)).expanduser()
    sources: dict[tuple[str, ...], str] = {}
    if secrets_path.exists():
        stored = _read_yaml(secrets_path)
        _merge(document, stored)
        sources |= {key: f"{secrets_path}: {'.'.join(key)}" for key in _keys(stored)}
    sources |= _from_environment(document, environment, path.parent)
    try:
        return Settings.model_validate({**document, "root": path.parent})
    except ValidationError as error:
        raise SettingsError(_explain(error, path, sources)) from None


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        # What the parser quotes may be an unquoted secret that begins with a sign YAML has a use for.
        problem = re.sub(r"'[^']{2,}'", "...", error.problem or error.context or "")
        raise SettingsError(f"{path}:{where}: this is not YAML: {problem}") from None
    except (UnicodeDecodeError, yaml.YAMLError):
        raise SettingsError(f"{path}: is not UTF-8 text") from None
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}; check the path and its permissions") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise SettingsError(f"{path}: must hold sections such as 'kafka:' and 'ninjaone:'")
    return document


def _from_environment(
    document: dict[str, Any], environment: Mapping[str, str], root: Path
) -> dict[tuple[str, ...], str]:
    """Lay the environment over the document; tells which variable each overridden key came from."""
    sources: dict[tuple[str, ...], str] = {}
    # An empty variable counts as not set: that is what compose files pass on for one that nobody gave.
    plain = {
        name: value
        for name, value in environment.items()
        if name.startswith(_PREFIX) and name not in _NOT_SETTINGS and value
    }
    for name in sorted(plain, key=lambda name: not name.endswith("_FILE")):
        value = plain[name]
        key = tuple(part.lower() for part in name.removeprefix(_PREFIX).split("__"))
        if name.endswith("_FILE") and name != "LOCKSTEP_SECRETS_FILE" and not _is_key(key):
            key = (*key[:-1], key[-1].removesuffix("_file"))
            try:
                value = (root / value).read_text(encoding="utf-8").strip()
            except (OSError, UnicodeDecodeError):
                raise SettingsError(f"{name}: the file '{value}' cannot be read") from None
        _set(document, key, value, name)
        sources[key] = name
    return sources


def _is_key(key: tuple[str, ...]) -> bool:
    return _annotation(key) is not None


def _annotation(key: tuple[str, ...]) -> Any:
    model: Any = Settings
    for part in key:
        fields = getattr(model, "model_fields", {})
        if part not in fields:
            return None
        model = fields[part].annotation
    return model


def _set(document: dict[str, Any], key: tuple[str, ...], value: Any, variable: str) -> None:
    for part in key[:-1]:
        below = document.setdefault(part, {})
        if not isinstance(below, dict):
            raise SettingsError(f"{variable}: '{part}' is not a section")
        document = below
    document[key[-1]] = value


def _get(document: Mapping[str, Any], key: tuple[str, ...]) -> Any:
    value: Any = document
    for part in key:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _merge(document: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(document.get(key), dict):
            _merge(document[key], value)
        else:
            document[key] = value


def _keys(document: Mapping[str, Any]) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for key, value in document.items():
        found.append((str(key),))
        if isinstance(value, dict):
            found += [(str(key), *below) for below in _keys(value)]
    return found


def _variable(key: tuple[str, ...]) -> str:
    return _PREFIX + "__".join(part.upper() for part in key)


def _explain(error: ValidationError, path: Path, sources: Mapping[tuple[str, ...], str]) -> str:
    lines = []
    for detail in error.errors(include_url=False, include_input=False):
        key = tuple(str(part) for part in detail["loc"])
        where = f"{sources[key]}" if key in sources else f"{path}: {'.'.join(key)}"
        if detail["type"] == "extra_forbidden":
            parent: Any = _annotation(key[:-1]) if len(key) > 1 else Settings
            known = [name for name in getattr(parent, "model_fields", {}) if name != "root"]
            near = get_close_matches(key[-1], known, 1)
            hint = f"did you mean '{near[0]}'?" if near else f"known here: {', '.join(known)}"
            lines.append(f"{where}: unknown key '{key[-1]}'; {hint}")
        else:
            message = detail["msg"].removeprefix("Value error, ")
            if detail["type"] == "model_type":
                message = "is a section: keys stand below it"
            lines.append(f"{where}: {message[0].lower() + message[1:]}")
    return "; ".join(lines)
