"""The file network-reset in /var/tmp: the sign of an emergency reset, and what it asks for.

While the file is there every state of ours is out of date (features.md section 24): `boot` looks here first.
xe-reset-networking writes it together with management.conf, which counts; the words in it count only without that.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Final

from xsagent.config import Paths
from xsagent.errors import CacheError, InputError
from xsagent.model.snapshot import Snapshot
from xsagent.sources.host_files import read_inventory, read_text
from xsagent.sources.management_conf import build_reset_snapshot
from xsagent.sources.shell_assignments import parse_assignments

_OPTION_OF_KEY: Final[Mapping[str, str]] = {
    "DEVICE": "device",
    "MODE": "mode",
    "IP": "ip",
    "NETMASK": "netmask",
    "GATEWAY": "gateway",
    "MODE_V6": "mode-v6",
    "IPV6": "ipv6",
    "GATEWAY_V6": "gateway-v6",
    "DNS": "dns",
    "VLAN": "vlan",
}
"""wire.md section 6."""


def is_reset_requested(paths: Paths) -> bool:
    """Whether the sign is there: a plain file of root's (or ours), since anyone may write to its directory."""
    try:
        status = paths.network_reset.lstat()
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and status.st_uid in {0, os.geteuid()}


def read_network_reset(paths: Paths) -> Snapshot:
    """The Snapshot that the reset asks for.

    Raises:
        CacheError: the file is missing, unreadable, or describes no interface.
    """
    path = paths.network_reset
    try:
        text = read_text(path)
        if text is None:
            raise CacheError(f"{path} does not exist")
        values = parse_assignments(text)
        options = {option: values[key] for key, option in _OPTION_OF_KEY.items() if values.get(key)}
        return build_reset_snapshot(options, paths, str(path), read_inventory(paths))
    except InputError as error:
        raise CacheError(f"{path} cannot be used: {error}") from error
