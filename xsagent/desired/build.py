"""Snapshot + what was asked -> Desired: the way into `desired/` for one PIF. Pure.

The flow passes the result to plan/, and logs its reasons. Everything that a boot brings up: `boot.py`.
"""

from __future__ import annotations

import dataclasses

from xsagent.desired.boot_set import without_repeated_addresses
from xsagent.desired.dns_gateway import Roles, choose_roles
from xsagent.desired.down import build_down
from xsagent.desired.draft import Draft
from xsagent.desired.kind import label
from xsagent.desired.management import management_device, management_path, with_management
from xsagent.desired.notes import Notes
from xsagent.desired.ownership import ownership_of
from xsagent.desired.raise_pif import check_managed, raise_pif
from xsagent.desired.request import BuildOptions, HostFacts, Request
from xsagent.desired.roles_move import build_other_holders, build_role_file
from xsagent.desired.scene import Scene, unusable_bridges
from xsagent.model.records import Pif
from xsagent.model.snapshot import Snapshot
from xsagent.topology.desired import Desired


def build_desired(snapshot: Snapshot, request: Request, host: HostFacts, options: BuildOptions) -> Desired:
    """What bringing one PIF up, or taking it down, wants of the host.

    Total for any other_config: a bad optional value is a reason with `warning`, and its default.

    Raises:
        NotFoundError: this host has no such PIF.
        InputError: a record that is needed is missing, or holds a value that cannot be used.
        InUseError: it would cut management off, or take down what must stay, and nobody insists.
    """
    pif = snapshot.pif(request.pif)
    check_managed(pif)
    scene = _scene(snapshot, request, host, options, pif)
    draft = Draft()
    if is_network_booted(snapshot, host, pif):
        draft.notes.decide("skip_network_boot", label(pif), "the host booted over this NIC; it is left as it is")
        return finish_desired(scene, draft, Roles())
    roles = choose_roles(scene, draft.notes)
    if request.action == "up":
        scene = _without_managements_address(scene, draft.notes, pif)
        raise_pif(scene, draft, scene.snapshot.pif(pif.ref), roles)
    else:
        build_down(scene, draft, pif)
    build_other_holders(scene, draft, roles)
    return finish_desired(scene, draft, roles)


def _scene(snapshot: Snapshot, request: Request, host: HostFacts, options: BuildOptions, pif: Pif) -> Scene:
    one = frozenset({pif.ref})
    is_up = request.action == "up"
    scene = Scene(
        snapshot=snapshot,
        host=host,
        options=options,
        raised=one if is_up else frozenset(),
        lowered=frozenset() if is_up else one,
        origin=request.origin,
        even_if_in_use=request.even_if_in_use,
        unusable_bridges=unusable_bridges(snapshot),
    )
    becoming = is_up and request.becoming_management and request.origin != "force"
    return with_management(scene, pif if becoming else None)


def _without_managements_address(scene: Scene, notes: Notes, pif: Pif) -> Scene:
    """The scene in which the raised PIF has not the address that management has already (pains.md 1)."""
    management = scene.management
    if management is None or management.ref == pif.ref or not scene.is_attached(management):
        return scene
    return dataclasses.replace(scene, snapshot=without_repeated_addresses(scene.snapshot, (management, pif), notes))


def is_network_booted(snapshot: Snapshot, host: HostFacts, pif: Pif) -> bool:
    """Whether the PIF is, or rides on, the NIC that the host booted over."""
    if host.network_boot_mac is None:
        return False
    base = snapshot.carrier_of(pif) or pif
    bond = snapshot.bond_of(base)
    below = (pif, base, *(snapshot.members_of(bond) if bond is not None else ()))
    return host.network_boot_mac.lower() in {one.mac.lower() for one in below}


def finish_desired(scene: Scene, draft: Draft, roles: Roles) -> Desired:
    """The draft as one value, with what the planner must know beside it."""
    build_role_file(scene, draft, roles)
    topology = draft.as_topology()
    gone = {key.name for key in topology.absent}
    return Desired(
        topology=topology,
        moves={name: target for name, target in sorted(draft.moves.items()) if name in gone},
        riders={name: mtu for name, mtu in sorted(draft.riders.items()) if name not in topology.links},
        virtual_functions=frozenset(draft.virtual_functions),
        released_functions=frozenset(draft.released_functions),
        ownership=ownership_of(scene.snapshot),
        management=management_path(scene, draft, roles),
        management_device=management_device(scene),
        reasons=draft.notes.as_reasons(),
    )
