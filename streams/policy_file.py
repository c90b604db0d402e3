"""Reading ``policy.yaml``: the document, and in which line each key stands, so that a finding can point at it."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml

from schemas.model import canonical
from streams.core.policy.findings import near
from streams.core.policy.lint import lint
from streams.core.policy.observed import Observed
from streams.core.policy.policy import Finding, Policy, PolicyError, parse_policy
from streams.core.policy.policy import Path as KeyPath
from streams.zones import zone_names, zones_in

#: Far more than a policy has; aliases in a YAML file can make more of a few lines than a machine can hold.
_MOST_VALUES = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """A finding with its line in the file (1 is the first). ``level`` is ``error`` or ``warning``."""

    line: int
    key: str
    reason: str
    suggestion: str = ""
    level: str = "error"

    def __str__(self) -> str:
        level = "warning: " if self.level == "warning" else ""
        return f"{self.key}: {level}{self.reason}" + (f"; {self.suggestion}" if self.suggestion else "")

    def document(self) -> dict[str, Any]:
        """As JSON data."""
        return asdict(self)


class PolicyFileError(ValueError):
    """A policy file that cannot come into force: one line per finding, each with file and line.

    ``findings`` is empty where there is no file to find something in.
    """

    def __init__(self, lines: list[str], findings: list[Located] | None = None) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines
        self.findings = findings or []


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A policy that passed: its document as canonical JSON (what is published) and its parsed form."""

    path: Path
    document: str
    policy: Policy
    root: yaml.Node

    def warnings(self, observed: Observed | None = None) -> list[Located]:
        """What is probably not meant; with ``observed``, also what does not fit the two vendors."""
        return located(self.root, lint(self.policy, observed))

    def line_of(self, *path: str | int) -> int:
        """The line of a key."""
        return _line_of(self.root, path)

    def said(self, finding: Located) -> str:
        """A finding as one line with file and line."""
        return f"{self.path}:{finding.line}: {finding}"


def read_policy(path: Path) -> PolicyFile:
    """Read and check a policy file. Raises ``PolicyFileError`` with every finding."""
    text = _text(path)
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        document = yaml.safe_load(text) if root is not None and not _too_large(root) else None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise _refused(path, _broken(line, str(error.problem or error.context))) from None
    except (yaml.YAMLError, ValueError) as error:
        raise _refused(path, _broken(1, str(error).partition("\n")[0])) from None
    if root is not None and _too_large(root):
        reason = f"holds more than {_MOST_VALUES} values"
        raise _refused(path, Located(line=1, key="policy", reason=reason, suggestion="use fewer aliases (*name)"))
    if not isinstance(document, dict) or root is None:
        reason = "is no policy, which is a map of keys"
        raise _refused(path, Located(line=1, key="policy", reason=reason, suggestion="it begins with 'version: 1'"))
    doubled = _doubled_keys(root)
    if doubled:
        raise _refused(path, *doubled)
    if "zones" in document:
        reason = "the tables of time zones are filled in when a policy is published"
        raise _refused(path, *located(root, [Finding(("zones",), reason, "remove the key")]))
    zones = zones_in(document)
    whole = {**document, "zones": zones} if zones else document
    try:
        policy = parse_policy(whole)
        found = PolicyFile(path, canonical(whole).decode(), policy, root)
    except PolicyError as error:
        raise _refused(path, *located(root, error.findings)) from None
    except TypeError:
        reason = "holds a value that is no text, number, list or map"
        hint = "put quotes around dates and around keys that are numbers"
        raise _refused(path, Located(line=1, key="policy", reason=reason, suggestion=hint)) from None
    errors = [finding for finding in found.warnings() if finding.level == "error"]
    if errors:
        raise _refused(path, *errors)
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise PolicyFileError([f"{path}: there is no such file; 'lockstep init' writes one to start from"]) from None
    except OSError as error:
        raise PolicyFileError(
            [f"{path}: cannot be read: {error.strerror}; check the path and its permissions"]
        ) from None
    except UnicodeDecodeError as error:
        line = path.read_bytes()[: error.start].count(b"\n") + 1
        finding = Located(line=line, key="policy", reason="is not UTF-8 text", suggestion="save the file as UTF-8")
        raise _refused(path, finding) from None


def _refused(path: Path, *findings: Located) -> PolicyFileError:
    return PolicyFileError([f"{path}:{finding.line}: {finding}" for finding in findings], list(findings))


def _broken(line: int, problem: str) -> Located:
    hint = "check indentation, quotes and brackets above this line; tabs are not allowed for indentation"
    return Located(line=line, key="policy", reason=f"this is not YAML: {problem}", suggestion=hint)


def located(root: yaml.Node, findings: list[Finding]) -> list[Located]:
    """Findings with their lines, in the order of the lines."""
    found = [
        Located(
            line=_line_of(root, finding.path),
            key=finding.key,
            reason=finding.reason,
            suggestion=_zone_hint(root, finding) or finding.suggestion,
            level=finding.level,
        )
        for finding in findings
    ]
    return sorted(found, key=lambda finding: finding.line)


def _zone_hint(root: yaml.Node, finding: Finding) -> str:
    """The zone that was probably meant: the core does not know which there are."""
    if not finding.path or finding.path[-1] != "timezone":
        return ""
    node = _node_at(root, finding.path)
    written = node.value if isinstance(node, yaml.ScalarNode) else ""
    hint = near(written, sorted(zone_names())) if written else ""
    return hint if hint.startswith("did you mean") else ""


def _line_of(node: yaml.Node, path: KeyPath) -> int:
    """The line of the last key of the path that is there."""
    line = node.start_mark.line + 1
    for part in path:
        entry = _entry(node, part)
        if entry is None:
            return line
        line, node = entry
    return line


def _node_at(node: yaml.Node, path: KeyPath) -> yaml.Node | None:
    for part in path:
        entry = _entry(node, part)
        if entry is None:
            return None
        node = entry[1]
    return node


def _entry(node: yaml.Node, part: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        return next(((key.start_mark.line + 1, value) for key, value in node.value if key.value == str(part)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part].start_mark.line + 1, node.value[part]
    return None


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [value for _, value in node.value]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _too_large(root: yaml.Node) -> bool:
    """Whether the document has too many values with its aliases written out (an alias to itself has no end)."""
    seen, left = 0, [root]
    while left and seen <= _MOST_VALUES:
        seen += 1
        left.extend(_children(left.pop()))
    return seen > _MOST_VALUES


def _doubled_keys(root: yaml.Node) -> list[Located]:
    doubled: list[Located] = []
    left = [root]
    while left:
        node = left.pop(0)
        left.extend(_children(node))
        seen: set[str] = set()
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                reason = f"key '{key.value}' stands twice, and only one would count"
                line = key.start_mark.line + 1
                doubled.append(Located(line=line, key=key.value, reason=reason, suggestion="remove one of them"))
            seen.add(str(key.value))
    return doubled


STARTER = """\
# Lockstep's policy: which alert becomes which ticket, which device becomes which configuration item.
# Every name may be an id. The first rule that matches wins; the last one matches everything.
# 'lockstep policy check' tells what is wrong; 'lockstep policy publish' puts it into force, without a restart.
version: 1

defaults:
  queue: Monitoring
  status: New
  complete_status: Complete
  priority: {CRITICAL: Critical, MAJOR: High, default: Medium}
  ticket_type: Incident
  source: Monitoring Alert
  note_type: Task Notes

companies:
  auto_match: normalized        # never | exact | normalized (without case, punctuation and legal form)
  unmapped: park                # or {company: ID}: one company that takes all of it
  map: []                       # - {organization: 17, company: 29683}

devices:
  match: [device_key, device_uid, serial, mac, hostname]
  on_delete: retire             # or keep
  grace: 7d
  types:
    - {node_class_prefix: WINDOWS_SERVER, type: Server, product: Managed Server}
    - {node_class: [LINUX_SERVER, MAC_SERVER], type: Server, product: Managed Server}
    - {type: Workstation, product: Managed Device}
  fields:                       # what we know of a device: the name of the user-defined field that shall hold it
    link: NinjaOne Link
    os: Operating System
    memory: Memory
    ip_addresses: IP Addresses
    mac_addresses: MAC Addresses

rules:
  - name: servers-offline
    when: {source_type: [AGENT_OFFLINE], node_class: [WINDOWS_SERVER, LINUX_SERVER]}
    ticket: {queue: NOC, priority: Critical, title: "{{ device.name }} offline at {{ organization.name }}"}
  - name: everything-else
    when: {}
"""
