"""A network without PIFs: its bridge made or removed on request (features.md section 3). Pure.

`xsagent network create|remove` asks for it, by `operations.build_internal_operation`; XAPI has its own way when the
first VIF needs it. build.py is for networks that a PIF is on.
"""

from __future__ import annotations

from collections.abc import Mapping

from xsagent.desired.bridge import real_bridge
from xsagent.desired.dns_gateway import Roles
from xsagent.desired.draft import Draft
from xsagent.desired.ip import build_ip_device
from xsagent.desired.request import Action, BuildOptions, HostFacts
from xsagent.desired.scene import Scene, unusable_bridges
from xsagent.desired.siblings import drop_bridge
from xsagent.errors import ForeignObjectError, InputError, NotFoundError
from xsagent.model.records import IpMode, Network, Pif, Ref
from xsagent.model.snapshot import Snapshot
from xsagent.model.values import shown
from xsagent.topology.desired import Desired, Ownership
from xsagent.topology.ownership import NETWORK_MARK, is_vlan_bridge
from xsagent.topology.values import Bridge


def build_internal_desired(
    snapshot: Snapshot, network_ref: Ref, action: Action, host: HostFacts, options: BuildOptions
) -> Desired:
    """What making or removing the bridge of an internal network wants.

    A network with other_config:is_guest_installer_network gives its bridge the address ``ip_begin``.

    Raises:
        NotFoundError: no such network.
        InputError: it has no bridge name, it is unmanaged, or a PIF of this host is on it.
    """
    network = _internal_network(snapshot, network_ref)
    pif = _stand_in(network)
    scene = Scene(snapshot=snapshot, host=host, options=options, unusable_bridges=unusable_bridges(snapshot))
    bridge = scene.bridge_name(pif)
    draft = Draft()
    if action == "down":
        drop_bridge(scene, draft, bridge)
    else:
        draft.put_bridge(real_bridge(scene, pif, bridge, None, draft.notes))
        try:
            build_ip_device(scene, draft, pif, Roles())
        except InputError as error:
            draft.notes.warn("leave_out_address", bridge, error.cause)
            build_ip_device(scene, draft, _stand_in(network, with_address=False), Roles())
    return Desired(
        topology=draft.as_topology(),
        ownership=Ownership(bridges=frozenset({bridge})),
        reasons=draft.notes.as_reasons(),
    )


def check_internal_bridge(snapshot: Snapshot, network: Network, bridges: Mapping[str, Bridge]) -> None:
    """Refuse what is in the switch under the network's bridge name and is more than an internal bridge.

    Ports of VIFs and of others are the planner's to look at (features.md section 14).

    Args:
        bridges: real bridges of the switch, by name.

    Raises:
        ForeignObjectError: it is marked as another network's, or a NIC, bond or VLAN is on it.
    """
    name = network.bridge
    for parent in bridges.values():
        if parent.name != name and name in parent.ports:
            raise ForeignObjectError(
                f"{name} is a VLAN bridge or another port on bridge {parent.name}, no bridge of its own; nothing was "
                "changed"
            )
    present = bridges.get(name)
    if present is None:
        return
    marks = present.external_ids.get(NETWORK_MARK) or network.uuid
    if network.uuid not in marks.split(";"):
        raise ForeignObjectError(
            f"bridge {name} is marked as that of network {shown(marks)}, not of {network.uuid}; nothing was changed"
        )
    devices = {pif.device for pif in snapshot.pifs.values()}
    for port in present.ports.values():
        if is_vlan_bridge(port) or devices & {port.name, *port.interfaces}:
            raise ForeignObjectError(
                f"bridge {name} carries {port.name}, so it is not that of an internal network; nothing was changed"
            )


def _internal_network(snapshot: Snapshot, ref: Ref) -> Network:
    network = snapshot.networks.get(ref)
    if network is None:
        raise NotFoundError(f"network {ref} is in no record ({snapshot.source}); nothing was changed")
    if not network.managed or not network.bridge:
        raise InputError(f"network {network.uuid} is unmanaged or has no bridge; nothing was changed")
    for pif in snapshot.pifs.values():
        if pif.network == ref:
            raise InputError(
                f"network {network.uuid} is not internal: PIF {pif.uuid} ({pif.device}) of this host is on it, so its "
                "bridge is interface-reconfigure's; nothing was changed"
            )
    return network


def _stand_in(network: Network, *, with_address: bool = True) -> Pif:
    """A PIF as it would be if the network had one: the builders read nothing else."""
    has_address = with_address and network.other_config.get("is_guest_installer_network") == "true"
    return Pif(
        ref=network.ref,
        uuid=network.uuid,
        device=network.bridge,
        network=network.ref,
        ip_mode=IpMode.STATIC if has_address else IpMode.NONE,
        ip=network.other_config.get("ip_begin", ""),
        netmask=network.other_config.get("netmask", ""),
    )
