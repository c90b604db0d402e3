"""What is shipped: the wheel, the image, the compose file, the lock files, and what must stand in none of them."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

from streams.cli.main import VERBS, root
from streams.cli.running import ROLES
from streams.settings import load_settings

HERE = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((HERE / "pyproject.toml").read_text())
COMPOSE: dict[str, Any] = yaml.safe_load((HERE / "docker-compose.yml").read_text())
OURS = {name: service for name, service in COMPOSE["services"].items() if name != "kafka"}


def test_the_compose_services_are_the_roles_and_a_kafka() -> None:
    assert COMPOSE["services"]["kafka"]["image"].startswith("apache/kafka:")
    assert {service["command"][1] for service in OURS.values()} == set(ROLES)
    names = [service["command"] for service in OURS.values()]
    assert len({tuple(name) for name in names}) == len(names)


@pytest.mark.parametrize("name", sorted(OURS))
def test_what_a_compose_service_calls_exists(name: str) -> None:
    service = OURS[name]
    check = service["healthcheck"]["test"]
    assert check[:2] == ["CMD", "lockstep"]
    for verb, *arguments in (service["command"], check[2:]):
        assert verb in VERBS
        command = root.commands.get(verb) or root.get_command(None, verb)  # type: ignore[arg-type]
        assert command is not None
        # Parses the arguments without running anything; raises for one that does not exist.
        command.make_context(verb, list(arguments))
    assert check[-1] == service["command"][1]


@pytest.mark.parametrize("name", sorted(OURS))
def test_what_a_compose_service_sets_are_settings(name: str, tmp_path: Path) -> None:
    environment = {key: re.sub(r"\$\{\w+:-}", "", value) for key, value in OURS[name]["environment"].items()}
    config = Path(environment.pop("LOCKSTEP_CONFIG"))
    volumes = [volume.split(":") for volume in OURS[name]["volumes"]]
    assert str(config) in [target for _, target, *_ in volumes]
    (tmp_path / config.name).write_text("")
    settings = load_settings(tmp_path / config.name, environment)
    assert settings.kafka.bootstrap_servers == "kafka:9092"
    assert settings.kafka.security.allow_plaintext
    # Every service sees the secrets that 'connect' stores, and may write where it keeps its own things.
    stored = [target for source, target, *_ in volumes if source in COMPOSE["volumes"]]
    assert [str(settings.secrets_path.parent), str(settings.data_dir.parent)] == [*stored, *stored]
    assert f"install -d -o lockstep -m 0700 {stored[0]}" in (HERE / "Dockerfile").read_text()


def test_the_image_copies_and_pins_what_the_wheel_needs() -> None:
    text = (HERE / "Dockerfile").read_text()
    copied = {word for line in text.splitlines() if line.startswith("COPY ") for word in line.split()[1:-1]}
    packages = set(PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])
    assert copied >= packages | {"pyproject.toml", PROJECT["project"]["readme"], "requirements/run.lock"}
    assert all((HERE / name).exists() for name in copied if not name.startswith(("-", "/")))
    assert PROJECT["build-system"]["requires"][0] in text
    assert 'ENTRYPOINT ["lockstep"]' in text


def test_the_wheel_holds_the_three_packages_and_nothing_else(tmp_path: Path) -> None:
    program = "from hatchling.build import build_wheel; import sys; print(build_wheel(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=HERE,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    with zipfile.ZipFile(tmp_path / done.stdout.splitlines()[-1]) as wheel:
        names = wheel.namelist()
        metadata = wheel.read(next(name for name in names if name.endswith("dist-info/METADATA"))).decode()
    version = PROJECT["project"]["version"]
    assert {name.split("/")[0] for name in names} == {
        *("connectors", "schemas", "streams"),
        f"lockstep_psa-{version}.dist-info",
    }
    assert {f"{package}/py.typed" for package in ("connectors", "schemas", "streams")} <= set(names)
    assert [name for name in names if not name.endswith((".py", "py.typed")) and "dist-info" not in name] == []
    assert "Classifier: Private :: Do Not Upload" in metadata


def test_the_version_is_one() -> None:
    from streams.cli.main import VERSION

    assert PROJECT["project"]["version"] == VERSION


@pytest.mark.parametrize("name", ["run.lock", "dev.lock"])
def test_a_lock_file_pins_everything_with_hashes_and_names_no_host(name: str) -> None:
    text = (HERE / "requirements" / name).read_text()
    assert "://" not in text
    assert not re.search(r"^\s*(-i|--(extra-)?index-url|--find-links|--trusted-host)", text, re.MULTILINE)
    entries = re.split(r"^(?=[a-zA-Z0-9])", text, flags=re.MULTILINE)[1:]
    assert len(entries) > 20
    for entry in entries:
        pinned, *rest = entry.splitlines()
        assert re.match(r"[a-zA-Z0-9_.\[\]-]+==\S+", pinned), pinned
        assert any(re.fullmatch(r"\s+--hash=sha256:[0-9a-f]{64}( \\)?", line) for line in rest), pinned


def test_no_file_names_a_package_host_or_a_place_on_a_machine() -> None:
    # Written in two halves, so that this file does not find itself.
    words = ["py" + "pi.", "python" + "hosted", "repo1." + "maven", "npm" + "js.", "/wo" + "rk/", "/ro" + "ot/"]
    words += ["/tmp/" + "bash_jobs", "/ho" + "me/"]
    tops = [top for top in HERE.iterdir() if not top.name.startswith(".") or top.name in (".ci", ".gitignore")]
    paths = [path for top in tops for path in (top.rglob("*") if top.is_dir() else [top])]
    found = [
        f"{path.relative_to(HERE)}: {word}"
        for path in paths
        if path.is_file() and path.suffix != ".pyc"
        for word in words
        if word in path.read_text(encoding="utf-8", errors="replace")
    ]
    assert found == []


def test_no_text_has_a_merge_in_it_or_a_place_that_was_to_be_filled() -> None:
    marks = re.compile(r"^(<{7} |>{7} |={7}$)|@@[A-Z]+@@", re.MULTILINE)
    paths = [*HERE.glob("*.md"), *(HERE / "docs").rglob("*.md"), HERE / "Makefile", HERE / "docker-compose.yml"]
    assert [str(path.relative_to(HERE)) for path in paths if marks.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("path", sorted((HERE / "bench").glob("*.py")), ids=lambda path: path.stem)
def test_every_benchmark_can_be_imported(path: Path) -> None:
    # They are run by hand, so nothing else would tell that something they use has gone.
    importlib.import_module(f"bench.{path.stem}".removesuffix(".__init__"))
