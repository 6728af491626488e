"""This host's records + XAPI's events -> the records as they are after these. Pure.

Takes only what is beyond doubt: records that were there and refer to what they referred to. Whatever else an event
says (a record more or less, another reference, a form that cannot be read) is for a whole read by `xapi` to find out.
Used by `xapi_memory`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from xsagent.errors import InputError
from xsagent.model.records import NULL_REF, Network, Pif, Ref
from xsagent.model.snapshot import Snapshot
from xsagent.sources.xapi_events import Event
from xsagent.sources.xapi_records import (
    parse_bond,
    parse_network,
    parse_pif,
    parse_pool,
    parse_sriov,
    parse_tunnel,
    parse_vlan,
)
from xsagent.sources.xapi_session import RawRecord


@dataclass(frozen=True, slots=True)
class _Kind:
    """One class of records.

    Attributes:
        table: the field of a Snapshot that holds them.
        parse: reads one; the last argument are this host's PIFs.
        references: fields that decide which other records belong to the snapshot.
    """

    table: str
    parse: Callable[[Ref, RawRecord, Mapping[Ref, Pif]], Any]
    references: tuple[str, ...]


_KINDS: Final[Mapping[str, _Kind]] = {
    "pif": _Kind(
        "pifs",
        lambda ref, raw, _: parse_pif(ref, raw),
        (
            "network", "bond", "member_of", "vlan_record", "vlans_on", "tunnel_access_of", "tunnel_transport_of",
            "sriov_physical_of", "sriov_logical_of",
        ),
    ),
    "network": _Kind("networks", parse_network, ("pifs",)),
    "vlan": _Kind("vlans", lambda ref, raw, _: parse_vlan(ref, raw), ("carrier", "pif")),
    "bond": _Kind("bonds", lambda ref, raw, _: parse_bond(ref, raw), ("pif", "members")),
    "tunnel": _Kind("tunnels", lambda ref, raw, _: parse_tunnel(ref, raw), ("access_pif", "transport_pif")),
    "network_sriov": _Kind("sriovs", lambda ref, raw, _: parse_sriov(ref, raw), ("physical_pif", "logical_pif")),
}  # fmt: skip
CLASSES: Final = (*_KINDS, "pool")
"""Of which the snapshot holds records, in the events' spelling."""


def subscriptions(snapshot: Snapshot, host: Ref) -> list[str]:
    """What events are wanted of: each record, since a pool has 64 times as many, and the host, which lists its PIFs.

    An object of each class that is not there lets its number be told even where this host has none.
    """
    wanted = [f"host/{host}", *(f"{name}/{NULL_REF}" for name in CLASSES)]
    for name, kind in _KINDS.items():
        wanted += [f"{name}/{ref}" for ref in getattr(snapshot, kind.table)]
    if snapshot.pool is not None:
        wanted.append(f"pool/{snapshot.pool.ref}")
    return wanted


def absorb(snapshot: Snapshot, events: Iterable[Event]) -> Snapshot | None:
    """The snapshot after these events; None when a whole read must say. What did not change stays the same object."""
    changed: dict[str, dict[Ref, Any]] = {}
    pool = snapshot.pool
    try:
        for event in events:
            if event.operation != "mod" or event.snapshot is None:
                return None
            if event.kind == "host":
                if not _has_pifs(event.snapshot, snapshot.pifs):
                    return None
            elif event.kind == "pool":
                pool = parse_pool(event.ref, event.snapshot)
            elif event.kind not in _KINDS or not _absorb(snapshot, event, event.snapshot, changed):
                return None
    except InputError:
        return None
    tables: dict[str, Any] = {table: {**getattr(snapshot, table), **records} for table, records in changed.items()}
    return replace(snapshot, pool=pool, **tables)


def _absorb(snapshot: Snapshot, event: Event, raw: RawRecord, changed: dict[str, dict[Ref, Any]]) -> bool:
    """Whether the record can take the place of the one before."""
    kind = _KINDS[event.kind]
    before = getattr(snapshot, kind.table).get(event.ref)
    after = kind.parse(event.ref, raw, snapshot.pifs)
    if before is None or any(getattr(before, name) != getattr(after, name) for name in kind.references):
        return False
    if isinstance(before, Network) and not before.pifs and raw.get("PIFs"):
        # an internal network no more: one of another host, which is none of ours
        return False
    if after != before:
        changed.setdefault(kind.table, {})[event.ref] = after
    return True


def _has_pifs(host: RawRecord, pifs: Mapping[Ref, Pif]) -> bool:
    listed = host.get("PIFs")
    return isinstance(listed, list) and set(map(str, listed)) == set(pifs)
