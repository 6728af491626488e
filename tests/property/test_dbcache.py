"""The cache round trip: whatever a snapshot holds comes back, and hostile bytes never do more than be refused."""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from xsagent.errors import CacheError
from xsagent.model.records import Bond, Network, Pif, Pool, Ref, Sriov, Tunnel, Vlan
from xsagent.model.snapshot import Snapshot
from xsagent.sources.dbcache import parse_dbcache
from xsagent.sources.dbcache_render import render_dbcache

NASTY = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(
        ["", " ", " x ", "\r\n", "a\rb", "\t", "\x00", "\x1b[0m", "]]>", "<a/>", "&amp;", '"', "\ufffe", "é"]
    ),
)
REFS = [Ref(f"OpaqueRef:{number}") for number in range(8)]
ODD_REFS = st.one_of(st.sampled_from(REFS), st.sampled_from([Ref("OpaqueRef:<&>"), Ref("a b"), Ref("x\x01y")]))
PIECES = [b"<", b"&#0;", b"<!--", b"<![CDATA[", b"<!DOCTYPE a>", b"</pif>"]
MAPS = st.dictionaries(
    st.one_of(NASTY, st.sampled_from(["domain", "mtu", "bond-mode", "ethtool-gro", "static-routes", "a:b", "1x"])),
    NASTY,
    max_size=4,
)


def _records(record_type: type, **fixed: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Any record of a type, each field by its annotation unless it is given."""
    by_annotation = {
        "str": NASTY,
        "bool": st.booleans(),
        "int": st.integers(-1, 5000),
        "Ref": ODD_REFS,
        "Ref | None": st.none() | ODD_REFS,
        "tuple[str, ...]": st.lists(NASTY, max_size=3).map(tuple),
        "tuple[Ref, ...]": st.lists(ODD_REFS, max_size=3).map(tuple),
        "Mapping[str, str]": MAPS,
    }
    fields = {field.name: by_annotation[str(field.type)] for field in dataclasses.fields(record_type)}
    return st.builds(record_type, **{**fields, **fixed})


def _table(records: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[Ref, Any]]:
    return st.lists(records, max_size=3, unique_by=lambda record: record.ref).map(
        lambda found: {record.ref: record for record in found}
    )


# PIF and record references come from sets that do not meet, so that no circle of bonds or VLANs arises:
# check_references sets those aside on purpose.
UPPER = st.sampled_from([Ref("OpaqueRef:upper-a"), Ref("OpaqueRef:upper-b")])
LOWER = st.sampled_from([Ref("OpaqueRef:lower-a"), Ref("OpaqueRef:lower-b"), Ref("OpaqueRef:<&\x02>")])
SNAPSHOTS = st.builds(
    Snapshot,
    source=st.just("network.dbcache"),
    host_uuid=NASTY,
    complete=st.booleans(),
    pifs=_table(_records(Pif, ref=UPPER | LOWER, device=NASTY.filter(bool))),
    networks=_table(_records(Network)),
    bonds=_table(_records(Bond, pif=UPPER, members=st.lists(LOWER, max_size=3).map(tuple))),
    vlans=_table(_records(Vlan, pif=UPPER, carrier=LOWER)),
    tunnels=_table(_records(Tunnel)),
    sriovs=_table(_records(Sriov)),
    pool=st.none() | _records(Pool),
    unusable=st.dictionaries(st.sampled_from([Ref("OpaqueRef:bad")]), NASTY),
)


def _without_circles(snapshot: Snapshot) -> Snapshot:
    """A PIF below, by its own bond or VLAN fields, would lead in a circle: those of lower PIFs are cleared."""
    pifs = {
        ref: pif if ref.startswith("OpaqueRef:upper") else dataclasses.replace(pif, bond=None, vlan_record=None)
        for ref, pif in snapshot.pifs.items()
    }
    return dataclasses.replace(snapshot, pifs=pifs)


@given(SNAPSHOTS.map(_without_circles))
def test_what_is_rendered_is_parsed_as_the_same_snapshot(snapshot: Snapshot) -> None:
    """Nothing is lost in the cache, whatever characters the texts hold; only warnings are made afresh."""
    parsed = parse_dbcache(render_dbcache(snapshot))

    assert dataclasses.replace(parsed, warnings=()) == snapshot


@given(SNAPSHOTS.map(_without_circles))
def test_the_same_snapshot_gives_the_same_bytes(snapshot: Snapshot) -> None:
    """Rendering is deterministic, so an equal snapshot need not be written again."""
    assert render_dbcache(parse_dbcache(render_dbcache(snapshot))) == render_dbcache(snapshot)


@given(st.binary(max_size=200))
def test_random_bytes_are_a_cache_error_and_nothing_else(data: bytes) -> None:
    """No input raises anything but CacheError."""
    _parse_or_refuse(data)


@given(SNAPSHOTS.map(_without_circles), st.data())
def test_a_damaged_cache_is_parsed_or_refused(snapshot: Snapshot, data: st.DataObject) -> None:
    """Bytes flipped, cut out or put in lead to a snapshot or to CacheError, never to another exception."""
    rendered = bytearray(render_dbcache(snapshot))
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(rendered)))
        stop = data.draw(st.integers(start, min(start + 20, len(rendered))))
        rendered[start:stop] = data.draw(
            st.binary(max_size=20) | st.sampled_from([b"<", b"&#0;", b"<!--", b"<![CDATA["])
        )

    _parse_or_refuse(bytes(rendered))


def _parse_or_refuse(data: bytes) -> None:
    with contextlib.suppress(CacheError):
        parse_dbcache(data)
