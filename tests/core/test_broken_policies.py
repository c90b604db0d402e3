"""Policies that cannot come into force: each is refused with line, key, reason and suggestion, and changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from schemas.facts import PolicyPublished
from schemas.model import canonical
from streams.core.context import parse_context
from streams.core.policy.lint import lint
from streams.core.policy.observed import Observed
from streams.core.policy.policy import PolicyError, parse_policy
from streams.policy_file import PolicyFileError, read_policy
from streams.policy_schema import policy_schema
from tests.core.spec import incidents

LAST = "  - {name: rest, when: {}}\n"


def rule(when: str = "{severity: CRITICAL}", more: str = "") -> str:
    """A policy whose first rule has its matchers in line 4, and what else it has in line 5."""
    return f"version: 1\nrules:\n  - name: a\n    when: {when}\n{more and f'    {more}' + chr(10)}{LAST}"


#: The file, and what is said of it: line, key, words of the reason, words of the suggestion.
BROKEN: list[tuple[str, int, str, str, str]] = [
    ("", 1, "policy", "is no policy", "begins with 'version: 1'"),
    ("- a\n", 1, "policy", "is no policy", "begins with 'version: 1'"),
    ("version: 1\nrules: [\n", 3, "policy", "this is not YAML", "brackets"),
    ("version: 1\n\tx: 1\n", 2, "policy", "this is not YAML", "tabs"),
    ("version: 1\nversion: 1\n", 2, "version", "stands twice", "remove one"),
    ("version: 1\na: &a [*a]\n", 1, "policy", "more than 100000 values", "fewer aliases"),
    ("rules:\n" + LAST, 1, "version", "version is missing", "write version: 1"),
    ("version: 1\nrulez: []\n", 2, "rulez", "unknown key", "did you mean 'rules'?"),
    ("version: 1\nrul-3s: []\n", 2, "rul-3s", "unknown key 'rul-3s'", "did you mean 'rules'?"),
    (rule("{sever ity: [MAJOR]}"), 4, "rules.0.when.sever ity", "unknown key 'sever ity'", "did you mean 'severity'?"),
    ("version: 1\nrules: []\n", 2, "rules", "there is no rule", "everything-else"),
    ("version: 1\nzones: {}\n", 2, "zones", "filled in when a policy is published", "remove the key"),
    (
        'version: 1\nmaintenance:\n  - {name: a, weekly: {days: sat, from: 22:00, to: "04:00", timezone: UTC}}\n',
        3,
        "maintenance.0.weekly.from",
        "the number 1320",
        '"22:00"',
    ),
    (
        'version: 1\nmaintenance:\n  - {name: a, weekly: {days: sat, from: "22:00", to: "04:00", timezone: Europe/Berln}}\n',
        3,
        "maintenance.0.weekly.timezone",
        "no time zone",
        "did you mean 'Europe/Berlin'?",
    ),
    (
        "version: 1\nmaintenance:\n  - name: a\n    form: x\n",
        4,
        "maintenance.0.form",
        "unknown key",
        "did you mean 'from'?",
    ),
    (
        'version: 1\nmaintenance:\n  - name: a\n    start: "2026-12-05T22:00:00Z"\n    to: "2026-12-06T04:00:00Z"\n',
        4,
        "maintenance.0.start",
        "unknown key 'start'",
        "from",
    ),
    (
        'version: 1\nmaintenance:\n  - name: a\n    from: 2026-12-05\n    to: "2026-12-06T04:00:00Z"\n',
        4,
        "maintenance.0.from",
        "reads as a date of YAML's",
        "write it in quotes",
    ),
    (
        'version: 1\nmaintenance:\n  - name: a\n    from: "2026-12-05T22:00:00Z"\n    to: 2026-12-06T04:00:00Z\n',
        5,
        "maintenance.0.to",
        "reads as a date of YAML's",
        "write it in quotes",
    ),
    ("version: 1\ncanary: {organizations: [17]}\n", 2, "canary", "said when it is published", "publish --canary 17,23"),
    (
        rule('{time: {start: "22:00", timezone: UTC}}'),
        4,
        "rules.0.when.time.start",
        "unknown key 'start'",
        "there are",
    ),
    (
        rule(more="lifecycle: {storm: {devices: 10, within: 2m}}"),
        5,
        "rules.0.lifecycle.storm",
        "wrong place",
        "below a rule",
    ),
    (rule(more="storm: {devices: 1, within: 2m}"), 5, "rules.0.storm.devices", "no storm", "a number from 2"),
    (rule(more="storm: {devices: 10, within: 5h}"), 5, "rules.0.storm.within", "wait so long", "1h at most"),
    (rule(more="storm: {devices: 10}"), 5, "rules.0.storm.within", "is missing", "write within"),
    (rule(more="storm: {device: 10, within: 2m}"), 5, "rules.0.storm.device", "unknown key", "did you mean 'devices'?"),
    (rule(more="lifecycle: {setle: 5m}"), 5, "rules.0.lifecycle.setle", "unknown key", "did you mean 'settle'?"),
    (rule(more="lifecycle: {hold: 5 minutes}"), 5, "rules.0.lifecycle.hold", "not a duration", "5m"),
    (rule(more="lifecycle: {reopen_within: 60d}"), 5, "rules.0.lifecycle.reopen_within", "longer than", "30d at most"),
    (
        rule(more="lifecycle: {settle: 2h, reopen_within: 1h}"),
        5,
        "rules.0.lifecycle.settle",
        "is longer than reopen_within",
        "settle shorter",
    ),
    (rule("{sorce_type: X}"), 4, "rules.0.when.sorce_type", "unknown key", "did you mean 'source_type'?"),
    (rule("{severity: CRITCAL}"), 4, "rules.0.when.severity.0", "no 'CRITCAL' here", "did you mean 'CRITICAL'?"),
    (rule("{priority: URGENT}"), 4, "rules.0.when.priority.0", "no 'URGENT' here", "HIGH, MEDIUM, LOW, NONE"),
    (rule("{organization: []}"), 4, "rules.0.when.organization", "names nothing", "leave the key out"),
    (rule("{organization: [NO]}"), 4, "rules.0.when.organization.0", "false is no name", "in quotes"),
    (rule("{subject: [5]}"), 4, "rules.0.when.subject.0", "'5' is no text", "in quotes"),
    (rule('{message: {matches: "("}}'), 4, "rules.0.when.message.matches", "not a regular expression", "literal"),
    (rule('{message: {matches: "(a+)+$"}}'), 4, "rules.0.when.message.matches", "itself repeats", "single characters"),
    (rule('{message: {matches: "(a)\\\\1"}}'), 4, "rules.0.when.message.matches", "refers back", "write out"),
    (rule('{message: {matches: "a.*b.*c.*d"}}'), 4, "rules.0.when.message.matches", "take minutes", "at most two"),
    (rule("{time: {days: [sun]}}"), 4, "rules.0.when.time.timezone", "is missing", "write timezone"),
    (
        rule("{time: {timezone: Europe/Berln}}"),
        4,
        "rules.0.when.time.timezone",
        "no time zone",
        "did you mean 'Europe/Berlin'?",
    ),
    (rule("{time: {from: 22:00, timezone: UTC}}"), 4, "rules.0.when.time.from", "the number 1320", '"22:00"'),
    (rule('{time: {to: "25:00", timezone: UTC}}'), 4, "rules.0.when.time.to", "no time of day", '"24:00"'),
    (rule('{time: {from: "06:00", to: "06:00", timezone: UTC}}'), 4, "rules.0.when.time.to", "same time", "whole days"),
    (rule("{time: {days: [monday], timezone: UTC}}"), 4, "rules.0.when.time.days", "no day", "did you mean 'mon'?"),
    (rule(more="ticket: {queue: yes}"), 5, "rules.0.ticket.queue", "true is no name", "in quotes"),
    (rule(more="ticket: {queue: [a]}"), 5, "rules.0.ticket.queue", "neither a name nor an id", "one name"),
    (
        rule(more="ticket: {priority: {MAJRO: 1}}"),
        5,
        "rules.0.ticket.priority.MAJRO",
        "no severity",
        "did you mean 'MAJOR'?",
    ),
    (rule(more='ticket: {title: "{{ device.nme }}"}'), 5, "rules.0.ticket.title", "does not exist", "device.name"),
    (rule(more='ticket: {title: "{{ device.name"}'), 5, "rules.0.ticket.title", "cannot be read", "{{ device.name }}"),
    (rule(more="ticket: {title: \"{{ ''.__class__ }}\"}"), 5, "rules.0.ticket.title", "reaches into", "two parts"),
    (
        rule(more='ticket: {title: "{% for x in device %}{% endfor %}"}'),
        5,
        "rules.0.ticket.title",
        "holds a loop",
        "filters",
    ),
    (
        rule(more='ticket: {title: "{{ alert.message | join }}"}'),
        5,
        "rules.0.ticket.title",
        "filter 'join'",
        "there are default",
    ),
    (rule("[MAJOR]"), 4, "rules.0.when", "a list stands where keys belong", "there are source_type"),
    (rule(more="ticket: high"), 5, "rules.0.ticket", "'high' stands where keys belong", "there are queue"),
    (
        rule(more="lifecycle: {escalate: maybe}"),
        5,
        "rules.0.lifecycle.escalate",
        "neither true nor false",
        "write true",
    ),
    (rule(more="storm: {devices: ten, within: 2m}"), 5, "rules.0.storm.devices", "'ten' is no whole number", "digits"),
    (rule(more="storm: {devices: 2.5, within: 2m}"), 5, "rules.0.storm.devices", "'2.5' is no whole number", "digits"),
    (rule(more="ticket: {title: 5}"), 5, "rules.0.ticket.title", "'5' is no text", "in quotes"),
    (rule("{message: offline}"), 4, "rules.0.when.message", "'offline' stands where keys belong", "there are matches"),
    ("version: 1\nrules: all\n", 2, "rules", "'all' stands where a list belongs", "with dashes"),
    ("version: 1\nrules:\n  - name: ''\n    when: {}\n", 3, "rules.0.name", "is empty", "write a text"),
    ("version: 1\ndevices: {fields: [link]}\n", 2, "devices.fields", "where keys belong", "such as link"),
    ("version: 1\ncompanies: {unmapped: keep}\n", 2, "companies.unmapped", "'keep' is not possible", "{company: ID}"),
    (
        "version: 1\ncompanies:\n  unmapped: {company: x}\n",
        3,
        "companies.unmapped.company",
        "'x' is no whole number",
        "digits",
    ),
    (rule(more='ticket: {title: "{% if device.name %}a"}'), 5, "rules.0.ticket.title", "not ended", "{% endif %}"),
    (rule(more='ticket: {title: "{% fi device.name %}"}'), 5, "rules.0.ticket.title", "no {% fi %}", "{% if %}"),
    (rule(more='ticket: {title: "{% else %}"}'), 5, "rules.0.ticket.title", "no {% if %} before it", "begin the"),
    (rule(more='ticket: {title: "{{ }}"}'), 5, "rules.0.ticket.title", "names nothing", "{{ device.name }}"),
    (rule(more='ticket: {title: "{{ \'a }}"}'), 5, "rules.0.ticket.title", "only one quote", "close it"),
    (rule(more='ticket: {title: "{{ @ }}"}'), 5, "rules.0.ticket.title", "the sign '@'", "{{ device.name }}"),
    (rule(more='ticket: {title: "{% if a b %}{% endif %}"}'), 5, "rules.0.ticket.title", "between its braces", "upper"),
    (rule(more="lifecycle: {note_every: an hour}"), 5, "rules.0.lifecycle.note_every", "not a duration", "such as 90s"),
    (
        "version: 1\nrules:\n  - {name: a, when: {}}\n" + LAST,
        3,
        "rules.0",
        "the rules after it are never reached",
        "move it to the end",
    ),
    (
        "version: 1\nrules:\n  - {name: a, when: {severity: MAJOR}}\n",
        3,
        "rules.0",
        "must be a catch-all",
        "at the end",
    ),
    (
        "version: 1\nrules:\n  - {name: a, when: {severity: MAJOR}}\n  - {name: a, when: {}}\n",
        4,
        "rules.1.name",
        "used twice",
        "rename one",
    ),
    (
        "version: 1\nrules:\n  - {name: a, when: {severity: [MAJOR, MINOR]}}\n"
        "  - {name: b, when: {severity: MINOR, tags: x}}\n" + LAST,
        4,
        "rules.1",
        "rule 'b' is never reached: the earlier rule 'a'",
        "move it before 'a'",
    ),
    (
        "version: 1\ndevices:\n  fields:\n    os: OS\n    model: os\nrules:\n" + LAST,
        5,
        "devices.fields.model",
        "one would overwrite the other",
        "a field of its own",
    ),
    (
        rule(more=f'ticket: {{title: "{"x" * 256}"}}'),
        5,
        "rules.0.ticket.title",
        "has 256 characters, and Autotask takes 255",
        "shorten",
    ),
]


@pytest.mark.parametrize(
    ("text", "line", "key", "reason", "suggestion"), BROKEN, ids=[f"{b[2]}-{b[3]}" for b in BROKEN]
)
def test_a_broken_policy_is_refused_with_line_key_reason_and_suggestion(
    tmp_path: Path, text: str, line: int, key: str, reason: str, suggestion: str
) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(text)
    with pytest.raises(PolicyFileError) as refused:
        read_policy(path)
    found = [f for f in refused.value.findings if f.key == key]
    assert found, refused.value.lines
    assert found[0].line == line
    assert reason in found[0].reason
    assert suggestion in found[0].suggestion


#: The words of the libraries that read the file; whoever writes a policy needs to know none of them.
FOREIGN = (
    "input should",
    "valid dictionary",
    "instance of",
    "boolean",
    "integer",
    "string",
    "tuple",
    "token",
    "Jinja",
    "parse",
)


def test_no_refusal_speaks_the_language_of_the_reader_s_libraries(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    for text, _, _, reason, _ in BROKEN:
        if "not YAML" in reason:
            continue  # what YAML itself cannot read is said in its words, with the line
        path.write_text(text)
        with pytest.raises(PolicyFileError) as refused:
            read_policy(path)
        said = " ".join(f"{found.reason} {found.suggestion}" for found in refused.value.findings)
        assert [word for word in FOREIGN if word.lower() in said.lower()] == []


def test_what_is_wrong_in_one_section_is_told_together(tmp_path: Path) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(
        "version: 1\ndevices:\n  types: [{role: x, product: p}]\n  fields: {lnk: A, oss: B}\n"
        "companies: {map: [{organization: 1, company: 2}, {organization: 1, company: 3}, {organization: 1, company: 4}]}\n"
        "defaults: {priority: {MAJRO: 1, CRITCAL: 2}}\n"
    )
    with pytest.raises(PolicyFileError) as refused:
        read_policy(path)
    assert [found.key for found in refused.value.findings] == [
        "devices.types",
        "devices.fields.lnk",
        "devices.fields.oss",
        "companies.map.1.organization",
        "companies.map.2.organization",
        "defaults.priority.MAJRO",
        "defaults.priority.CRITCAL",
    ]
    path.write_text(
        "version: 1\nrules:\n  - {name: a, when: {}}\n  - {name: a, when: {tags: x}}\n  - {name: a, when: {tags: y}}\n"
    )
    with pytest.raises(PolicyFileError) as refused:
        read_policy(path)
    assert [found.key for found in refused.value.findings] == ["rules.0", "rules.1.name", "rules.2.name", "rules.2"]


def test_the_revision_in_force_stays_when_a_broken_one_is_written_past_the_check() -> None:
    scene = incidents()
    refused = 0
    for number, (text, line, _, reason, _) in enumerate(BROKEN, 2):
        if line < 4 or "rulez" in text or "of YAML's" in reason:
            continue  # of these no document can be made (a published one is JSON), or a sibling stands for them
        document = yaml.safe_load(text)
        try:
            parse_policy(document)
        except PolicyError:
            scene.when(PolicyPublished(revision=number, document=canonical(document).decode()))
            assert scene.reasons == ["PolicyRefused"]
            refused += 1
    assert refused >= 20
    assert parse_context(scene.state[b"~context"]).revision == 1


def test_the_schema_in_the_documentation_is_the_format_as_it_is() -> None:
    written = (Path(__file__).parents[2] / "docs" / "policy.schema.json").read_text(encoding="utf-8")
    assert written == policy_schema(), "write 'lockstep policy schema' to docs/policy.schema.json"


def test_a_maintenance_window_that_names_an_organization_ninjaone_does_not_have_is_told() -> None:
    once = {"from": "2026-12-05T22:00:00Z", "to": "2026-12-06T04:00:00Z"}
    windows = [{"name": "a", "organization": ["contoso", "Contso", 17, 99], **once}]
    policy = parse_policy({"version": 1, "companies": {"unmapped": {"company": 1}}, "maintenance": windows})

    found = lint(policy, Observed(organizations={17: "Contoso"}, companies={}))

    assert [(finding.key, finding.reason, finding.level) for finding in found] == [
        ("maintenance.0.organization.1", "NinjaOne has no organization 'Contso'", "warning"),
        ("maintenance.0.organization.3", "NinjaOne has no organization 99", "warning"),
    ]
    assert found[0].suggestion == "did you mean 'Contoso'?"
