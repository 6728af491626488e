"""Guests' devices: on their bridge, up, forwarded, locked as XAPI says (pains.md 10 and 14). Pure."""

from __future__ import annotations

from collections.abc import Iterator

from xsagent.desired.resolve import build_aliases
from xsagent.doctor.check_links import link_down
from xsagent.doctor.facts import Facts, Peer, VifFacts
from xsagent.doctor.findings import Finding, Severity
from xsagent.doctor.lookup import internal_network_on_bridge, pif_on_bridge
from xsagent.doctor.mend import command, create_network, up
from xsagent.hotplug.event import parse_device
from xsagent.hotplug.places import PlacedPort, find_place, find_port
from xsagent.hotplug.unlocked import REMEDY
from xsagent.model.values import shown
from xsagent.model.vif import LockingMode, Vif
from xsagent.topology.ownership import is_vif_port

_IN_BAND = "disable-in-band"
_SCRIPT = "/etc/xensource/scripts/vif"


def check_vifs(facts: Facts) -> Iterator[Finding]:
    """What is wrong with each guest's netdev, and ports of guests' devices that are gone."""
    if Peer.OVSDB in facts.unread:
        return
    for vif in facts.vifs:
        yield from _vif(facts, vif)
    yield from _above_locking_flows(facts)
    yield from _leftover_ports(facts)


def _vif(facts: Facts, one: VifFacts) -> Iterator[Finding]:
    yield from _xenstore(facts, one)
    port = find_port(facts.topology.bridges, one.device)
    if one.vif is not None and one.vif.offloaded:
        return
    if one.vif is not None and one.vif.locking.mode is LockingMode.DISABLED:
        yield from _disabled(facts, one, port)
        return
    yield from _port(facts, one, port)
    link = facts.topology.links.get(one.device)
    if link is not None and link.up is False and port is not None:
        yield link_down(link, Severity.ERROR, "the guest is cut off")
    yield from _locking(facts, one)


def _disabled(facts: Facts, one: VifFacts, port: PlacedPort | None) -> Iterator[Finding]:
    if port is not None:
        problem = f"its locking mode is disabled and it is on bridge {port.place.name}"
        reason = "the guest sends although it must not"
        yield _finding(one, "vif-disabled-on-bridge", problem, reason, _again(facts, one))


def _port(facts: Facts, one: VifFacts, port: PlacedPort | None) -> Iterator[Finding]:
    if one.vif is not None and find_place(facts.topology.bridges, one.vif.bridge, bond_aliases(facts)) is None:
        yield _without_bridge(facts, one, one.vif)
    elif port is None:
        wanted = f" (it belongs on {one.vif.bridge})" if one.vif is not None else ""
        yield _finding(one, "vif-off-bridge", f"it is on no bridge{wanted}", "the guest is cut off", _again(facts, one))
    elif one.vif is not None:
        yield from _placed(facts, one, one.vif, port)


def _locking(facts: Facts, one: VifFacts) -> Iterator[Finding]:
    if one.flows_missing:
        problem = f"{one.flows_missing} of its locking flows are missing or wrong"
        reason = "the guest can send with addresses that are not its own, or not send at all"
        yield _finding(one, "locking-flows", problem, reason, _again(facts, one))
    if one.unlocked:
        yield Finding(
            id="vif-not-locked",
            severity=Severity.ERROR,
            subject=one.device,
            problem=one.unlocked,
            reason="the guest can send with addresses that are not its own",
            by_hand=REMEDY,
        )


def _xenstore(facts: Facts, one: VifFacts) -> Iterator[Finding]:
    """What the toolstack wrote and cannot be followed, and what it was told."""
    if one.problem:
        yield _finding(one, "vif-keys-unusable", one.problem, "it cannot be plugged again", ())
    if one.error:
        problem = f"the toolstack was told {shown(one.error)}"
        yield _finding(one, "vif-hotplug-error", problem, "it gives up the VM's start for that", _again(facts, one))


def _without_bridge(facts: Facts, one: VifFacts, vif: Vif) -> Finding:
    """Its bridge must come up first. Where xcp-networkd owns the topology, XAPI has it make an internal network's."""
    pif, network = pif_on_bridge(facts, vif.bridge), internal_network_on_bridge(facts, vif.bridge)
    mend: tuple[str, ...] = ()
    if pif is not None:
        mend = (up(facts, pif), *_again(facts, one))
    elif network is not None and facts.daemon.topology_is_ours:
        mend = (create_network(facts, network), *_again(facts, one))
    return Finding(
        id="vif-bridge-missing",
        severity=Severity.ERROR,
        subject=one.device,
        problem=f"it belongs on bridge {vif.bridge}, which is not there",
        reason="the guest is cut off",
        mend=mend,
        by_hand="" if mend else f"have XAPI plug it again: xe vif-unplug and vif-plug uuid={vif.vif_uuid}",
    )


def _placed(facts: Facts, one: VifFacts, vif: Vif, present: PlacedPort) -> Iterator[Finding]:
    wanted = find_place(facts.topology.bridges, vif.bridge, bond_aliases(facts))
    if wanted is not None and wanted.name != present.place.name:
        yield Finding(
            id="vif-on-other-bridge",
            severity=Severity.WARNING,
            subject=one.device,
            problem=f"it is on bridge {present.place.name}, the toolstack wants it on {wanted.name}",
            reason="the guest is on another network than XAPI shows",
            mend=_again(facts, one),
        )
    elif present.foreign_tag:
        yield Finding(
            id="vif-foreign-tag",
            severity=Severity.WARNING,
            subject=one.device,
            problem=f"somebody gave its port the VLAN tag {present.port.tag}",
            reason="the guest is on another network than XAPI shows; xsagent leaves it so",
            mend=(command("ovs-vsctl", "clear", "Port", one.device, "tag"),),
        )


def bond_aliases(facts: Facts) -> dict[str, str]:
    """A bond member's bridge stands for the bond's (DESIGN.md section 6)."""
    snapshot = facts.records.snapshot
    bridges = facts.topology.bridges
    aliases = {} if snapshot is None else build_aliases(snapshot)
    return {old: new for old, new in aliases.items() if find_place(bridges, old) is None and find_place(bridges, new)}


def _again(facts: Facts, one: VifFacts) -> tuple[str, ...]:
    """The vif script, as the toolstack calls it when a device is to move to where it belongs."""
    kind, vif = parse_device(one.device)
    prefix = (f"--root-prefix={facts.root}",) if facts.root else ()
    return (command(f"{facts.root}{_SCRIPT}", *prefix, str(kind), str(vif.domid), str(vif.devid), "move"),)


def _finding(one: VifFacts, kind: str, problem: str, reason: str, mend: tuple[str, ...]) -> Finding:
    return Finding(id=kind, severity=Severity.ERROR, subject=one.device, problem=problem, reason=reason, mend=mend)


def _above_locking_flows(facts: Facts) -> Iterator[Finding]:
    """In-band control: hidden flows of the switch for its managers stand above ours (ofproto/in-band.c)."""
    observed = facts.control.observed
    targets = [one.target for one in observed.managers] if observed is not None else []
    peers = [target for target in targets if target.startswith(("tcp:", "ssl:"))]
    locked = [one for one in facts.vifs if one.vif is not None and one.vif.locking.mode is LockingMode.LOCKED]
    ports = (find_port(facts.topology.bridges, one.device) for one in locked)
    for name in sorted({port.place.bridge for port in ports if port is not None}) if peers else ():
        if facts.topology.bridges[name].other_config.get(_IN_BAND) != "true":
            yield Finding(
                id="in-band-control",
                severity=Severity.WARNING,
                subject=name,
                problem=f"its locked guests may send ARP and TCP in the name of manager {' and '.join(peers)}",
                reason="in-band control lets that through above all locking flows",
                by_hand="where the manager is reached by another bridge or route, have other_config:"
                "vswitch-disable-in-band of the network or the pool say true",
            )


def _leftover_ports(facts: Facts) -> Iterator[Finding]:
    for bridge in facts.topology.bridges.values():
        for port in bridge.ports.values():
            if is_vif_port(port) and port.name not in facts.topology.links:
                yield Finding(
                    id="vif-port-left",
                    severity=Severity.WARNING,
                    subject=port.name,
                    problem=f"its port is on bridge {bridge.name} and its netdev is gone",
                    reason="the name may come again with another guest behind it",
                    mend=(command("ovs-vsctl", "--if-exists", "del-port", bridge.name, port.name),),
                )
