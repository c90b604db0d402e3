"""What ``lockstep policy diff`` means by a difference."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from streams.core.policy.diff import Difference, differences

POLICY: dict[str, Any] = {
    "defaults": {"queue": "Monitoring", "priority": {"MAJOR": "High"}},
    "companies": {"map": [{"organization": 17, "company": 1}, {"organization": 18, "company": 2}]},
    "rules": [
        {"name": "servers", "when": {"node_class": ["WINDOWS_SERVER"]}, "ticket": {"queue": "NOC"}},
        {"name": "noise", "when": {"subject": ["x"]}},
        {"name": "everything-else", "when": {}},
    ],
}


def changed(change: Any) -> list[Difference]:
    other = copy.deepcopy(POLICY)
    change(other)
    return differences(POLICY, other)


def test_the_same_policy_differs_in_nothing() -> None:
    assert changed(lambda policy: None) == []


def test_a_changed_value_is_one_line_with_its_key() -> None:
    assert changed(lambda policy: policy["defaults"]["priority"].update(MAJOR="Medium")) == [
        Difference("defaults.priority.MAJOR", "High", "Medium")
    ]


def test_an_inserted_rule_is_one_line_and_not_a_change_of_all_below_it() -> None:
    rule = {"name": "vip", "when": {"organization": [17]}}
    assert changed(lambda policy: policy["rules"].insert(0, rule)) == [Difference("rules[vip]", now=rule, absent="was")]


def test_a_rule_that_is_gone_is_shown_with_what_it_said() -> None:
    assert changed(lambda policy: policy["rules"].pop(1)) == [
        Difference("rules[noise]", was={"name": "noise", "when": {"subject": ["x"]}}, absent="now")
    ]


def test_another_order_of_the_rules_is_a_difference_because_the_first_match_wins() -> None:
    assert changed(lambda policy: policy["rules"].insert(0, policy["rules"].pop(1))) == [
        Difference("rules: order", ["servers", "noise", "everything-else"], ["noise", "servers", "everything-else"])
    ]


def test_a_key_within_a_rule_is_named_by_the_rule() -> None:
    def change(policy: Any) -> None:
        policy["rules"][0]["ticket"] = {"queue": "Help Desk", "priority": "Critical"}
        policy["rules"][0]["when"]["node_class"].append("LINUX_SERVER")

    assert changed(change) == [
        Difference("rules[servers].when.node_class", ["WINDOWS_SERVER"], ["WINDOWS_SERVER", "LINUX_SERVER"]),
        Difference("rules[servers].ticket.queue", "NOC", "Help Desk"),
        Difference("rules[servers].ticket.priority", now="Critical", absent="was"),
    ]


def test_a_mapping_is_named_by_its_organization() -> None:
    assert changed(lambda policy: policy["companies"]["map"][1].update(company=3)) == [
        Difference("companies.map[18].company", 2, 3)
    ]


def test_entries_without_a_name_of_their_own_are_compared_as_a_whole() -> None:
    old = {"types": [{"type": "Server"}, {"type": "Workstation"}]}
    assert differences(old, {"types": [{"type": "Workstation"}]}) == [
        Difference("types", old["types"], [{"type": "Workstation"}])
    ]


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.sampled_from("ab"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "b", "c"]), inner, max_size=3),
    max_leaves=8,
)
_DOCUMENTS = st.dictionaries(st.sampled_from("abc"), _VALUES, max_size=3)


def _typed(value: Any) -> Any:
    """Equal only where JSON is: Python holds ``True`` for ``1``."""
    if isinstance(value, dict):
        return {name: _typed(inner) for name, inner in value.items()}
    return [_typed(inner) for inner in value] if isinstance(value, list) else (type(value), value)


@given(_DOCUMENTS, _DOCUMENTS)
@example({"a": 1}, {"a": True})
@example({"a": [{"name": 1}]}, {"a": [{"name": True}]})
@example({"a": [{"name": "x"}, {"name": "y"}]}, {"a": [{"name": "y"}, {"name": "x"}]})
def test_there_is_a_difference_exactly_where_two_documents_are_not_the_same(old: Any, new: Any) -> None:
    assert bool(differences(old, new)) == (_typed(old) != _typed(new))
