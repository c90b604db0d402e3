"""Contracts on tickets, by rule, and on configuration items, by type of device."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.commands import CreateTicket, UpsertConfigurationItem
from streams.core.policy.policy import PolicyError, parse_policy
from tests.core.spec import device, devices, incidents, subject, triggered


def contract(of_rule: Any = None, of_defaults: Any = None) -> Any:
    """What the ticket's command says, under a policy with these."""
    rule: dict[str, Any] = {"name": "all", "when": {}}
    if of_rule is not None:
        rule["ticket"] = {"contract": of_rule}
    defaults = {} if of_defaults is None else {"contract": of_defaults}
    (command,) = incidents(triggered(), rules=[rule], defaults=defaults).issued
    assert isinstance(command, CreateTicket)
    return command.contract


def test_a_rule_names_a_contract_or_asks_for_the_companys_default_one() -> None:
    assert contract(29683617) == 29683617
    assert contract("default") == "default"


def test_a_rules_word_stands_before_the_defaults_also_where_it_is_none() -> None:
    assert contract(None, "default") == "default"
    assert contract("none", "default") is None
    assert contract(29683617, "none") == 29683617


def test_without_the_key_the_command_is_the_bytes_that_it_always_was() -> None:
    (command,) = incidents(triggered()).issued
    assert isinstance(command, CreateTicket)
    assert b"contract" not in command.to_json()
    assert CreateTicket.from_json(command.to_json()) == command
    named = command.model_copy(update={"contract": 5})
    assert CreateTicket.from_json(named.to_json()).contract == 5


@pytest.mark.parametrize("value", ["Managed services", "", 0, -1, True, 1.5])
def test_what_is_no_contract_is_refused_with_what_to_write(value: Any) -> None:
    with pytest.raises(PolicyError) as refused:
        parse_policy({"version": 1, "defaults": {"contract": value}})
    assert "is no contract; write a contract's id, default (the company's) or none" in str(refused.value)


def of_item(entries: list[dict[str, Any]], node_class: str = "WINDOWS_SERVER") -> UpsertConfigurationItem:
    """The item's command for a device of this class, under a policy with these types."""
    seen = device(where=subject(node_class=node_class))
    (command,) = devices(seen, devices={"types": entries}).issued
    assert isinstance(command, UpsertConfigurationItem)
    return command


def test_a_type_of_device_names_the_contract_of_its_items() -> None:
    servers = {
        "node_class_prefix": "WINDOWS_SERVER",
        "type": "Server",
        "product": "Managed Server",
        "contract": 29683617,
    }
    rest = {"type": "Workstation", "product": "Managed Device", "contract": "default"}
    assert of_item([servers, rest]).contract == 29683617
    assert of_item([servers, rest], "MAC").contract == "default"


def test_an_item_without_a_contract_in_the_policy_is_commanded_as_it_always_was() -> None:
    command = of_item([{"product": "Managed Device", "contract": "none"}])
    assert command.contract is None
    assert b"contract" not in command.to_json()
