"""XAPI's records x the switch's external_ids -> the keys that differ, as one transaction. Pure.

What ovs-xapi-sync of the peers keeps up: bridge-id, iface-id, vm-id, iface-status, and the network's mark of internal
bridges (features.md section 12). `observed/ovsdb_ids.py` read the switch, `xapi_state.py` holds the records,
`xapi_follower.py` applies the step. Keys of others and rows that nobody marked for XAPI are not spoken about.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from xsagent.errors import InputError
from xsagent.hotplug.event import find_device
from xsagent.hotplug.iface_status import KEY as IFACE_STATUS
from xsagent.hotplug.iface_status import decide_iface_status
from xsagent.model.records import Network, Ref
from xsagent.model.snapshot import networks_by_bridge
from xsagent.model.values import parse_controller_id
from xsagent.model.vif import DeviceType, VifId
from xsagent.model.xapi_ids import GuestVif, GuestVm
from xsagent.observed.ovsdb_ids import Ids, SwitchIds
from xsagent.plan.steps import OvsdbOperation, OvsdbStep, Relied, SetKeys, Table
from xsagent.topology.ownership import NETWORK_MARK, VIF_MARK
from xsagent.topology.values import Json

BRIDGE_ID_KEY: Final = "nicira-bridge-id"
_BRIDGE_ID: Final = "bridge-id"
_VLAN_PREFIX: Final = "fake-bridge-"
"""ovs-vsctl(8) keeps a VLAN bridge's external_ids under such keys of its Port."""
_VM_MARK: Final = "xs-vm-uuid"
_COPIED: Final = (VIF_MARK, _VM_MARK, "xs-network-uuid", "attached-mac")
"""What a tap without marks takes over from the vif beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdRecords:
    """XAPI's records that decide about ids.

    Attributes:
        networks: all that a PIF of this host is on, and internal ones.
        vms, vifs: of the guests with a port here; only VIFs whose other_config says something need be there.
    """

    networks: Mapping[Ref, Network] = field(default_factory=dict)
    vms: Mapping[Ref, GuestVm] = field(default_factory=dict)
    vifs: Mapping[Ref, GuestVif] = field(default_factory=dict)


def build_ids_step(switch: SwitchIds, records: IdRecords) -> OvsdbStep | None:
    """The one transaction that makes every id right; None when all are.

    It relies on each row's ids being as they were read, so that a device that went and came back as another VIF's
    meanwhile does not get the old one's.
    """
    wanted = _Wanted(switch, records)
    operations: list[OvsdbOperation] = []
    relied: list[Relied] = []
    for table, name, present, keys in wanted.rows():
        changed = {key: value for key, value in keys.items() if present.get(key) != value}
        if changed:
            operations.append(SetKeys(table=table, record=name, column="external_ids", keys=changed))
            pairs: list[Json] = [[key, present[key]] for key in sorted(present)]
            relied.append(Relied(table=table, record=name, column="external_ids", value=["map", pairs]))
    if not operations:
        return None
    return OvsdbStep(operations=tuple(operations), relied=tuple(relied), reason="ids as XAPI has them")


def unknown_vms(present: frozenset[str], records: IdRecords) -> frozenset[str]:
    """Those of the VMs, by uuid, of which no record was read."""
    return present - {vm.uuid for vm in records.vms.values()}


def guest_vms(switch: SwitchIds) -> frozenset[str]:
    """VMs, by uuid, that have a port in the switch."""
    return frozenset(ids[_VM_MARK] for ids in switch.interfaces.values() if VIF_MARK in ids and _VM_MARK in ids)


def find_network(bridge: str, marks: str, networks: Mapping[str, tuple[Network, ...]]) -> Network | None:
    """The network whose bridge this is; None when XAPI names none, or several between which its marks do not choose.

    Args:
        bridge: its name.
        marks: its xs-network-uuids.
        networks: by bridge name.
    """
    candidates = networks.get(bridge, ())
    if len(candidates) == 1:
        return candidates[0]
    marked = [network for network in candidates if network.uuid in _split(marks)]
    return marked[0] if len(marked) == 1 else None


def is_internal(network: Network) -> bool:
    """Whether XAPI made it for guests alone: no PIF is on it, and its bridge is nobody's topology."""
    return network.managed and not network.pifs


def _split(marks: str) -> list[str]:
    return [mark for mark in marks.split(";") if mark]


@dataclass(slots=True)
class _Wanted:
    """Goes through the rows; each comes with its present ids and the keys wanted of it."""

    switch: SwitchIds
    records: IdRecords

    def rows(self) -> list[tuple[Table, str, Ids, dict[str, str | None]]]:
        networks = networks_by_bridge(self.records.networks)
        rows: list[tuple[Table, str, Ids, dict[str, str | None]]] = []
        for name, bridge in sorted(self.switch.bridges.items()):
            keys = _bridge_keys(name, bridge.external_ids, networks)
            rows.append(("Bridge", name, bridge.external_ids, keys))
        for name, present in sorted(self.switch.vlan_bridges.items()):
            own = {key.removeprefix(_VLAN_PREFIX): value for key, value in present.items() if _is_vlan_key(key)}
            keys = _bridge_keys(name, own, networks)
            rows.append(("Port", name, present, {_VLAN_PREFIX + key: value for key, value in keys.items()}))
        guests = _Guests(self.records)
        devices = _devices(self.switch.interfaces)
        for name, present in sorted(self.switch.interfaces.items()):
            keys = _interface_keys(name, present, self.switch.interfaces, devices, guests)
            rows.append(("Interface", name, present, keys))
        return rows


def _is_vlan_key(key: str) -> bool:
    return key.startswith(_VLAN_PREFIX)


# --- bridges ---------------------------------------------------------------------------------------------


def _bridge_keys(name: str, present: Ids, networks: Mapping[str, tuple[Network, ...]]) -> dict[str, str | None]:
    marks = present.get(NETWORK_MARK, "")
    network = find_network(name, marks, networks)
    if network is None:
        # unknown to XAPI: its own mark, if it is one, is all there is to say
        uuids = _split(marks)
        return {_BRIDGE_ID: uuids[0]} if len(uuids) == 1 and _BRIDGE_ID not in present else {}
    keys: dict[str, str | None] = {_BRIDGE_ID: _own_id(network) or network.uuid}
    if is_internal(network):
        # others' marks are interface-reconfigure's matter; nobody runs it for an internal network
        keys[NETWORK_MARK] = network.uuid
    return keys


def _own_id(network: Network) -> str:
    try:
        return parse_controller_id(network.other_config.get(BRIDGE_ID_KEY, ""))
    except InputError:
        return ""


# --- interfaces ------------------------------------------------------------------------------------------


class _Guests:
    """What XAPI's records say of a VIF's or VM's id, by uuid."""

    def __init__(self, records: IdRecords) -> None:
        self._vms = {vm.uuid: vm.vm_id for vm in records.vms.values()}
        self._vifs = {vif.uuid: vif.iface_id for vif in records.vifs.values() if vif.iface_id}

    def ids(self, vif: str, vm: str, present: Ids) -> dict[str, str | None]:
        """iface-id and vm-id; of a guest that XAPI does not know an id that is there stays."""
        keys: dict[str, str | None] = {}
        if vif in self._vifs:
            keys["iface-id"] = self._vifs[vif]
        elif vm in self._vms or "iface-id" not in present:
            keys["iface-id"] = vif
        if vm in self._vms:
            keys["vm-id"] = self._vms[vm] or vm
        elif vm and "vm-id" not in present:
            keys["vm-id"] = vm
        return keys


def _devices(interfaces: Mapping[str, Ids]) -> dict[VifId, frozenset[DeviceType]]:
    """Which of its two devices each VIF has in the switch."""
    found: defaultdict[VifId, set[DeviceType]] = defaultdict(set)
    for name in interfaces:
        device = find_device(name)
        if device is not None:
            found[device[1]].add(device[0])
    return {vif: frozenset(kinds) for vif, kinds in found.items()}


def _interface_keys(
    name: str,
    present: Ids,
    interfaces: Mapping[str, Ids],
    devices: Mapping[VifId, frozenset[DeviceType]],
    guests: _Guests,
) -> dict[str, str | None]:
    device = find_device(name)
    if device is None:
        # the key of a row that is marked for a VIF, but is none of its devices, would attach a logical port twice
        return {IFACE_STATUS: None} if VIF_MARK in present and IFACE_STATUS in present else {}
    kind, vif = device
    keys: dict[str, str | None] = {}
    if kind is DeviceType.TAP and VIF_MARK not in present:
        beside = interfaces.get(vif.device(DeviceType.VIF), {})
        keys |= {key: beside[key] for key in _COPIED if VIF_MARK in beside and key in beside}
    marks = {**present, **keys}
    uuid = marks.get(VIF_MARK)
    if not uuid:
        return {}
    keys |= guests.ids(uuid, marks.get(_VM_MARK) or "", present)
    keys[IFACE_STATUS] = decide_iface_status(devices[vif])[kind]
    return keys
