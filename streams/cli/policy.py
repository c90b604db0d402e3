"""``lockstep policy check | schema``, and the group with the verbs of revisions (``policy_revisions``)."""

from __future__ import annotations

from pathlib import Path

import click

from streams.cli.base import FAILED, FINDING, common, run, say, say_error, say_json, settings_of
from streams.cli.main import Group
from streams.cli.policy_revisions import COMMANDS as REVISION_VERBS
from streams.policy_check import Checked, check_policy
from streams.policy_file import PolicyFileError, read_policy
from streams.policy_schema import policy_schema
from streams.settings import Settings, SettingsError
from streams.wording import counted


@click.group("policy", cls=Group)
def policy() -> None:
    """Rules: which alert becomes which ticket, which device becomes which item."""


@policy.command("check")
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@click.option("--tenant", is_flag=True, help="Also look every name up in Autotask.")
@common
def check(config: Path | None, as_json: bool, file: Path | None, tenant: bool) -> int:
    """Say what is wrong in a policy file, with the line. Exit code 2: there is something.

    Needs no running system; where one runs, its organizations and companies are looked at too.
    """
    settings = None if file is not None and not tenant else settings_of(config)
    path = file or settings_of(config).policy_path
    try:
        found = read_policy(path)
    except PolicyFileError as error:
        if as_json:
            say_json({"ok": False, "lines": error.lines, "findings": [each.document() for each in error.findings]})
        for line in [] if as_json else error.lines:
            say_error(line)
        return FINDING if error.findings else FAILED
    checked = run(check_policy(settings or _settings_beside(config), found, tenant="must" if tenant else "no"))
    findings, errors = checked.all(), checked.errors()
    names = [rule.name for rule in found.policy.rules]
    if as_json:
        say_json(
            {
                "ok": not errors,
                "lines": [found.said(finding) for finding in findings],
                "findings": [each.document() for each in findings],
                "rules": names,
                "not_looked_at": checked.notes,
            }
        )
    else:
        for line in checked.lines():
            say_error(line)
        mapped = len(found.policy.companies.map)
        say(
            f"{path}: {counted(len(names), 'rule')} ({', '.join(names)}), {counted(mapped, 'mapped organization')}: {_verdict(checked)}"
        )
    return FINDING if findings else 0


def _settings_beside(config: Path | None) -> Settings | None:
    """The settings that lead to a running system; for a file that is named none are needed."""
    try:
        return settings_of(config)
    except SettingsError:
        return None


def _verdict(checked: Checked) -> str:
    if checked.errors():
        return "cannot do its work in this tenant"
    return "can be published, with warnings" if checked.findings or checked.missing else "good"


@policy.command("schema")
def schema() -> int:
    """Print the JSON Schema of the policy file, for editors."""
    print(policy_schema(), end="")
    return 0


for verb in REVISION_VERBS:
    policy.add_command(verb)

COMMANDS = [policy]
