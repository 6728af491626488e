"""The toolstack's udev rules -> the same without its two network lines. Pure.

udev runs every rule that matches, so while xen-backend.rules still has its lines for vif and tap, the toolstack's
script would run beside ours. `cli/udev_rules` does this at installation; udev/65-xsagent.rules is what stands for
the lines. All others (vbd, tap-ctl, evtchn ...) stay byte for byte.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator
from typing import Final

MARK: Final = "# xsagent: "
"""Put before each physical line that is taken out; removing it brings the file back."""

_MATCH = re.compile(r'\b(SUBSYSTEM|KERNEL|RUN)\s*(==|\+=|:=|=)\s*"([^"]*)"', re.ASCII)
_NETWORK: Final = (("xen-backend", "vif-5-0"), ("net", "tap5.0"))
"""Subsystem and kernel name of the two devices that are ours now (udev-xen.md)."""


def take_out_network_lines(text: str) -> str:
    """The rules with the lines that run a program for vif or tap commented out; idempotent."""
    return "".join(_commented(rule) if _is_network(rule) else rule for rule in _rules(text))


def put_back_network_lines(text: str) -> str:
    """What `take_out_network_lines` was given."""
    return "".join(line.removeprefix(MARK) for line in text.splitlines(keepends=True))


def _rules(text: str) -> Iterator[str]:
    """Rules with their continuation lines (a backslash at the end), comments and blank lines as they stand."""
    rule = ""
    for line in text.splitlines(keepends=True):
        rule += line
        if line.lstrip().startswith("#") or not line.rstrip("\n").endswith("\\"):
            yield rule
            rule = ""
    if rule:
        yield rule


def _commented(rule: str) -> str:
    return "".join(MARK + line for line in rule.splitlines(keepends=True))


def _is_network(rule: str) -> bool:
    if rule.lstrip().startswith("#"):
        return False
    found = {(key, operator): value for key, operator, value in _MATCH.findall(rule.replace("\\\n", " "))}
    subsystem, kernel = found.get(("SUBSYSTEM", "=="), ""), found.get(("KERNEL", "=="), "")
    runs = any(key == "RUN" for key, _ in found)
    return runs and any(_matches(subsystem, wanted) and _matches(kernel, name) for wanted, name in _NETWORK)


def _matches(pattern: str, name: str) -> bool:
    """Whether one of udev's patterns, separated by ``|``, fits."""
    return any(fnmatch.fnmatchcase(name, one) for one in pattern.split("|"))
