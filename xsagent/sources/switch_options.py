"""/etc/sysconfig/openvswitch -> SwitchOptions. Reads one file, executes nothing of it.

A value that cannot be used is a warning and its default: a host must get its switch whatever stands in there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from xsagent.config import Paths
from xsagent.errors import InputError
from xsagent.model.switch_start import SwitchOptions
from xsagent.model.values import parse_integer, shown
from xsagent.sources.host_files import read_text
from xsagent.sources.shell_assignments import parse_assignments

_CTL_OPTION: Final = re.compile(r"--[a-z][a-z0-9-]*(?:=[^\0\n]*)?")
"""ovs-ctl makes a variable's name of what stands before the equals sign and hands it to eval."""
_NOT_FOR_CTL: Final = frozenset({"--delete-bridges", "--db-file", "--db-sock", "--help", "--version"})
"""What we decide ourselves, or what would start nothing."""
_LOWEST_NICE, _HIGHEST_NICE = -20, 19


def read_switch_options(paths: Paths) -> SwitchOptions:
    """The options; a missing file is an empty one, one that cannot be read is a warning."""
    path = paths.ovs_sysconfig
    try:
        text = read_text(path) or ""
    except InputError as error:
        return SwitchOptions(warnings=(f"{error.cause}; the defaults are used",))
    return parse_switch_options(text, str(path))


def parse_switch_options(text: str, where: str) -> SwitchOptions:
    """The options that this text gives; pure. Keys that Open vSwitch's template does not document are passed over.

    Args:
        where: names the file in warnings.
    """
    assigned = parse_assignments(text)
    values: dict[str, Any] = {}
    warnings: list[str] = []
    for key, (field, parse) in _KEYS.items():
        if assigned.get(key, "").strip():
            try:
                values[field] = parse(assigned[key].strip())
            except InputError as error:
                warnings.append(f"{key} in {where}: {error}; its default is used")
    options, refused = _ctl_options(assigned.get("OVS_CTL_OPTS", ""))
    warnings += [f"OVS_CTL_OPTS in {where}: {shown(word)} was passed over" for word in refused]
    return SwitchOptions(**values, ctl_options=options, warnings=tuple(warnings))


def _yes_or_no(text: str) -> bool:
    if text.lower() in {"yes", "y"}:
        return True
    if text.lower() in {"no", "n"}:
        return False
    raise InputError(f"{shown(text)} is neither yes nor no")


def _nice(text: str) -> int:
    return parse_integer(text, _LOWEST_NICE, _HIGHEST_NICE)


_KEYS: Final[Mapping[str, tuple[str, Callable[[str], object]]]] = {
    "FORCE_COREFILES": ("force_corefiles", _yes_or_no),
    "OVSDB_SERVER_PRIORITY": ("ovsdb_priority", _nice),
    "VSWITCHD_PRIORITY": ("vswitchd_priority", _nice),
    "VSWITCHD_MLOCKALL": ("mlockall", _yes_or_no),
}


def _ctl_options(text: str) -> tuple[tuple[str, ...], list[str]]:
    """Words for ovs-ctl, as the shell of old split them, and those that are none."""
    good: list[str] = []
    refused: list[str] = []
    for word in text.split():
        is_option = _CTL_OPTION.fullmatch(word) and word.partition("=")[0] not in _NOT_FOR_CTL
        (good if is_option else refused).append(word)
    return tuple(good), refused
