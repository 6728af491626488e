"""Management's path x the bridges -> the flows that keep it reachable where a bridge forwards nothing by itself. Pure.

A change of fail_mode or of controllers flushes all flows, so these go in right after the transaction, as one bundle
(features.md section 11), and after the transaction that takes it back. Matches are those of the peers, with IPv6's
neighbour discovery added; ports go by name, since numbers are known only to the switch; the cookie is ours, so that
they can be told from a controller's. Those a controller installs again when it connects again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from xsagent.plan.steps import SafetyFlowsStep
from xsagent.topology.desired import Desired, ManagementPath
from xsagent.topology.values import SECURE, Bridge, Interface, ObjectKey, ObjectKind, Port, Topology

_NEIGHBOUR_TYPES: Final = (134, 135, 136)
"""Router advertisement, neighbour solicitation, neighbour advertisement (RFC 4861)."""
_UNTAGGED: Final = "priority=0"
_TAGGED: Final = "priority=1"
"""Above those for frames without a tag, which match all frames: both are there while management moves."""
_LOCAL: Final = "LOCAL"
_END: Final = re.compile(r"(?:in_port=|output:)([^,\s]+)|actions=(LOCAL)")


@dataclass(frozen=True, slots=True, kw_only=True)
class SafetyFlows:
    """Flow lines for one real bridge, as ``ovs-ofctl --names add-flows`` reads them, without cookie."""

    bridge: str
    lines: tuple[str, ...]


def build_safety_flows(management: ManagementPath | None, bridges: Mapping[str, Bridge]) -> SafetyFlows | None:
    """The flows that management needs on these bridges; None where it is on no secure one, or its MAC is not known.

    None too where no NIC of its path is on that bridge: what is there knows the way better.

    Args:
        management: its `ports` are the NICs that lead there; others of the bridge do not count.
        bridges: as the switch will have them.
    """
    if management is None:
        return None
    device = management.device
    for bridge in bridges.values():
        own = bridge.ports.get(device)
        if bridge.fail_mode != SECURE or own is None:
            continue
        nics = _nics(bridge, management)
        if not nics:
            return None
        if device == bridge.name and isinstance(bridge.hwaddr, str):
            return SafetyFlows(bridge=bridge.name, lines=tuple(_untagged(bridge.hwaddr, nics)))
        mac = next((item.mac for item in own.interfaces.values() if isinstance(item.mac, str)), bridge.hwaddr)
        if isinstance(own.tag, int) and isinstance(mac, str):
            return SafetyFlows(bridge=bridge.name, lines=tuple(_tagged(own, own.tag, mac, nics)))
    return None


def _untagged(mac: str, nics: Sequence[str]) -> Iterator[str]:
    out = f"output:{nics[0]}" if len(nics) == 1 else "NORMAL"
    yield f"{_UNTAGGED},arp,in_port={_LOCAL},dl_src={mac},actions={out}"
    yield f"{_UNTAGGED},in_port={_LOCAL},dl_src={mac},actions={out}"
    for nic in nics:
        yield f"{_UNTAGGED},arp,in_port={nic},arp_op=1,actions={_LOCAL}"
        yield f"{_UNTAGGED},in_port={nic},dl_dst={mac},actions={_LOCAL}"
        for kind in _NEIGHBOUR_TYPES:
            yield f"{_UNTAGGED},icmp6,in_port={nic},icmp_type={kind},actions={_LOCAL}"


def _tagged(own: Port, tag: int, mac: str, nics: Sequence[str]) -> Iterator[str]:
    """Management on a VLAN (legacy-faults F09): NORMAL puts the tag on, the way back takes it off."""
    yield f"{_TAGGED},in_port={own.name},dl_src={mac},actions=NORMAL"
    back = f"actions=strip_vlan,output:{own.name}"
    for nic in nics:
        yield f"{_TAGGED},arp,in_port={nic},dl_vlan={tag},arp_op=1,{back}"
        yield f"{_TAGGED},in_port={nic},dl_vlan={tag},dl_dst={mac},{back}"
        for kind in _NEIGHBOUR_TYPES:
            yield f"{_TAGGED},icmp6,in_port={nic},dl_vlan={tag},icmp_type={kind},{back}"


def _nics(bridge: Bridge, management: ManagementPath) -> list[str]:
    return sorted(
        name
        for name, interface in _interfaces(bridge).items()
        if interface.type != "internal" and name in management.ports
    )


def _interfaces(bridge: Bridge) -> dict[str, Interface]:
    return {name: interface for port in bridge.ports.values() for name, interface in port.interfaces.items()}


# --- what is there, and what is to be ----------------------------------------------------------------------


def safety_steps(desired: Desired, observed: Topology, after: Mapping[str, Bridge]) -> list[SafetyFlowsStep]:
    """Safety flows where they are not as wanted, and after each transaction on their bridge that may flush them.

    Args:
        desired: names management's path.
        observed: its bridges have the flows that are there, and those that are kept for when the switch forgot them.
        after: the bridges that the transaction leads to.
    """
    path = desired.management
    if path is not None:
        # what the switch has no device for has no number that a flow could name
        path = replace(path, ports=tuple(name for name in path.ports if name in observed.links))
    wanted = build_safety_flows(path, after)
    steps: list[SafetyFlowsStep] = []
    for name, bridge in sorted(after.items()):
        present = observed.bridges.get(name)
        lines = present.safety_flows if present is not None else None
        own = wanted if wanted is not None and wanted.bridge == name else None
        flows = [*_kept(lines or (), bridge, desired, observed), *_brought_along(bridge, path, desired, observed)]
        if path is not None and own is not None:
            flows = [*own.lines, *(line for line in flows if _device_of(line, name) != path.device)]
        if flows or lines:
            differ = present != bridge or _parts(flows) != _parts(lines or ())
        else:
            # where the switch forgot them what is kept comes back by itself; here goes what is not wanted any more
            kept = present.kept_flows if present is not None else ()
            flows = _kept(kept, bridge, desired, observed)
            differ = _parts(flows) != _parts(kept)
        if differ and bridge.fail_mode == SECURE:
            steps.append(
                SafetyFlowsStep(
                    bridge=name,
                    lines=tuple(flows),
                    management=True,
                    reason="a secure bridge forwards nothing by itself",
                )
            )
    return steps


def restore_safety_flows(
    observed: Mapping[str, Bridge], after: Mapping[str, Bridge], steps: Sequence[SafetyFlowsStep]
) -> list[SafetyFlowsStep]:
    """What brings back the flows that were there, once the bridges are as they were; the undo of transaction and steps.

    Of a bridge whose flows the switch forgot that is what is kept of them.

    Args:
        observed, after: the bridges before and after the transaction.
        steps: of `safety_steps`.
    """
    replaced = {step.bridge for step in steps}
    back: list[SafetyFlowsStep] = []
    for name, bridge in sorted(observed.items()):
        lines = bridge.safety_flows or bridge.kept_flows
        changes = bool(bridge.safety_flows) and after.get(name) != bridge
        goes = bool(lines) and name not in after
        if bridge.safety_flows is not None and (name in replaced or changes or goes):
            alive = tuple(line for line in lines if not _is_dead(line))
            back.append(SafetyFlowsStep(bridge=name, lines=alive))
    return back


def lines_that_work(lines: Sequence[str], bridge: Bridge) -> tuple[str, ...]:
    """The lines whose ports the bridge has: a single other one would have the switch refuse all."""
    interfaces = _interfaces(bridge)
    return tuple(
        line for line in lines if all(_is_there(interfaces.get(name)) for name in _ends(line) if name != _LOCAL)
    )


def _is_there(interface: Interface | None) -> bool:
    """Whether a flow can name it: a row whose device is not there has no number, one that was just made none yet."""
    return interface is not None and (interface.ofport is None or interface.ofport > 0)


def _kept(lines: Sequence[str], bridge: Bridge, desired: Desired, observed: Topology) -> list[str]:
    """Flows that stay: of a device that has had management, while it has a configuration (both paths are up)."""
    before = observed.bridges.get(bridge.name)
    gone = set[str]() if before is None else _interfaces(before).keys() - _interfaces(bridge).keys()
    kept: list[str] = []
    for line in lines:
        is_stale = _is_dead(line) or gone.intersection(_ends(line))
        if not (is_stale or _gives_up(_device_of(line, bridge.name), desired.topology)):
            kept.append(line)
    return kept


def _brought_along(bridge: Bridge, path: ManagementPath | None, desired: Desired, observed: Topology) -> Iterator[str]:
    """Flows for VLANs that had some on the bridge which they come from, by the NICs that lead there now."""
    for source in observed.bridges.values():
        ways: dict[str, set[str]] = {}
        for line in source.safety_flows or ():
            ways.setdefault(_device_of(line, source.name), set()).update(_ends(line))
        for device, ends in ways.items():
            if source.name == bridge.name or device not in bridge.ports or _gives_up(device, desired.topology):
                continue
            nics = ends.union(path.ports if path is not None else ())
            flows = build_safety_flows(ManagementPath(device=device, ports=tuple(nics)), {bridge.name: bridge})
            yield from flows.lines if flows is not None else ()


def _gives_up(device: str, wanted: Topology) -> bool:
    keys = {ObjectKey(kind=kind, name=device) for kind in (ObjectKind.BRIDGE, ObjectKind.IP_DEVICE)}
    spoken = wanted.ip_devices.get(device)
    return bool(keys & wanted.absent) or (
        spoken is not None and not spoken.routes_only and (spoken.ipv4_mode, spoken.ipv6_mode) == ("none", "none")
    )


def _ends(line: str) -> list[str]:
    """Ports that a flow comes from and goes to by name, in this order."""
    return [match[1] or match[2] for match in _END.finditer(line.replace('"', ""))]


def _is_dead(line: str) -> bool:
    """Whether a port of it is gone: the switch shows that one by its number."""
    return any(end.isdigit() for end in _ends(line))


def _device_of(line: str, bridge: str) -> str:
    """The IP device that a flow is for: of two ends the one that is no NIC."""
    ends = _ends(line)
    return bridge if _LOCAL in ends else ends[-1]


def _parts(lines: Sequence[str]) -> set[frozenset[str]]:
    """Flows as their parts: the switch shows them in an order of its own."""
    return {frozenset(re.split(r"[,\s]+", line.replace('"', ""))) for line in lines}
