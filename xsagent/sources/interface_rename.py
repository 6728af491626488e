"""interface-rename's data -> the slot that each NIC name last had. Reads only.

XenServer's interface-rename keeps ``dynamic-rules.json`` with triples of MAC, PCI address and name for the last boot
and the boots before it. Used by the rescue of a host whose NICs changed (desired/rescue.py).
"""

from __future__ import annotations

import json

from xsagent.config import Paths
from xsagent.sources.host_files import read_text

_FILE = "/etc/sysconfig/network-scripts/interface-rename-data/dynamic-rules.json"


def read_slots(paths: Paths) -> dict[str, str]:
    """PCI address by device name, the last boot's word first; empty where there is no such data or it is damaged."""
    try:
        form = json.loads(read_text(paths.below(_FILE)) or "{}")
    except (ValueError, RecursionError):
        return {}
    slots: dict[str, str] = {}
    for section in ("old", "lastboot"):
        triples = form.get(section) if isinstance(form, dict) else None
        for triple in triples if isinstance(triples, list) else []:
            if isinstance(triple, list) and len(triple) == 3 and all(isinstance(word, str) for word in triple):  # noqa: PLR2004 - a triple
                slots[triple[2]] = triple[1].lower()
    return slots
