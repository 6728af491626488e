"""Small files of the host to typed values: inventory, backend, boot markers, NIC addresses.

Reads only, afresh at each call (XAPI rewrites the inventory at any time). The commands pass the values on to
`desired/`; which network state to start from is decided in `boot`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from xsagent.config import Paths
from xsagent.errors import BackendError, InputError
from xsagent.model.host import HostFacts, Inventory
from xsagent.model.values import parse_device_name, parse_mac, shown
from xsagent.sources.shell_assignments import parse_assignments

_MAX_BYTES: Final = 1 << 20
_PIECE: Final = 1 << 14
"""Of a file below /proc/sys: asked for a megabyte, the kernel clears one, which takes half a millisecond."""
_ARDENCE_ADDRESS: Final = re.compile(r"^HWaddr:\s*(\S+)", re.MULTILINE | re.ASCII)
_BOOT_ADDRESS: Final = re.compile(r"\bBOOTIF=(?:[0-9a-f]{2}-)?((?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2})\b", re.IGNORECASE)
_ROOT_ON_NETWORK: Final = re.compile(r"\b(?:root=(?:/dev/nfs|nfs4?:|iscsi:)|netroot=)")


def read_text(path: Path) -> str | None:
    """A small text file, undecodable bytes replaced; None when it does not exist.

    Raises:
        InputError: it is there and cannot be read, or is larger than a megabyte.
    """
    try:
        with path.open("rb") as stream:
            data = b""
            while len(data) <= _MAX_BYTES and (piece := stream.read(_PIECE)):
                data += piece
    except (FileNotFoundError, NotADirectoryError, ProcessLookupError):
        return None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; nothing was changed") from error
    if len(data) > _MAX_BYTES:
        raise InputError(f"{path} is larger than {_MAX_BYTES} bytes; nothing was changed")
    return data.decode("utf-8", "replace")


def read_inventory(paths: Paths) -> Inventory:
    """The inventory; a missing file is an empty one. Values that cannot be what they should be are passed over.

    Raises:
        InputError: the file is there and cannot be read.
    """
    path = paths.inventory
    values = parse_assignments(read_text(path) or "")
    warnings: list[str] = []
    names = [values.get("MANAGEMENT_INTERFACE", ""), *values.get("CURRENT_INTERFACES", "").split()]
    good = [_checked_name(name, path, warnings) for name in names]
    return Inventory(
        installation_uuid=_checked_uuid(values.get("INSTALLATION_UUID", ""), path, warnings),
        control_domain_uuid=_checked_uuid(values.get("CONTROL_DOMAIN_UUID", ""), path, warnings),
        management_interface=good[0],
        management_address_type="IPv6" if values.get("MANAGEMENT_ADDRESS_TYPE") == "IPv6" else "IPv4",
        current_interfaces=tuple(dict.fromkeys(name for name in good[1:] if name)),
        product_brand=values.get("PRODUCT_BRAND", ""),
        product_version=values.get("PRODUCT_VERSION", ""),
        build_number=values.get("BUILD_NUMBER", ""),
        warnings=tuple(warnings),
    )


def check_backend(paths: Paths) -> None:
    """Make sure that this host uses Open vSwitch.

    Raises:
        BackendError: network.conf is missing, names the kernel's bridge, or names nothing we know.
    """
    match read_backend(paths):
        case None:
            raise BackendError(f"{paths.network_conf} does not exist, so the backend is unknown; nothing was changed")
        case "vswitch" | "openvswitch":
            return
        case "bridge":
            raise BackendError(
                f"{paths.network_conf} names the backend bridge, which xsagent does not drive; nothing was changed"
            )
        case word:
            raise BackendError(f"{paths.network_conf} names the unknown backend {shown(word)}; nothing was changed")


def read_backend(paths: Paths) -> str | None:
    """The word in network.conf, without comments and blanks around it; None when there is no such file.

    Raises:
        InputError: the file is there and cannot be read.
    """
    text = read_text(paths.network_conf)
    if text is None:
        return None
    return "\n".join(line.partition("#")[0].strip() for line in text.splitlines()).strip()


def read_host_facts(paths: Paths) -> HostFacts:
    """What decisions need to know of this host; `present_bridges` is not among it (OVSDB knows it).

    Raises:
        InputError: a file is there and cannot be read.
    """
    inventory = read_inventory(paths)
    return HostFacts(
        management_bridge=inventory.management_interface,
        current_interfaces=inventory.current_interfaces,
        first_boot=paths.firstboot_marker.exists(),
        network_boot_mac=read_network_boot_mac(paths),
        root_macs=read_root_macs(paths),
        hostname=(read_text(paths.proc / "sys/kernel/hostname") or "").strip(),
        sysconfig_network=read_text(paths.sysconfig_network) or "",
        ipv6_available=is_ipv6_available(paths),
        high_availability=is_high_availability_running(paths),
    )


def read_boot_id(paths: Paths) -> str:
    """The kernel's name for this boot; empty where /proc does not say."""
    return (read_text(paths.proc / "sys/kernel/random/boot_id") or "").strip()


def read_mac(paths: Paths, device: str) -> str:
    """The MAC address that a device has now, in lower case; empty when there is no such device."""
    text = read_text(paths.sys / "class/net" / parse_device_name(device) / "address")
    return (text or "").strip().lower()


def read_network_boot_mac(paths: Paths) -> str | None:
    """MAC of the NIC that a PVS host booted from: the ``HWaddr:`` line of /proc/ardence."""
    found = _ARDENCE_ADDRESS.search(read_text(paths.ardence) or "")
    return _mac_or_none(found[1]) if found else None


def read_root_macs(paths: Paths) -> frozenset[str]:
    """MACs of NICs that the root filesystem is reached through: iSCSI boot (iBFT), or a root on NFS or iSCSI."""
    texts = [read_text(path) or "" for path in sorted((paths.sys / "firmware/ibft").glob("ethernet*/mac"))]
    command_line = read_text(paths.proc / "cmdline") or ""
    if _ROOT_ON_NETWORK.search(command_line):
        texts.extend(found.replace("-", ":") for found in _BOOT_ADDRESS.findall(command_line))
    return frozenset(mac for text in texts if (mac := _mac_or_none(text.strip())))


def is_ipv6_available(paths: Paths) -> bool:
    """Whether the kernel has IPv6 (no /proc/sys/net/ipv6 without it) and it is not disabled for all devices."""
    settings = paths.proc / "sys/net/ipv6/conf/all"
    return settings.exists() and (read_text(settings / "disable_ipv6") or "").strip() != "1"


def is_high_availability_running(paths: Paths) -> bool:
    """Whether the HA daemon is configured and runs (its process is named xhad)."""
    if not paths.below("/etc/xensource/xhad.conf").exists():
        return False
    return any(read_text(path) == "xhad\n" for path in paths.proc.glob("[0-9]*/comm"))


def _mac_or_none(text: str) -> str | None:
    try:
        return parse_mac(text)
    except InputError:
        return None


def _checked_name(name: str, path: Path, warnings: list[str]) -> str:
    if not name:
        return ""
    try:
        return parse_device_name(name)
    except InputError as error:
        warnings.append(f"an interface in {path} was passed over: {error}")
        return ""


def _checked_uuid(text: str, path: Path, warnings: list[str]) -> str:
    if not text:
        return ""
    from uuid import UUID  # noqa: PLC0415 - hotplug reads network.conf alone, and uuid imports platform

    try:
        if str(UUID(text)) == text.lower():
            return text
    except ValueError:
        pass
    warnings.append(f"{shown(text)} in {path} is not a uuid and was passed over")
    return ""
