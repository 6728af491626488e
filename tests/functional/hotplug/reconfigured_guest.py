"""A locked guest on a host that is reconfigured by commands alone, and faults of the ovs-ofctl that they run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

from guest_traffic import IPV4, IPV6, MAC, arrived, own_frames, spoofed_frames
from host_records import HostRecords, Record, static
from host_state import vsctl
from xapi_host import XapiHost

from xsagent.apply.flows import read_flows, replace_flows
from xsagent.hotplug.locking import render_flows
from xsagent.model.vif import Locking, LockingMode
from xsagent.sandbox.far import Guest
from xsagent.sandbox.spec import Service, shared_segment

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

    @property
    def rundir(self) -> Path:
        """Directory of Open vSwitch's sockets."""
        return self.host.sandbox.root / "run/openvswitch"

    def lines(self, bridge: str) -> tuple[str, ...]:
        """What the guest's flows are to be there."""
        assert vsctl(self.host.sandbox, "port-to-br", self.guest.vif) == bridge
        ofport = int(vsctl(self.host.sandbox, "get", "Interface", self.guest.vif, "ofport"))
        return render_flows(LOCKING, MAC, ofport)

    def check_locked(self, bridge: str) -> None:
        """Its flows are there for its number and no other; own frames arrive and no other."""
        flows = read_flows(self.rundir, bridge)
        assert {number: len(lines) for number, lines in flows.items()} == {
            int(vsctl(self.host.sandbox, "get", "Interface", self.guest.vif, "ofport")): len(self.lines(bridge))
        }
        assert arrived(self.host.sandbox, self.guest, self.watcher, EVERY) == own_frames().keys()

    def want_fail_mode(self, mode: str) -> None:
        """XAPI's network has another fail mode."""
        self.host.records.network_of(self.nic)["other_config"] = {"vswitch-controller-fail-mode": mode}

    def set_fail_mode(self, mode: str) -> None:
        """XAPI asks for another fail mode of the network."""
        self.want_fail_mode(mode)
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


@contextmanager
def running_scene(services: tuple[Service, ...] = ()) -> Iterator[Scene]:
    """The host, and what else is to run on it."""
    records = HostRecords()
    nic = records.nic("eth0", management=True, **static("192.0.2.10"))
    records.nic("eth1")
    with XapiHost(records, segments=shared_segment(nics=2), services=services) as host:
        host.up(nic)
        guest, watcher = host.sandbox.add_guest("guest", "xenbr0"), host.sandbox.add_guest("watcher", "xenbr0")
        found = Scene(host, guest, watcher, nic)
        ofport = int(vsctl(host.sandbox, "get", "Interface", guest.vif, "ofport"))
        replace_flows(found.rundir, "xenbr0", {ofport: found.lines("xenbr0")})
        yield found


def break_ofctl(folder: Path, word: str, action: str, times: int) -> None:
    """Put an ovs-ofctl into a folder of PATH whose first calls with a word among theirs do something else.

    Args:
        folder: of programs.
        word: of the call, for example ``--bundle``.
        action: shell, for example ``exit 1``.
        times: how often.
    """
    calls, real = folder / "ovs-ofctl.calls", shutil.which("ovs-ofctl")
    lines = [
        "#!/bin/sh",
        f'case "$*" in *{word}*) echo "$*" >>{calls}',
        f'[ "$(wc -l <{calls})" -gt {times} ] || {{ echo "made to fail" >&2; {action}; }};; esac',
        f'exec {real} "$@"',
    ]
    calls.unlink(missing_ok=True)
    (folder / "ovs-ofctl").write_text("\n".join(lines) + "\n")
    (folder / "ovs-ofctl").chmod(0o755)
