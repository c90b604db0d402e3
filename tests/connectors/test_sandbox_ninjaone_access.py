"""Who may call the simulated NinjaOne: tokens, scopes and refusals, over real HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.connectors.ninja_lab import lab


class TestToken:
    @pytest.mark.parametrize("path", ["/ws/oauth/token", "/oauth/token"])
    async def test_client_credentials_give_a_bearer_token_on_both_paths(self, path: str) -> None:
        async with lab() as it:
            form = {
                "grant_type": "client_credentials",
                "client_id": it.vendor.client_id,
                "client_secret": it.vendor.client_secret,
                "scope": "monitoring management",
                "redirect_uri": "https://localhost",
            }
            body = (await it.plain.post(path, data=form)).json()
            assert (body["expires_in"], body["token_type"], body["scope"]) == (3600, "Bearer", "monitoring management")
            assert "refresh_token" not in body
            answer = await it.plain.get("/v2/roles", headers={"Authorization": f"Bearer {body['access_token']}"})
            assert answer.status_code == 200

    async def test_the_client_may_stand_in_a_basic_header(self) -> None:
        async with lab() as it:
            auth = httpx.BasicAuth(it.vendor.client_id, it.vendor.client_secret)
            answer = await it.plain.post("/ws/oauth/token", data={"grant_type": "client_credentials"}, auth=auth)
            assert answer.json()["scope"] == "monitoring management control"

    async def test_an_unknown_client_is_a_404(self) -> None:
        async with lab() as it:
            answer = await it.token(client_id="other-region")
            assert answer.status_code == 404
            assert answer.json()["resultCode"] == "Client app not exist"
            assert answer.json()["incidentId"].startswith("WEB_MGMT_SERVICE-")

    @pytest.mark.parametrize("status", [400, 401])
    async def test_a_wrong_secret_is_invalid_client(self, status: int) -> None:
        async with lab() as it:
            await it.setting(wrong_secret_status=status)
            answer = await it.token(client_secret="wrong")
            assert (answer.status_code, answer.json()) == (status, {"error": "invalid_client"})
            assert (await it.control("GET", "calls"))[-1]["auth"] == "wrong_secret"

    @pytest.mark.parametrize(
        ("form", "error"),
        [
            ({"grant_type": "password"}, "unsupported_grant_type"),
            ({"scope": "everything"}, "invalid_scope"),
            ({"grant_type": "refresh_token", "refresh_token": "x"}, "invalid_grant"),
        ],
    )
    async def test_other_token_calls_fail_as_oauth_says(self, form: dict[str, str], error: str) -> None:
        async with lab() as it:
            answer = await it.token(**form)
            assert (answer.status_code, answer.json()) == (400, {"error": error})

    async def test_a_refresh_token_comes_with_offline_access_and_works(self) -> None:
        async with lab() as it:
            first = (await it.token(scope="monitoring offline_access")).json()
            again = (await it.token(grant_type="refresh_token", refresh_token=first["refresh_token"])).json()
            assert again["access_token"] != first["access_token"]

    async def test_a_token_dies_after_its_lifetime_on_the_sandbox_clock(self) -> None:
        async with lab() as it:
            await it.control("POST", "clock", {"advance": 3590})
            assert (await it.api.get("/v2/roles")).status_code == 200
            await it.control("POST", "clock", {"advance": 11})
            answer = await it.api.get("/v2/roles")
            assert answer.status_code == 401
            assert (await it.control("GET", "calls"))[-1]["refusedWhy"] == "the token is expired"

    async def test_the_lifetime_is_a_setting(self) -> None:
        async with lab() as it:
            await it.setting(token_lifetime_seconds=60)
            assert (await it.token()).json()["expires_in"] == 60

    @pytest.mark.parametrize(
        ("header", "status", "body"),
        [
            (None, 400, {"error": "missing_header", "error_description": "Missing required header", "error_code": 2}),
            (
                "Token abc",
                400,
                {"error": "invalid_header", "error_description": "Invalid 'Authorization' header", "error_code": 1},
            ),
            (
                "Bearer nonsense",
                401,
                {"error": "not_authenticated", "error_description": "Invalid credentials", "error_code": 10},
            ),
        ],
    )
    async def test_each_refusal_has_its_own_body(self, header: str | None, status: int, body: Any) -> None:
        async with lab() as it:
            answer = await it.plain.get("/v2/devices", headers={"Authorization": header} if header else {})
            assert (answer.status_code, answer.json()) == (status, body)

    async def test_reading_needs_monitoring_and_resetting_needs_management(self) -> None:
        async with lab() as it:
            uid = await it.alert()
            reads = {"Authorization": "Bearer " + (await it.token(scope="monitoring")).json()["access_token"]}
            assert (await it.plain.get("/v2/alerts", headers=reads)).status_code == 200
            assert (await it.plain.delete(f"/v2/alert/{uid}", headers=reads)).status_code == 403
            writes = {"Authorization": "Bearer " + (await it.token(scope="management")).json()["access_token"]}
            assert (await it.plain.get("/v2/alerts", headers=writes)).status_code == 403

    async def test_a_client_that_was_deactivated_is_unknown_and_its_tokens_are_dead(self) -> None:
        async with lab() as it:
            await it.control("PATCH", "client", {"active": False})
            assert (await it.api.get("/v2/roles")).status_code == 401
            assert (await it.token()).status_code == 404
            await it.control("PATCH", "client", {"active": True})
            assert (await it.token()).status_code == 200

    async def test_an_app_for_machines_has_no_authorize_page(self) -> None:
        async with lab() as it:
            answer = await it.plain.get("/ws/oauth/authorize?response_type=code&client_id=x")
            assert (answer.status_code, answer.json()["errorMessage"]) == (404, "HTTP 404 Not Found")

    async def test_after_a_new_secret_only_the_new_one_works(self) -> None:
        async with lab() as it:
            await it.control("PATCH", "client", {"secret": "brand-new"})
            assert (await it.token()).json() == {"error": "invalid_client"}
            assert (await it.token(client_secret="brand-new")).status_code == 200

    async def test_tokens_may_outlive_a_change_of_the_secret(self) -> None:
        async with lab() as it:
            await it.control("PATCH", "client", {"secret": "brand-new", "revokeTokens": False})
            assert (await it.api.get("/v2/roles")).status_code == 200
