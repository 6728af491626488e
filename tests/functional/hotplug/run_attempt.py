"""Run in a sandbox's dom0: one attempt for many events; prints what came of it as JSON.

``python run_attempt.py ROOT ACTION DEVICE...`` Standard error is left to the log.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from xsagent.config import Paths, Settings
from xsagent.hotplug.attempt import attempt
from xsagent.hotplug.event import Action, Event, parse_device
from xsagent.hotplug.peers import Peers


def main() -> None:
    """Do it, after a warm-up of the connections, as a daemon would have them."""
    root, action, *devices = sys.argv[1:]
    events = []
    for name in devices:
        kind, vif = parse_device(name)
        events.append(Event(vif=vif, kind=kind, action=Action(action)))
    with Peers(Paths(root=Path(root)), Settings()) as peers:
        assert peers.store.is_open
        assert peers.database.schema(time.monotonic() + 10)
        begin = time.monotonic()
        outcomes = attempt(peers, events)
        seconds = time.monotonic() - begin
    results = {outcome.event.device: [outcome.result, outcome.text, outcome.placed] for outcome in outcomes}
    sys.stdout.write(json.dumps({"seconds": seconds, "results": results}))


if __name__ == "__main__":
    main()
