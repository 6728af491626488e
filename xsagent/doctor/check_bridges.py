"""Bridges that nobody asked for: stale ones of ours, and those of others (pains.md 20); and one setting. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from xsagent.desired.kind import is_tagged, label
from xsagent.doctor.facts import Facts
from xsagent.doctor.findings import Finding, Severity
from xsagent.doctor.lookup import real_bridge
from xsagent.doctor.mend import command, up
from xsagent.model.snapshot import Snapshot
from xsagent.topology.ownership import (
    NETWORK_MARK,
    VLAN_NETWORK_MARK,
    is_vif_port,
    is_vlan_bridge,
    ports_of_vlan_bridge,
)
from xsagent.topology.values import Bridge, Port


def check_bridges(facts: Facts) -> Iterator[Finding]:
    """Bridges, VLAN bridges among them, that no network record knows; by our mark they are stale, else foreign.

    And those that do not snoop though XAPI says so.
    """
    snapshot = facts.records.snapshot
    if snapshot is None:
        return
    yield from _missing(facts)
    yield from _snooping(facts, snapshot)
    for bridge in facts.topology.bridges.values():
        yield from _bridge(facts, snapshot, bridge)
        for port in bridge.ports.values():
            if is_vlan_bridge(port):
                guests = [one.name for one in ports_of_vlan_bridge(bridge, port) if is_vif_port(one)]
                yield from _judge(facts, snapshot, port.name, port.external_ids.get(VLAN_NETWORK_MARK), guests)


def _missing(facts: Facts) -> Iterator[Finding]:
    """Management's bridge; those of other PIFs are drift."""
    pif, bridge = facts.management(), facts.management_bridge()
    if pif is None or not bridge or not facts.switch_read or real_bridge(facts, bridge) is not None:
        return
    yield Finding(
        id="management-bridge-missing",
        severity=Severity.ERROR,
        subject=bridge,
        problem="management's bridge is not there",
        reason="this host cannot be reached",
        mend=(up(facts, pif),),
        is_cause=True,
    )


def _snooping(facts: Facts, snapshot: Snapshot) -> Iterator[Finding]:
    """PIF.igmp_snooping_status against what the switch has (features.md section 11); a VLAN has its carrier's."""
    wanted = snapshot.pool is not None and snapshot.pool.igmp_snooping_enabled
    for pif in snapshot.pifs.values():
        bridge = facts.topology.bridges.get(snapshot.bridge_of(pif))
        if bridge is None or bridge.mcast_snooping or is_tagged(pif) or pif.igmp_snooping_status != "enabled":
            continue
        yield Finding(
            id="igmp-snooping",
            severity=Severity.WARNING,
            subject=bridge.name,
            problem=f"XAPI says that IGMP snooping is enabled on {label(pif)}, and the bridge does none",
            reason="multicast floods all guests on it",
            mend=(up(facts, pif),) if wanted else (),
            by_hand="" if wanted else "the pool does not want it: set its igmp-snooping-enabled anew in XAPI",
        )


def _bridge(facts: Facts, snapshot: Snapshot, bridge: Bridge) -> Iterator[Finding]:
    guests = [port.name for port in bridge.ports.values() if is_vif_port(port)]
    guests += [port.name for port in bridge.ports.values() if is_vlan_bridge(port) and _is_known(snapshot, port)]
    yield from _judge(facts, snapshot, bridge.name, bridge.external_ids.get(NETWORK_MARK), guests)


def _is_known(snapshot: Snapshot, port: Port) -> bool:
    return any(network.bridge == port.name for network in snapshot.networks.values())


def _judge(facts: Facts, snapshot: Snapshot, name: str, mark: str | None, carries: list[str]) -> Iterator[Finding]:
    """A bridge or VLAN bridge of which no record has the name.

    Args:
        mark: the uuids of its networks, as the bridge carries them.
        carries: what a person would miss if it went.
    """
    if any(network.bridge == name for network in snapshot.networks.values()):
        return
    marked = {uuid for uuid in (mark or "").split(";") if uuid}
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
