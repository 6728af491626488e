"""Bridges that nobody asked for: stale ones of ours, and those of others (pains.md 20). Pure."""

from __future__ import annotations

from collections.abc import Iterator

from xsagent.doctor.facts import Facts
from xsagent.doctor.findings import Finding, Severity
from xsagent.doctor.mend import command
from xsagent.model.snapshot import Snapshot
from xsagent.topology.ownership import (
    NETWORK_MARK,
    VLAN_NETWORK_MARK,
    is_vif_port,
    is_vlan_bridge,
    ports_of_vlan_bridge,
)
from xsagent.topology.values import Bridge, Keys, Port


def check_bridges(facts: Facts) -> Iterator[Finding]:
    """Bridges, VLAN bridges among them, that no network record knows; by our mark they are stale, else foreign."""
    snapshot = facts.records.snapshot
    if snapshot is None:
        return
    for bridge in facts.topology.bridges.values():
        yield from _bridge(facts, snapshot, bridge)
        for port in bridge.ports.values():
            if is_vlan_bridge(port):
                guests = [one.name for one in ports_of_vlan_bridge(bridge, port) if is_vif_port(one)]
                yield from _judge(facts, snapshot, port.name, port.external_ids, VLAN_NETWORK_MARK, guests)


def _bridge(facts: Facts, snapshot: Snapshot, bridge: Bridge) -> Iterator[Finding]:
    guests = [port.name for port in bridge.ports.values() if is_vif_port(port)]
    guests += [port.name for port in bridge.ports.values() if is_vlan_bridge(port) and _is_known(snapshot, port)]
    yield from _judge(facts, snapshot, bridge.name, bridge.external_ids, NETWORK_MARK, guests)


def _is_known(snapshot: Snapshot, port: Port) -> bool:
    return any(network.bridge == port.name for network in snapshot.networks.values())


def _judge(facts: Facts, snapshot: Snapshot, name: str, ids: Keys, mark: str, carries: list[str]) -> Iterator[Finding]:
    if any(network.bridge == name for network in snapshot.networks.values()):
        return
    marked = {uuid for uuid in (ids.get(mark) or "").split(";") if uuid}
    if marked & {network.uuid for network in snapshot.networks.values()}:
        return
    if not marked:
        yield Finding(
            id="foreign-bridge",
            severity=Severity.INFO,
            subject=name,
            problem="no network of XAPI has this bridge, and it does not carry our mark",
            reason="it is somebody else's and is left alone",
        )
        return
    certain = facts.records.from_xapi and snapshot.complete
    yield Finding(
        id="stale-bridge",
        severity=Severity.WARNING if certain else Severity.INFO,
        subject=name,
        problem="it carries our mark, and no network of XAPI has it"
        + ("" if certain else " as far as the cache knows")
        + (f"; {' '.join(carries)} is on it" if carries else ""),
        reason="a network or VLAN that XAPI makes anew may collide with it",
        mend=() if carries else (command("ovs-vsctl", "del-br", name),),
        by_hand="find out whose guests these are before it is deleted" if carries else "",
    )
