"""``lockstep init | test | connect | disconnect | check | setup``: from nothing to two healthy connections."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click
import yaml

from connectors.autotask.probe import failed_step
from connectors.autotask.setup import Created, Setup
from connectors.autotask.tenant_check import Finding
from connectors.errors import CallFailed
from connectors.ports import CallsSuspended, OpenGate
from schemas.facts import ConnectionName
from streams.cli.base import FAILED, FINDING, Failure, actor, common, run, say, say_error, say_json, settings_of
from streams.clock import clock_of
from streams.connecting import NOT_TOLD, Tested, running_system, tell_disconnected, tell_fields_created, test_and_tell
from streams.core.policy.policy import Policy
from streams.credentials import too_short
from streams.policy_check import check_policy, closed
from streams.policy_file import STARTER, read_policy
from streams.policy_tenant import tenant_findings
from streams.secrets_file import store_secrets
from streams.settings import CONFIG_NAME, Settings, SettingsError, load_settings
from streams.vendors import autotask_client, credentials
from streams.wording import counted

_CONNECTION = click.Choice(["ninjaone", "autotask"])
SHOWN: dict[ConnectionName, str] = {"ninjaone": "NinjaOne", "autotask": "Autotask"}
_AUTOTASK_NEEDS = "--username, --secret-stdin and --integration-code"


@click.command("test")
@click.argument("connection", type=_CONNECTION)
@common
def test(config: Path | None, as_json: bool, connection: ConnectionName) -> int:
    """Test a connection with its stored credentials; a success makes it Healthy."""
    tested = run(test_and_tell(settings_of(config), connection, tell=True, by=actor()))
    code = _tell(tested, as_json)
    return _not_told(connection, tested.untold) if tested.untold else code


def _not_told(connection: ConnectionName, untold: str) -> int:
    say_error(
        f"lockstep: {untold}; a running system was not told of this test, and its connection stays as it was: "
        f"run 'lockstep test {connection}' again when Kafka answers"
    )
    return FAILED


def _tell(tested: Tested, as_json: bool) -> int:
    result, failed = tested.result, tested.result.failed
    if as_json:
        say_json(
            {
                "ok": result.ok,
                "line": result.line,
                "step": failed.step if failed else None,
                "steps": [{"step": step.step, "ok": step.ok, "line": step.line} for step in result.steps],
                "findings": list(result.findings),
                "untold": tested.untold,
            }
        )
    else:
        say(result.line)
        for finding in result.findings:
            say(f"  {finding}")
    if failed is not None:
        return FAILED
    return FINDING if result.findings else 0


@click.command("connect")
@click.argument("connection", type=_CONNECTION)
@click.option("--username", help="Autotask: the API user's name (key).")
@click.option("--client-id", help="NinjaOne: the client app's id.")
@click.option("--integration-code", help="Autotask: the tracking identifier.")
@click.option("--secret-stdin", is_flag=True, help="Read the secret from standard input (never from an argument).")
@click.option("--no-test", is_flag=True, help="Store without testing; a running system tests once.")
@common
def connect(
    config: Path | None,
    as_json: bool,
    connection: ConnectionName,
    username: str | None,
    client_id: str | None,
    integration_code: str | None,
    secret_stdin: bool,
    no_test: bool,
) -> int:
    """Test credentials and store them; a running system takes them up within a second."""
    if connection == "ninjaone" and (username or integration_code):
        raise click.UsageError("--username and --integration-code belong to autotask; NinjaOne takes --client-id")
    if connection == "autotask" and client_id:
        raise click.UsageError("--client-id belongs to ninjaone; Autotask takes --username")
    values = (
        {"client_id": client_id}
        if connection == "ninjaone"
        else {"username": username, "integration_code": integration_code}
    )
    secret = _secret(secret_stdin)
    if secret == "":
        raise click.UsageError("the secret is empty: nothing came on standard input; nothing was stored")
    if secret is not None:
        values["client_secret" if connection == "ninjaone" else "secret"] = secret
    given = {name: value for name, value in values.items() if value}
    if not given:
        raise click.UsageError("nothing to connect with; give the user and --secret-stdin")
    if short := too_short(given):
        raise click.UsageError(f"{short}; nothing was stored")
    settings = settings_of(config)
    if credentials(_with(settings, connection, given))[connection] is None:
        wanted = "--client-id and --secret-stdin" if connection == "ninjaone" else _AUTOTASK_NEEDS
        raise click.UsageError(f"{SHOWN[connection]} needs {wanted}, of which some are neither given nor stored")
    return _connect(settings, config, connection, given, as_json=as_json, test=not no_test)


def _secret(from_stdin: bool) -> str | None:
    if from_stdin:
        return sys.stdin.read().strip()
    if sys.stdin.isatty():
        return str(click.prompt("Secret", hide_input=True, default="", show_default=False)) or None
    return None


def _connect(
    settings: Settings,
    config: Path | None,
    connection: ConnectionName,
    given: dict[str, str],
    *,
    as_json: bool,
    test: bool,
) -> int:
    if test:
        # Tested before anything is stored: a typing error must not replace credentials that work.
        tried = _with(settings, connection, given)
        first = run(test_and_tell(tried, connection, tell=False, by=actor()))
        if not first.result.ok:
            code = _tell(first, as_json)
            say_error("nothing was stored")
            return code
    store_secrets(settings.secrets_path, connection, given)
    stored = load_settings(config)
    if not test:
        if as_json:
            say_json({"connection": connection, "stored": str(settings.secrets_path), "tested": False})
        else:
            say(f"{SHOWN[connection]}: stored in {settings.secrets_path}, not tested")
        return 0
    # Told to a running system with what is really in force, which the environment may override.
    effective = run(test_and_tell(stored, connection, tell=True, by=actor()))
    if not effective.result.ok:
        raise Failure(
            f"{SHOWN[connection]}: the new credentials work and are stored, but others from the environment override them: "
            f"{effective.result.line}"
        )
    code = _tell(effective, as_json)
    if not as_json:
        say(f"{SHOWN[connection]}: stored in {settings.secrets_path}")
    if effective.untold:
        return _not_told(connection, effective.untold)
    return 0 if code == FINDING else code


def _with(settings: Settings, connection: ConnectionName, given: dict[str, str]) -> Settings:
    document = settings.model_dump(mode="python")
    document[connection] = {**document[connection], **given}
    return Settings.model_validate({**document, "root": settings.root})


@click.command("disconnect")
@click.argument("connection", type=_CONNECTION)
@common
def disconnect(config: Path | None, as_json: bool, connection: ConnectionName) -> int:
    """Forget the stored credentials; a running system stops calling, and work waits."""
    settings = settings_of(config)
    told, untold = False, None
    try:
        told = run(tell_disconnected(settings, connection, by=actor()))
    except NOT_TOLD as error:
        untold = str(error)
    # Also where nobody could be told: what runs on this machine follows the file.
    store_secrets(settings.secrets_path, connection, None)
    if as_json:
        say_json(
            {"connection": connection, "state": "NotConnected", "running_system_told": told, "untold": untold},
        )
    elif untold:
        say(f"{SHOWN[connection]}: the stored credentials are forgotten")
    else:
        say(f"{SHOWN[connection]}: Not connected" + ("" if told else " (no running system to tell)"))
    if untold:
        say_error(
            f"lockstep: {untold}; a running system was not told and may go on calling: "
            f"run 'lockstep disconnect {connection}' again when Kafka answers"
        )
        return FAILED
    return 0


@click.command("check")
@common
def check(config: Path | None, as_json: bool) -> int:
    """Say what the policy needs in Autotask and Autotask does not have: exit code 2.

    Of a running system also which organizations have no company; that alone is exit code 0, for their work is parked.
    """
    settings = settings_of(config)
    file = read_policy(settings.policy_path)
    checked = run(check_policy(settings, file, tenant="must"))
    if as_json:
        policy = [finding.document() for finding in checked.findings]
        say_json({"findings": list(checked.tenant_rows()), "policy": policy, "not_looked_at": checked.notes})
    else:
        for finding in checked.all():
            say(file.said(finding))
        for note in checked.notes:
            say_error(f"note: {note}")
        count = len(checked.missing)
        say(counted(count, "finding") if count else "everything that the policy names exists in Autotask")
    return FINDING if checked.missing else 0


@click.command("setup")
@common
def setup(config: Path | None, as_json: bool) -> int:
    """Create the missing user-defined fields, where Autotask allows it."""
    settings = settings_of(config)
    policy = read_policy(settings.policy_path).policy
    try:
        # Before anything is created: a field that a running system did not hear of would stay empty.
        options = run(running_system(settings))
        why = run(closed(settings, options, healthy=False)) if options is not None else None
    except NOT_TOLD as error:
        raise Failure(f"{error}; nothing was created") from None
    if why is not None:
        raise Failure(f"{why}; nothing was created")
    created, left = run(_setup(settings, policy))
    made = [result.name for result in created if result.ok]
    untold = None
    try:
        if made:
            run(tell_fields_created(settings, made, by=actor()))
    except NOT_TOLD as error:
        untold = str(error)
    if as_json:
        say_json(
            {
                "created": [{"name": c.name, "ok": c.ok, "line": c.line} for c in created],
                "left": [finding.line for finding in left],
            }
        )
    else:
        for result in created:
            say(result.line)
        for finding in left:
            say(f"not for setup: {finding.line}")
        if not created and not left:
            say("nothing to do: every user-defined field exists")
    if untold:
        say_error(
            f"lockstep: {untold}; a running system was not told of the new fields: it fills those of an item when its "
            "device changes"
        )
        return FAILED
    return FINDING if left or not all(result.ok for result in created) else 0


async def _setup(settings: Settings, policy: Policy) -> tuple[list[Created], list[Finding]]:
    try:
        async with clock_of() as clock, autotask_client(settings, gate=OpenGate("autotask"), now=clock.now) as client:
            try:
                tenant = Setup(client)
                missing = await tenant.missing_fields(list(policy.devices.fields.values()))
                # One after the other: the vendor counts threads per entity, and locks under parallel writes.
                created = [await tenant.create_field(name) for name in missing]
                return created, [each.missing for each in await tenant_findings(client, policy)]
            except CallFailed as failure:
                raise Failure(f"Autotask: {failed_step(client, failure).line}") from None
    except CallsSuspended as error:
        raise Failure(f"Autotask could not be asked: {error}") from None


_REGIONS = "app (US), us2, eu, ca, oc, fed"


@click.command("init")
@click.option("--base-url", help=f"NinjaOne: the host your technicians sign in to ({_REGIONS}).")
@click.option("--client-id", help="NinjaOne: the client app's id.")
@click.option("--username", help="Autotask: the API user's name (key).")
@click.option("--integration-code", help="Autotask: the tracking identifier.")
@click.option("--discovery-url", help="Autotask: where the zone is asked for; only for a sandbox.")
@click.option("--force", is_flag=True, help="Replace files that exist.")
@click.option("--no-test", is_flag=True, help="Write the files without testing.")
@common
def init(config: Path | None, as_json: bool, force: bool, no_test: bool, **given: str | None) -> int:
    """Ask for what is needed, test it, and write lockstep.yaml, policy.yaml and the secrets file.

    Without a terminal the two secrets come from LOCKSTEP_NINJAONE__CLIENT_SECRET and LOCKSTEP_AUTOTASK__SECRET.
    """
    path = config or Path(CONFIG_NAME)
    if path.exists() and not force:
        raise Failure(f"{path} exists; edit it, or use --force to replace it")
    answers = _ask(given)
    if short := too_short(answers):
        raise click.UsageError(f"{short}; nothing was written")
    settings = _write(path, answers)
    results = (
        {}
        if no_test
        else {name: run(test_and_tell(load_settings(path), name, tell=False, by=actor())).result for name in SHOWN}
    )
    written = [path, settings.policy_path, settings.secrets_path]
    good = all(result.ok for result in results.values())
    if as_json:
        lines = {name: {"ok": r.ok, "line": r.line, "findings": list(r.findings)} for name, r in results.items()}
        say_json({"written": [str(file) for file in written], "connections": lines})
        return 0 if good else FAILED
    say(f"written: {', '.join(str(file) for file in written)} (the last one readable by you only)")
    for name, result in results.items():
        say(f"{SHOWN[name]}: {result.line}")
        for finding in result.findings:
            say(f"  {finding}")
    if not good:
        say("correct what is wrong with 'lockstep connect', then 'lockstep check'")
    elif results:
        say("next: 'lockstep check', then 'lockstep up'")
    return 0 if good else FAILED


def _write(path: Path, answers: dict[str, str]) -> Settings:
    """Write the three files. The configuration is checked before it takes its place: a bad answer leaves nothing behind."""
    document: dict[str, Any] = {
        "ninjaone": {"base_url": answers["base_url"], "client_id": answers["client_id"]},
        "autotask": {"username": answers["username"]},
    }
    if answers["discovery_url"]:
        document["autotask"]["discovery_url"] = answers["discovery_url"]
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    try:
        draft.write_text(
            "# Lockstep's configuration; secrets are elsewhere (README, 'Use it').\n"
            + yaml.safe_dump(document, sort_keys=False)
        )
        settings = load_settings(draft)
        draft.replace(path)
    except SettingsError as error:
        raise Failure(f"{str(error).replace(str(draft), 'what was given')}; nothing was written") from None
    finally:
        draft.unlink(missing_ok=True)
    if not settings.policy_path.exists():
        settings.policy_path.write_text(STARTER)
    ninjaone = {"client_secret": answers["client_secret"]}
    autotask = {"secret": answers["secret"], "integration_code": answers["integration_code"]}
    store_secrets(settings.secrets_path, "ninjaone", {k: v for k, v in ninjaone.items() if v})
    store_secrets(settings.secrets_path, "autotask", {k: v for k, v in autotask.items() if v})
    return settings


def _ask(given: dict[str, str | None]) -> dict[str, str]:
    import os

    answers = {name: value or "" for name, value in given.items()}
    answers["client_secret"] = os.environ.get("LOCKSTEP_NINJAONE__CLIENT_SECRET", "")
    answers["secret"] = os.environ.get("LOCKSTEP_AUTOTASK__SECRET", "")
    answers["integration_code"] = answers["integration_code"] or os.environ.get(
        "LOCKSTEP_AUTOTASK__INTEGRATION_CODE", ""
    )
    questions = [
        ("base_url", f"NinjaOne host ({_REGIONS}; or an address)", False, "eu"),
        ("client_id", "NinjaOne client id", False, None),
        ("client_secret", "NinjaOne client secret", True, None),
        ("username", "Autotask API user (key)", False, None),
        ("secret", "Autotask API secret", True, None),
        ("integration_code", "Autotask tracking identifier", True, None),
    ]
    missing = [name for name, *_ in questions if not answers[name] and name != "base_url"]
    if missing and not sys.stdin.isatty():
        names = ", ".join(f"--{name.replace('_', '-')}" for name in missing if name not in ("client_secret", "secret"))
        secrets = [name for name in missing if name in ("client_secret", "secret")]
        variables = {"client_secret": "LOCKSTEP_NINJAONE__CLIENT_SECRET", "secret": "LOCKSTEP_AUTOTASK__SECRET"}
        wanted = ", ".join(filter(None, [names, *(variables[name] for name in secrets)]))
        raise click.UsageError(f"there is no terminal to ask at; give {wanted}")
    for name, question, hidden, default in questions:
        if not answers[name]:
            interactive = sys.stdin.isatty()
            answers[name] = (
                click.prompt(question, hide_input=hidden, default=default) if interactive else (default or "")
            )
    if "://" not in answers["base_url"]:
        answers["base_url"] = f"https://{answers['base_url']}.ninjarmm.com"
    return answers


COMMANDS = [init, test, connect, disconnect, check, setup]
