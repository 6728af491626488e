"""`rewrite`: xs-network-uuids of bridges, static routes of IP devices (features.md sections 7 and 12). Pure.

One Desired for all bridges, so that the planner makes one transaction of it.
"""

from __future__ import annotations

from collections.abc import Mapping

from xsagent.desired.draft import Draft
from xsagent.desired.external_ids import network_uuids, own_network_uuid
from xsagent.desired.ip import ip_device_routes
from xsagent.desired.kind import PifKind, kind_of, label
from xsagent.desired.ownership import ownership_of
from xsagent.desired.request import BuildOptions, HostFacts
from xsagent.desired.scene import Scene, has_ip, unusable_bridges
from xsagent.errors import InputError
from xsagent.model.records import Pif
from xsagent.model.snapshot import Snapshot
from xsagent.topology.desired import Desired
from xsagent.topology.ownership import NETWORK_MARK, VLAN_NETWORK_MARK
from xsagent.topology.values import Bridge, Interface, Port


def build_rewrite_desired(
    snapshot: Snapshot, parents: Mapping[str, str | None], *, with_routes: bool = False
) -> Desired:
    """What `rewrite` wants: on each bridge the networks that it stands for, on IP devices their static routes; total.

    A bridge that is attached by its record but not there, and a bridgeless PIF, are skipped with a warning (F22).

    Args:
        parents: the bridges that the switch has; for a VLAN bridge the bridge that it rides on, None for a real one.
        with_routes: whether IP devices are configured by netlink, so that their static routes can be kept in step.
    """
    scene = Scene(
        snapshot=snapshot, host=HostFacts(), options=BuildOptions(), unusable_bridges=unusable_bridges(snapshot)
    )
    draft = Draft()
    for pif in sorted(snapshot.pifs.values(), key=lambda pif: (pif.device, pif.vlan, pif.uuid)):
        if not pif.managed:
            continue
        try:
            _mark(scene, draft, pif, parents)
            if with_routes and pif.currently_attached and has_ip(pif):
                _put_routes(scene, draft, pif)
        except InputError as error:
            draft.notes.warn("skip_rewrite", label(pif), error.cause)
    return Desired(topology=draft.as_topology(), ownership=ownership_of(snapshot), reasons=draft.notes.as_reasons())


def _put_routes(scene: Scene, draft: Draft, pif: Pif) -> None:
    if kind_of(scene.snapshot, pif) not in {PifKind.SRIOV, PifKind.SRIOV_VLAN}:
        draft.put_ip_device(ip_device_routes(scene, pif, draft.notes))


def _mark(scene: Scene, draft: Draft, pif: Pif, parents: Mapping[str, str | None]) -> None:
    kind = kind_of(scene.snapshot, pif)
    if kind in {PifKind.SRIOV, PifKind.SRIOV_VLAN}:
        return
    bridge = scene.bridge_name(pif)
    if bridge not in parents:
        if pif.currently_attached:
            text = f"its bridge {bridge} is not there" if bridge else "its network has no bridge"
            draft.notes.warn("skip_rewrite", label(pif), text)
        return
    parent = parents[bridge]
    if (parent is None) is (kind is PifKind.VLAN):
        draft.notes.warn("skip_rewrite", label(pif), f"its bridge {bridge} is not of the kind that it needs")
    elif parent is None:
        draft.put_bridge(Bridge(name=bridge, external_ids={NETWORK_MARK: network_uuids(scene, pif)}))
    else:
        _put_vlan_mark(draft, bridge, parent, own_network_uuid(scene, pif))


def _put_vlan_mark(draft: Draft, bridge: str, parent: str, uuid: str) -> None:
    if parent not in draft.bridges:
        draft.put_bridge(Bridge(name=parent))
    interfaces = {bridge: Interface(name=bridge, type="internal")}
    draft.put_port(
        parent, Port(name=bridge, interfaces=interfaces, fake_bridge=True, external_ids={VLAN_NETWORK_MARK: uuid})
    )
