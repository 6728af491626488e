"""In the VM: VLANs of both kinds on NICs: bridges on the switch's port, and the kernel's own 8021q device."""

from __future__ import annotations

import dom0
import far
from guest_vm import NAMESPACE, plug_guest
from records import Pif, write_cache
from report import Facts, Report
from shell import run

VLAN_GATEWAY, STORAGE = "198.51.100.1", "203.0.113.1"
NIC = Pif(device="eth0", bridge="xenbr0", ip="192.0.2.10/24", gateway=far.GATEWAY, management=True)
VLAN = Pif(device="eth0", bridge="xapi1", vlan=100, ip="198.51.100.10/24")
BARE = Pif(device="eth1", bridge="")
BARE_VLAN = Pif(device="eth1", bridge="", vlan=42, ip="203.0.113.10/24")


def main() -> None:
    """Run all cases, each on what the one before left."""
    report = Report()
    far.make_namespace()
    far.add_address("eth2", f"{far.GATEWAY}/24")
    far.add_vlan("eth2", 100, f"{VLAN_GATEWAY}/24")
    far.add_vlan("eth3", 42, f"{STORAGE}/24")
    dom0.start_switch()
    write_cache([NIC, VLAN, BARE, BARE_VLAN])
    on_switch(report)
    bridgeless(report)


def on_switch(report: Report) -> None:
    """A VLAN bridge on the management NIC, which stays as it is."""
    with report.case("carrier") as facts:
        facts["run"] = dom0.up("xenbr0")
        plug_guest("xenbr0", "192.0.2.20/24")
    with report.case("up") as facts:
        with (
            dom0.stream(far.GATEWAY, interval_ms=1) as facts["host_stream"],
            dom0.stream(far.GATEWAY, interval_ms=5, namespace=NAMESPACE) as facts["guest_stream"],
        ):
            facts["run"] = dom0.up("xapi1")
        facts["port"] = dom0.columns("Port", "xapi1", "tag", "fake_bridge")
        facts["parent"] = run(["ovs-vsctl", "br-to-parent", "xapi1"]).strip()
        facts["reaches_vlan"] = dom0.reaches(VLAN_GATEWAY)
        with far.frames("eth0", "icmp or vlan") as facts["frames"]:
            dom0.reaches(VLAN_GATEWAY)
            dom0.reaches(far.GATEWAY)
    with report.case("again") as facts, dom0.changes() as facts["changes"]:
        facts["run"] = dom0.up("xapi1")
    with report.case("down") as facts:
        with (
            dom0.stream(far.GATEWAY, interval_ms=1) as facts["host_stream"],
            dom0.stream(far.GATEWAY, interval_ms=5, namespace=NAMESPACE) as facts["guest_stream"],
        ):
            facts["run"] = dom0.down("xapi1")
        facts["bridges"] = dom0.bridges()


def bridgeless(report: Report) -> None:
    """A VLAN without bridges: a device of the 8021q module, and none of Open vSwitch's objects."""
    with report.case("bridgeless_up") as facts:
        facts["run"] = _bare_vlan("up")
        facts["link"] = dom0.link("eth1.42")
        facts["addresses"] = dom0.addresses("eth1.42")
        facts["bridges"] = dom0.bridges()
        with far.frames("eth1", "icmp or vlan") as facts["frames"]:
            facts["reaches"] = dom0.reaches(STORAGE)
    with report.case("bridgeless_again") as facts, dom0.changes() as facts["changes"]:
        facts["run"] = _bare_vlan("up")
    with report.case("bridgeless_down") as facts:
        facts["run"] = _bare_vlan("down")
        facts["link"] = dom0.link("eth1.42")
        facts["nic"] = dom0.link("eth1")["flags"]


def _bare_vlan(action: str) -> Facts:
    """It has no bridge to be named by; XAPI is not there, so the cache is used."""
    return dom0.worked("--pif-uuid", BARE_VLAN.uuid, action, environ={"XSAGENT_XAPI_DEADLINE_S": "1"})


if __name__ == "__main__":
    main()
