"""What a sandbox is made of, as frozen values: NICs, wires, hosts at their far ends, files, services. Pure.

Read by `root_prefix` (the files of the dom0), `wiring` (links and addresses), `dhcp_server` and `dom0.Sandbox`.
Addresses are of the documentation ranges (RFC 5737, RFC 3849), so that nothing here is anyone's.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from xsagent.errors import UsageError

MAX_NICS = 32
_IPV4_NETWORKS = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")
_FURTHER_NETWORKS = ipaddress.IPv4Network("198.18.0.0/15")


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One wire (layer 2 segment) with a host at its far end, which has a network namespace of its own.

    Attributes:
        name: name of the far host and of its namespace.
        nics: dom0's NICs on this segment; two or more meet in a Linux bridge in the far namespace.
        addresses: the far host's addresses in CIDR form; the first IPv4 one is gateway and DHCP server.
        dhcp: whether a DHCP server runs from the start.
        dhcp_lease_s: lease time in seconds; dnsmasq takes 120 or more.
        dhcp_options: further options in dnsmasq's form, for example ``option:mtu,1400``.
        mtu: of the far ends, in bytes.
        ipv6: what the same server does for IPv6: ``""`` nothing, ``autoconf`` router advertisements for the prefix,
            ``dhcp`` advertisements that leave addresses to DHCPv6.
    """

    name: str
    nics: tuple[str, ...]
    addresses: tuple[str, ...] = ()
    dhcp: bool = False
    dhcp_lease_s: int = 3600
    dhcp_options: tuple[str, ...] = ()
    mtu: int = 1500
    ipv6: Literal["", "autoconf", "dhcp"] = ""

    @property
    def gateway6(self) -> ipaddress.IPv6Interface:
        """The far host's first IPv6 address; UsageError when it has none."""
        for address in self.addresses:
            interface = ipaddress.ip_interface(address)
            if isinstance(interface, ipaddress.IPv6Interface):
                return interface
        raise UsageError(f"segment {self.name} of the sandbox has no IPv6 address")

    @property
    def gateway(self) -> ipaddress.IPv4Interface:
        """The far host's first IPv4 address; UsageError when it has none."""
        for address in self.addresses:
            interface = ipaddress.ip_interface(address)
            if isinstance(interface, ipaddress.IPv4Interface):
                return interface
        raise UsageError(f"segment {self.name} of the sandbox has no IPv4 address")


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A further process of the dom0 (a XAPI stand-in, xenstored), started after Open vSwitch.

    Attributes:
        name: for messages and for its log file ``log/NAME.log`` in the sandbox's directory.
        argv: command; ``{root}`` in a word becomes the root prefix.
        environment: added to the sandbox's own.
        ready: path below the root prefix that exists once the service answers; empty: not waited for.
        deadline_s: how long `ready` may take.
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    ready: str = ""
    deadline_s: float = 10.0


def default_segments(*, nics: int = 2, dhcp: bool = True) -> tuple[Segment, ...]:
    """One segment a NIC: eth0 with host ``gateway`` (192.0.2.1/24), eth1 with ``far1`` (198.51.100.1/24) ...

    Args:
        nics: number of NICs, 1 to MAX_NICS.
        dhcp: whether ``gateway`` serves DHCP; the others never do.

    Raises:
        UsageError: nics is out of range.
    """
    if not 1 <= nics <= MAX_NICS:
        raise UsageError(f"a sandbox has 1 to {MAX_NICS} NICs, not {nics}")
    return tuple(
        Segment(
            name=f"far{number}" if number else "gateway",
            nics=(f"eth{number}",),
            addresses=(_ipv4_of(number), f"2001:db8:{number:x}::1/64" if number else "2001:db8::1/64"),
            dhcp=dhcp and number == 0,
        )
        for number in range(nics)
    )


def shared_segment(*, nics: int, dhcp: bool = True) -> tuple[Segment, ...]:
    """All NICs on the segment of host ``gateway``, as bonds need them."""
    names = tuple(f"eth{number}" for number in range(nics))
    return (Segment(name="gateway", nics=names, addresses=("192.0.2.1/24", "2001:db8::1/64"), dhcp=dhcp),)


def check_management_address(text: str, segments: Sequence[Segment]) -> None:
    """Make sure that a CIDR can be management's beside the far host of the first wire; UsageError where it cannot."""
    beside = segments[0].gateway
    try:
        wanted = ipaddress.ip_interface(text) if "/" in text else None
    except ValueError:
        wanted = None
    if wanted is None or wanted not in beside.network or wanted.ip == beside.ip:
        raise UsageError(f"--static: {text!r} is not an address with a length in {beside.network} beside {beside.ip}")


def _ipv4_of(number: int) -> str:
    """Address of the far host of NIC `number`: the documentation networks first, then the benchmark range."""
    if number < len(_IPV4_NETWORKS):
        network = ipaddress.IPv4Network(_IPV4_NETWORKS[number])
    else:
        network = list(_FURTHER_NETWORKS.subnets(new_prefix=24))[number]
    return f"{network[1]}/{network.prefixlen}"


def nic_mac(nic: str) -> str:
    """Hardware address of dom0's NIC ``ethN``, the same in every sandbox."""
    return f"00:1b:21:00:5a:{_number_of(nic) + 1:02x}"


def far_mac(nic: str) -> str:
    """Hardware address of the far end of NIC ``ethN``."""
    return f"02:00:00:00:fe:{_number_of(nic) + 1:02x}"


def _number_of(nic: str) -> int:
    """N of ``ethN``; UsageError for any other name."""
    digits = nic.removeprefix("eth")
    if digits == nic or not digits.isdecimal() or int(digits) >= MAX_NICS:
        raise UsageError(f"a sandbox's NICs are named eth0 to eth{MAX_NICS - 1}, not {nic!r}")
    return int(digits)


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxSpec:
    """A whole sandbox.

    Attributes:
        segments: wires with their far hosts; the first NIC of the first one carries management.
        management_address: CIDR of a static management address; empty: DHCP.
        ip_backend: value of XSAGENT_IP_BACKEND inside; empty: not set.
        datapath_type: value of XSAGENT_DATAPATH_TYPE inside.
        environment: further variables for every command inside; win over the sandbox's own.
        dbcache: text of var/xapi/network.dbcache; None: made from the segments; empty: no such file.
        files: further files by path below the root prefix; win over the sandbox's own.
        ovsdb: whether ovsdb-server runs from the start.
        vswitchd: whether ovs-vswitchd runs from the start (only with `ovsdb`).
        services: further processes, started in this order.
    """

    segments: tuple[Segment, ...] = field(default_factory=default_segments)
    management_address: str = ""
    ip_backend: str = ""
    datapath_type: str = "netdev"
    environment: Mapping[str, str] = field(default_factory=dict)
    dbcache: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    ovsdb: bool = True
    vswitchd: bool = True
    services: tuple[Service, ...] = ()

    @property
    def nics(self) -> tuple[str, ...]:
        """Names of all NICs, in order of their segments."""
        return tuple(nic for segment in self.segments for nic in segment.nics)
