"""The result of a connection test: the steps in their order, each with one line; it stops at the first that fails."""

from __future__ import annotations

from dataclasses import dataclass

#: The line that the integration guide shows for a working connection; scripts look for exactly this.
SUCCESS_LINE = "Status: Connection succeeded with provided credentials."


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeStep:
    """One step of a test. ``line`` says what was found, and for a failed step what to do."""

    step: str
    ok: bool
    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """A finished test. ``reachable`` is false when no answer came, which says nothing about the credentials.

    ``findings`` are lines about what works but lacks something, such as a user-defined field.
    """

    steps: tuple[ProbeStep, ...]
    reachable: bool = True
    findings: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return all(step.ok for step in self.steps)

    @property
    def failed(self) -> ProbeStep | None:
        """The step that failed, which is always the last one."""
        return next((step for step in self.steps if not step.ok), None)

    @property
    def line(self) -> str:
        """The success line, or ``Status: <step>: <what is wrong and what to do>``."""
        failed = self.failed
        return SUCCESS_LINE if failed is None else f"Status: {failed.step}: {failed.line}"
