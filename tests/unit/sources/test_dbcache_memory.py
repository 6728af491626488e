"""Hostile caches under a memory limit: a child that may have 200 MB of address space reads them and survives."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

LIMIT = 200 << 20
TOTAL = 16 << 20
"""Limits.total_bytes: what is larger is refused unread, so the worst is just below."""
CHILD = """
import resource, sys
from pathlib import Path
resource.setrlimit(resource.RLIMIT_AS, ({limit}, {limit}))
from xsagent.errors import CacheError
from xsagent.sources.dbcache import parse_dbcache, read_dbcache
for read in (read_dbcache, lambda path: parse_dbcache(path.open("rb"))):
    try:
        read(Path(sys.argv[1]))
        print("read")
    except CacheError as error:
        print(f"refused: {{error}}")
"""
ROOT = b"xenserver-network-configuration"
HUNDRED_MB = 100 << 20


def _parts(start: bytes, part: bytes, end: bytes, size: int) -> Iterator[bytes]:
    yield b"<" + ROOT + b">" + start
    for _ in range(size // len(part)):
        yield part
    yield end + b"</" + ROOT + b">"


def _numbered(form: bytes, count: int) -> Iterator[bytes]:
    yield b"<" + ROOT + b">"
    for number in range(count):
        yield form % ((number,) * form.count(b"%d"))
    yield b"</" + ROOT + b">"


PIF_OPEN, PIF_CLOSE = b"<pif ref='P'><device>", b"</device></pif>"
PIF = b"<pif ref='%d'><device>eth%d</device><network>n%d</network><VLAN_master_of>v%d</VLAN_master_of></pif>"
VLAN = b"<vlan ref='v%d'><tagged_PIF>p%d</tagged_PIF><untagged_PIF>q%d</untagged_PIF></vlan>"
EXTRA_PIF = b"<pif ref='%d'><device>e</device><xsagent>{\"ipv6\": [" + b'"ab",' * 2000 + b'"z"]}</xsagent></pif>'
BOMB = [
    b"<!DOCTYPE a [<!ENTITY a '" + b"x" * 1000 + b"'>",
    *(b"<!ENTITY %c '%s'>" % (98 + level, b"&%c;" % (97 + level) * 100) for level in range(9)),
    b"]><" + ROOT + b"><pif ref='P'><device>&j;</device></pif></" + ROOT + b">",
]
READ, REFUSED = "read", "refused: the cache "
MAP_OPEN, MAP_CLOSE = b"<pif ref='P'><device>e</device><other_config>", b"</other_config></pif>"
SET_OPEN, SET_CLOSE = b"<pif ref='P'><device>e</device><VLAN_slave_of>", b"</VLAN_slave_of></pif>"
WIDE = b"<k>" + b"x" * 1_000_000 + "\U0001f4a9".encode() + b"</k>"
BELOW = TOTAL - 4096
CASES: dict[str, tuple[str, Callable[[], Iterator[bytes]]]] = {
    "100 MB of text in one element": (REFUSED, lambda: _parts(PIF_OPEN, b"x" * 1024, PIF_CLOSE, HUNDRED_MB)),
    "16 MB of text in one element": (REFUSED, lambda: _parts(PIF_OPEN, b"x" * 1024, PIF_CLOSE, BELOW)),
    "16 MB in one attribute": (REFUSED, lambda: _parts(b"<pif ref='", b"x" * 1024, b"'/>", BELOW)),
    "16 MB in one comment": (REFUSED, lambda: _parts(b"<!--", b"x" * 1024, b"-->", BELOW)),
    "16 MB in one tag name": (REFUSED, lambda: _parts(b"<", b"x" * 1024, b"/>", BELOW)),
    "a million elements": (REFUSED, lambda: _parts(b"", b"<x/>", b"", 4_000_000)),
    "a million nested elements": (REFUSED, lambda: _parts(b"", b"<x>", b"", 3_000_000)),
    "a million attributes": (REFUSED, lambda: _numbered(b"<x a%d='' b%d='' c%d='' d%d=''/>", 250_000)),
    "a million items": (REFUSED, lambda: _parts(SET_OPEN, b"<master>R</master>", SET_CLOSE, BELOW)),
    "a million PIFs": (REFUSED, lambda: _numbered(b"<pif ref='%d'/>", 1_000_000)),
    "as many PIFs as are let in": (READ, lambda: _numbered(PIF, 60_000)),
    "as many VLANs as are let in": (READ, lambda: _numbered(VLAN, 60_000)),
    "as much JSON as is let in": (READ, lambda: _numbered(EXTRA_PIF, 600)),
    "wide characters": (READ, lambda: _parts(MAP_OPEN, WIDE, MAP_CLOSE, BELOW)),
    "entity expansion": (REFUSED, lambda: iter(BOMB)),
}


@pytest.mark.parametrize("case", CASES)
def test_no_cache_costs_more_than_200_mb(case: str, tmp_path: Path) -> None:
    """It is read or refused with one sentence, from a file and from a stream; MemoryError would fail the child."""
    expected, make = CASES[case]
    path = tmp_path / "network.dbcache"
    with path.open("wb") as stream:
        stream.writelines(make())

    done = subprocess.run(
        [sys.executable, "-c", CHILD.format(limit=LIMIT), str(path)],
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip

    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(expected) for line in lines)
    path.unlink()
