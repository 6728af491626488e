"""The cache that a boot starts from, against XAPI; and records that cannot be followed. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from xsagent.desired.kind import label
from xsagent.doctor.facts import Facts
from xsagent.doctor.findings import Finding, Severity
from xsagent.doctor.mend import command, rewrite, write_cache
from xsagent.model.keep_out import configuration_of
from xsagent.model.records import Pif
from xsagent.model.snapshot import Snapshot

_MOST_NAMED = 4
_FOR_MANAGEMENT = (
    "without XAPI: `interface-reconfigure --force BRIDGE rewrite --device=NIC --mac=x --mode=dhcp|static ...` "
    "writes one for management"
)


def check_records(facts: Facts) -> Iterator[Finding]:
    """A cache that is missing, corrupt or old; records without which a PIF cannot come up."""
    yield from _cache(facts)
    snapshot = facts.records.snapshot
    if snapshot is not None:
        yield from _unreadable(snapshot)
        yield from _impossible(facts)
        yield from _inventory(facts, snapshot)


def _unreadable(snapshot: Snapshot) -> Iterator[Finding]:
    for ref, why in snapshot.unusable.items():
        yield Finding(
            id="record-unusable",
            severity=Severity.WARNING,
            subject=str(ref),
            problem=f"a record in {snapshot.source} cannot be used: {why}",
            reason="what depends on it cannot be brought up",
            by_hand="correct the record in XAPI",
        )


def _impossible(facts: Facts) -> Iterator[Finding]:
    for wanted in facts.wanted:
        if wanted.problem:
            yield Finding(
                id="record-unusable",
                severity=Severity.ERROR if wanted.pif.management else Severity.WARNING,
                subject=label(wanted.pif),
                problem=wanted.problem,
                reason="it cannot be brought up again as its records say",
                by_hand="correct the record that it names",
            )


def _cache(facts: Facts) -> Iterator[Finding]:
    records = facts.records
    if not facts.daemon.topology_is_ours:
        return
    if records.cached is None:
        yield Finding(
            id="cache-unreadable",
            severity=Severity.ERROR,
            subject=records.cache_path,
            problem=records.cache_problem,
            reason="the next boot falls back to an older state, or to management alone",
            mend=_write_anew(facts),
            by_hand="" if _write_anew(facts) else _FOR_MANAGEMENT,
        )
    elif records.from_xapi and records.snapshot is not None:
        differing = list(_differing(records.snapshot, records.cached, facts))
        if differing:
            named = ", ".join(differing[:_MOST_NAMED]) + (" and others" if len(differing) > _MOST_NAMED else "")
            yield Finding(
                id="cache-stale",
                severity=Severity.WARNING,
                subject=records.cache_path,
                problem=f"it is not what XAPI says: {named}",
                reason="the next boot brings up the old configuration",
                mend=(rewrite(facts),),
            )


def _write_anew(facts: Facts) -> tuple[str, ...]:
    """From XAPI; without it from the generation before, or for management alone; nothing where no state tells."""
    records, previous = facts.records, facts.paths.get("cache_previous", "")
    snapshot, management = records.snapshot, facts.management()
    if records.from_xapi:
        return (rewrite(facts),)
    if snapshot is None or management is None or not facts.management_bridge():
        return ()
    if snapshot.source == previous:
        return (command("cp", "-p", previous, records.cache_path),)
    carrier = snapshot.carrier_of(management) or management
    return (write_cache(facts, carrier.device),) if carrier.bond is None else ()


def _differing(xapi: Snapshot, cached: Snapshot, facts: Facts) -> Iterator[str]:
    """PIFs whose configuration differs; one that was rolled back is kept out of the cache on purpose."""
    old = {pif.uuid: pif for pif in cached.pifs.values()}
    new = {pif.uuid: pif for pif in xapi.pifs.values()}
    for uuid, pif in new.items():
        if uuid not in old:
            yield f"{label(pif)} is missing"
        elif _is_other(xapi, pif, cached, old[uuid]):
            if configuration_of(xapi, pif) not in facts.leftovers.rolled_back.get(uuid, ()):
                yield f"{label(pif)} differs"
        elif pif.management != old[uuid].management:
            yield f"management is {'not ' if not pif.management else ''}on {label(pif)}"
    yield from (f"{label(pif)} is gone from XAPI" for uuid, pif in old.items() if uuid not in new)


def _is_other(xapi: Snapshot, pif: Pif, cached: Snapshot, old: Pif) -> bool:
    return configuration_of(xapi, pif) != configuration_of(cached, old)


def _inventory(facts: Facts, snapshot: Snapshot) -> Iterator[Finding]:
    """Management as the inventory has it, which a boot follows, against the records."""
    named, pif = facts.records.inventory.management_interface, facts.management()
    bridge = snapshot.bridge_of(pif) if pif is not None else ""
    if pif is not None and named and bridge and bridge != named:
        yield Finding(
            id="inventory-differs",
            severity=Severity.WARNING,
            subject=named,
            problem=f"the inventory has management on it, the records on {bridge}",
            reason="the next boot brings management up on the wrong bridge",
            mend=(command("xe", "host-management-reconfigure", f"pif-uuid={pif.uuid}"),),
        )
