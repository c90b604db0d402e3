"""What every sandbox port does, whichever vendor is behind it: clock, calls, faults, settings, state."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest

from tests.connectors.ninja_lab import Lab, eventually, lab


async def last_call(it: Lab) -> dict[str, object]:
    return (await it.control("GET", "calls"))[-1]


class TestClock:
    async def test_the_clock_runs_ahead_by_what_it_was_advanced(self) -> None:
        async with lab() as it:
            before = await it.control("GET", "clock")
            after = await it.control("POST", "clock", {"advance": 3600})
            assert after["offset"] == before["offset"] + 3600
            assert 3600 <= after["now"] - before["now"] < 3602

    @pytest.mark.parametrize("body", [{"advance": -1}, {"advance": "1h"}, {}, {"advance": True}])
    async def test_the_clock_never_runs_back(self, body: object) -> None:
        async with lab() as it:
            answer = await it.plain.post("/_sandbox/clock", json=body)
            assert answer.status_code == 400
            assert "advance" in answer.json()["error"]


class TestCalls:
    async def test_a_vendor_call_is_logged_with_what_became_of_it(self) -> None:
        async with lab() as it:
            await it.rows("device/1001")
            row = await last_call(it)
            assert row["method"] == "GET"
            assert row["path"] == "/v2/device/1001"
            assert (row["entity"], row["itemId"], row["status"]) == ("devices", 1001, 200)
            assert (row["inflight"], row["auth"], row["refusedWhy"]) == (1, "ok", None)

    async def test_a_refused_call_says_which_refusal_it_was(self) -> None:
        async with lab() as it:
            await it.plain.get("/v2/devices")
            row = await last_call(it)
            assert (row["status"], row["auth"]) == (400, "missing_header")
            assert row["refusedWhy"] == "no Authorization header"

    async def test_since_gives_only_later_calls(self) -> None:
        async with lab() as it:
            await it.rows("roles")
            seen = (await last_call(it))["seq"]
            await it.rows("policies")
            later = await it.control("GET", f"calls?since={seen}")
            assert [row["path"] for row in later] == ["/v2/policies"]

    async def test_control_calls_are_not_logged(self) -> None:
        async with lab() as it:
            count = len(await it.control("GET", "calls"))
            await it.state()
            assert len(await it.control("GET", "calls")) == count

    async def test_calls_side_by_side_count_each_other(self) -> None:
        async with lab() as it:
            await it.setting(latency_ms=80)
            await asyncio.gather(*(it.rows("alerts") for _ in range(3)))
            inflight = [row["inflight"] for row in await it.control("GET", "calls") if row["entity"] == "alerts"]
            assert sorted(inflight) == [1, 2, 3]

    async def test_neither_token_nor_secret_stands_in_calls_or_state(self) -> None:
        async with lab() as it:
            token = it.api.headers["Authorization"].removeprefix("Bearer ")
            await it.webhook("http://127.0.0.1:9/x", headers=[{"name": "X-Token", "value": "hush-hush"}])
            for path in ("calls", "state", "settings", "client"):
                text = (await it.plain.get(f"/_sandbox/{path}")).text
                assert token not in text
                assert it.vendor.client_secret not in text
                assert "hush-hush" not in text


class TestFaults:
    async def test_a_drop_before_commit_closes_the_connection_and_does_nothing(self) -> None:
        async with lab() as it:
            uid = await it.alert()
            await it.fault("drop_before_commit", match={"method": "DELETE", "path": "^/v2/alert/"})
            with pytest.raises(httpx.RemoteProtocolError):
                await it.api.delete(f"/v2/alert/{uid}")
            assert [row["uid"] for row in await it.rows("alerts")] == [uid]

    async def test_a_drop_after_commit_does_it_and_closes_the_connection(self) -> None:
        async with lab() as it:
            uid = await it.alert()
            await it.fault("drop_after_commit", match={"entity": "alerts", "method": "DELETE"})
            with pytest.raises(httpx.RemoteProtocolError):
                await it.api.delete(f"/v2/alert/{uid}")
            assert await it.rows("alerts") == []
            dropped = (await it.control("GET", "calls"))[-2]
            assert (dropped["method"], dropped["status"]) == ("DELETE", None)

    async def test_a_delay_comes_before_the_deed(self) -> None:
        async with lab() as it:
            uid = await it.alert()
            await it.fault("delay", match={"method": "DELETE"}, params={"seconds": 30})
            with pytest.raises(httpx.ReadTimeout):
                await it.api.delete(f"/v2/alert/{uid}", timeout=0.1)
            assert len(await it.rows("alerts")) == 1

    async def test_a_delayed_deed_is_done_even_when_the_client_has_given_up(self) -> None:
        async with lab() as it:
            uid = await it.alert()
            await it.fault("delay", match={"method": "DELETE"}, params={"seconds": 0.15})
            with pytest.raises(httpx.ReadTimeout):
                await it.api.delete(f"/v2/alert/{uid}", timeout=0.05)

            async def gone() -> bool:
                return await it.rows("alerts") == []

            assert not await gone()
            await eventually(gone)

    async def test_a_delay_after_commit_comes_after_it(self) -> None:
        async with lab() as it:
            uid = await it.alert()
            await it.fault("delay_after_commit", match={"method": "DELETE"}, params={"seconds": 30})
            with pytest.raises(httpx.ReadTimeout):
                await it.api.delete(f"/v2/alert/{uid}", timeout=0.1)
            assert await it.rows("alerts") == []

    async def test_a_delayed_call_does_not_hold_up_the_end_of_the_sandbox(self) -> None:
        async with lab() as it:
            await it.fault("delay", match={"entity": "roles"}, params={"seconds": 300})
            call = asyncio.create_task(it.api.get("/v2/roles", timeout=30))
            await asyncio.sleep(0.05)
            begun = time.monotonic()
        assert time.monotonic() - begun < 2
        with pytest.raises(httpx.HTTPError):
            await call

    async def test_a_status_fault_answers_without_doing(self) -> None:
        async with lab() as it:
            uid = await it.alert()
            params = {"code": 503, "body": {"oops": 1}, "headers": {"Retry-After": "9"}}
            await it.fault("status", match={"method": "DELETE"}, params=params)
            answer = await it.api.delete(f"/v2/alert/{uid}")
            assert (answer.status_code, answer.json(), answer.headers["retry-after"]) == (503, {"oops": 1}, "9")
            assert len(await it.rows("alerts")) == 1

    async def test_a_401_fault_has_the_body_of_the_auth_layer(self) -> None:
        async with lab() as it:
            await it.fault("status", params={"code": 401})
            assert (await it.api.get("/v2/roles")).json()["error"] == "not_authenticated"

    async def test_a_status_fault_after_commit_does_it_first(self) -> None:
        async with lab() as it:
            uid = await it.alert()
            await it.fault("status", match={"method": "DELETE"}, params={"code": 500, "after_commit": True})
            answer = await it.api.delete(f"/v2/alert/{uid}")
            assert answer.status_code == 500
            assert answer.json()["resultCode"] == "FAILURE"
            assert await it.rows("alerts") == []

    async def test_a_throttle_answers_429_with_or_without_retry_after(self) -> None:
        async with lab() as it:
            await it.fault("throttle", params={"retry_after": 7})
            await it.fault("throttle")
            first, second = await it.api.get("/v2/roles"), await it.api.get("/v2/roles")
            assert (first.status_code, first.headers["retry-after"]) == (429, "7")
            assert second.status_code == 429
            assert "retry-after" not in second.headers

    async def test_an_html_fault_is_a_page_with_status_200(self) -> None:
        async with lab() as it:
            await it.fault("html")
            answer = await it.api.get("/v2/devices")
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/html")
            assert "too many requests" in answer.text.lower()

    async def test_a_truncated_answer_is_no_json_though_the_deed_is_done(self) -> None:
        async with lab() as it:
            await it.fault("truncated", match={"entity": "devices"})
            answer = await it.api.get("/v2/devices")
            assert answer.status_code == 200
            with pytest.raises(ValueError):
                answer.json()

    async def test_a_stale_status_is_a_success_that_changed_nothing(self) -> None:
        async with lab() as it:
            uid = await it.alert()
            await it.fault("stale_status", match={"statusCode": "RESET"})
            assert (await it.api.delete(f"/v2/alert/{uid}")).status_code == 204
            assert len(await it.rows("alerts")) == 1
            assert (await it.api.delete(f"/v2/alert/{uid}")).status_code == 204
            assert await it.rows("alerts") == []

    async def test_skip_and_count_choose_which_matches_are_hit(self) -> None:
        async with lab() as it:
            await it.fault("status", match={"path": "/roles$"}, skip=1, count=2, params={"code": 500})
            codes = [(await it.api.get("/v2/roles")).status_code for _ in range(4)]
            assert codes == [200, 500, 500, 200]
            assert (await it.control("GET", "faults"))[0]["hits"] == 2

    async def test_count_minus_one_lasts_until_the_fault_is_deleted(self) -> None:
        async with lab() as it:
            fault = await it.fault("status", count=-1, params={"code": 502})
            assert [(await it.api.get("/v2/roles")).status_code for _ in range(3)] == [502, 502, 502]
            await it.control("DELETE", f"faults/{fault}")
            assert (await it.api.get("/v2/roles")).status_code == 200

    async def test_one_call_takes_the_oldest_fault_only(self) -> None:
        async with lab() as it:
            await it.fault("status", params={"code": 500})
            await it.fault("status", params={"code": 503})
            assert [(await it.api.get("/v2/roles")).status_code for _ in range(3)] == [500, 503, 200]

    async def test_deleting_all_faults_ends_them(self) -> None:
        async with lab() as it:
            await it.fault("html", count=-1)
            await it.fault("throttle", count=-1)
            assert (await it.control("DELETE", "faults"))["removed"] == 2
            assert (await it.api.get("/v2/roles")).json()

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({"kind": "explode"}, "unknown kind 'explode'"),
            ({"kind": "delay"}, "params.seconds is missing"),
            ({"kind": "status", "params": {"code": "x"}}, "params.code must be an HTTP status from 200 to 599"),
            ({"kind": "html", "match": {"verb": "GET"}}, "unknown match 'verb'"),
            ({"kind": "html", "match": {"path": "("}}, "not a regular expression"),
            ({"kind": "html", "count": -2}, "'count' must be a whole number"),
            ({"kind": "html", "parms": {}}, "unknown key 'parms'"),
            ({"kind": "throttle", "params": {"after": 1}}, "unknown parameter 'after'"),
            ({"kind": ["delay"]}, "unknown kind"),
            ({"kind": "a\nb"}, "unknown kind"),
            ({"kind": "status", "params": {"code": 0}}, "HTTP status from 200 to 599"),
            ({"kind": "status", "params": {"code": 99999}}, "HTTP status from 200 to 599"),
            ({"kind": "html", "params": {"code": 500.5}}, "HTTP status from 200 to 599"),
            ({"kind": "status", "params": {"code": 500, "headers": [1]}}, "params.headers"),
            ({"kind": "status", "params": {"code": 500, "headers": {"A": "b\r\nc"}}}, "params.headers"),
            ({"kind": "status", "params": {"code": 500, "after_commit": "yes"}}, "true or false"),
            ({"kind": "html", "match": {"method": "FETCH"}}, "match.method 'FETCH'"),
            ({"kind": "html", "match": {"path": 5}}, "match.path must be a text"),
            ({"kind": "html", "match": {"statusCode": []}}, "match.statusCode"),
            ({"kind": "html", "match": []}, "'match' must be an object"),
        ],
    )
    async def test_a_fault_that_is_not_understood_is_refused_in_one_line(self, body: object, words: str) -> None:
        async with lab() as it:
            answer = await it.plain.post("/_sandbox/faults", json=body)
            assert answer.status_code == 400
            assert words in answer.json()["error"]
            assert "\n" not in answer.json()["error"]


class TestSettings:
    async def test_settings_are_a_flat_object_and_can_be_described(self) -> None:
        async with lab() as it:
            flat = await it.control("GET", "settings")
            assert flat["latency_ms"] == 0
            assert flat["second_reset"] == 404
            described = await it.control("GET", "settings?describe=1")
            assert set(described) == set(flat)
            assert described["second_reset"]["values"] == "404, 410, 400, 204"
            assert all(row["doc"] for row in described.values())

    @pytest.mark.parametrize(
        ("body", "words"),
        [
            ({"second_rest": 204}, "did you mean 'second_reset'?"),
            ({"second_reset": 500}, "allowed: 404, 410, 400, 204"),
            ({"latency_ms": True}, "cannot be true"),
            ({"default_page_size": 0}, "int >= 1"),
            ({"missing_paths": "("}, "allowed: regex"),
        ],
    )
    async def test_an_unknown_switch_or_value_is_refused_in_one_line(self, body: object, words: str) -> None:
        async with lab() as it:
            answer = await it.plain.patch("/_sandbox/settings", json=body)
            assert answer.status_code == 400
            assert words in answer.json()["error"]

    async def test_a_patch_is_taken_whole_or_not_at_all(self) -> None:
        async with lab() as it:
            await it.plain.patch("/_sandbox/settings", json={"latency_ms": 5, "second_reset": 1})
            assert (await it.control("GET", "settings"))["latency_ms"] == 0

    async def test_latency_slows_every_call(self) -> None:
        async with lab() as it:
            await it.setting(latency_ms=60)
            begun = time.monotonic()
            await it.rows("roles")
            assert time.monotonic() - begun >= 0.06


class TestSurface:
    async def test_every_answer_says_that_this_is_a_simulator(self) -> None:
        async with lab() as it:
            for answer in (
                await it.api.get("/v2/roles"),
                await it.plain.get("/v2/roles"),
                await it.token(),
                await it.plain.get("/_sandbox/state"),
            ):
                assert answer.headers["x-lockstep-sandbox"] == "simulator"

    async def test_state_has_the_rows_and_a_history_of_every_change(self) -> None:
        async with lab() as it:
            uid = await it.alert()
            await it.api.delete(f"/v2/alert/{uid}")
            history = (await it.state())["history"]
            assert [(row["entity"], row["id"], row["what"], row["by"]) for row in history] == [
                ("alert", uid, "triggered", "control"),
                ("alert", uid, "reset", "api"),
            ]
            assert history[0]["after"]["deviceId"] == 1001
            assert [row["seq"] for row in history] == [1, 2]
            later = await it.control("GET", "state?since=1")
            assert [row["seq"] for row in later["history"]] == [2]

    async def test_an_unknown_control_call_says_so(self) -> None:
        async with lab() as it:
            answer = await it.plain.post("/_sandbox/explode")
            assert answer.status_code == 404
            assert answer.json() == {"error": "no control call POST /_sandbox/explode"}

    async def test_a_control_body_that_is_no_json_is_refused(self) -> None:
        async with lab() as it:
            answer = await it.plain.post("/_sandbox/faults", content=b"{nope")
            assert answer.status_code == 400
            assert "not JSON" in answer.json()["error"]
