"""The cache on disk: two generations, the older one always good."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from xsagent.apply.cache import write_dbcache
from xsagent.config import Paths
from xsagent.errors import CacheError
from xsagent.model.records import Network, Pif, Ref
from xsagent.model.snapshot import Snapshot
from xsagent.sources.dbcache import read_dbcache

SNAPSHOT = Snapshot(
    source="xapi",
    pifs={Ref("P"): Pif(ref=Ref("P"), uuid="u", device="eth0", network=Ref("N"), ipv6=("2001:db8::1/64",))},
    networks={Ref("N"): Network(ref=Ref("N"), uuid="n", bridge="xenbr0", mtu="1500")},
)


def with_bridge(name: str) -> Snapshot:
    """The snapshot with another bridge name."""
    network = dataclasses.replace(SNAPSHOT.networks[Ref("N")], bridge=name)
    return dataclasses.replace(SNAPSHOT, networks={Ref("N"): network})


def bridge_in(path: Path) -> str:
    """The bridge name in a cache."""
    return read_dbcache(path).networks[Ref("N")].bridge


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    """Its directory is made where a modern host lacks it."""
    paths = Paths(tmp_path)

    assert write_dbcache(paths, SNAPSHOT)

    assert paths.dbcache == tmp_path / "var/xapi/network.dbcache"
    assert dataclasses.replace(read_dbcache(paths.dbcache), source="xapi") == SNAPSHOT
    assert not paths.dbcache_previous.exists()


def test_an_equal_cache_is_not_touched(tmp_path: Path) -> None:
    """Nor the generation before it."""
    paths = Paths(tmp_path)
    write_dbcache(paths, SNAPSHOT)
    before = paths.dbcache.stat()

    assert not write_dbcache(paths, SNAPSHOT)

    assert (paths.dbcache.stat().st_ino, paths.dbcache.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert not paths.dbcache_previous.exists()


def test_the_generation_before_is_kept(tmp_path: Path) -> None:
    """One of them."""
    paths = Paths(tmp_path)
    for name in ("one", "two", "three"):
        write_dbcache(paths, with_bridge(name))

    assert (bridge_in(paths.dbcache), bridge_in(paths.dbcache_previous)) == ("three", "two")


def test_a_corrupt_cache_never_becomes_the_previous_generation(tmp_path: Path) -> None:
    """The good one that is there stays."""
    paths = Paths(tmp_path)
    write_dbcache(paths, with_bridge("one"))
    write_dbcache(paths, with_bridge("two"))
    paths.dbcache.write_bytes(b"<xenserver-network-conf")

    write_dbcache(paths, with_bridge("three"))

    assert (bridge_in(paths.dbcache), bridge_in(paths.dbcache_previous)) == ("three", "one")


def test_a_cache_in_the_second_place_stays_there(tmp_path: Path) -> None:
    """The path is /var/lib/xcp/network.dbcache when the cache exists only there (features.md section 22)."""
    paths = Paths(tmp_path)
    second = tmp_path / "var/lib/xcp/network.dbcache"
    second.parent.mkdir(parents=True)
    second.write_bytes(b"")

    write_dbcache(paths, SNAPSHOT)

    assert bridge_in(second) == "xenbr0"
    assert not (tmp_path / "var/xapi").exists()


def test_what_could_not_be_read_back_is_not_written(tmp_path: Path) -> None:
    """A snapshot beyond the reader's limits leaves the cache as it was."""
    paths = Paths(tmp_path)
    write_dbcache(paths, SNAPSHOT)
    huge = dataclasses.replace(SNAPSHOT.networks[Ref("N")], name_label="x" * (2 << 20))

    with pytest.raises(CacheError, match="was left as it was"):
        write_dbcache(paths, dataclasses.replace(SNAPSHOT, networks={Ref("N"): huge}))

    assert bridge_in(paths.dbcache) == "xenbr0"
