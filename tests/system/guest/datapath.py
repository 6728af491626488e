"""In the VM: one NIC's management interface on the kernel's datapath, static and by DHCP."""

from __future__ import annotations

from pathlib import Path

import dom0
import far
from records import Pif, write_cache
from report import Report
from shell import run, wait_for

STATIC = Pif(device="eth0", bridge="xenbr0", ip="192.0.2.10/24", gateway=far.GATEWAY, management=True)
BY_DHCP = Pif(device="eth0", bridge="xenbr0", ip="dhcp", management=True)
ETHTOOL = Pif(
    device="eth1",
    bridge="xenbr1",
    mtu=1400,
    other_config={
        "ethtool-gro": "off",
        "ethtool-tso": "off",
        "ethtool-gso": "off",
        "ethtool-speed": "100",
        "ethtool-duplex": "full",
    },
)


def main() -> None:
    """Run all cases, each on what the one before left."""
    report = Report()
    far.make_namespace()
    far.add_address("eth2", f"{far.GATEWAY}/24")
    far.serve_dhcp("eth2")
    dom0.start_switch()
    static(report)
    nic_settings(report)
    by_dhcp(report)
    taken_down(report)


def static(report: Report) -> None:
    """A static address; the second run; a change by hand."""
    write_cache([STATIC, ETHTOOL])
    with report.case("static_up") as facts:
        facts["run"] = dom0.up("xenbr0")
        facts["reaches_gateway"] = dom0.reaches(far.GATEWAY)
        facts["addresses"] = dom0.addresses("xenbr0")
        facts["nic_addresses"] = dom0.addresses("eth0")
        facts["routes"] = dom0.default_routes()
        facts["datapath"] = run(["ovs-appctl", "dpif/show"])
        facts["kernel_ports"] = run(["ovs-dpctl", "show"])
        facts["bridge"] = dom0.columns("Bridge", "xenbr0", "datapath_type", "fail_mode", "other_config")
        facts["master"] = dom0.link("eth0").get("master")
        facts["offloads"] = dom0.offloads("eth0")
    with (
        report.case("static_again") as facts,
        dom0.changes() as facts["changes"],
        dom0.stream(far.GATEWAY, interval_ms=20) as facts["stream"],
    ):
        facts["run"] = dom0.up("xenbr0")
    with report.case("static_mended") as facts:
        run(["ip", "address", "del", "192.0.2.10/24", "dev", "xenbr0"])
        run(["ip", "address", "add", "192.0.2.77/24", "dev", "xenbr0"])
        with dom0.changes() as facts["changes"]:
            facts["run"] = dom0.up("xenbr0")
        facts["addresses"] = dom0.addresses("xenbr0")
        facts["routes"] = dom0.default_routes()
        facts["reaches_gateway"] = dom0.reaches(far.GATEWAY)


def nic_settings(report: Report) -> None:
    """MTU, offloads, speed and duplex of a NIC without an address."""
    with report.case("nic_settings") as facts:
        facts["offloads_before"] = dom0.offloads("eth1")
        with dom0.changes() as facts["changes"]:
            facts["run"] = dom0.up("xenbr1")
        # a driver that was given another speed has no carrier for a while, and the kernel no address of it before
        wait_for("eth1 has its link-local address", lambda: run(["ip", "-6", "address", "show", "dev", "eth1"]))
        facts["offloads"] = dom0.offloads("eth1")
        facts["settings"] = dom0.link_settings("eth1")
        facts["mtu"] = {name: dom0.link(name)["mtu"] for name in ("eth1", "xenbr1")}
    with report.case("nic_settings_again") as facts, dom0.changes() as facts["changes"]:
        facts["run"] = dom0.up("xenbr1")


def by_dhcp(report: Report) -> None:
    """From the static address to a lease."""
    write_cache([BY_DHCP, ETHTOOL])
    with report.case("dhcp_up") as facts:
        facts["run"] = dom0.up("xenbr0")
        facts["addresses"] = dom0.addresses("xenbr0")
        facts["routes"] = dom0.default_routes()
        facts["resolver"] = Path("/etc/resolv.conf").read_text(encoding="utf-8")
        facts["reaches_gateway"] = dom0.reaches(far.GATEWAY)
        facts["clients"] = dom0.dhclients()
    with report.case("dhcp_again") as facts:
        with dom0.changes() as facts["changes"]:
            facts["run"] = dom0.up("xenbr0")
        facts["clients"] = dom0.dhclients()


def taken_down(report: Report) -> None:
    """Down of the management interface: refused, then done because it is wanted."""
    with report.case("down_refused") as facts:
        with dom0.changes() as facts["changes"]:
            facts["run"] = dom0.reconfigure("--force", "xenbr0", "down")
        facts["reaches_gateway"] = dom0.reaches(far.GATEWAY)
    with report.case("down") as facts:
        facts["run"] = dom0.reconfigure("--force", "xenbr0", "down", "--even-if-in-use")
        facts["bridges"] = dom0.bridges()
        facts["clients"] = dom0.dhclients()
        facts["routes"] = dom0.default_routes()
        facts["nic_up"] = "UP" in dom0.link("eth0")["flags"]


if __name__ == "__main__":
    main()
