"""Rows of issue 4: packets lost of 1 ms streams, host to wire and VIF to wire, while the host is reconfigured."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from host_records import DHCP, HostRecords, Record, static
from runs import Bench
from streams import Losses, control, measure_losses
from table import Row
from xapi_host import XapiHost

from xsagent.sandbox.far import Guest
from xsagent.sandbox.root_prefix import record_uuid
from xsagent.sandbox.spec import nic_mac, shared_segment

_GROUP = "packets lost of 1 ms streams"
_STREAM_MS = 1.0
_PORTS = 48
_QUIET_S = 1.0
_FIELDS = ("ip_configuration_mode", "IP", "netmask", "gateway", "DNS", "management")
_NO_IP = {"ip_configuration_mode": "None", "IP": "", "netmask": "", "gateway": "", "management": False}
_STATIC = static("192.0.2.10")


def rows() -> Iterator[Row]:
    """All rows of this group."""
    yield from _in_place()
    yield from _onto_bond("NIC to bond, static, 50 ports", _STATIC, ports=_PORTS, target=10, script=True)
    yield from _onto_bond("NIC to bond, static, balance-slb, 1 VIF", _STATIC, mode="balance-slb")
    yield from _onto_bond("NIC to bond, DHCP, 1 VIF", DHCP)


@dataclass(slots=True)
class _Scene:
    """A host whose guest pings."""

    host: XapiHost
    guest: Guest
    bridge: str

    def run(self, pif: Record, action: str, *options: str) -> Callable[[], object]:
        """What brings a PIF up or down; XAPI is ready for it before the streams begin."""
        self.host.restart_xapi()
        bench = Bench(self.host.sandbox)
        return lambda: bench.ours("--pif-uuid", str(pif["uuid"]), action, *options)

    def row(self, name: str, action: Callable[[], object], target: int | None = 0, *, again: bool = False) -> Row:
        """One row; `again`: the control does it once more, since that changes nothing."""
        losses = measure_losses(self.host.sandbox, self.guest, action, interval_ms=_STREAM_MS)
        repeated = action if again else lambda: None
        proof = control(self.host.sandbox, self.guest, self.bridge, repeated, interval_ms=_STREAM_MS)
        note = f"{losses.describe()}; {proof}"
        return Row(group=_GROUP, name=name, value=losses.most, unit="", target=target, note=note)


def _in_place() -> Iterator[Row]:
    """What changes beside running traffic; the carrier is a bond."""
    records = _nics(3)
    bond = _make_bond(records, "active-backup")
    vlan = records.vlan("bond0", 100, "xapi100")
    with XapiHost(records, segments=shared_segment(nics=3)) as host:
        host.up(bond, "--no-deadman")
        scene = _Scene(host, host.sandbox.add_guest("guest", "xapi0", "192.0.2.77/24"), "xapi0")
        yield scene.row("nothing done: what this machine loses by itself", lambda: time.sleep(_QUIET_S), None)
        yield scene.row("re-up", scene.run(bond, "up"), again=True)
        yield scene.row("VLAN up", scene.run(vlan, "up"))
        vlan["currently_attached"] = True
        host.sandbox.run(["ovs-vsctl", "br-set-external-id", "xapi0", "xs-network-uuids", "changed"])
        rewrite = Bench(host.sandbox)
        yield scene.row("rewrite", lambda: rewrite.ours("rewrite"))
        yield scene.row("VLAN down", scene.run(vlan, "down"))
        vlan["currently_attached"] = False
        bond["other_config"] = {"bond-updelay": "20000", "bond-miimon": "200"}
        yield scene.row("bond option changed", scene.run(bond, "up"))
        _add_member(records, bond, "eth2")
        yield scene.row("member added", scene.run(bond, "up"))
        records.bond_of("bond0")["mode"] = "balance-slb"
        yield scene.row("bond mode changed", scene.run(bond, "up"), None)


def _onto_bond(
    name: str,
    fields: Record,
    *,
    mode: str = "active-backup",
    ports: int = 0,
    target: int | None = None,
    script: bool = False,
) -> Iterator[Row]:
    records = _nics(2, **fields)
    nic = _pif(records, "eth0")
    with XapiHost(records, segments=shared_segment(nics=2)) as host:
        host.up(nic)
        scene = _Scene(host, host.sandbox.add_guest("guest", "xenbr0", "192.0.2.77/24"), "xapi0")
        _add_ports(scene, ports)
        bare = _bare_losses(scene, ports, mode)
        theirs = _script_losses(scene, ports) if script else None
        bond = _make_bond(records, mode)
        row = scene.row(name, scene.run(bond, "up"), target)
        yield Row(group=row.group, name=name, value=row.value, unit="", baseline=theirs, target=target, note=row.note)
        yield Row(
            group=_GROUP, name="  of which the switch's own", value=bare.vif.lost, unit="",
            note="VIF to wire, while one ovs-vsctl makes the same one transaction and nothing else: "
            f"{bare.vif.lost} of {bare.vif.sent}, longest gap {bare.vif.longest_gap}",
        )  # fmt: skip
        bond["currently_attached"] = True
        back = _break_bond(records)
        scene.bridge = "xenbr0"
        yield scene.row(f"{name}: and back", scene.run(back, "up", "--management"), None)


def _script_losses(scene: _Scene, ports: int) -> float:
    """The script moves all to the bond, one change at a time."""
    bench = Bench(scene.host.sandbox)
    words = ["xenbr0", "xapi0", "bond0", nic_mac("eth0"), "192.0.2.10/24", "192.0.2.1", "eth0", "eth1"]
    return float(_losses_elsewhere(scene, ports, lambda: bench.script("baseline-to-bond.sh", *words)).most)


def _bare_losses(scene: _Scene, ports: int, mode: str) -> Losses:
    """One transaction moves all to the bond; nobody brings the host's address along. The switch's share of ours."""
    sandbox = scene.host.sandbox
    names = [scene.guest.vif, *_port_names(ports)]
    bridge = ["set", "Bridge", "xapi0", "datapath_type=netdev", f'other_config:hwaddr="{nic_mac("eth0")}"']
    commands = [["del-br", "xenbr0"], ["add-br", "xapi0"], bridge]
    commands.append(["add-bond", "xapi0", "bond0", "eth0", "eth1", f"bond_mode={mode}"])
    commands += [["add-port", "xapi0", name] for name in names]
    sandbox.run(["ip", "link", "set", "eth1", "up"])
    words = [word for command in commands for word in ("--", *command)]
    losses = _losses_elsewhere(scene, ports, lambda: sandbox.run(["ovs-vsctl", *words[1:]]), host=False)
    sandbox.run(["ip", "link", "set", "eth1", "down"])
    return losses


def _losses_elsewhere(scene: _Scene, ports: int, move: Callable[[], object], *, host: bool = True) -> Losses:
    """What is lost while somebody else moves all to the bond; then ours, from the cache, is asked for the NIC again.

    Args:
        host: the host's own stream is to come through again afterwards.
    """
    sandbox = scene.host.sandbox
    losses = measure_losses(sandbox, scene.guest, move, interval_ms=_STREAM_MS, host_answered=host)
    sandbox.run(["ovs-vsctl", "--if-exists", "del-br", "xapi0"])
    Bench(sandbox).ours("--force", "xenbr0", "up")
    _add_ports(scene, ports)
    ids = f"external_ids:xs-vif-uuid={record_uuid('vif guest')}"
    port = ["--may-exist", "add-port", "xenbr0", scene.guest.vif]
    sandbox.run(["ovs-vsctl", *port, "--", "set", "Interface", scene.guest.vif, ids])
    return losses


def _port_names(count: int) -> list[str]:
    return [f"vif9.{number}" for number in range(count)]


def _add_ports(scene: _Scene, count: int) -> None:
    """Ports as VIFs have them, on the NIC's bridge; they carry no traffic."""
    sandbox = scene.host.sandbox
    names = _port_names(count)
    there = sandbox.run(["ls", "/sys/class/net"]).stdout.split()
    lines = [
        f"link add {name} type veth peer name far9.{number}\nlink set {name} up\n"
        for number, name in enumerate(names)
        if name not in there
    ]
    sandbox.run(["ip", "-batch", "-"], input_text="".join(lines))
    words: list[str] = []
    for name in names:
        ids = f"external_ids:xs-vif-uuid={record_uuid(name)}"
        words += ["--", "--may-exist", "add-port", "xenbr0", name, "--", "set", "Interface", name, ids]
    if words:
        sandbox.run(["ovs-vsctl", *words[1:]])


def _nics(count: int, **fields: object) -> HostRecords:
    records = HostRecords()
    records.nic("eth0", management=True, **(fields or _STATIC))
    for number in range(1, count):
        records.nic(f"eth{number}")
    return records


def _pif(records: HostRecords, device: str) -> Record:
    return next(pif for pif in records.classes["PIF"].values() if (pif["device"], pif["VLAN"]) == (device, "-1"))


def _make_bond(records: HostRecords, mode: str) -> Record:
    """Move eth0's role and address to a bond over eth0 and eth1, as XAPI's Bond.create does."""
    nic = _pif(records, "eth0")
    bond = records.bond("bond0", ["eth0", "eth1"], "xapi0", mode=mode, **{key: nic[key] for key in _FIELDS})
    for member in ("eth0", "eth1"):
        _pif(records, member).update(_NO_IP)
    return bond


def _break_bond(records: HostRecords) -> Record:
    """Move the bond's role and address back to eth0, as XAPI does before it destroys the bond."""
    bond, nic = _pif(records, "bond0"), _pif(records, "eth0")
    nic.update({key: bond[key] for key in _FIELDS})
    return nic


def _add_member(records: HostRecords, bond: Record, device: str) -> None:
    ref = next(ref for ref, pif in records.classes["PIF"].items() if pif["device"] == device)
    records.bond_of("bond0")["slaves"].append(ref)
    records.classes["PIF"][ref]["bond_slave_of"] = bond["bond_master_of"][0]
