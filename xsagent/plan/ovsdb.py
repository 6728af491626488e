"""Bridges desired x bridges observed -> the operations of one OVSDB transaction, with what it relies on. Pure.

`plan/diff.py` calls `diff_ovsdb`; `plan/ovsdb_model.py` computes the undo of what comes out. Nothing that is right is
touched: a port moves as the row it is, a changed scalar is one column, a changed key one mutation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from xsagent.errors import ForeignObjectError, InUseError
from xsagent.plan.columns import SCALARS, Row, effective_maps, to_column
from xsagent.plan.ovsdb_model import find_interface, model_operation
from xsagent.plan.steps import (
    AddInterface,
    AddPort,
    CreateBridge,
    DeleteBridge,
    DeletePort,
    MovePort,
    OvsdbOperation,
    Relied,
    RemoveInterface,
    SetColumns,
    SetKeys,
    Table,
)
from xsagent.plan.taken_over import take_over
from xsagent.topology.desired import Desired
from xsagent.topology.ownership import is_vlan_bridge, owns_bridge, owns_port, ports_of_vlan_bridge
from xsagent.topology.values import KEEP, Bridge, Interface, Keys, ObjectKind, Port, Topology


@dataclass(slots=True)
class _Draft:
    """Operations so far, and the bridges as they were observed and as they will be after them."""

    desired: Desired
    observed: Mapping[str, Bridge]
    bridges: dict[str, Bridge]
    operations: list[OvsdbOperation] = field(default_factory=list)
    relied: list[Relied] = field(default_factory=list)

    def add(self, operation: OvsdbOperation) -> None:
        self.operations.append(operation)
        self.bridges = model_operation(operation, self.bridges)

    def rely_on_ports(self, bridge: str) -> None:
        """Rely on the ports that were observed on a bridge: what was plugged since must not go with it."""
        if bridge in self.observed:
            self.rely("Bridge", bridge, "ports", sorted(self.observed[bridge].ports))

    def rely(self, table: Table, record: str, column: str, value: object) -> None:
        entry = Relied(table=table, record=record, column=column, value=value)  # type: ignore[arg-type]  # JSON by construction
        if entry not in self.relied:
            self.relied.append(entry)


def diff_ovsdb(desired: Desired, observed: Topology) -> tuple[tuple[OvsdbOperation, ...], tuple[Relied, ...]]:
    """Operations that make the observed bridges what is desired, in an order that each can stand on.

    Raises:
        ForeignObjectError: what would have to go is not ours.
    """
    draft = _Draft(desired=desired, observed=observed.bridges, bridges=dict(observed.bridges))
    for name in sorted(desired.topology.bridges):
        _replace_vlan_bridge_in_the_way(draft, name)
    for bridge in _in_order(desired.topology.bridges):
        _ensure_bridge(draft, bridge)
    for name in sorted(desired.riders):
        _ensure_width(draft, name, desired.riders[name])
    for name in _absent(desired, ObjectKind.PORT):
        _ensure_no_port(draft, name)
    for name in _absent(desired, ObjectKind.BRIDGE):
        _ensure_no_bridge(draft, name)
    return tuple(draft.operations), tuple(draft.relied)


def _in_order(bridges: Mapping[str, Bridge]) -> Iterator[Bridge]:
    for name in sorted(bridges):
        yield bridges[name]


def _absent(desired: Desired, kind: ObjectKind) -> list[str]:
    return sorted(key.name for key in desired.topology.absent if key.kind is kind)


# --- what must not be there ------------------------------------------------------------------------------


def _ensure_no_bridge(draft: _Draft, name: str) -> None:
    if name in draft.bridges:
        _delete_real_bridge(draft, name)
        return
    for bridge in list(draft.bridges.values()):
        port = bridge.ports.get(name)
        if port is not None and is_vlan_bridge(port):
            _delete_vlan_bridge(draft, bridge, port)


def _delete_real_bridge(draft: _Draft, name: str) -> None:
    bridge = draft.bridges[name]
    if not owns_bridge(bridge, draft.desired.ownership):
        raise ForeignObjectError(
            f"bridge {name} is not ours (no xs-network-uuids, no network names it), so it stays; nothing was changed"
        )
    target = draft.desired.moves.get(name)
    if target is not None:
        others = [port for port in sorted(bridge.ports) if port != name and port not in draft.desired.ownership.devices]
        if others and target not in draft.bridges:
            raise InUseError(
                f"{', '.join(others)} on bridge {name} would have to move to {target}, which is not on the switch; "
                "nothing was changed"
            )
        for port in others:
            draft.add(MovePort(name=port, source=name, target=target))
        if target in draft.bridges:
            for operation in take_over(draft.bridges[name], draft.bridges[target]):
                draft.add(operation)
        wanted = draft.desired.topology.bridges.get(target)
        for vlan in wanted.ports.values() if wanted is not None else ():
            if is_vlan_bridge(vlan):
                _remove_stale_vlan_bridges(draft, target, vlan)
    draft.rely_on_ports(name)
    draft.add(DeleteBridge(name=name))


def _delete_vlan_bridge(draft: _Draft, parent: Bridge, port: Port) -> None:
    if not owns_port(port, draft.desired.ownership):
        raise ForeignObjectError(
            f"VLAN bridge {port.name} on {parent.name} is not ours, so it stays; nothing was changed"
        )
    for rider in ports_of_vlan_bridge(parent, port):
        # a port of others with this tag (a patch port to their bridge) is no part of the VLAN bridge: it stays
        if owns_port(rider, draft.desired.ownership):
            draft.add(DeletePort(bridge=parent.name, name=rider.name))
    draft.add(DeletePort(bridge=parent.name, name=port.name))


def _ensure_no_port(draft: _Draft, name: str) -> None:
    for bridge in list(draft.bridges.values()):
        if name in bridge.ports and name != bridge.name:
            if not owns_port(bridge.ports[name], draft.desired.ownership):
                raise ForeignObjectError(f"port {name} on bridge {bridge.name} is not ours; nothing was changed")
            draft.add(DeletePort(bridge=bridge.name, name=name))


# --- what must be there ----------------------------------------------------------------------------------


def _replace_vlan_bridge_in_the_way(draft: _Draft, name: str) -> None:
    """A VLAN bridge that stands where a real bridge must be goes first; its riders move to the real one."""
    for bridge in list(draft.bridges.values()):
        port = bridge.ports.get(name)
        if bridge.name == name or port is None or not is_vlan_bridge(port):
            continue
        if not owns_port(port, draft.desired.ownership):
            raise ForeignObjectError(
                f"VLAN bridge {name} of {bridge.name} stands where a bridge of ours must be and is not ours; "
                "nothing was changed"
            )
        riders = ports_of_vlan_bridge(bridge, port)
        draft.add(DeletePort(bridge=bridge.name, name=name))
        _ensure_bridge(draft, draft.desired.topology.bridges[name])
        for rider in riders:
            draft.add(MovePort(name=rider.name, source=bridge.name, target=name))
            draft.add(SetColumns(table="Port", record=rider.name, columns={"tag": to_column(None)}))


def _ensure_bridge(draft: _Draft, bridge: Bridge) -> None:
    if bridge.name not in draft.bridges:
        draft.rely("Bridge", bridge.name, "name", value=False)
        draft.add(CreateBridge(bridge=plain_bridge(replace(bridge, ports=_own_port(bridge)))))
    else:
        if bridge.name in draft.observed:
            draft.rely("Bridge", bridge.name, "name", value=True)
        # the datapath of a bridge that exists is never changed: that would take every port down
        _diff_row(draft, "Bridge", replace(bridge, datapath_type=KEEP), draft.bridges[bridge.name])
    _remove_other_uplinks(draft, bridge)
    for name in sorted(bridge.ports):
        _ensure_port(draft, bridge.name, bridge.ports[name])


def _remove_other_uplinks(draft: _Draft, bridge: Bridge) -> None:
    """Beside the uplink that a bridge is to have, others of ours go (the rest of a bond): frames would go round."""
    uplinks = draft.desired.ownership.uplinks
    if uplinks.isdisjoint(bridge.ports):
        return
    for name in sorted((draft.bridges[bridge.name].ports.keys() & uplinks) - bridge.ports.keys()):
        draft.add(DeletePort(bridge=bridge.name, name=name))


def _ensure_width(draft: _Draft, name: str, mtu: int) -> None:
    """A VLAN bridge's own device, where there is one; a VLAN netdev is no port."""
    found = find_interface(draft.bridges, name)
    if found is not None:
        _diff_row(draft, "Interface", Interface(name=name, type=KEEP, mtu_request=mtu), found[2])


def _own_port(bridge: Bridge) -> dict[str, Port]:
    own = bridge.ports.get(bridge.name)
    internal = Interface(name=bridge.name, type="internal")
    return {bridge.name: own or Port(name=bridge.name, interfaces={bridge.name: internal})}


def _ensure_port(draft: _Draft, bridge: str, port: Port) -> None:
    if is_vlan_bridge(port):
        _remove_stale_vlan_bridges(draft, bridge, port)
    holder = next((other.name for other in draft.bridges.values() if port.name in other.ports), None)
    if holder == port.name != bridge and port.fake_bridge is True:
        # a real bridge stands where a VLAN bridge must be
        _replace_real_bridge(draft, port, bridge)
        holder = None
    if holder is not None and not _same_shape(draft.bridges[holder].ports[port.name], port):
        draft.add(DeletePort(bridge=holder, name=port.name))
        holder = None
    if holder is None:
        _free_interfaces(draft, port)
        if not any(port.name in present.ports for present in draft.observed.values()):
            draft.rely("Port", port.name, "name", value=False)
        draft.add(AddPort(bridge=bridge, port=plain_port(port)))
        return
    if holder != bridge:
        _move_port(draft, port, holder, bridge)
    _diff_port(draft, port, draft.bridges[bridge].ports[port.name])


def _remove_stale_vlan_bridges(draft: _Draft, parent: str, wanted: Port) -> None:
    """Another VLAN bridge for the same carrier and tag goes; its riders have the tag and so are on the wanted one.

    Management's stays beside it until management moves: XAPI's Bond.create moves VLANs of one tag one after the other.
    """
    bridges = draft.desired.topology.bridges.values()
    management = draft.desired.management.device if draft.desired.management is not None else ""
    for port in list(draft.bridges[parent].ports.values()):
        # the tag first: this is asked for each VLAN of a boot, about every port that is there by then
        if port.tag != wanted.tag or not is_vlan_bridge(port) or any(port.name in bridge.ports for bridge in bridges):
            continue
        if port.name == management:
            continue
        if not owns_port(port, draft.desired.ownership):
            raise ForeignObjectError(
                f"VLAN bridge {port.name} on {parent} has tag {port.tag}, which {wanted.name} needs, and is not ours; "
                "nothing was changed"
            )
        draft.add(DeletePort(bridge=parent, name=port.name))


def _same_shape(observed: Port, desired: Port) -> bool:
    """Whether the row can become what is desired: a plain port cannot become a VLAN bridge."""
    return (observed.fake_bridge is True) == (desired.fake_bridge is True)


def _move_port(draft: _Draft, port: Port, source: str, target: str) -> None:
    present = draft.bridges[source].ports[port.name]
    riders = ports_of_vlan_bridge(draft.bridges[source], present) if is_vlan_bridge(present) else ()
    draft.add(MovePort(name=port.name, source=source, target=target))
    for rider in riders:
        draft.add(MovePort(name=rider.name, source=source, target=target))


def _replace_real_bridge(draft: _Draft, vlan_bridge: Port, parent: str) -> None:
    name = vlan_bridge.name
    bridge = draft.bridges[name]
    if not owns_bridge(bridge, draft.desired.ownership):
        raise ForeignObjectError(
            f"bridge {name} stands where a VLAN bridge must be and is not ours; nothing was changed"
        )
    vlan_bridges = [port for port in bridge.ports.values() if is_vlan_bridge(port)]
    of_vlans = {port.name for own in vlan_bridges for port in (own, *ports_of_vlan_bridge(bridge, own))}
    for port in sorted(bridge.ports):
        if port != name and port not in draft.desired.ownership.devices:
            draft.add(MovePort(name=port, source=name, target=parent))
            if port not in of_vlans:
                draft.add(SetColumns(table="Port", record=port, columns={"tag": to_column(vlan_bridge.tag)}))
    draft.rely_on_ports(name)
    draft.add(DeleteBridge(name=name))


def _free_interfaces(draft: _Draft, port: Port) -> None:
    """Take the port's interfaces out of whatever other port holds them; a port left empty goes."""
    for name in sorted(port.interfaces):
        found = find_interface(draft.bridges, name)
        if found is None or found[1].name == port.name:
            continue
        holder, held_in, _ = found
        if len(held_in.interfaces) > 1:
            draft.add(RemoveInterface(port=held_in.name, name=name))
        else:
            draft.add(DeletePort(bridge=holder, name=held_in.name))


def _diff_port(draft: _Draft, port: Port, observed: Port) -> None:
    if any(port.name in bridge.ports for bridge in draft.observed.values()):
        draft.rely("Port", port.name, "name", value=True)
    _diff_row(draft, "Port", port, observed)
    for name in sorted(port.interfaces):
        if name in observed.interfaces:
            _diff_row(draft, "Interface", port.interfaces[name], observed.interfaces[name])
        else:
            _free_interfaces(draft, replace(port, interfaces={name: port.interfaces[name]}))
            draft.add(AddInterface(port=port.name, interface=plain_interface(port.interfaces[name])))
    for name in sorted(observed.interfaces.keys() - port.interfaces.keys()):
        draft.add(RemoveInterface(port=port.name, name=name))


def _diff_row(draft: _Draft, table: Table, desired: Row, observed: Row) -> None:
    columns = {
        column: to_column(getattr(desired, name))
        for name, column in SCALARS[type(desired)].items()
        if not _equal_scalar(name, getattr(desired, name), getattr(observed, name))
    }
    if columns:
        draft.add(SetColumns(table=table, record=desired.name, columns=columns))
    present = effective_maps(observed)
    for column, named in effective_maps(desired).items():
        wanted = _withdrawn(desired, column, present[column]) | named
        keys = {key: value for key, value in wanted.items() if present[column].get(key) != value}
        if keys:
            draft.add(SetKeys(table=table, record=desired.name, column=column, keys=keys))


def _withdrawn(desired: Row, column: str, present: Keys) -> dict[str, str | None]:
    """Keys that are there and are nobody's but ours, wanted or not."""
    if not isinstance(desired, Port) or column != "other_config" or not desired.own_keys:
        return {}
    return dict.fromkeys(key for key in present if key.startswith(desired.own_keys))


def _equal_scalar(name: str, wanted: object, present: object) -> bool:
    if wanted is KEEP:
        return True
    if name == "type":
        return (wanted or "system") == (present or "system")
    if name == "mac" and isinstance(wanted, str) and isinstance(present, str):
        return wanted.lower() == present.lower()
    return wanted == present


# --- values that are inserted ----------------------------------------------------------------------------


def plain_bridge(bridge: Bridge) -> Bridge:
    """A desired bridge as a row to insert: nothing that must be absent."""
    return replace(
        bridge,
        ports={name: plain_port(port) for name, port in bridge.ports.items()},
        other_config=_plain(bridge.other_config),
        external_ids=_plain(bridge.external_ids),
    )


def plain_port(port: Port) -> Port:
    """As plain_bridge, for a port."""
    interfaces = {name: plain_interface(interface) for name, interface in port.interfaces.items()}
    return replace(
        port,
        interfaces=interfaces,
        own_keys="",
        other_config=_plain(port.other_config),
        external_ids=_plain(port.external_ids),
    )


def plain_interface(interface: Interface) -> Interface:
    """As plain_bridge, for an interface."""
    maps: dict[str, Any] = {
        "options": _plain(interface.options),
        "other_config": _plain(interface.other_config),
        "external_ids": _plain(interface.external_ids),
    }
    return replace(interface, **maps)


def _plain(keys: Keys) -> Keys:
    return {key: value for key, value in keys.items() if value is not None}
