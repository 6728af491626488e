"""What earlier runs left: a journal, configurations that were taken back, stand-ins; and the room to write. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from xsagent.desired.kind import label
from xsagent.desired.rescue import management_base, needed_nics
from xsagent.doctor.facts import Facts
from xsagent.doctor.findings import Finding, Severity
from xsagent.doctor.mend import RESTART_TOOLSTACK, command, rewrite, up
from xsagent.model.keep_out import configuration_of

_NO_ROOM: Final = 1 << 20
_LITTLE_ROOM: Final = 16 << 20
_FEW_FILES: Final = 64


def check_leftovers(facts: Facts) -> Iterator[Finding]:
    """Everything below /var/lib/xsagent that a person should know of, and file systems that are full."""
    left = facts.leftovers
    if left.journal is not None:
        yield Finding(
            id="journal-left",
            severity=Severity.ERROR,
            subject=f"{facts.paths.get('state', '')}/journal",
            problem=f"a run ({left.journal}) ended in the middle and was not taken back",
            reason="the host may be half configured",
            mend=(rewrite(facts),),
        )
    yield from _rolled_back(facts)
    for device, names in left.refusals.items():
        yield Finding(
            id="driver-refused",
            severity=Severity.INFO,
            subject=device,
            problem=f"its driver refused {' '.join(names)}",
            reason="it is not tried again until driver, NIC or kernel change",
        )
    yield from _degraded(facts)
    if left.reset_requested:
        path = facts.paths.get("reset", "")
        yield Finding(
            id="network-reset-waits",
            severity=Severity.WARNING,
            subject=path,
            problem="an emergency reset is asked for and XAPI has not taken it",
            reason="the next boot ignores every state but management.conf",
            mend=(RESTART_TOOLSTACK,),
            by_hand=f"where no reset is wanted: {command('rm', '-f', path)}",
        )
    yield from _rooms(facts)


def _rolled_back(facts: Facts) -> Iterator[Finding]:
    snapshot = facts.records.snapshot
    for uuid, configurations in facts.leftovers.rolled_back.items():
        pif = configurations[-1].pif if configurations else None
        if pif is None:
            continue
        now = next((one for one in snapshot.pifs.values() if one.uuid == uuid), None) if snapshot is not None else None
        asked = now is not None and snapshot is not None and configuration_of(snapshot, now) in configurations
        yield Finding(
            id="configuration-rolled-back",
            severity=Severity.WARNING if asked and facts.records.from_xapi else Severity.INFO,
            subject=label(pif),
            problem="a configuration of it was taken back"
            + (", and XAPI still asks for it" if asked and facts.records.from_xapi else ""),
            reason="it stays out of the cache, so a boot uses the one that worked",
            mend=(up(facts, now),) if asked and now is not None else (),
            by_hand="correct what XAPI asks for, or try it again" if asked else "",
        )


def _degraded(facts: Facts) -> Iterator[Finding]:
    if facts.leftovers.degraded is None:
        return
    gone, stand_in = facts.leftovers.degraded
    if gone in facts.topology.links or not _is_managements(facts, gone):
        return
    yield Finding(
        id="management-on-stand-in",
        severity=Severity.WARNING,
        subject=stand_in,
        problem=f"it stands in for {gone}, which management's record names and which is gone",
        reason="XAPI still believes in the NIC that is gone",
        mend=(command("xe", "pif-scan", f"host-uuid={facts.records.inventory.installation_uuid}"),),
        by_hand=f"then move management to the PIF of {stand_in}: xe host-management-reconfigure pif-uuid=...",
    )


def _is_managements(facts: Facts, device: str) -> bool:
    """Whether management's record names a NIC; True where there are no records."""
    snapshot = facts.records.snapshot
    if snapshot is None:
        return True
    base = management_base(snapshot, facts.records.inventory.management_interface)
    return base is not None and device in {nic.device for nic in needed_nics(snapshot, base)}


def _rooms(facts: Facts) -> Iterator[Finding]:
    for room in facts.rooms:
        if room.read_only:
            problem, severity = "it is mounted read-only", Severity.ERROR
        elif room.free_bytes < _NO_ROOM or room.free_files < _FEW_FILES:
            problem, severity = f"{room.free_bytes >> 10} kB and {room.free_files} files are free", Severity.ERROR
        elif room.free_bytes < _LITTLE_ROOM:
            problem, severity = f"{room.free_bytes >> 10} kB are free", Severity.WARNING
        else:
            continue
        yield Finding(
            id="no-room",
            severity=severity,
            subject=room.folder,
            problem=problem,
            reason="journal, cache and leases cannot be written, so changes are refused or lost at boot",
            mend=() if room.read_only else (command("journalctl", "--vacuum-size=100M"),),
            by_hand=f"see what fills it: du -xak {room.folder} | sort -n | tail",
        )
