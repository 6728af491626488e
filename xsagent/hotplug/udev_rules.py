"""The toolstack's udev rules -> the same without what they run for guests' network devices. Pure.

udev runs every rule that matches, so while xen-backend.rules still has its lines for vif and tap, the toolstack's
script would run beside ours. `cli/udev_rules` does this at installation; udev/65-xsagent.rules is what stands for
the lines. All others (vbd, tap-ctl, evtchn ...) stay byte for byte; a line for vif and others stays for the others.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MARK: Final = "# xsagent: "
"""Put before each physical line that is taken out; removing it brings the file back."""
_KEPT: Final = "# xsagent, what is left of the next rule:\n"
"""Stands before a rule that goes on for other devices alone; putting the file back drops both."""

_MATCH: Final = re.compile(r'\b(SUBSYSTEM|KERNEL|RUN)\s*(==|!=|\+=|:=|=)\s*"([^"]*)"', re.ASCII)
_KERNEL: Final = re.compile(r'\bKERNEL\s*==\s*"[^"]*"', re.ASCII)


@dataclass(frozen=True, slots=True)
class _Devices:
    """A kind of device that is ours now (udev-xen.md): its subsystem, the kernel name of one, the beginning of all."""

    subsystem: str
    name: str
    prefix: str


_NETWORK: Final = (_Devices("xen-backend", "vif-5-0", "vif"), _Devices("net", "tap5.0", "tap"))


def take_out_network_lines(text: str) -> str:
    """The rules with the lines that run a program for vif or tap commented out; idempotent."""
    return "".join(_without_network(rule) for rule in _rules(text))


def put_back_network_lines(text: str) -> str:
    """What `take_out_network_lines` was given."""
    original = []
    rules = _rules(text)
    for rule in rules:
        if rule == _KEPT:
            next(rules, "")
        else:
            original += [line.removeprefix(MARK) for line in rule.splitlines(keepends=True)]
    return "".join(original)


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


def _without_network(rule: str) -> str:
    """The rule commented out; before it, where it is for other devices too, a copy for those."""
    ours = _ours(rule)
    if not ours:
        return rule
    kernel = _keys(rule)["KERNEL", "=="]
    others = [one for one in kernel.split("|") if not one.startswith(tuple(devices.prefix for devices in ours))]
    commented = "".join(MARK + line for line in rule.splitlines(keepends=True))
    if not others:
        return commented
    but_ours = f'KERNEL!="{"|".join(f"{devices.prefix}*" for devices in ours)}"'
    narrowed = _KERNEL.sub(lambda found: f"{found[0]}, {but_ours}", rule, count=1)
    return "".join((_KEPT, narrowed.removesuffix("\n"), "\n", commented))


def _keys(rule: str) -> dict[tuple[str, str], str]:
    """Value by key and operator, of the keys that matter here."""
    return {(key, operator): value for key, operator, value in _MATCH.findall(rule.replace("\\\n", " "))}


def _ours(rule: str) -> tuple[_Devices, ...]:
    """The kinds of our devices that a rule runs a program for."""
    keys = {} if rule.lstrip().startswith("#") else _keys(rule)
    if not any(key == "RUN" for key, _ in keys):
        return ()
    return tuple(
        devices
        for devices in _NETWORK
        if _matches(keys.get(("SUBSYSTEM", "=="), ""), devices.subsystem)
        and _matches(keys.get(("KERNEL", "=="), ""), devices.name)
        and not _matches(keys.get(("KERNEL", "!="), ""), devices.name)
    )


def _matches(pattern: str, name: str) -> bool:
    """Whether one of udev's patterns, separated by ``|``, fits."""
    return any(fnmatch.fnmatchcase(name, one) for one in pattern.split("|"))
