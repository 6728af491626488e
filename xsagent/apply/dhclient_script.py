"""dhclient's script (dhclient-script(8)): a lease -> the device's address and routes, a result file. Effects.

dhclient runs it through the launcher that apply/dhcp.py writes, at every lease, renewal and expiry, with the lease in
the environment. It touches this device's addresses and DHCP routes, the client's result file and, on the DNS
interface, our servers in resolv.conf; nothing else. A process edge. Standard library alone: it runs at each renewal.

Addresses are set without a lifetime: dhclient counts leases by wall clock, which dom0 may correct by hours after
boot, and a kernel that counts them too would take the management address away under a living client.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import socket
import sys
import syslog
from collections.abc import Iterable, Mapping
from typing import Any, Final

from xsagent.apply.announce import announce
from xsagent.apply.dhclient_environment import (
    PROTOCOL_DHCP,
    leased_interface,
    parse_lease4,
    parse_lease6,
    requested_options,
)
from xsagent.apply.packet_socket import await_link_local
from xsagent.apply.probe import probe_gateway
from xsagent.apply.resolver import merge_leases
from xsagent.apply.run_dir import write_run_file
from xsagent.apply.secondaries import promoted_secondaries
from xsagent.child import find_program, run_child
from xsagent.config import Paths
from xsagent.errors import CommandError, XsagentError
from xsagent.observed.dhclient_leases import parse_leases
from xsagent.observed.dhcp_clients import IFINDEX_VARIABLE, ClientFiles, client_files
from xsagent.observed.lease_results import LeaseResult, read_lease_result, render_lease_result
from xsagent.topology.values import IPV4, IPV6, ROUTE_PROTOCOL, IpAddress, IpInterface, Route

ROOT_VARIABLE: Final = "XSAGENT_ROOT"
"""Given to dhclient with -e: the root prefix."""

_REASON: Final = "reason"
_POINT_TO_POINT: Final = 31
"""RFC 3021: no broadcast address."""

_IP_S: Final = 10.0
_PROBE_S: Final = 2.0
_LINK_LOCAL_S: Final = 5.0
_SET: Final = frozenset({"BOUND", "RENEW", "REBIND", "REBOOT", "TIMEOUT"})
_UNSET: Final = frozenset({"EXPIRE", "FAIL"})


def main() -> int:
    """Do what dhclient's reason asks for; 0, or 1 when a recorded lease is not to be used."""
    syslog.openlog("xsagent-dhclient", syslog.LOG_PID, syslog.LOG_DAEMON)
    try:
        return run_reason(os.environ)
    except (XsagentError, OSError) as error:
        syslog.syslog(syslog.LOG_ERR, f"reason={os.environ.get(_REASON, '')[:10]} problem={error!s}")
        # Not an error to dhclient, which would tell the server that another host has the address.
        return 0


def run_reason(environment: Mapping[str, str]) -> int:
    """Do what the variable ``reason`` asks for; errors are the caller's to log. Returns the exit status."""
    reason, device = environment.get(_REASON, ""), environment.get("interface", "")
    family = IPV6 if reason.endswith("6") else IPV4
    paths = Paths.from_environ(environment.get(ROOT_VARIABLE, "/"), environment)
    if not _is_own_device(device, environment.get(IFINDEX_VARIABLE, "")):
        return 0
    files = client_files(paths.state_dir, paths.run_dir, device, family)
    stem = reason.removesuffix("6")
    if stem == "TIMEOUT" and not _old_lease_works(environment, device):
        return 1
    if stem in _SET:
        _set_lease(environment, paths, files, device, family)
    elif stem in _UNSET:
        _unset_lease(environment, paths, files, device, family)
    elif reason == "PREINIT6":
        await_link_local(device, _LINK_LOCAL_S)
    elif stem == "DEPREF":
        _deprecate(environment, device)
    return 0


def _is_own_device(device: str, ifindex: str) -> bool:
    """The netdev must be the one that the client was started for, not a later one of the same name."""
    try:
        return socket.if_nametoindex(device) == int(ifindex)
    except (OSError, ValueError):
        return False


def _old_lease_works(environment: Mapping[str, str], device: str) -> bool:
    """No server answered and dhclient has a lease that is still valid: good where its router is there (RFC 4436)."""
    lease = parse_lease4(environment, frozenset({"routers"}))
    router = next((route.gateway for route in lease.routes if route.gateway), None)
    if router is None or lease.interface is None:
        return False
    return probe_gateway(device, router, deadline_s=_PROBE_S, source=lease.interface.ip)


def _set_lease(environment: Mapping[str, str], paths: Paths, files: ClientFiles, device: str, family: int) -> None:
    requested = requested_options(files.configuration.read_text(encoding="utf-8", errors="replace"))
    before = read_lease_result(files.result)
    try:
        parse = parse_lease4 if family == IPV4 else parse_lease6
        lease = parse(environment, requested)
        if lease.interface is not None:
            _exchange_address(paths, device, lease.interface, _former(environment, files, device, family))
            _exchange_routes(device, lease, before)
    except XsagentError as error:
        write_run_file(files.result, render_lease_result(LeaseResult(interface=None, problem=str(error))))
        raise
    if lease != before:
        write_run_file(files.result, render_lease_result(lease))
        syslog.syslog(syslog.LOG_INFO, f"set_lease device={device} address={lease.interface}")
    if lease.resolver.servers:
        merge_leases(paths)


def _unset_lease(environment: Mapping[str, str], paths: Paths, files: ClientFiles, device: str, family: int) -> None:
    """The lease ran out: its address must not be used any more; the kernel drops its routes with it."""
    old = leased_interface(environment, family, "old")
    files.result.unlink(missing_ok=True)
    if old is not None:
        _remove_addresses(paths, device, _addresses(device) & {old})
        syslog.syslog(syslog.LOG_WARNING, f"lose_lease device={device} address={old}")


def _former(environment: Mapping[str, str], files: ClientFiles, device: str, family: int) -> set[IpAddress]:
    """Return addresses that this client may have set before.

    A client that was started anew does not know its former address; its lease file does. Not so for IPv6, where one
    lease may name several addresses that hold at the same time.
    """
    old = leased_interface(environment, family, "old")
    former = {old.ip} if old is not None else set()
    if family == IPV4:
        with contextlib.suppress(OSError):
            text = files.leases.read_text(encoding="utf-8", errors="replace")
            former |= {lease.address for lease in parse_leases(text) if lease.device == device}
    return former


def _exchange_address(paths: Paths, device: str, new: IpInterface, former: set[IpAddress]) -> None:
    """Set the leased address, then remove former ones; an equal address is not touched."""
    present = _addresses(device)
    if new not in present:
        extra = ["broadcast", "+"] if new.version == IPV4 and new.network.prefixlen < _POINT_TO_POINT else []
        _ip("address", "add", str(new), *extra, "dev", device)
        _announce(device, new)
    old = [interface for interface in sorted(present - {new}, key=str) if interface.ip in former]
    _remove_addresses(paths, device, old)


def _announce(device: str, new: IpInterface) -> None:
    """Tell neighbours at once; for IPv6 the kernel does, once it knows that nobody else has the address."""
    if new.version == IPV4:
        try:
            announce(device, [new.ip])
        except (XsagentError, OSError) as error:
            syslog.syslog(syslog.LOG_WARNING, f"announce_failed device={device} problem={error!s}")


def _remove_addresses(paths: Paths, device: str, interfaces: Iterable[IpInterface]) -> None:
    for interface in interfaces:
        with promoted_secondaries(paths.proc, device):
            _ip("address", "delete", str(interface), "dev", device)


def _exchange_routes(device: str, lease: LeaseResult, before: LeaseResult | None) -> None:
    """Set the lease's routes where the kernel lacks them, and remove those of the former lease.

    A route that the kernel refuses is logged: the address is worth having without it.
    """
    if not lease.routes and not (before and before.routes):
        return
    present = _routes(device)
    for route in lease.routes:
        if (str(route.destination), str(route.gateway)) not in present:
            _try_route("replace", device, route, lease.interface)
    for route in before.routes if before else ():
        if route not in lease.routes and (str(route.destination), str(route.gateway)) in present:
            _try_route("delete", device, route, lease.interface)


def _try_route(verb: str, device: str, route: Route, interface: IpInterface | None) -> None:
    words = [verb, str(route.destination)]
    if route.gateway is not None:
        words += ["via", str(route.gateway)]
    words += ["dev", device, "proto", str(PROTOCOL_DHCP)]
    if route.gateway is not None and interface is not None and route.gateway not in interface.network:
        words.append("onlink")  # a /32 lease, as clouds give
    try:
        _ip("route", *words)
    except CommandError as error:
        syslog.syslog(syslog.LOG_WARNING, f"route_refused device={device} problem={error!s}")


def _deprecate(environment: Mapping[str, str], device: str) -> None:
    old = leased_interface(environment, 6, "new") or leased_interface(environment, 6, "old")
    if old is not None and old in _addresses(device):
        _ip("-6", "address", "change", str(old), "dev", device, "preferred_lft", "0")


def _addresses(device: str) -> set[IpInterface]:
    found: set[IpInterface] = set()
    for link in _ip_json("address", "show", "dev", device):
        for item in link.get("addr_info", ()):
            found.add(ipaddress.ip_interface(f"{item['local']}/{item['prefixlen']}"))
    return found


def _routes(device: str) -> set[tuple[str, str]]:
    """Return destination and gateway of the device's IPv4 routes.

    One that a static configuration set is as good as missing: it goes with that configuration, so the lease takes it
    over under its own protocol.
    """
    found: set[tuple[str, str]] = set()
    for item in _ip_json("-N", "-4", "route", "show", "dev", device):
        if item.get("protocol") == str(ROUTE_PROTOCOL):
            continue
        destination = "0.0.0.0/0" if item["dst"] == "default" else item["dst"]
        if "/" not in destination:
            destination += "/32"
        found.add((destination, str(item.get("gateway"))))
    return found


def _ip_json(*arguments: str) -> list[dict[str, Any]]:
    text = _ip("-json", *arguments)
    return list(json.loads(text)) if text.strip() else []


def _ip(*arguments: str) -> str:
    return run_child([find_program("ip", "/sbin/ip"), *arguments], deadline_s=_IP_S).stdout


if __name__ == "__main__":
    sys.exit(main())
