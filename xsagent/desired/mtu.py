"""The MTU of each device of a stack: NIC >= bond >= VLAN >= IP device (features.md section 8). Pure.

Who reads it: nic.py and bond.py (the carrier's), bridge.py, vlan.py and ip.py (the network's own).
"""

from __future__ import annotations

from typing import Final

from xsagent.desired.kind import label
from xsagent.desired.notes import Notes
from xsagent.desired.scene import Scene, unusable_bridges
from xsagent.errors import InputError
from xsagent.model.records import Network, Pif
from xsagent.model.snapshot import Snapshot
from xsagent.model.values import parse_integer
from xsagent.topology.values import KEEP, Keep

DEFAULT_MTU: Final = 1500
_MIN_MTU: Final = 68
"""RFC 791: every IPv4 host takes datagrams of this size."""
_MAX_MTU: Final = 65535
_KEY: Final = "mtu"


def wanted_mtu(scene: Scene, pif: Pif, notes: Notes) -> int:
    """MTU that the PIF's own network is to have, bytes.

    The first valid one of PIF.other_config:mtu, network.other_config:mtu, network.MTU, 1500; one that is passed over is
    warned about.
    """
    network = scene.snapshot.networks.get(pif.network) if pif.network else None
    places = [(f"other_config:mtu of {label(pif)}", pif.other_config.get(_KEY))]
    if network is not None:
        places += _network_places(network)
    for where, text in places:
        if text is None:
            continue
        try:
            return parse_integer(text, _MIN_MTU, _MAX_MTU)
        except InputError as error:
            notes.warn("pass_over_mtu", label(pif), f"{where}: {error}")
    return DEFAULT_MTU


def _network_places(network: Network) -> list[tuple[str, str | None]]:
    return [
        (f"other_config:mtu of network {network.uuid}", network.other_config.get(_KEY)),
        (f"the MTU of network {network.uuid}", network.mtu or None),
    ]


def build_network_mtus(snapshot: Snapshot) -> dict[str, int]:
    """MTU that guests of a network are to have, bytes, by its bridge's name; none where its record has no valid one."""
    unusable = unusable_bridges(snapshot)
    # of several with one name the one that has the bridge counts
    networks = sorted(snapshot.networks.values(), key=lambda network: network.ref not in unusable)
    known = {network.bridge: _network_mtu(network) for network in networks if network.bridge}
    return {bridge: mtu for bridge, mtu in known.items() if mtu is not None}


def _network_mtu(network: Network) -> int | None:
    for text in (text for _, text in _network_places(network) if text is not None):
        try:
            return parse_integer(text, _MIN_MTU, _MAX_MTU)
        except InputError:
            continue  # who brings the network up is warned of it
    return None


def carrier_mtu(scene: Scene, carrier: Pif, notes: Notes) -> int | Keep:
    """MTU of a NIC or bond: the largest of its own network and of the VLANs that ride on it.

    KEEP where raising it would be a side effect on the way of the management interface: a person is told which command
    does it.
    """
    own = wanted_mtu(scene, carrier, notes)
    largest = max([own, *(wanted_mtu(scene, vlan, notes) for vlan in scene.riders_on(carrier))])
    if not is_side_effect_on_management(scene, carrier):
        return largest
    if largest > own:
        notes.warn(
            "leave_carrier_mtu",
            carrier.device,
            f"a VLAN on it wants MTU {largest}, its own network {own}; it carries management, so it is not changed on "
            f"the way: 'interface-reconfigure --pif-uuid {carrier.uuid} up' does it",
        )
    return KEEP


def rider_mtus(scene: Scene, carrier: Pif, notes: Notes) -> dict[str, int]:
    """MTU by device of the VLANs that ride on a NIC or bond which is brought up itself, but for those raised with it.

    One that came up while its carrier was not to be changed is narrower than its network; one whose network was
    narrowed since is too wide for its carrier now.
    """
    if carrier.ref not in scene.raised:
        return {}
    found: dict[str, int] = {}
    for vlan in scene.riders_on(carrier):
        if vlan.managed and vlan.ref not in scene.raised:
            try:
                found[scene.ip_device_name(vlan)] = wanted_mtu(scene, vlan, notes)
            except InputError as error:
                notes.warn("leave_vlan_mtu", label(vlan), error.cause)
    return found


def ip_device_mtu(scene: Scene, pif: Pif, notes: Notes) -> int:
    """MTU of the PIF's IP device: its network's own; on a bridgeless network it is the NIC, which carries VLANs.

    One value for link and ifcfg file, so that an ifup does not narrow what rides on the NIC (legacy-faults F25).
    """
    own = wanted_mtu(scene, pif, notes)
    if scene.bridge_name(pif) or scene.snapshot.vlan_of(pif) is not None:
        return own
    carrier = carrier_mtu(scene, pif, notes)
    return own if isinstance(carrier, Keep) else carrier


def is_side_effect_on_management(scene: Scene, carrier: Pif) -> bool:
    """Whether the carrier is only on the way of this operation, and management is up on it meanwhile."""
    if carrier.ref in scene.raised or not scene.carries_management(carrier) or scene.management is None:
        return False
    return scene.management.ref not in scene.raised and scene.is_attached(scene.management)
