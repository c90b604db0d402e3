"""``lockstep doctor`` on a running system: all lines, and no call to a vendor that is left alone."""

from __future__ import annotations

from tests.line.system import System


def test_an_unhealthy_connection_is_all_that_is_wrong_and_the_vendor_is_not_called_even_if_asked_to(
    system: System,
) -> None:
    system.psa.ask("PATCH", "api-user", locked=True)
    try:
        system.reaches("autotask", "Unhealthy")
        system.silence(1)
        mark = system.psa.mark()
        said = system.lockstep("doctor", "--call", "--json")
        assert system.psa.calls(mark) == []
    finally:
        system.psa.ask("PATCH", "api-user", locked=False)
        assert system.lockstep("test", "autotask").code == 0
    assert said.code == 2
    lines = said.json()["lines"]
    assert [line["what"] for line in lines if line["level"] == "wrong"] == ["autotask"]
    found = {line["what"]: line for line in lines}
    assert "lockstep test autotask" in found["autotask"]["do"]
    assert found["tenant"]["level"] == "unseen"
    for what in ("kafka", "kafka version", "topics", "ninjaone", "roles", "clocks", "policy", "disk"):
        assert found[what]["level"] == "ok", found[what]
    # Other tests of the line leave organizations without a company behind.
    assert found["mapping"]["level"] in ("ok", "warning")
    assert "4.2" in found["kafka version"]["found"]
    assert "since" in found["ninjaone"]["found"]
    assert {"lag", "parked", "dead letters", "budget", "ninjaone webhook", "autotask webhook"} <= {*found}
