"""When DNS or the default gateway moves: the other interface concerned, and /etc/sysconfig/network. Pure.

Called by build.py after the PIFs themselves are in the draft.
"""

from __future__ import annotations

from collections.abc import Iterable

from xsagent.desired.dns_gateway import Roles, roles_before
from xsagent.desired.draft import Draft
from xsagent.desired.ifcfg import role_holders, set_role
from xsagent.desired.ip import build_ip_configuration
from xsagent.desired.kind import label
from xsagent.desired.scene import Scene
from xsagent.errors import InputError
from xsagent.model.records import Pif
from xsagent.topology.network_scripts import SYSCONFIG_NETWORK
from xsagent.topology.values import ObjectKind


def build_other_holders(scene: Scene, draft: Draft, roles: Roles) -> None:
    """Want the interfaces right that lose a role to this operation, or get one by it.

    Only those that are up already and stay up; with `ip_backend` ifcfg the file that names the roles is enough.
    """
    if scene.options.ip_backend == "ifcfg":
        return
    before = roles_before(scene)
    moved = [
        pair for pair in ((before.dns, roles.dns), (before.gateway, roles.gateway)) if _ref(pair[0]) != _ref(pair[1])
    ]
    for pif in _distinct(pif for pair in moved for pif in pair if pif is not None):
        if pif.ref in scene.raised | scene.lowered or not scene.was_up(pif) or not _is_there(scene, pif):
            continue
        if _goes_along(scene, draft, pif):
            continue
        try:
            if scene.ip_device_name(pif) not in _names(draft, ObjectKind.IP_DEVICE):
                build_ip_configuration(scene, draft, pif, roles)
                draft.notes.decide("move_role", label(pif), "DNS or the default gateway moves from or to it")
        except InputError as error:
            draft.notes.warn("move_role", label(pif), f"it cannot be adapted to its role: {error.cause}")


def build_role_file(scene: Scene, draft: Draft, roles: Roles) -> None:
    """Want DNSDEV and GATEWAYDEV right, with `ip_backend` ifcfg; lines about devices not concerned stay.

    A role's line is rewritten when this operation's devices get it, or when it names one that lost it or goes.
    """
    if scene.options.ip_backend != "ifcfg":
        return
    text = scene.host.sysconfig_network
    concerned = set(draft.ip_devices) | _names(draft, ObjectKind.IP_DEVICE)
    for key, holder in (("DNSDEV", roles.dns), ("GATEWAYDEV", roles.gateway)):
        device = _device(scene, holder)
        if device in concerned or role_holders(text, key) & concerned:
            text = set_role(text, key, device)
    if text != scene.host.sysconfig_network:
        draft.files[SYSCONFIG_NETWORK] = text


def _is_there(scene: Scene, pif: Pif) -> bool:
    """Whether the PIF's bridge is on the switch, whatever its record says: another's drift must not stop this PIF."""
    present, bridge = scene.host.present_bridges, scene.snapshot.bridge_of(pif)
    return present is None or not bridge or bridge in present


def _goes_along(scene: Scene, draft: Draft, pif: Pif) -> bool:
    """Whether the bridge that the PIF is on goes by this operation, without another that its ports move to."""
    bridge = scene.snapshot.bridge_of(scene.snapshot.carrier_of(pif) or pif)
    return bridge in _names(draft, ObjectKind.BRIDGE) and bridge not in draft.moves


def _device(scene: Scene, pif: Pif | None) -> str | None:
    try:
        return None if pif is None else scene.ip_device_name(pif)
    except InputError:
        return None


def _names(draft: Draft, kind: ObjectKind) -> set[str]:
    return {key.name for key in draft.absent if key.kind is kind}


def _ref(pif: Pif | None) -> str:
    return "" if pif is None else pif.ref


def _distinct(pifs: Iterable[Pif]) -> list[Pif]:
    return list({pif.ref: pif for pif in pifs}.values())
