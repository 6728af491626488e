"""Nodes of xenstore as the toolstack writes them, for tests; the product writes those of a VIF's report alone."""

from __future__ import annotations

from xsagent.sources.xenstore import Xenstore
from xsagent.sources.xenstore_wire import Operation, encode_path


def write_key(store: Xenstore, path: str, value: str) -> None:
    """Write one node."""
    store.request(Operation.WRITE, encode_path(path), value.encode("utf-8"))
