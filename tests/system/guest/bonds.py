"""In the VM: management and a guest go from a NIC to a bond and back, with VLANs on it and cables pulled."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import replace

import dom0
import far
from guest_vm import NAMESPACE, plug_guest
from records import Pif, write_cache
from report import Facts, Report
from shell import run, wait_for

HOST, GUEST = "192.0.2.10/24", "192.0.2.20/24"
VLAN_GATEWAY = "198.51.100.1"
MEMBERS = ("eth0", "eth1")
OPTIONS = {"bond-mode": "balance-slb"}
QUICK = {**OPTIONS, "bond-updelay": "200", "bond-downdelay": "200"}
"""A member counts as up again after 0.2 s, and not after the usual 31."""

MEMBER = Pif(device="eth1", bridge="xenbr1")
NIC = Pif(device="eth0", bridge="xenbr0", ip=HOST, gateway=far.GATEWAY, management=True)
BOND = Pif(
    device="bond0",
    bridge="xapi0",
    members=MEMBERS,
    ip=HOST,
    gateway=far.GATEWAY,
    management=True,
    other_config=OPTIONS,
)
IDLE_NIC = Pif(device="eth0", bridge="xenbr0")
VLAN = Pif(device="bond0", bridge="xapi1", vlan=100, ip="198.51.100.10/24")


def main() -> None:
    """Run all cases, each on what the one before left."""
    report = Report()
    far.make_namespace()
    rack = far.make_switch()
    far.add_address(rack, f"{far.GATEWAY}/24")
    far.add_vlan(rack, 100, f"{VLAN_GATEWAY}/24")
    dom0.start_switch()
    bonded(report)
    vlan_on_bond(report)
    cables(report)
    unbonded(report)


def streams_while(facts: Facts, *words: str) -> None:
    """Run a command while dom0 and the guest ping the gateway."""
    with _host_stream() as facts["host_stream"], _guest_stream() as facts["guest_stream"]:
        facts["run"] = dom0.worked(*words)


def _host_stream() -> AbstractContextManager[Facts]:
    return dom0.stream(far.GATEWAY)


def _guest_stream() -> AbstractContextManager[Facts]:
    # Less dense: two streams of 5 ms take the VM's one processor away from everything else.
    return dom0.stream(far.GATEWAY, interval_ms=20, namespace=NAMESPACE)


def bonded(report: Report) -> None:
    """From one NIC to the bond over both."""
    write_cache([NIC, MEMBER])
    with report.case("nic") as facts:
        facts["run"] = dom0.up("xenbr0")
        plug_guest("xenbr0", GUEST)
        facts["reaches_gateway"] = dom0.reaches(far.GATEWAY)
    with report.case("control") as facts:
        run(["ovs-ofctl", "del-flows", "xenbr0"])
        with _host_stream() as facts["host_stream"], _guest_stream() as facts["guest_stream"]:
            pass
        run(["ovs-ofctl", "add-flow", "xenbr0", "priority=0,actions=normal"])
        wait_for("the gateway again", lambda: dom0.reaches(far.GATEWAY))
    write_cache([BOND, IDLE_NIC, MEMBER])
    with report.case("nic_to_bond") as facts:
        streams_while(facts, "--force", "xapi0", "up")
        facts["bridges"] = dom0.bridges()
        facts["addresses"] = {name: dom0.addresses(name) for name in ("xapi0", "xenbr0", *MEMBERS)}
        facts["port"] = dom0.columns("Port", "bond0", "bond_mode", "lacp", "bond_updelay", "bond_downdelay", "mac")
        facts["members"] = _members()
        facts["bond_show"] = run(["ovs-appctl", "bond/show", "bond0"])
        facts["kernel_ports"] = run(["ovs-dpctl", "show"])
    with report.case("bond_again") as facts, dom0.changes() as facts["changes"]:
        facts["run"] = dom0.up("xapi0")
    write_cache([replace(BOND, other_config=QUICK), IDLE_NIC, MEMBER])
    with report.case("option_changed") as facts:
        streams_while(facts, "--force", "xapi0", "up")
        facts["port"] = dom0.columns("Port", "bond0", "bond_updelay", "bond_downdelay")
        facts["members"] = _members()


def vlan_on_bond(report: Report) -> None:
    """A VLAN on the bond: up, its frames on the wire, down, up again, the guest's and the host's packets going on."""
    write_cache([replace(BOND, other_config=QUICK), IDLE_NIC, MEMBER, VLAN])
    with report.case("vlan_up") as facts:
        streams_while(facts, "--force", "xapi1", "up")
        facts["bridges"] = dom0.bridges()
        facts["reaches_vlan"] = dom0.reaches(VLAN_GATEWAY)
        with far.frames("eth0", "icmp or vlan") as on_eth0, far.frames("eth1", "icmp or vlan") as on_eth1:
            dom0.reaches(VLAN_GATEWAY)
        facts["frames"] = [*on_eth0["lines"], *on_eth1["lines"]]
    with report.case("vlan_down") as facts:
        streams_while(facts, "--force", "xapi1", "down")
        facts["bridges"] = dom0.bridges()
    with report.case("vlan_up_again") as facts:
        streams_while(facts, "--force", "xapi1", "up")
        facts["reaches_vlan"] = dom0.reaches(VLAN_GATEWAY)
    with report.case("vlan_again") as facts, dom0.changes() as facts["changes"]:
        facts["run"] = dom0.up("xapi1")


def cables(report: Report) -> None:
    """Each cable pulled in turn under balance-slb; then, the mode changed in place, under active-backup."""
    with report.case("cables_slb") as facts:
        for nic in MEMBERS:
            facts[nic] = _pulled(nic)
    write_cache([replace(BOND, other_config={**QUICK, "bond-mode": "active-backup"}), IDLE_NIC, MEMBER, VLAN])
    with report.case("mode_changed") as facts:
        streams_while(facts, "--force", "xapi0", "up")
        facts["port"] = dom0.columns("Port", "bond0", "bond_mode")
        facts["members"] = _members()
    with report.case("cables_active_backup") as facts:
        first = _active()
        facts["first"] = _pulled(first)
        facts["active"] = [first, _active()]
        facts["second"] = _pulled(_active())


def _pulled(nic: str) -> Facts:
    """Pull one cable and plug it in again, with packets under way all the time."""
    found: Facts = {}
    with _host_stream() as found["out"], _guest_stream() as found["guest_out"]:
        far.set_cable(nic, "off")
        wait_for(f"{nic} to count as down", lambda: not _members()[nic])
    found["reaches_without"] = dom0.reaches(far.GATEWAY)
    with _host_stream() as found["in"]:
        far.set_cable(nic, "on")
        wait_for(f"{nic} to count as up", lambda: _members()[nic])
    found["vlan"] = dom0.reaches(VLAN_GATEWAY)
    return found


def _members() -> dict[str, bool]:
    """Members of the bond as the switch has them, and whether it counts them as up."""
    lines = run(["ovs-appctl", "bond/show", "bond0"]).splitlines()
    words = [line.split() for line in lines if line.startswith(("member ", "slave "))]
    return {name.rstrip(":"): state.startswith("enabled") for _, name, state in words}


def _active() -> str:
    shown = run(["ovs-appctl", "bond/show", "bond0"])
    (line,) = [line for line in shown.splitlines() if line.startswith(("active member mac", "active slave mac"))]
    return line.split("(")[1].rstrip(")")


def unbonded(report: Report) -> None:
    """The VLAN down, then back to the one NIC."""
    with report.case("vlan_gone") as facts:
        facts["run"] = dom0.down("xapi1")
    write_cache([NIC, MEMBER, replace(BOND, ip="", gateway="", management=False)])
    with report.case("bond_to_nic") as facts:
        streams_while(facts, "--force", "xenbr0", "up")
        facts["bridges"] = dom0.bridges()
        facts["addresses"] = {name: dom0.addresses(name) for name in ("xapi0", "xenbr0", *MEMBERS)}


if __name__ == "__main__":
    main()
