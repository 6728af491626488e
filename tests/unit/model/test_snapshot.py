"""model/snapshot.py: what is said of a name that is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from xsagent.errors import NotFoundError
from xsagent.sources.dbcache import read_dbcache

CACHE = Path(__file__).parents[1] / "sources" / "data" / "legacy-static.dbcache"


@pytest.mark.parametrize(("name", "hint"), [("eth0", "eth0's PIF is on xenbr0"), ("xenbr9", "there are xenbr0")])
def test_a_bridge_that_is_none_comes_with_what_was_meant(name: str, hint: str) -> None:
    """A NIC's name has its bridge beside it; any other one those that there are."""
    with pytest.raises(NotFoundError, match=f"no network has bridge {name} .*: {hint}"):
        read_dbcache(CACHE).pif_for_bridge(name)
