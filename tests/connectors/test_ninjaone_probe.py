"""The connection test tells its steps apart, stops at the first refusal and never says a secret."""

import socket
from dataclasses import replace

import pytest

from connectors.ninjaone.config import WebhookConfig
from connectors.ninjaone.probe import probe
from connectors.ninjaone.webhook_setup import WebhookRefused, remove, set_up
from connectors.probing import SUCCESS_LINE
from tests.connectors.ninja_connected import bench


async def probed(made, **changes):
    return await probe(replace(made.config, **changes), now=made.now, sleep=made.naps, jitter=lambda: 0.5)


def test_the_success_line_is_the_guides_own():
    assert SUCCESS_LINE == "Status: Connection succeeded with provided credentials."


async def test_good_credentials_pass_every_step():
    async with bench() as made:
        result = await probed(made)
        assert result.ok
        assert result.line == SUCCESS_LINE
        assert [step.step for step in result.steps] == ["host", "client id", "client secret", "scope", "read"]


async def test_an_unknown_client_id_is_told_as_often_the_wrong_region_after_one_call():
    async with bench() as made:
        before = len(await made.calls())
        result = await probed(made, client_id="someone-else")
        assert result.failed.step == "client id"
        assert "wrong region" in result.line
        assert len(await made.calls()) - before == 1


@pytest.mark.parametrize("status", [400, 401])
async def test_a_wrong_secret_is_told_as_such_and_not_repeated(status):
    async with bench() as made:
        await made.lab.setting(wrong_secret_status=status)
        before = len(await made.calls())
        result = await probed(made, client_secret="wrong-secret-value")
        assert result.failed.step == "client secret"
        assert "wrong-secret-value" not in repr(result)
        assert len(await made.calls()) - before == 1


@pytest.mark.parametrize(("scopes", "missing"), [("monitoring", "management"), ("management", "monitoring")])
async def test_a_missing_scope_is_named(scopes, missing):
    async with bench() as made:
        await made.lab.setting(client_scopes=scopes)
        result = await probed(made)
        assert result.failed.step == "scope"
        assert f"lacks {missing}" in result.line


async def test_a_shadow_asks_for_the_scope_to_read_and_needs_no_other():
    async with bench() as made:
        await made.lab.setting(client_scopes="monitoring")
        assert (await probed(made, scope="monitoring", reads_only=True)).ok


async def test_an_app_with_none_of_the_scopes_is_told_so():
    async with bench() as made:
        await made.lab.setting(client_scopes="control")
        assert (await probed(made)).failed.step == "scope"


async def test_a_host_that_is_not_there_says_nothing_about_the_credentials():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{free.getsockname()[1]}"
    async with bench() as made:
        result = await probed(made, base_url=address)
        assert result.failed.step == "host"
        assert "cannot be reached" in result.line
        assert not result.reachable


async def test_a_refused_read_is_one_refused_call():
    async with bench() as made:
        await made.lab.fault("status", count=-1, match={"path": "/v2/organizations"}, params={"code": 401})
        result = await probed(made)
        assert result.failed.step == "scope"
        assert len(await made.calls("organizations")) == 1


async def test_an_overloaded_host_is_told_as_trouble_not_as_wrong_credentials():
    async with bench() as made:
        await made.lab.fault("html", count=-1, match={"path": "oauth"})
        result = await probed(made)
        assert (result.failed.step, result.reachable) == ("host", False)
        assert "try again later" in result.line


WEBHOOK = WebhookConfig(public_url="https://lockstep.example/webhooks/ninjaone", secret="hook-secret-of-ours")


async def test_the_webhook_is_set_with_our_header_and_removed_again():
    async with bench() as made, made.client() as client:
        assert "hook-secret-of-ours" not in await set_up(client, WEBHOOK)
        shown = made.lab.vendor.webhook.shown()
        assert shown["url"] == WEBHOOK.public_url
        await remove(client)
        assert made.lab.vendor.webhook.shown() is None


async def test_a_refused_webhook_says_who_must_do_what():
    async with bench() as made, made.client() as client:
        await made.lab.setting(webhook_client_credentials="forbidden")
        with pytest.raises(WebhookRefused, match="system administrator"):
            await set_up(client, WEBHOOK)


async def test_a_webhook_without_a_secret_is_not_set():
    async with bench() as made, made.client() as client:
        with pytest.raises(WebhookRefused, match=r"webhook\.secret"):
            await set_up(client, WebhookConfig(public_url="https://lockstep.example/x"))
        assert await made.calls("webhook") == []
