"""The configuration file and its surroundings, as an operator meets them."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.settings import SettingsError, load_settings


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "lockstep.yaml"
    path.write_text("kafka: {partitions: 3}\nninjaone: {client_id: app}\n")
    return path


def refused(path: Path, text: str | None = None, **environment: str) -> str:
    if text is not None:
        path.write_text(text)
    with pytest.raises(SettingsError) as error:
        load_settings(path, environment)
    return str(error.value)


def test_a_file_overrides_defaults_and_the_environment_overrides_the_file(config: Path) -> None:
    settings = load_settings(config, {"LOCKSTEP_NINJAONE__CLIENT_ID": "77"})
    assert (settings.kafka.partitions, settings.ninjaone.client_id, settings.receiver.port) == (3, "77", 8421)


def test_paths_are_relative_to_the_configuration_file(config: Path) -> None:
    assert load_settings(config, {}).data_dir == config.parent / ".lockstep/kafka"


def test_a_secret_comes_from_the_environment_a_file_or_the_secrets_file(config: Path, tmp_path: Path) -> None:
    (tmp_path / "hook").write_text("from-a-file\n")
    (tmp_path / ".lockstep").mkdir()
    (tmp_path / ".lockstep/secrets.yaml").write_text(
        "autotask: {username: u@x, secret: stored, integration_code: CODE}\n"
    )
    settings = load_settings(
        config, {"LOCKSTEP_NINJAONE__CLIENT_SECRET": "12345", "LOCKSTEP_NINJAONE__WEBHOOK__SECRET_FILE": "hook"}
    )
    assert settings.ninjaone.client_secret
    assert settings.ninjaone.client_secret.get_secret_value() == "12345"
    assert settings.ninjaone.webhook.secret
    assert settings.ninjaone.webhook.secret.get_secret_value() == "from-a-file"
    assert settings.autotask.secret
    assert settings.autotask.secret.get_secret_value() == "stored"


def test_no_secret_shows_in_a_repr(config: Path) -> None:
    settings = load_settings(
        config, {"LOCKSTEP_AUTOTASK__SECRET": "hunter2", "LOCKSTEP_AUTOTASK__INTEGRATION_CODE": "TRACK"}
    )
    assert "hunter2" not in repr(settings)
    assert "TRACK" not in repr(settings)


def test_an_unknown_key_is_fatal_with_a_did_you_mean(config: Path) -> None:
    assert refused(config, "kafka: {partitons: 3}").endswith(
        "kafka.partitons: unknown key 'partitons'; did you mean 'partitions'?"
    )
    assert refused(config, "kafak: {}").endswith("unknown key 'kafak'; did you mean 'kafka'?")


def test_an_unknown_variable_is_fatal_and_named(config: Path) -> None:
    assert refused(config, None, LOCKSTEP_KAFKA__PARTITION="4").startswith("LOCKSTEP_KAFKA__PARTITION: unknown key")


def test_a_secret_in_the_file_is_refused_with_the_way_out(config: Path) -> None:
    line = refused(config, "autotask: {secret: hunter2}")
    assert "autotask.secret: a secret does not belong in this file; set LOCKSTEP_AUTOTASK__SECRET" in line
    assert "hunter2" not in line


def test_plain_http_is_accepted_for_this_machine_only(config: Path) -> None:
    assert "plain http is accepted for this machine only" in refused(
        config, "ninjaone: {base_url: 'http://eu.ninjarmm.com'}"
    )
    config.write_text("ninjaone: {base_url: 'http://127.0.0.1:9/'}")
    assert load_settings(config, {}).ninjaone.base_url == "http://127.0.0.1:9"


def test_broken_yaml_is_told_with_its_line(config: Path) -> None:
    assert "line 3, column 1" in refused(config, "kafka:\n  - [\n")


def test_a_missing_file_that_was_asked_for_is_one_clear_line(tmp_path: Path) -> None:
    assert "run 'lockstep init'" in refused(tmp_path / "none.yaml")


def test_a_value_that_does_not_fit_never_echoes_the_input(config: Path) -> None:
    line = refused(config, None, LOCKSTEP_KAFKA__PARTITIONS="hunter2")
    assert line.startswith("LOCKSTEP_KAFKA__PARTITIONS: input should be a valid integer")
    assert "hunter2" not in line


def test_the_limit_on_dead_letters_is_a_setting_of_worker_and_executor(config: Path) -> None:
    settings = load_settings(config, {"LOCKSTEP_WORKER__DEAD_LETTERS__CONSECUTIVE": "-1"})
    assert settings.worker.dead_letters.limit("worker.dead_letters").consecutive == -1
    assert settings.executor.dead_letters.consecutive == 100
    refusal = refused(config, LOCKSTEP_EXECUTOR__DEAD_LETTERS__CONSECUTIVE="0")
    assert "must be at least 1, or -1 for no limit" in refusal
    assert "LOCKSTEP_EXECUTOR__DEAD_LETTERS__CONSECUTIVE" in refusal
