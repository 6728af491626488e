"""Records -> which PIFs should be up, and what bringing each up would want of the host. Pure.

Between reading the records and observing the host: what is wanted says what must be read.
`check_drift.py` then plans each, as `interface-reconfigure --pif-uuid` would.
"""

from __future__ import annotations

from xsagent.desired.build import build_desired
from xsagent.desired.kind import PifKind, kind_of
from xsagent.desired.request import BuildOptions, HostFacts, Request
from xsagent.doctor.facts import Records, Wanted
from xsagent.errors import InputError, XsagentError
from xsagent.model.records import Pif
from xsagent.model.snapshot import Snapshot


def build_wanted(records: Records, host: HostFacts, options: BuildOptions) -> tuple[Wanted, ...]:
    """Each PIF that is attached, or is management, with the topology that ``up`` would want of it."""
    snapshot = records.snapshot
    if snapshot is None:
        return ()
    pifs = sorted(snapshot.pifs.values(), key=lambda pif: (not pif.management, pif.device, pif.vlan, pif.uuid))
    return tuple(
        _wanted(snapshot, pif, host, options)
        for pif in pifs
        if _should_be_up(snapshot, pif, host, from_xapi=records.from_xapi)
    )


def _should_be_up(snapshot: Snapshot, pif: Pif, host: HostFacts, *, from_xapi: bool) -> bool:
    if not pif.managed or snapshot.bond_with_member(pif) is not None or _is_sriov(snapshot, pif):
        return False
    if pif.management:
        return True
    if from_xapi:
        return pif.currently_attached
    return snapshot.bridge_of(pif) in (host.present_bridges or frozenset())


def _is_sriov(snapshot: Snapshot, pif: Pif) -> bool:
    try:
        return kind_of(snapshot, pif) in {PifKind.SRIOV, PifKind.SRIOV_VLAN}
    except InputError:
        return False


def _wanted(snapshot: Snapshot, pif: Pif, host: HostFacts, options: BuildOptions) -> Wanted:
    request = Request(action="up", pif=pif.ref, origin="pif-uuid")
    try:
        return Wanted(pif=pif, desired=build_desired(snapshot, request, host, options))
    except XsagentError as error:
        return Wanted(pif=pif, problem=error.cause)
