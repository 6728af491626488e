"""The boot set -> Desired: everything that a boot brings up, in one, and what each member of it wants by itself. Pure.

For ``--force-interface all``; called by `xsagent/up_all.py`, which finds out what this host cannot have and asks again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from xsagent.desired.boot_set import boot_set, without_repeated_addresses
from xsagent.desired.build import finish_desired, is_network_booted
from xsagent.desired.dns_gateway import Roles, choose_roles
from xsagent.desired.draft import Draft
from xsagent.desired.kind import label
from xsagent.desired.management import with_management
from xsagent.desired.notes import Notes
from xsagent.desired.raise_pif import raise_pif
from xsagent.desired.request import BuildOptions, HostFacts
from xsagent.desired.scene import Scene, unusable_bridges
from xsagent.errors import InputError, InUseError
from xsagent.model.records import Pif, Ref
from xsagent.model.snapshot import Snapshot
from xsagent.topology.desired import Desired

_NOBODY: Final[Mapping[Ref, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class BootDesired:
    """What a boot wants.

    Attributes:
        members: PIFs that it brings up, management first.
        left_out: PIFs of the boot set that it does not, each with the reason.
        scene, roles: what it was built with.
    """

    desired: Desired
    members: tuple[Pif, ...]
    left_out: Mapping[Ref, str]
    scene: Scene
    roles: Roles

    def part(self, member: Pif) -> Desired:
        """What one member wants by itself, with all that carries it."""
        draft = Draft()
        raise_pif(self.scene, draft, member, self.roles)
        return finish_desired(self.scene, draft, self.roles)


def build_boot_desired(
    snapshot: Snapshot,
    host: HostFacts,
    options: BuildOptions,
    left_out: Mapping[Ref, str] = _NOBODY,
    postponed: Collection[Ref] = (),
) -> BootDesired:
    """What a boot wants: the boot set, management first, in one (features.md section 23).

    A member that cannot be brought up is reported and left out; the rest is wanted all the same.

    Args:
        snapshot, host, options: as for `build_desired`.
        left_out: members that this host cannot have, each with the reason.
        postponed: members that are to be brought up later, or stay as they are.
    """
    notes = Notes()
    refused = dict(left_out)
    chosen = [pif for pif in boot_set(snapshot, host, notes) if not is_network_booted(snapshot, host, pif)]
    for pif in chosen:
        if pif.ref in refused:
            notes.warn("leave_out_of_boot", label(pif), refused[pif.ref])
    members = [pif for pif in chosen if pif.ref not in refused and pif.ref not in postponed]
    snapshot = without_repeated_addresses(snapshot, members, notes)
    members = [snapshot.pifs[pif.ref] for pif in members]
    while True:
        scene = _boot_scene(snapshot, host, options, members, refused)
        draft = Draft(notes=notes)
        roles = choose_roles(scene, notes)
        now_refused = _raise_members(scene, draft, members, roles)
        if not now_refused:
            desired = finish_desired(scene, draft, roles)
            return BootDesired(desired=desired, members=tuple(members), left_out=refused, scene=scene, roles=roles)
        refused |= now_refused
        members = [pif for pif in members if pif.ref not in refused]


def _raise_members(scene: Scene, draft: Draft, members: list[Pif], roles: Roles) -> dict[Ref, str]:
    """Returns the members that cannot be brought up, each with the reason."""
    refused: dict[Ref, str] = {}
    for pif in members:
        try:
            raise_pif(scene, draft, pif, roles)
        except (InputError, InUseError) as error:
            draft.notes.warn("leave_out_of_boot", label(pif), error.cause)
            refused[pif.ref] = error.cause
    return refused


def _boot_scene(
    snapshot: Snapshot, host: HostFacts, options: BuildOptions, members: list[Pif], refused: Collection[Ref]
) -> Scene:
    scene = Scene(
        snapshot=snapshot,
        host=host,
        options=options,
        raised=frozenset(pif.ref for pif in members),
        lowered=frozenset(refused),
        origin="force",
    )
    scene = with_management(scene, None)
    return dataclasses.replace(scene, unusable_bridges=unusable_bridges(snapshot, _below_management(scene)))


def _below_management(scene: Scene) -> tuple[Ref | None, ...]:
    """Networks whose bridges management needs: one that others have too is management's (DESIGN.md rule 1)."""
    management = scene.management
    if management is None:
        return ()
    carrier = scene.snapshot.carrier_of(management)
    return (management.network, carrier.network if carrier is not None else None)
