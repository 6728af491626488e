"""Which PIFs are not as their records say, for xsagentd: its worker's command ``drift``. Reads only.

The doctor's own check, without the questions on the wire and to guests (`doctor/check_drift.py`).
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Sequence

from xsagent.cli.plugin_run import is_networkd_active
from xsagent.config import Paths
from xsagent.doctor.check_drift import check_drift
from xsagent.doctor.read import read_drift_facts
from xsagent.sources.xapi_memory import XapiMemory
from xsagent.topology.values import Json


def main(words: Sequence[str], memory: XapiMemory | None = None) -> int:
    """Print the sentences, what could not be read, and what it cost, as JSON; 0."""
    sys.stdout.write(json.dumps(read_drift(Paths.from_environ("".join(words[:1]), os.environ), memory)))
    return 0


def read_drift(paths: Paths, memory: XapiMemory | None = None) -> dict[str, Json]:
    """As `main` prints it. Where xcp-networkd owns the topology nothing is ours to compare (DESIGN.md section 0)."""
    began = time.process_time()
    if is_networkd_active(paths):
        return {"drift": [], "unread": {}, "owner": "xcp-networkd", "cpu_s": 0.0}
    facts = read_drift_facts(paths, os.environ, memory)
    sentences: list[Json] = [f"{finding.subject}: {finding.problem}" for finding in check_drift(facts)]
    unread: dict[str, Json] = dict(facts.unread)
    return {"drift": sentences, "unread": unread, "owner": "xsagent", "cpu_s": time.process_time() - began}
