"""Device -> name servers that a router advertises there, kept for resolv.conf (RFC 8106). Effects, stdlib alone.

For the DNS interface when its IPv6 mode is autoconf or DHCP: the flow calls it after the addresses.
Nothing to undo: resolv.conf takes these only for a family that no static source and no lease has.
"""

from __future__ import annotations

import select
import time
from typing import Final

from xsagent.apply.advertisement import parse_advertisement
from xsagent.apply.announce import solicit_routers
from xsagent.apply.dhclient_environment import requested_options
from xsagent.apply.frames import ETH_P_IPV6
from xsagent.apply.packet_socket import packet_socket
from xsagent.apply.resolver import forget_source, merge_leases
from xsagent.apply.run_dir import write_run_file
from xsagent.config import Paths
from xsagent.observed.lease_results import LeaseResult, learnt_path, read_lease_result, render_lease_result
from xsagent.topology.desired import Desired
from xsagent.topology.values import KEEP, ObjectKind, Resolver

_SERVER_OPTIONS: Final = frozenset({"domain-name-servers", "name-servers"})
"""As `requested_options` names what the DNS interface's clients ask for."""

_FRAME: Final = 9216
_EVERY_S: Final = 1.0


def wants_router_servers(desired: Desired) -> str | None:
    """Return the device whose routers' servers belong into resolv.conf after this operation; None for none.

    The management interface with IPv6 autoconf or DHCP, unless its DHCP client does not ask for servers: then another
    interface has the DNS. Pure.
    """
    management = desired.management
    device = desired.topology.ip_devices.get(management.device) if management is not None else None
    if device is None or device.ipv6_mode not in {"autoconf", "dhcp"}:
        return None
    asked = [requested_options(client.configuration) for client in (device.dhcp4, device.dhcp6) if client]
    if asked and not any(options & _SERVER_OPTIONS for options in asked):
        return None
    return device.device


def forget_routers(desired: Desired, paths: Paths) -> None:
    """Have the servers that routers named on devices count no longer, where those follow routers no longer.

    Idempotent. Devices that the operation says nothing of keep theirs.
    """
    topology = desired.topology
    spoken_of = {name for name, device in topology.ip_devices.items() if device.ipv6_mode is not KEEP}
    spoken_of |= {key.name for key in topology.absent if key.kind is ObjectKind.IP_DEVICE}
    for name in spoken_of - {wants_router_servers(desired)}:
        forget_source(learnt_path(paths.run_dir, name))


def learn_servers(device: str, paths: Paths, deadline_s: float) -> Resolver | None:
    """Ask routers, remember the servers that the first one with servers names, and merge them into resolv.conf.

    Blocking until an advertisement with servers comes, at most `deadline_s`.

    Returns:
        They, or None when none came: what was remembered before then stays.

    Raises:
        DeviceAbsentError: there is no such device.
        NetlinkError: it takes no packets.
        FileError: resolv.conf cannot be written.
    """
    resolver = _listen(device, deadline_s)
    if resolver is None:
        return None
    path = learnt_path(paths.run_dir, device)
    for other in paths.run_dir.glob("rdnss-*.json"):  # there is one DNS interface, and this is it now
        if other != path:
            forget_source(other)
    before = read_lease_result(path)
    if before is None or before.resolver != resolver:
        write_run_file(path, render_lease_result(LeaseResult(interface=None, resolver=resolver)))
    merge_leases(paths)
    return resolver


def _listen(device: str, deadline_s: float) -> Resolver | None:
    end = time.monotonic() + deadline_s
    asked = 0.0
    with packet_socket(device, ETH_P_IPV6) as raw:
        while True:
            now = time.monotonic()
            if now >= asked + _EVERY_S:
                solicit_routers(device)
                asked = now
            readable, _, _ = select.select([raw], [], [], max(0.0, min(end, asked + _EVERY_S) - now))
            found = parse_advertisement(raw.recv(_FRAME), device) if readable else None
            if found is not None and found.resolver.servers:
                return found.resolver
            if time.monotonic() >= end:
                return None
