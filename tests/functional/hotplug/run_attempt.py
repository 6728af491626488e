"""Run in a sandbox's dom0: one attempt for many events; prints what came of it as JSON.

``python run_attempt.py ROOT ACTION DEVICE... [-- DEVICE...]...`` Parts of a burst stand between ``--``. Standard
error is left to the log.
"""

from __future__ import annotations

import json
import sys
import time
from itertools import groupby
from pathlib import Path

from xsagent.config import Paths, read_settings
from xsagent.hotplug.burst import attempt_parts
from xsagent.hotplug.event import Action, Event, parse_device
from xsagent.hotplug.peers import Peers
from xsagent.hotplug.work import Work


def main() -> None:
    """Do it, after a warm-up of the connections, as a daemon would have them."""
    root, action, *words = sys.argv[1:]
    parts = [list(group) for is_end, group in groupby(words, "--".__eq__) if not is_end]
    works = [[Work(event=build_event(name, action)) for name in part] for part in parts]
    paths = Paths(root=Path(root))
    with Peers(paths, read_settings(paths, {})) as peers:
        assert peers.store.is_open
        assert peers.database.schema(time.monotonic() + 10)
        begin = time.monotonic()
        outcomes = [outcome for part in attempt_parts(peers, works) for outcome in part]
        seconds = time.monotonic() - begin
    results = {outcome.event.device: [outcome.result, outcome.text, outcome.placed] for outcome in outcomes}
    sys.stdout.write(json.dumps({"seconds": seconds, "results": results}))


def build_event(name: str, action: str) -> Event:
    """An event about a device."""
    kind, vif = parse_device(name)
    return Event(vif=vif, kind=kind, action=Action(action))


if __name__ == "__main__":
    main()
