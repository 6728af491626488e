"""What a locked guest may and may not send, as frames by name, and a run that tells which of them arrive."""

from __future__ import annotations

import ipaddress
import sys
from collections.abc import Mapping
from pathlib import Path

import frames

from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.far import Guest

MAC, OTHER_MAC = "00:16:3e:00:00:01", "00:16:3e:ff:00:01"
IPV4, OTHER_IPV4 = "192.0.2.7", "192.0.2.8"
IPV6, OTHER_IPV6 = "2001:db8::7", "2001:db8::8"
NOWHERE = str(ipaddress.IPv4Address(0))
LINK_LOCAL = "fe80::216:3eff:fe00:1"
_PROGRAM = str(Path(frames.__file__))


def own_frames() -> dict[str, bytes]:
    """What the guest with MAC, IPV4 and IPV6 may send (features.md section 16)."""
    return {
        "dhcp request": frames.ipv4(MAC, NOWHERE, 17, frames.udp(68, 67, b"discover")),
        "udp to port 67 from any address": frames.ipv4(MAC, OTHER_IPV4, 17, frames.udp(68, 67, b"renew")),
        "arp probe": frames.arp(MAC, MAC, NOWHERE),
        "arp request": frames.arp(MAC, MAC, IPV4),
        "arp reply": frames.arp(MAC, MAC, IPV4, operation=2),
        "ipv4": frames.ipv4(MAC, IPV4, 17, frames.udp(1000, 2000, b"mine")),
        "neighbour solicitation": frames.solicitation(MAC, IPV6, OTHER_IPV6, MAC),
        "neighbour advertisement": frames.advertisement(MAC, IPV6, IPV6, MAC),
        "ipv6 udp": frames.ipv6(MAC, IPV6, 17, frames.udp(1000, 2000, b"mine")),
        "ipv6 echo": frames.icmpv6(MAC, IPV6, 128, b"\0\1\0\1mine"),
    }


def spoofed_frames() -> dict[str, bytes]:
    """What must never arrive: each differs from an allowed frame in one thing."""
    return {
        "mac in arp": frames.arp(OTHER_MAC, OTHER_MAC, IPV4),
        "mac in ipv4": frames.ipv4(OTHER_MAC, IPV4, 17, frames.udp(1000, 2000, b"spoof")),
        "mac in ipv6": frames.ipv6(OTHER_MAC, IPV6, 17, frames.udp(1000, 2000, b"spoof")),
        "mac in dhcp": frames.ipv4(OTHER_MAC, NOWHERE, 17, frames.udp(68, 67, b"discover")),
        "arp sender hardware address": frames.arp(MAC, OTHER_MAC, IPV4),
        "arp sender address": frames.arp(MAC, MAC, OTHER_IPV4),
        "arp reply for another": frames.arp(MAC, MAC, OTHER_IPV4, operation=2),
        "ipv4 source": frames.ipv4(MAC, OTHER_IPV4, 17, frames.udp(1000, 2000, b"spoof")),
        "ipv4 source of icmp": frames.ipv4(MAC, OTHER_IPV4, 1, b"\x08\0\xf7\xfe\0\1\0\0"),
        "dhcp server answer": frames.ipv4(MAC, OTHER_IPV4, 17, frames.udp(67, 68, b"offer")),
        "ipv6 source": frames.ipv6(MAC, OTHER_IPV6, 17, frames.udp(1000, 2000, b"spoof")),
        "ipv6 echo of another": frames.icmpv6(MAC, OTHER_IPV6, 128, b"\0\1\0\1spoof"),
        "solicitation of another": frames.solicitation(MAC, OTHER_IPV6, IPV6, MAC),
        "solicitation with another's link address": frames.solicitation(MAC, IPV6, OTHER_IPV6, OTHER_MAC),
        "advertisement for another": frames.advertisement(MAC, IPV6, OTHER_IPV6, MAC),
        "advertisement of another": frames.advertisement(MAC, OTHER_IPV6, OTHER_IPV6, MAC),
        "router advertisement": frames.router_advertisement(MAC, IPV6),
        "router advertisement from link-local": frames.router_advertisement(MAC, LINK_LOCAL),
        "redirect": frames.icmpv6(MAC, IPV6, 137, bytes(36)),
        "link-local source": frames.ipv6(MAC, LINK_LOCAL, 17, frames.udp(1000, 2000, b"spoof")),
        "unknown ether type": frames.ethernet(MAC, "ff:ff:ff:ff:ff:ff", 0x88B5, b"spoof"),
    }


def arrived(sandbox: Sandbox, guest: Guest, watcher: Guest, sent: Mapping[str, bytes]) -> set[str]:
    """Names of the frames that `watcher` gets of those that `guest` sends.

    Each goes out three times; an own ARP request, sent until it arrives, marks the end of the run.
    """
    last = frames.arp(MAC, MAC, IPV4, target_ip="192.0.2.254")
    receiver = watcher.spawn([sys.executable, _PROGRAM, "receive", "eth0", last.hex()])
    assert receiver.stdout is not None
    assert receiver.stdout.readline() == "listening\n"
    batch = [frame for frame in sent.values() for _ in range(3)]
    guest.run([sys.executable, _PROGRAM, "send", "eth0"], input_text="".join(f"{f.hex()}\n" for f in batch))
    sandbox.run(["ovs-appctl", "dpctl/show"])  # a round trip through the switch after the last frame
    guest.run([sys.executable, _PROGRAM, "send", "eth0"], input_text=f"{last.hex()}\n")
    output, errors = receiver.communicate(timeout=30)
    assert receiver.returncode == 0, errors
    seen = set(output.split())
    return {name for name, frame in sent.items() if frame.hex() in seen}
