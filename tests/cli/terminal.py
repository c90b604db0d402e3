"""The real command as a subprocess: what it printed where, how it ended, and that nothing it must not show got out."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from streams.cli.main import run_command_line

#: Stands for every secret in these tests; must be seen nowhere but in the secrets file.
CANARY = "canary-4711-secret"
LOCKSTEP = str(Path(sys.executable).with_name("lockstep"))


@dataclass(frozen=True, slots=True)
class Said:
    """How a command ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The one line on standard error, with nothing on standard output."""
        assert self.out == "", self
        assert len(self.err.splitlines()) == 1, self
        return self.err.strip()


@dataclass(frozen=True, slots=True)
class InProcess:
    """The command line in this process, in a folder of its own: what is said is asked for, not how it gets out."""

    folder: Path
    patch: pytest.MonkeyPatch
    captured: pytest.CaptureFixture[str]

    def run(self, *arguments: str, stdin: str = "", **environment: str) -> Said:
        """As ``Terminal.run``."""
        with self.patch.context() as patch:
            patch.chdir(self.folder)
            patch.setattr("sys.stdin", io.StringIO(stdin))
            for name in [name for name in os.environ if name.startswith("LOCKSTEP_")]:
                patch.delenv(name)
            for name, value in environment.items():
                patch.setenv(name, value)
            self.captured.readouterr()
            code = run_command_line(arguments)
        out, err = self.captured.readouterr()
        said = Said(code, out, err)
        assert "unexpected" not in said.err, said
        assert CANARY not in said.out + said.err, said
        return said


@dataclass(frozen=True, slots=True)
class Terminal:
    """A folder of its own with no Lockstep variables around it."""

    folder: Path

    def run(self, *arguments: str, stdin: str = "", within: float = 40, **environment: str) -> Said:
        """Run ``lockstep`` here. Fails on a traceback or a secret in what it prints."""
        done = subprocess.run(
            [LOCKSTEP, *arguments],
            cwd=self.folder,
            env=self.environment(**environment),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=within,
            check=False,
        )
        said = Said(done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in said.out + said.err, said
        assert CANARY not in said.out + said.err, said
        return said

    def environment(self, **more: str) -> dict[str, str]:
        """The environment of this process without Lockstep's variables, and more."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("LOCKSTEP_")}
        return {**kept, "NO_PROXY": "127.0.0.1,localhost", **more}

    def write(self, text: str, name: str = "lockstep.yaml") -> Path:
        """A file in the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def files_with_the_secret(self) -> list[str]:
        """The files of the folder that hold it."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        return sorted(str(f.relative_to(self.folder)) for f in files if CANARY in f.read_text(errors="replace"))
