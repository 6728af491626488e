"""A bond: its Port with its members, and their Links (features.md section 10). Pure.

build.py puts the Port into the bond's bridge; what its members had before goes by siblings.py.
"""

from __future__ import annotations

from xsagent.desired.bond_options import BOND_PREFIX, bond_options
from xsagent.desired.draft import Draft
from xsagent.desired.kind import PifKind, kind_of, label, refusal
from xsagent.desired.nic import nic_interface, nic_link, nic_name, nic_port, pif_mac
from xsagent.desired.scene import Scene
from xsagent.model.records import Bond, Pif
from xsagent.model.values import shown
from xsagent.topology.values import KEEP, Keep, Link, Port

_MANY_MEMBERS = 4


def bond_members(scene: Scene, pif: Pif) -> tuple[Pif, ...]:
    """Member PIFs of a bond's PIF.

    Raises:
        InputError: no member has a record, one is no NIC, or two are the same device.
    """
    bond = bond_record(scene, pif)
    members = scene.snapshot.members_of(bond)
    if not members:
        raise refusal(pif, f"bond {bond.uuid} has no members")
    for member in members:
        if kind_of(scene.snapshot, member) is not PifKind.NIC:
            raise refusal(pif, f"{label(member)}, a member of bond {bond.uuid}, is not a NIC")
    names = [nic_name(member) for member in members]
    if len(set(names)) < len(names):
        raise refusal(pif, f"bond {bond.uuid} has several members with one device name")
    return members


def bond_record(scene: Scene, pif: Pif) -> Bond:
    """The bond whose device the PIF is; InputError when it is in no record."""
    bond = scene.snapshot.bond_of(pif)
    if bond is None:
        raise refusal(pif, f"its Bond {shown(str(pif.bond))} is in no record")
    return bond


def build_bond_port(scene: Scene, draft: Draft, pif: Pif, bridge: str, mtu: int | Keep) -> None:
    """Want the bond's port on its bridge and its members up; a bond of one member is a plain port.

    Args:
        mtu: the bond's, bytes: members have it whatever their own networks say.
    """
    members = bond_members(scene, pif)
    _warn_of_count(scene, draft, pif, members)
    for member in members:
        draft.put_link(nic_link(scene, member, pif, mtu, draft.notes))
    if len(members) == 1:
        draft.put_port(bridge, nic_port(members[0], mtu))
        return
    draft.put_port(bridge, bond_port(scene, draft, pif, mtu))
    draft.put_link(Link(name=scene.device_name(pif), up=True))


def bond_port(scene: Scene, draft: Draft, pif: Pif, mtu: int | Keep) -> Port:
    """The Port row of a bond of several members."""
    options = bond_options(pif, bond_record(scene, pif), draft.notes)
    mac = pif_mac(pif, draft.notes)
    name = scene.device_name(pif)
    interfaces = {}
    for member in bond_members(scene, pif):
        interface = nic_interface(member, mtu, options.member_keys)
        interfaces[interface.name] = interface
    preferred = options.port_keys["bond-primary"]
    if preferred is not None and preferred not in interfaces:
        draft.notes.warn(
            "prefer_no_member", name, f"{preferred}, which is to be its active member, is none of its members"
        )
    return Port(
        name=name,
        interfaces=interfaces,
        tag=None,
        mac=KEEP if mac is None else mac,
        bond_fake_iface=True,
        bond_mode=options.bond_mode,
        lacp=options.lacp,
        bond_updelay=options.updelay_ms,
        bond_downdelay=options.downdelay_ms,
        own_keys=BOND_PREFIX,
        other_config=options.port_keys,
    )


def _warn_of_count(scene: Scene, draft: Draft, pif: Pif, members: tuple[Pif, ...]) -> None:
    bond = bond_record(scene, pif)
    if len(members) < len(bond.members):
        missing = len(bond.members) - len(members)
        draft.notes.warn("pass_over_member", label(pif), f"{missing} member(s) of bond {bond.uuid} are in no record")
    if len(members) > _MANY_MEMBERS:
        draft.notes.warn("count_members", label(pif), f"it has {len(members)} members; more than 4 are not supported")
