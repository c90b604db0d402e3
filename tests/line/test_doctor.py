"""``lockstep doctor`` on a running system: all lines, and no call to a vendor that is left alone."""

from __future__ import annotations

from tests.line.system import Row, System


def lines(system: System, *options: str) -> tuple[int, dict[str, Row]]:
    said = system.lockstep("doctor", "--json", *options)
    return said.code, {line["what"]: line for line in said.json()["lines"]}


def test_a_system_that_runs_well_is_found_well_whatever_was_asked(system: System) -> None:
    code, found = lines(system, "--call")
    assert code == 0, found
    for what in ("kafka", "kafka version", "topics", "ninjaone", "autotask", "roles", "clocks", "policy", "tenant"):
        assert found[what]["level"] == "ok", found[what]
    assert "4.2" in found["kafka version"]["found"]
    assert "since" in found["autotask"]["found"]
    assert {"lag", "parked", "dead letters", "mapping", "ninjaone webhook", "autotask webhook"} <= {*found}


def test_an_unhealthy_connection_is_wrong_and_the_vendor_is_not_called_even_if_asked_to(system: System) -> None:
    system.psa.ask("PATCH", "api-user", locked=True)
    try:
        system.reaches("autotask", "Unhealthy")
        system.silence(1)
        mark = system.psa.mark()
        code, found = lines(system, "--call")
        assert code == 2
        assert found["autotask"]["level"] == "wrong"
        assert "lockstep test autotask" in found["autotask"]["do"]
        assert found["tenant"]["level"] == "unseen"
        assert system.psa.calls(mark) == []
    finally:
        system.psa.ask("PATCH", "api-user", locked=False)
    assert system.lockstep("test", "autotask").code == 0
