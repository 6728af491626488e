"""Management has moved and the new path is verified: what the old interface must give up (pains.md 1). Pure.

The second plan of ``up --management``; the first one had both interfaces up. Called by the flow after its check.
"""

from __future__ import annotations

from xsagent.desired.dns_gateway import choose_roles
from xsagent.desired.draft import Draft
from xsagent.desired.ip import build_ip_configuration
from xsagent.desired.kind import label
from xsagent.desired.ownership import ownership_of
from xsagent.desired.request import BuildOptions, HostFacts, Request
from xsagent.desired.scene import Scene, unusable_bridges
from xsagent.desired.static_addresses import static_addresses, without_addresses
from xsagent.model.records import Pif
from xsagent.model.snapshot import Snapshot
from xsagent.topology.desired import Desired


def build_retirement(snapshot: Snapshot, request: Request, host: HostFacts, options: BuildOptions) -> Desired | None:
    """What the former management interface must give up: static addresses that the new one has; None for nothing.

    Its own addresses, and its bridge, stay: XAPI takes them down when it wants that.

    Raises:
        InputError: the former interface's record cannot be used.
    """
    former, new = snapshot.management_pif(), snapshot.pif(request.pif)
    if not request.becoming_management or request.action == "down" or former is None or former.ref == new.ref:
        return None
    scene = Scene(
        snapshot=snapshot,
        host=host,
        options=options,
        raised=frozenset({new.ref}),
        management=new,
        origin=request.origin,
        unusable_bridges=unusable_bridges(snapshot),
    )
    reduced = without_addresses(former, static_addresses(new))
    if reduced == former or not scene.was_up(former) or _are_siblings(snapshot, former, new):
        return None
    draft = Draft()
    build_ip_configuration(scene, draft, reduced, choose_roles(scene, draft.notes))
    draft.notes.decide("retire_address", label(former), f"{label(new)} is management now and has its address")
    return Desired(topology=draft.as_topology(), ownership=ownership_of(snapshot), reasons=draft.notes.as_reasons())


def _are_siblings(snapshot: Snapshot, former: Pif, new: Pif) -> bool:
    """Whether one took the other down: a NIC and its bond."""
    bonds = (snapshot.bond_with_member(former), snapshot.bond_with_member(new))
    return any(bond is not None and bond.pif in {former.ref, new.ref} for bond in bonds)
