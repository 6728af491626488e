"""What hotplug decided x the mirrors that are there -> the decision with the mirror that `promiscuous` asks for. Pure.

After `decide`, before the transaction, so that a mirror comes, moves and goes with its port. Open vSwitch reserves a
mirror's output port for it (ovs-vswitchd.conf.db(5), Mirror): the guest sees its network's frames and sends none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Final

from xsagent.hotplug.decision import Decision, Verdict
from xsagent.hotplug.places import find_port
from xsagent.model.vif import DeviceType
from xsagent.plan.ovsdb_model import mirrors_of
from xsagent.plan.steps import SetMirror
from xsagent.topology.ownership import VIF_MARK
from xsagent.topology.values import Bridge, Json

_PREFIX: Final = "xsagent-"
"""What the names of our mirrors begin with, before their device's; they also bear the mark of their VIF."""
_HOW: Final = (
    'Open vSwitch shows it others\' frames by a mirror alone, which `promiscuous = "mirror"` in xsagent.conf makes; '
    "then all that it sends is dropped"
)


def decide_mirror(decision: Decision, bridges: Mapping[str, Bridge], *, allowed: bool) -> Decision:
    """The decision about a device, with what is to become of its mirror.

    A tap gets none: the guest's own driver is to see the frames. What waits or is ignored keeps what it has; one
    that was moved by hand loses it.

    Args:
        decision: of `decide`.
        bridges: as observed, their mirrors in `extra`.
        allowed: the settings let a promiscuous VIF have a mirror, at the price of all that it sends.
    """
    device = decision.event.device
    if decision.event.kind is not DeviceType.VIF or decision.verdict in {Verdict.WAIT, Verdict.IGNORE}:
        return decision
    asked = decision.verdict is Verdict.ATTACH and decision.vif is not None and decision.vif.promiscuous
    wanted = _build(decision, bridges) if asked and allowed else []
    present = [one for bridge in bridges.values() for one in _ours(bridge) if one.columns["name"] == _PREFIX + device]
    warnings = decision.warnings
    if asked and not allowed:
        warnings += (f"{device} is to be promiscuous, and is not: {_HOW}",)
    if present == wanted:
        return replace(decision, warnings=warnings)
    if wanted:
        warnings += (f"{device} gets a mirror of its network, as it is promiscuous: all that it sends is dropped",)
    removals = [replace(one, present=False) for one in present]
    return replace(decision, operations=(*removals, *decision.operations, *wanted), warnings=warnings)


def bridges_to_look_at(decisions: Iterable[Decision]) -> frozenset[str]:
    """Bridges on which a mirror comes or goes and its port stays: no news to the switch for the flows that it has."""
    changes = (change for one in decisions if one.in_place for change in one.operations)
    return frozenset(change.bridge for change in changes if isinstance(change, SetMirror))


def mirrored_devices(bridge: Bridge) -> Iterator[str]:
    """Devices for which a mirror of ours is on this bridge, whatever became of their ports."""
    return (str(one.columns["name"]).removeprefix(_PREFIX) for one in _ours(bridge))


def _build(decision: Decision, bridges: Mapping[str, Bridge]) -> list[SetMirror]:
    """Of every frame that passes the bridge in a VLAN which the port is in anyway; no guest may look into others."""
    if decision.vif is None or decision.place is None:
        return []
    vlans = _vlans(decision, bridges)
    columns: dict[str, Json] = {
        "name": _PREFIX + decision.event.device,
        "select_all": True,
        "select_vlan": vlans[0] if len(vlans) == 1 else ["set", [*vlans]],
        "output_port": {"table": "Port", "name": decision.event.device},
        "external_ids": ["map", [[VIF_MARK, decision.vif.vif_uuid]]],
    }
    return [SetMirror(bridge=decision.place.bridge, columns=columns)]


def _vlans(decision: Decision, bridges: Mapping[str, Bridge]) -> tuple[int, ...]:
    """VLANs of the port; 0 stands for frames without tag. A tag that somebody set by hand is its VLAN as well."""
    present, vif, place = find_port(bridges, decision.event.device), decision.vif, decision.place
    tag = place.tag if place else None
    if decision.in_place and present is not None and isinstance(present.port.tag, int):
        tag = present.port.tag
    if tag is not None:
        return (tag,)
    trunks = vif.trunks if vif is not None and vif.trunks is not None else present.port.trunks if present else ()
    return tuple(sorted(trunks)) if isinstance(trunks, tuple) and trunks else (0,)


def _ours(bridge: Bridge) -> Iterator[SetMirror]:
    """The bridge's mirrors that bear our name and a VIF's mark, as if to be added; those of others are not told."""
    for nested in mirrors_of(bridge):
        match nested:
            case {"row": dict(columns)} if _is_ours(columns):
                yield SetMirror(bridge=bridge.name, columns=columns)


def _is_ours(columns: Mapping[str, Json]) -> bool:
    match columns:
        case {"name": str(name), "external_ids": ["map", list(marks)]} if name.startswith(_PREFIX):
            return any(isinstance(mark, list) and mark[0] == VIF_MARK for mark in marks)
    return False
