"""Hotplug's decisions under generated switches, VIFs and event sequences: each leads where it says, and stays."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tally import TALLY

from xsagent.hotplug.decide import Observed, decide
from xsagent.hotplug.decision import Decision, Verdict
from xsagent.hotplug.event import Action, Event, Want
from xsagent.hotplug.iface_status import IfaceStatus, decide_iface_status
from xsagent.model.vif import DeviceType, Layout, Locking, LockingMode, Vif, VifId
from xsagent.sources.vif import build_paths
from xsagent.topology.values import Bridge, Interface, Link, Port

# Ten times the profile's count: 50,000 in the long one
MANY = settings(max_examples=settings().max_examples * 10)

VM = "e5b24593-770e-5865-b077-5f56bdead3c7"
VIF = VifId(5, 0)
PATHS = build_paths(VIF, Layout.UUID, VM)
MAC = "00:16:3e:00:00:01"
kinds = st.sampled_from(DeviceType)
device_events = st.builds(Event, vif=st.just(VIF), kind=kinds, action=st.sampled_from(Action))


@dataclass
class Switch:
    """A model of a switch: what each port row says. It knows operations by their names alone."""

    vlans: Mapping[str, tuple[str, int]]
    ports: dict[str, tuple[str, int | None, tuple[int, ...], dict[str, str | None]]] = field(default_factory=dict)

    def observed(self, *links: Link) -> Observed:
        """The model as hotplug sees a switch."""
        bridges: dict[str, dict[str, Port]] = {"xenbr0": {}, "xenbr1": {}}
        for name, (parent, tag) in self.vlans.items():
            bridges[parent][name] = Port(name=name, interfaces={}, tag=tag, fake_bridge=True)
        for name, (bridge, number, trunks, ids) in self.ports.items():
            row = Interface(name=name, external_ids=dict(ids), ofport=5)
            bridges[bridge][name] = Port(name=name, interfaces={name: row}, tag=number, trunks=trunks)
        whole = {name: Bridge(name=name, ports=ports) for name, ports in bridges.items()}
        return Observed(bridges=whole, links={link.name: link for link in links})

    def run(self, decision: Decision) -> None:
        """Execute a decision's operations."""
        for operation in decision.operations:
            parts = {part.name: getattr(operation, part.name) for part in dataclasses.fields(operation)}
            getattr(self, type(operation).__name__.lower())(parts)

    def addport(self, parts: dict[str, Any]) -> None:
        """Insert a row whose name is free."""
        port: Port = parts["port"]
        assert port.name not in self.ports
        tag = port.tag if isinstance(port.tag, int) else None
        trunks = port.trunks if isinstance(port.trunks, tuple) else ()
        self.ports[port.name] = (parts["bridge"], tag, trunks, dict(port.interfaces[port.name].external_ids))

    def deleteport(self, parts: dict[str, Any]) -> None:
        """Remove a row from the bridge it is on."""
        assert self.ports.pop(parts["name"])[0] == parts["bridge"]

    def moveport(self, parts: dict[str, Any]) -> None:
        """Move a row as it is."""
        bridge, tag, trunks, ids = self.ports[parts["name"]]
        assert bridge == parts["source"]
        self.ports[parts["name"]] = (parts["target"], tag, trunks, ids)

    def setcolumns(self, parts: dict[str, Any]) -> None:
        """Set tag or trunks."""
        bridge, tag, trunks, ids = self.ports[parts["record"]]
        columns = parts["columns"]
        if "tag" in columns:
            tag = columns["tag"] if isinstance(columns["tag"], int) else None
        if "trunks" in columns:
            trunks = tuple(columns["trunks"][1])
        self.ports[parts["record"]] = (bridge, tag, trunks, ids)

    def setkeys(self, parts: dict[str, Any]) -> None:
        """Set keys of external_ids."""
        self.ports[parts["record"]][3].update(parts["keys"])


VLANS = {"xapi5": ("xenbr0", 50), "xapi6": ("xenbr1", 50)}
vifs = st.builds(
    Vif,
    id=st.just(VIF),
    paths=st.just(PATHS),
    bridge=st.sampled_from(["xenbr0", "xenbr1", "xapi5", "xapi6", "absent", ""]),
    mac=st.sampled_from([MAC, ""]),
    vif_uuid=st.sampled_from([VM, ""]),
    vm_uuid=st.sampled_from([VM, ""]),
    trunks=st.one_of(st.none(), st.lists(st.integers(0, 4094), max_size=2, unique=True).map(sorted).map(tuple)),
    locking=st.sampled_from([Locking(), Locking(mode=LockingMode.LOCKED), Locking(mode=LockingMode.DISABLED)]),
    mtu=st.one_of(st.none(), st.integers(68, 9000)),
)
texts: st.SearchStrategy[str | None] = st.sampled_from([VM, "active", "x"])
rows = st.tuples(
    st.sampled_from(["xenbr0", "xenbr1"]),
    st.sampled_from([None, 50, 77]),
    st.sampled_from([(), (7,)]),
    st.dictionaries(st.sampled_from(["foreign", "iface-id", "iface-status", "xs-vif-uuid"]), texts),
)
DEVICES = {kind: VIF.device(kind) for kind in DeviceType}
switches = st.dictionaries(st.sampled_from(list(DEVICES.values())), rows).map(lambda ports: Switch(VLANS, ports))
LINKS = tuple(Link(name=name, mac="fe:ff:ff:ff:ff:ff", mtu=1500, up=True) for name in DEVICES.values())


@MANY
@given(switch=switches, steps=st.lists(st.tuples(device_events, vifs), min_size=1, max_size=8))
def test_any_sequence_of_events_ends_as_its_last_events_say(switch: Switch, steps: list[tuple[Event, Vif]]) -> None:
    """Each decision leads where it says; the same event again changes nothing; foreign keys survive a move."""
    TALLY["event sequences"] += 1
    TALLY["hotplug events"] += len(steps)
    for event, vif in steps:
        name = event.device
        before = switch.ports.get(name)
        decision = decide(event, vif, switch.observed(*LINKS))
        switch.run(decision)
        again = decide(event, vif, switch.observed(*LINKS))
        after = switch.ports.get(name)

        assert again.operations == ()
        assert again.verdict in {decision.verdict, Verdict.DETACH}
        match decision.verdict:
            case Verdict.DETACH | Verdict.KEEP_OFF:
                assert after is None
            case Verdict.WAIT | Verdict.IGNORE | Verdict.LEAVE:
                assert after == before
                assert vif.bridge in {"absent", ""} or event.want is Want.NOTHING or event.action is Action.REPAIR
            case Verdict.ATTACH:
                assert again.in_place
                assert after is not None
                place = VLANS.get(vif.bridge, (vif.bridge, None))
                assert after[0] == place[0]
                assert after[1] == place[1] or (place[1] is None and after[1] == 77)
                assert vif.trunks in {None, after[2]}
                assert before is None or before[3].get("foreign") == after[3].get("foreign")
                _check_pair(switch, vif, event)


def _check_pair(switch: Switch, vif: Vif, event: Event) -> None:
    """Of vif and tap in the switch exactly one is active, once marks are given at all."""
    if not vif.vif_uuid:
        return
    status = {kind: switch.ports[name][3].get("iface-status") for kind, name in DEVICES.items() if name in switch.ports}
    assert event.kind in status
    assert sorted(filter(None, status.values())) == (["active"] if len(status) == 1 else ["active", "inactive"])


@given(present=st.frozensets(kinds, min_size=1))
def test_one_port_of_a_vif_is_active(present: frozenset[DeviceType]) -> None:
    """Never two, never none while there is one."""
    status = decide_iface_status(present)

    assert status.keys() == present
    assert list(status.values()).count(IfaceStatus.ACTIVE) == 1
