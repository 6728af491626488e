"""In the VM: a bond of ours against the kernel's own bonding in mode 802.3ad, and cables pulled between them."""

from __future__ import annotations

import dom0
import far
from records import Pif, write_cache
from report import Facts, Report
from shell import run, wait_for

MEMBERS = ("eth0", "eth1")
VLAN_GATEWAY = "198.51.100.1"
BOND = Pif(
    device="bond0",
    bridge="xapi0",
    members=MEMBERS,
    ip="192.0.2.10/24",
    gateway=far.GATEWAY,
    management=True,
    other_config={
        "bond-mode": "lacp",
        "bond-hashing-algorithm": "tcpudp_ports",
        "bond-lacp-time": "fast",
        "bond-updelay": "200",
        "bond-downdelay": "200",
    },
)
VLAN = Pif(device="bond0", bridge="xapi1", vlan=100, ip="198.51.100.10/24")


def main() -> None:
    """Run all cases, each on what the one before left."""
    report = Report()
    far.make_namespace()
    rack = far.make_lacp_switch()
    far.add_address(rack, f"{far.GATEWAY}/24")
    far.add_vlan(rack, 100, f"{VLAN_GATEWAY}/24")
    dom0.start_switch()
    write_cache([BOND, *(Pif(device=nic, bridge=f"xenbr{nic[-1]}") for nic in MEMBERS), VLAN])
    with report.case("up") as facts:
        facts["run"] = dom0.up("xapi0")
        facts["port"] = dom0.columns("Port", "bond0", "bond_mode", "lacp", "other_config")
        wait_for("both members negotiated", lambda: all(_negotiated().values()))
        facts["negotiated"] = _negotiated()
        facts["partner"] = far.partner()
        facts["reaches_gateway"] = dom0.reaches(far.GATEWAY)
    with report.case("again") as facts, dom0.changes() as facts["changes"]:
        facts["run"] = dom0.up("xapi0")
    with report.case("vlan_up") as facts:
        with dom0.stream(far.GATEWAY) as facts["stream"]:
            facts["run"] = dom0.up("xapi1")
        facts["reaches_vlan"] = dom0.reaches(VLAN_GATEWAY)
        facts["negotiated"] = _negotiated()
    with report.case("cables") as facts:
        for nic in MEMBERS:
            facts[nic] = _pulled(nic)


def _pulled(nic: str) -> Facts:
    found: Facts = {}
    with dom0.stream(far.GATEWAY) as found["out"]:
        far.set_cable(nic, "off")
        wait_for(f"{nic} to leave the aggregate", lambda: not _negotiated()[nic])
    found["negotiated"] = _negotiated()
    found["reaches_without"] = dom0.reaches(far.GATEWAY)
    with dom0.stream(far.GATEWAY) as found["in"]:
        far.set_cable(nic, "on")
        wait_for(f"{nic} to be back in the aggregate", lambda: _negotiated()[nic])
    found["vlan"] = dom0.reaches(VLAN_GATEWAY)
    return found


def _negotiated() -> dict[str, bool]:
    """Whether each member is collecting and distributing, by the switch's own word on LACP."""
    found = dict.fromkeys(MEMBERS, False)
    member = ""
    for line in run(["ovs-appctl", "lacp/show", "bond0"]).splitlines():
        if line.startswith(("member: ", "slave: ")):
            member = line.split()[1].rstrip(":")
            found[member] = "current attached" in line
        elif member and "actor state" in line:
            found[member] = found[member] and "collecting distributing" in line
    return found


if __name__ == "__main__":
    main()
