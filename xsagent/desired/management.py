"""The way to the management interface, when an operation touches it: what the deadman probes. Pure.

Called by build.py last, over the finished draft.
"""

from __future__ import annotations

import dataclasses

from xsagent.desired.bond import bond_members
from xsagent.desired.dns_gateway import Roles
from xsagent.desired.draft import Draft
from xsagent.desired.ip import ip_device
from xsagent.desired.kind import PifKind, kind_of
from xsagent.desired.nic import nic_name
from xsagent.desired.notes import Notes
from xsagent.desired.scene import Scene
from xsagent.errors import InputError
from xsagent.model.records import Pif
from xsagent.topology.desired import ManagementPath
from xsagent.topology.values import IPV4, IPV6, IpDevice


def management_pif(scene: Scene, *, becoming: Pif | None) -> Pif | None:
    """The management PIF as it is to be: the one that becomes it, the record's, the inventory's."""
    if becoming is not None:
        return becoming
    recorded = scene.snapshot.management_pif()
    if recorded is not None or not scene.host.management_bridge:
        return recorded
    named = [
        pif for pif in scene.snapshot.pifs.values() if scene.snapshot.bridge_of(pif) == scene.host.management_bridge
    ]
    return named[0] if len(named) == 1 else None


def management_path(scene: Scene, draft: Draft, roles: Roles) -> ManagementPath | None:
    """The path that this operation leads to; None when it leads to none or touches nothing on it."""
    pif = scene.management
    if pif is None or not scene.will_be_up(pif):
        return None
    try:
        ports = _ports_below(scene, draft, pif)
        device = ip_device(scene, pif, roles, Notes())
    except InputError:
        # not what this operation is about: raise_pif has refused it if it is
        return None
    touched = {*draft.links, *draft.ip_devices, *draft.bridges, *(key.name for key in draft.absent)}
    touched |= draft.virtual_functions | draft.released_functions  # some drivers reset the NIC for them
    if touched.isdisjoint({device.device, *ports}):
        return None
    gateways = tuple(route.gateway for route in device.routes if route.gateway and not route.destination.prefixlen)
    return ManagementPath(
        device=device.device,
        gateways=gateways,
        ports=ports,
        dhcp=_is_given_its_gateway(device),
        learnt=_families_that_learn(device) if roles.is_gateway(pif) else (),
        former=_former_device(scene, pif),
    )


def management_device(scene: Scene) -> str:
    """The device that has management's addresses, whatever this operation is about; empty without one."""
    try:
        return scene.ip_device_name(scene.management) if scene.management is not None else ""
    except InputError:
        # as in management_path
        return ""


def _is_given_its_gateway(device: IpDevice) -> bool:
    """By DHCP; or, where nothing but advertisements configures it, by a router."""
    by_router = device.ipv4_mode == "none" and device.ipv6_mode == "autoconf"
    return by_router or "dhcp" in {device.ipv4_mode, device.ipv6_mode}


def _families_that_learn(device: IpDevice) -> tuple[int, ...]:
    """Families whose gateway a DHCP server or a router names (DHCPv6 names none: routers do beside it)."""
    learnt = (IPV4,) if device.ipv4_mode == "dhcp" else ()
    return (*learnt, IPV6) if device.ipv6_mode in {"dhcp", "autoconf"} else learnt


def _former_device(scene: Scene, pif: Pif) -> str:
    """The IP device of the PIF that is management until now; empty where it is this one, or nobody knows."""
    former = management_pif(scene, becoming=None)
    if former is None or former.ref == pif.ref:
        return ""
    try:
        return scene.ip_device_name(former)
    except InputError:
        return ""


def _ports_below(scene: Scene, draft: Draft, pif: Pif) -> tuple[str, ...]:
    """Devices from the PIF's bridge down to the NICs."""
    names = [scene.ip_device_name(pif)]
    carrier = scene.snapshot.carrier_of(pif)
    base = _carried_by(scene, draft, carrier or pif)
    if carrier is not None or base.ref != pif.ref:
        names.append(scene.bridge_name(base))
    if kind_of(scene.snapshot, base) is PifKind.BOND:
        members = bond_members(scene, base)
        names += [scene.device_name(base)] if len(members) > 1 else []
        names += [nic_name(member) for member in members]
    elif kind_of(scene.snapshot, base) is PifKind.NIC:
        names.append(nic_name(base))
    return tuple(dict.fromkeys(name for name in names if name))


def _carried_by(scene: Scene, draft: Draft, pif: Pif) -> Pif:
    """What carries afterwards what is on the PIF: a bond that takes it, or a member that takes its bond apart.

    Ports on the bridge of the one move to the other's (Desired.moves).
    """
    if pif.ref in draft.built:
        return pif
    bond = scene.snapshot.bond_of(pif) or scene.snapshot.bond_with_member(pif)
    if bond is None:
        return pif
    bond_pif = scene.snapshot.pifs.get(bond.pif, pif)
    raised = [member for member in scene.snapshot.members_of(bond) if member.ref in draft.built]
    if raised:
        return raised[0] if pif.ref == bond_pif.ref else pif
    return bond_pif if bond_pif.ref in draft.built or scene.will_be_up(bond_pif) else pif


def with_management(scene: Scene, becoming: Pif | None) -> Scene:
    """The scene with its management PIF chosen."""
    return dataclasses.replace(scene, management=management_pif(scene, becoming=becoming))
