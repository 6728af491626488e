"""Rows of issue 4: packets lost of 1 ms streams, host to wire and VIF to wire, while the host is reconfigured."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from host_records import DHCP, HostRecords, Record, static
from runs import Bench
from streams import control, measure_losses
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
        theirs = _script_losses(scene) if script else None
        bond = _make_bond(records, mode)
        row = scene.row(name, scene.run(bond, "up"), target)
        yield Row(group=row.group, name=name, value=row.value, unit="", baseline=theirs, target=target, note=row.note)
        bond["currently_attached"] = True
        back = _break_bond(records)
        scene.bridge = "xenbr0"
        yield scene.row(f"{name}: and back", scene.run(back, "up", "--management"), None)


def _script_losses(scene: _Scene) -> float:
    """The script moves all to the bond; then ours, from the cache, is asked for the NIC again."""
    sandbox = scene.host.sandbox
    bench = Bench(sandbox)
    words = ["xenbr0", "xapi0", "bond0", nic_mac("eth0"), "192.0.2.10/24", "192.0.2.1", "eth0", "eth1"]
    losses = measure_losses(
        sandbox, scene.guest, lambda: bench.script("baseline-to-bond.sh", *words), interval_ms=_STREAM_MS
    )
    sandbox.run(["ovs-vsctl", "del-br", "xapi0"])
    bench.ours("--force", "xenbr0", "up")
    _add_ports(scene, _PORTS)
    ids = f"external_ids:xs-vif-uuid={record_uuid('vif guest')}"
    port = ["--may-exist", "add-port", "xenbr0", scene.guest.vif]
    sandbox.run(["ovs-vsctl", *port, "--", "set", "Interface", scene.guest.vif, ids])
    return float(losses.most)


def _add_ports(scene: _Scene, count: int) -> None:
    """Ports as VIFs have them, on the NIC's bridge; they carry no traffic."""
    sandbox = scene.host.sandbox
    names = [f"vif9.{number}" for number in range(count)]
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
