"""SandboxSpec -> the text that ip(8) and nft(8) are given to lay the wires. Pure.

`dom0.Sandbox` feeds these to ``ip -batch -`` and ``nft -f -`` inside the namespaces. dom0's NICs stay down, as a
host's are before it boots; far ends are up from the start.
"""

from __future__ import annotations

from collections.abc import Iterable

from xsagent.sandbox.spec import Segment, far_mac, nic_mac

TABLE = "xsagent_sandbox"
_BRIDGE = "segment"


def wire_name(nic: str) -> str:
    """Name of the far end of a NIC's veth pair, in the far namespace: wire0 for eth0."""
    return f"wire{nic.removeprefix('eth')}"


def far_interface(segment: Segment) -> str:
    """Device that bears the far host's addresses: the far end itself, or the bridge that joins several."""
    return wire_name(segment.nics[0]) if len(segment.nics) == 1 else _BRIDGE


def render_wires(segments: Iterable[Segment]) -> str:
    """Commands of ``ip -batch`` in dom0: a namespace for each far host, a veth pair for each NIC."""
    lines = ["link set lo up"]
    for segment in segments:
        lines.append(f"netns add {segment.name}")
        for nic in segment.nics:
            far = f"peer name {wire_name(nic)} netns {segment.name} address {far_mac(nic)} mtu {segment.mtu}"
            lines.append(f"link add {nic} address {nic_mac(nic)} type veth {far}")
    return _batch(lines)


def render_far(segment: Segment) -> str:
    """Commands of ``ip -batch`` in a far namespace: bridge where needed, links up, addresses."""
    lines = ["link set lo up"]
    if len(segment.nics) > 1:
        lines.append(f"link add {_BRIDGE} type bridge stp_state 0 forward_delay 0")
        lines += [f"link set {wire_name(nic)} master {_BRIDGE}" for nic in segment.nics]
        lines.append(f"link set {_BRIDGE} up")
    lines += [f"link set {wire_name(nic)} up" for nic in segment.nics]
    return _batch(lines) + render_addresses(far_interface(segment), segment.addresses)


def render_addresses(interface: str, addresses: Iterable[str]) -> str:
    """Commands of ``ip -batch`` that add addresses (CIDR), usable at once: no duplicate address detection."""
    return _batch(
        [f"address add {address} dev {interface}{' nodad' if ':' in address else ''}" for address in addresses]
    )


def _batch(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def render_drop(devices: Iterable[str]) -> str:
    """Rules of ``nft -f`` that keep the kernel's own stack from answering on devices that the switch reads.

    The userspace datapath reads a packet socket, which sees a packet before the ingress hook does; without the
    drop the kernel would answer for dom0's addresses beside the switch, and a dead bridge would look alive.
    """
    lines = [f"add table netdev {TABLE}"]
    for device in devices:
        hook = f'type filter hook ingress device "{device}" priority 0; policy drop;'
        lines.append(f"add chain netdev {TABLE} {chain_name(device)} {{ {hook} }}")
    return _batch(lines)


def chain_name(device: str) -> str:
    """Name of a device's chain in table TABLE."""
    return "only_switch_" + "".join(letter if letter.isalnum() else "_" for letter in device)
