"""The other ends of the wires: the VM's last two NICs in a namespace of their own. Effects.

The VM has four NICs on two hubs: eth0 and eth2 are one wire, eth1 and eth3 the other. eth0 and eth1 are the dom0's;
eth2 and eth3 are what stands in the rack: two hosts, a switch with two ports, or a switch that speaks LACP.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from shell import GuestError, run, wait_for

if TYPE_CHECKING:
    from report import Facts

NAMESPACE = "far"
GATEWAY = "192.0.2.1"
_OTHER_END = {"eth0": "eth2", "eth1": "eth3"}


def far(*argv: str) -> str:
    """Run a program at the far ends."""
    return run(["ip", "netns", "exec", NAMESPACE, *argv])


def ip(*words: str) -> str:
    """Run ``ip`` at the far ends."""
    return run(["ip", "-n", NAMESPACE, *words])


def make_namespace() -> None:
    """Move eth2 and eth3 away from the dom0."""
    run(["ip", "netns", "add", NAMESPACE])
    for nic in _OTHER_END.values():
        run(["ip", "link", "set", nic, "netns", NAMESPACE])
        ip("link", "set", nic, "up")
    ip("link", "set", "lo", "up")


def add_address(device: str, address: str) -> None:
    """Give a device at the far ends an address, and set it up."""
    ip("address", "add", address, "dev", device)
    ip("link", "set", device, "up")


def add_vlan(device: str, tag: int, address: str) -> None:
    """Give the far end an address on a VLAN: it answers tagged frames alone."""
    ip("link", "add", "link", device, "name", f"vlan{tag}", "type", "vlan", "id", str(tag))
    add_address(f"vlan{tag}", address)


def make_switch() -> str:
    """A learning switch with both NICs as its ports; returns its own device."""
    ip("link", "add", "rack", "type", "bridge", "forward_delay", "0", "stp_state", "0")
    for nic in _OTHER_END.values():
        ip("link", "set", nic, "master", "rack")
    ip("link", "set", "rack", "up")
    return "rack"


def make_lacp_switch() -> str:
    """The kernel's own bonding in mode 802.3ad over both NICs; returns its device."""
    ip("link", "add", "rack", "type", "bond", "mode", "802.3ad", "miimon", "100", "lacp_rate", "fast")
    for nic in _OTHER_END.values():
        ip("link", "set", nic, "down")
        ip("link", "set", nic, "master", "rack")
    ip("link", "set", "rack", "up")
    return "rack"


def remove_switch() -> None:
    """Take the switch away; the NICs stay, up."""
    ip("link", "delete", "rack")
    for nic in _OTHER_END.values():
        ip("link", "set", nic, "up")


def serve_dhcp(device: str) -> None:
    """Lease 192.0.2.100 and up on a device, with GATEWAY as router and name server, for as long as the VM runs."""
    argv = ["dnsmasq", "--no-ping", "--user=", "--group=", "--port=0", "--no-hosts", "--no-resolv", "--bind-interfaces"]
    options = ["--dhcp-range=192.0.2.100,192.0.2.120,1h", f"--dhcp-option=option:router,{GATEWAY}"]
    options += [
        f"--dhcp-option=option:dns-server,{GATEWAY}",
        "--dhcp-leasefile=/run/far.leases",
        "--conf-file=/dev/null",
    ]
    far(*argv, *options, f"--interface={device}", "--pid-file=/run/far-dnsmasq.pid")


def set_cable(nic: str, state: str) -> None:
    """Plug (``on``) or pull (``off``) the cable of one of the dom0's NICs: both its ends lose their carrier."""
    run(["lab-link", nic, state])
    run(["lab-link", _OTHER_END[nic], state])
    carrier = Path(f"/sys/class/net/{nic}/carrier")
    wanted = "1" if state == "on" else "0"
    wait_for(f"carrier of {nic} {state}", lambda: carrier.read_text(encoding="ascii").strip() == wanted)


@contextmanager
def frames(nic: str, expression: str = "") -> Iterator[Facts]:
    """Frames that arrive at the far end of one of the dom0's NICs while the block runs, as tcpdump prints them.

    ``lines`` is there after the block.
    """
    found: Facts = {}
    argv = ["tcpdump", "-i", _OTHER_END[nic], "-Q", "in", "-e", "-nn", "-l", "--immediate-mode", expression]
    tcpdump = subprocess.Popen(
        ["ip", "netns", "exec", NAMESPACE, *argv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8"
    )
    _wait_listening(tcpdump)
    try:
        yield found
    finally:
        tcpdump.terminate()
        found["lines"] = tcpdump.communicate(timeout=60)[0].splitlines()


def _wait_listening(tcpdump: subprocess.Popen[str]) -> None:
    if tcpdump.stderr is None:
        raise GuestError("tcpdump has no standard error")
    for line in tcpdump.stderr:
        if "listening on" in line:
            return
    raise GuestError("tcpdump did not start")


def partner() -> str:
    """What the far bond says of itself and of the bond at our end."""
    return far("cat", "/proc/net/bonding/rack")
