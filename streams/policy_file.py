"""Reading ``policy.yaml``: the document, and in which line each key stands, so that a finding can point at it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from schemas.model import canonical
from streams.core.policy import Finding, Policy, PolicyError, parse_policy
from streams.core.policy import Path as KeyPath


class PolicyFileError(ValueError):
    """A policy file that cannot come into force: one line per finding, each with file and line."""

    def __init__(self, lines: list[str]) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A policy that passed: its document as canonical JSON (what is published) and its parsed form."""

    path: Path
    document: str
    policy: Policy


def read_policy(path: Path) -> PolicyFile:
    """Read and check a policy file. Raises ``PolicyFileError`` with every finding."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise PolicyFileError([f"{path}: there is no such file; 'lockstep init' writes one to start from"]) from None
    except OSError as error:
        raise PolicyFileError(
            [f"{path}: cannot be read: {error.strerror}; check the path and its permissions"]
        ) from None
    except UnicodeDecodeError:
        raise PolicyFileError([f"{path}: is not UTF-8 text"]) from None
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        document = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise PolicyFileError([f"{path}{line}: this is not YAML: {error.problem or error.context}"]) from None
    except yaml.YAMLError as error:
        raise PolicyFileError([f"{path}: this is not YAML: {type(error).__name__}"]) from None
    if not isinstance(document, dict) or node is None:
        raise PolicyFileError([f"{path}: must be a policy; it begins with 'version: 1'"])
    doubled = _doubled_keys(node)
    if doubled:
        raise PolicyFileError(
            [f"{path}:{line}: key '{key}' stands twice; only one would count" for key, line in doubled]
        )
    try:
        policy = parse_policy(document)
        return PolicyFile(path, canonical(document).decode(), policy)
    except PolicyError as error:
        raise PolicyFileError([_line(path, node, finding) for finding in error.findings]) from None
    except TypeError:
        raise PolicyFileError(
            [f"{path}: holds a value that is no text, number, list or map (a date without quotes?)"]
        ) from None


def _line(path: Path, node: yaml.Node, finding: Finding) -> str:
    line = _line_of(node, finding.path)
    return f"{path}:{line}: {finding}"


def _line_of(node: yaml.Node, path: KeyPath) -> int:
    line = node.start_mark.line + 1
    for part in path:
        found: tuple[int, yaml.Node] | None = None
        if isinstance(node, yaml.MappingNode):
            found = next(
                ((key.start_mark.line + 1, value) for key, value in node.value if key.value == str(part)), None
            )
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            found = (node.value[part].start_mark.line + 1, node.value[part])
        if found is None:
            return line
        line, node = found
    return line


def _doubled_keys(node: Any) -> list[tuple[str, int]]:
    doubled: list[tuple[str, int]] = []
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    doubled.append((key.value, key.start_mark.line + 1))
                seen.add(key.value)
            doubled += _doubled_keys(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            doubled += _doubled_keys(value)
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
