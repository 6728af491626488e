"""management.conf to a Snapshot: the interface that the installer, or a reset, chose for management.

The last resort of `boot`. The words are checked by `model/force_rewrite`; what can be done without (DNS, domain,
gateway) is left out with a warning when it is wrong, since a host without a name server can still be reached.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Final

from xsagent.config import Paths
from xsagent.errors import CacheError, InputError
from xsagent.model.force_rewrite import build_one_pif_snapshot
from xsagent.model.host import Inventory
from xsagent.model.one_pif import bridge_for_device
from xsagent.model.snapshot import Snapshot
from xsagent.model.values import parse_device_name
from xsagent.sources.host_files import read_inventory, read_mac, read_text
from xsagent.sources.shell_assignments import parse_assignments

OPTION_OF_KEY: Final[Mapping[str, str]] = {
    "LABEL": "device",
    "MODE": "mode",
    "IP": "ip",
    "NETMASK": "netmask",
    "GATEWAY": "gateway",
    "MODEV6": "mode-v6",
    "IPv6": "ipv6",
    "IPv6_GATEWAY": "gateway-v6",
    "DNS": "dns",
    "DOMAIN": "domain",
    "VLAN": "vlan",
    "BOND_MODE": "bond-mode",
    "BOND_MEMBERS": "bond-members",
}
"""Names in management.conf and what they are called on the command line (features.md sections 1 and 22)."""
_DISPENSABLE: Final = ("dns", "domain", "gateway", "gateway-v6")


def read_management_conf(paths: Paths) -> Snapshot:
    """The Snapshot that management.conf and the inventory describe.

    Raises:
        CacheError: the file is missing, unreadable, or describes no interface.
    """
    path = paths.management_conf
    try:
        text = read_text(path)
        if text is None:
            raise CacheError(f"{path} does not exist")
        return parse_management_conf(text, paths, str(path), read_inventory(paths))
    except InputError as error:
        raise CacheError(f"{path} cannot be used: {error}") from error


def parse_management_conf(text: str, paths: Paths, source: str, inventory: Inventory) -> Snapshot:
    """The Snapshot that such a text describes; MACs are those that the NICs have.

    Raises:
        InputError: it describes no interface.
    """
    values = parse_assignments(text)
    options = {option: values[key] for key, option in OPTION_OF_KEY.items() if values.get(key)}
    return build_reset_snapshot(options, paths, source, inventory)


def build_reset_snapshot(options: Mapping[str, str], paths: Paths, source: str, inventory: Inventory) -> Snapshot:
    """The Snapshot of options in the command line's words, without those that are wrong and dispensable.

    Raises:
        InputError: what is wrong is not dispensable.
    """
    kept, warnings = dict(options), list(inventory.warnings)
    while True:
        try:
            snapshot = _build(kept, paths, source, inventory)
            break
        except InputError as error:
            wrong = next((name for name in _DISPENSABLE if str(error).startswith(f"--{name}:")), None)
            if wrong is None:
                raise
            del kept[wrong]
            warnings.append(f"{source}: left out {error}")
    return dataclasses.replace(snapshot, warnings=(*warnings, *snapshot.warnings))


def _build(options: Mapping[str, str], paths: Paths, source: str, inventory: Inventory) -> Snapshot:
    return build_one_pif_snapshot(
        inventory.management_interface or _bridge_name(options),
        options,
        lambda device: read_mac(paths, device),
        source=source,
        prefer_ipv6=inventory.management_address_type == "IPv6" and "mode-v6" in options,
    )


def _bridge_name(options: Mapping[str, str]) -> str:
    """As xcp-networkd names it where the inventory has no management interface."""
    members = options.get("bond-members", "").replace(",", " ").split()
    return bridge_for_device(parse_device_name(members[0] if members else options.get("device", "")))
