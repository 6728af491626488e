"""Locking flows in a real switch: what is put in is what it holds, and which frames of a guest get through."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

import frames
import pytest
from guest_traffic import IPV4, IPV6, LINK_LOCAL, MAC, arrived, own_frames, spoofed_frames

from xsagent.apply.flows import delete_flows, is_same, read_flows, replace_flows
from xsagent.errors import CommandError, InputError
from xsagent.hotplug.locking import render_flows
from xsagent.model.vif import Locking, LockingMode
from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.far import Guest

LOCKED = Locking(mode=LockingMode.LOCKED, ipv4=(ipaddress.IPv4Address(IPV4),), ipv6=(ipaddress.IPv6Address(IPV6),))


@pytest.fixture(scope="module")
def switch() -> Iterator[Sandbox]:
    """A switch with the bridge xenbr0."""
    with Sandbox() as sandbox:
        sandbox.run(["ovs-vsctl", "add-br", "xenbr0", "--", "set", "Bridge", "xenbr0", "datapath_type=netdev"])
        yield sandbox


@pytest.fixture(scope="module")
def guests(switch: Sandbox) -> tuple[Guest, Guest]:
    """The guest that sends (vif1.0, MAC) and one that listens."""
    return switch.add_guest("sender", "xenbr0"), switch.add_guest("watcher", "xenbr0")


def ofport(switch: Sandbox, vif: str) -> int:
    """The port's number in the switch."""
    return int(switch.run(["ovs-vsctl", "get", "Interface", vif, "ofport"]).stdout)


def test_a_guest_that_is_not_locked_gets_everything_through(switch: Sandbox, guests: tuple[Guest, Guest]) -> None:
    """Without flows of ours each frame of the test arrives, so that its absence later means something."""
    rundir, port = switch.root / "run/openvswitch", ofport(switch, guests[0].vif)
    replace_flows(rundir, "xenbr0", {port: render_flows(Locking(), MAC, port)})

    every = own_frames() | spoofed_frames()
    assert arrived(switch, *guests, every) == every.keys()


def test_a_locked_guest_sends_what_is_its_own_and_nothing_else(switch: Sandbox, guests: tuple[Guest, Guest]) -> None:
    """Own frames arrive; no spoofed MAC, ARP, IPv4, IPv6, ND, RA or DHCP-server answer does."""
    rundir, port = switch.root / "run/openvswitch", ofport(switch, guests[0].vif)
    replace_flows(rundir, "xenbr0", {port: render_flows(LOCKED, MAC, port)})

    every = own_frames() | spoofed_frames()
    assert arrived(switch, *guests, every) == own_frames().keys()


def test_a_locked_guest_without_addresses_gets_dhcp_and_probes_alone(
    switch: Sandbox, guests: tuple[Guest, Guest]
) -> None:
    """Locked with no address leaves what a guest sends before it has one."""
    rundir, port = switch.root / "run/openvswitch", ofport(switch, guests[0].vif)
    bare = render_flows(Locking(mode=LockingMode.LOCKED), MAC, port)
    end_mark = render_flows(LOCKED, MAC, port)[12:13]
    replace_flows(rundir, "xenbr0", {port: (*bare, *end_mark)})

    got = arrived(switch, *guests, own_frames() | spoofed_frames())

    assert "arp_spa=192.0.2.7" in end_mark[0]
    assert got == {"dhcp request", "udp to port 67 from any address", "arp probe", "arp request", "arp reply"}


@pytest.mark.parametrize("autoconf", [False, True])
def test_the_switch_holds_exactly_what_was_put_in(
    switch: Sandbox, guests: tuple[Guest, Guest], *, autoconf: bool
) -> None:
    """What dump-flows shows compares equal with what was rendered; a missing or an added flow does not."""
    rundir, port = switch.root / "run/openvswitch", ofport(switch, guests[0].vif)
    lines = render_flows(LOCKED, MAC, port, autoconf=autoconf)
    replace_flows(rundir, "xenbr0", {port: lines})

    held = read_flows(rundir, "xenbr0")[port]

    assert is_same(lines, held)
    assert not is_same(lines[1:], held)
    assert not is_same((*lines, *render_flows(LOCKED, "00:16:3e:00:00:02", port)), held)


def test_with_autoconf_link_local_and_duplicate_address_detection_pass(
    switch: Sandbox, guests: tuple[Guest, Guest]
) -> None:
    """The opt-in lets SLAAC work and still no other address through."""
    rundir, port = switch.root / "run/openvswitch", ofport(switch, guests[0].vif)
    replace_flows(rundir, "xenbr0", {port: render_flows(LOCKED, MAC, port, autoconf=True)})
    extra = {
        "detection of its own": frames.solicitation(MAC, "::", LINK_LOCAL, ""),
        "listener report": frames.icmpv6(MAC, "::", 143, bytes(4)),
        "detection of another's": frames.solicitation(MAC, "::", "fe80::1", ""),
    }
    also = {"link-local source", "detection of its own", "listener report"}

    assert arrived(switch, *guests, own_frames() | spoofed_frames() | extra) == own_frames().keys() | also


def test_flows_of_others_survive_and_a_replacement_leaves_no_stale_one(
    switch: Sandbox, guests: tuple[Guest, Guest]
) -> None:
    """Another cookie's flows on the same port stay; of ours only the new set remains, then none."""
    rundir, port = switch.root / "run/openvswitch", ofport(switch, guests[0].vif)
    switch.run(
        ["ovs-ofctl", "add-flow", "xenbr0", f"cookie=0x77,priority=9000,in_port={port},tcp,tp_dst=9,actions=drop"]
    )
    replace_flows(rundir, "xenbr0", {port: render_flows(LOCKED, MAC, port)})
    bare = render_flows(Locking(mode=LockingMode.LOCKED), MAC, port)
    replace_flows(rundir, "xenbr0", {port: bare})

    assert is_same(bare, read_flows(rundir, "xenbr0")[port])
    delete_flows(rundir, "xenbr0", [port])
    delete_flows(rundir, "xenbr0", [port])

    assert port not in read_flows(rundir, "xenbr0")
    assert "cookie=0x77" in switch.run(["ovs-ofctl", "dump-flows", "xenbr0"]).stdout


def test_a_bundle_with_a_bad_line_changes_nothing(switch: Sandbox, guests: tuple[Guest, Guest]) -> None:
    """One refused flow takes the whole replacement back, so a guest is never without its old rules."""
    rundir, port = switch.root / "run/openvswitch", ofport(switch, guests[0].vif)
    lines = render_flows(LOCKED, MAC, port)
    replace_flows(rundir, "xenbr0", {port: lines})

    with pytest.raises(CommandError):
        replace_flows(rundir, "xenbr0", {port: (*lines[:3], "priority=1,nonsense=1 actions=drop")})

    assert is_same(lines, read_flows(rundir, "xenbr0")[port])


@pytest.mark.parametrize(
    "protocols", ["OpenFlow10", "OpenFlow12", "OpenFlow10,OpenFlow13", "OpenFlow13", "OpenFlow14", "OpenFlow15"]
)
def test_a_bridge_is_locked_whatever_versions_it_speaks(
    switch: Sandbox, guests: tuple[Guest, Guest], protocols: str
) -> None:
    """A controller may limit it: the same flows go in, flow by flow where no version has bundles, and out again."""
    rundir, port = switch.root / "run/openvswitch", ofport(switch, guests[0].vif)
    replace_flows(rundir, "xenbr0", {port: render_flows(Locking(mode=LockingMode.LOCKED), MAC, port)})
    switch.run(["ovs-vsctl", "set", "Bridge", "xenbr0", f"protocols={protocols}"])
    try:
        lines = render_flows(LOCKED, MAC, port)
        replace_flows(rundir, "xenbr0", {port: lines})
        assert is_same(lines, read_flows(rundir, "xenbr0")[port])
        assert arrived(switch, *guests, own_frames() | spoofed_frames()) == own_frames().keys()
        delete_flows(rundir, "xenbr0", [port])
        assert port not in read_flows(rundir, "xenbr0")
    finally:
        switch.run(["ovs-vsctl", "clear", "Bridge", "xenbr0", "protocols"])


def test_flows_of_a_peer_are_known_as_the_same(switch: Sandbox, guests: tuple[Guest, Guest]) -> None:
    """Those that plain ovs-ofctl put in, flow by flow, differ in nothing from ours."""
    rundir, port = switch.root / "run/openvswitch", ofport(switch, guests[0].vif)
    delete_flows(rundir, "xenbr0", [port])
    lines = render_flows(LOCKED, MAC, port)
    for line in lines:
        switch.run(["ovs-ofctl", "add-flow", "xenbr0", line])

    assert is_same(lines, read_flows(rundir, "xenbr0")[port])


@pytest.mark.parametrize("bridge", ["tcp:192.0.2.1", "../db", "a b", ""])
def test_no_name_reaches_another_switch(switch: Sandbox, bridge: str) -> None:
    """A bridge name that means something else to ovs-ofctl is refused before it starts."""
    with pytest.raises(InputError):
        read_flows(switch.root / "run/openvswitch", bridge)


def test_a_switch_that_hangs_costs_the_deadline(switch: Sandbox) -> None:
    """A stopped vswitchd ends in a named error."""
    switch.vswitchd.pause()
    try:
        with pytest.raises(CommandError, match="ovs-ofctl"):
            read_flows(switch.root / "run/openvswitch", "xenbr0", deadline_s=1)
    finally:
        switch.vswitchd.resume()
