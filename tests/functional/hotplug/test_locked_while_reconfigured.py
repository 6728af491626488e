"""A locked guest stays locked through a reconfigure that makes the switch forget its flows: no daemon, no resync."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

import pytest
from guest_traffic import IPV4, IPV6, MAC, arrived, own_frames, spoofed_frames
from host_records import HostRecords, Record, static
from host_state import vsctl
from xapi_host import XapiHost

from xsagent.apply.flows import read_flows, replace_flows
from xsagent.hotplug.locking import render_flows
from xsagent.model.vif import Locking, LockingMode
from xsagent.sandbox.far import Guest
from xsagent.sandbox.spec import shared_segment

LOCKING = Locking(mode=LockingMode.LOCKED, ipv4=(IPv4Address(IPV4),), ipv6=(IPv6Address(IPV6),))
EVERY = own_frames() | spoofed_frames()
IP_FIELDS = ("ip_configuration_mode", "IP", "netmask", "gateway", "DNS", "management")


@dataclass
class Scene:
    """Management on eth0 with two guests on its bridge, of which one is locked."""

    host: XapiHost
    guest: Guest
    watcher: Guest
    nic: Record
    bond: Record | None = None

    def lines(self, bridge: str) -> tuple[str, ...]:
        """What the guest's flows are to be there."""
        assert vsctl(self.host.sandbox, "port-to-br", self.guest.vif) == bridge
        ofport = int(vsctl(self.host.sandbox, "get", "Interface", self.guest.vif, "ofport"))
        return render_flows(LOCKING, MAC, ofport)

    def check_locked(self, bridge: str) -> None:
        """Its flows are there for its number and no other; own frames arrive and no other."""
        flows = read_flows(self.host.sandbox.root / "run/openvswitch", bridge)
        assert {number: len(lines) for number, lines in flows.items()} == {
            int(vsctl(self.host.sandbox, "get", "Interface", self.guest.vif, "ofport")): len(self.lines(bridge))
        }
        assert arrived(self.host.sandbox, self.guest, self.watcher, EVERY) == own_frames().keys()

    def set_fail_mode(self, mode: str) -> None:
        """XAPI asks for another fail mode of the network."""
        self.host.records.network_of(self.nic)["other_config"] = {"vswitch-controller-fail-mode": mode}
        self.host.up(self.nic)

    def add_bond(self) -> Record:
        """XAPI has a bond over both NICs, with eth0's address and role."""
        records = self.host.records
        members = [pif for pif in records.classes["PIF"].values() if pif["device"] in {"eth0", "eth1"}]
        self.bond = records.bond("bond0", ["eth0", "eth1"], "xapi0", **{key: self.nic[key] for key in IP_FIELDS})
        for member in members:
            member.update(ip_configuration_mode="None", IP="", netmask="", gateway="", management=False)
        return self.bond

    def break_bond(self) -> None:
        """And back."""
        assert self.bond is not None
        self.nic.update({key: self.bond[key] for key in IP_FIELDS})
        self.host.up(self.nic, "--management")


@pytest.fixture
def scene() -> Iterator[Scene]:
    """The host, reconfigured by commands alone."""
    records = HostRecords()
    nic = records.nic("eth0", management=True, **static("192.0.2.10"))
    records.nic("eth1")
    with XapiHost(records, segments=shared_segment(nics=2)) as host:
        host.up(nic)
        guest, watcher = host.sandbox.add_guest("guest", "xenbr0"), host.sandbox.add_guest("watcher", "xenbr0")
        found = Scene(host, guest, watcher, nic)
        ofport = int(vsctl(host.sandbox, "get", "Interface", guest.vif, "ofport"))
        replace_flows(host.sandbox.root / "run/openvswitch", "xenbr0", {ofport: found.lines("xenbr0")})
        yield found


def test_a_guest_stays_locked_when_its_bridge_gets_another_fail_mode(scene: Scene) -> None:
    """The switch drops all flows then, and they are back before the command ends."""
    scene.check_locked("xenbr0")

    for mode in ("secure", "standalone"):
        scene.set_fail_mode(mode)
        assert vsctl(scene.host.sandbox, "get-fail-mode", "xenbr0") == mode
        scene.check_locked("xenbr0")


def test_a_guest_stays_locked_when_its_port_moves_to_a_bond_and_back(scene: Scene) -> None:
    """Each time the port gets another number on another bridge; the flows are for that one."""
    scene.host.up(scene.add_bond())
    scene.check_locked("xapi0")

    scene.break_bond()
    scene.check_locked("xenbr0")


def test_a_guest_stays_locked_when_a_reconfigure_is_taken_back(scene: Scene) -> None:
    """The gateway falls silent under a bond whose address is wrong: all goes back, flows too."""
    scene.nic["gateway"] = "192.0.2.99"

    done = scene.host.run("up", scene.add_bond())

    assert (done.returncode, "does not answer" in done.stderr) == (1, True), done.stderr
    scene.check_locked("xenbr0")
