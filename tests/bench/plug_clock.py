"""Sends `online` events in a sandbox and times until each vif is `connected`. A program of `make bench`.

Usage: plug_clock.py ROOT DEADLINE-S DOMID...  Prints JSON: seconds from the first event sent until `connected` was
readable for the last VIF, those that were not within the deadline, and those that had a hotplug-error.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from xsagent.config import Paths
from xsagent.model.vif import VifId
from xsagent.sandbox.uevents import send_uevents, xen_backend_uevent
from xsagent.sources.xenstore import Xenstore, open_xenstore

BACKENDS = "/local/domain/0/backend/vif"


def main() -> None:
    """Watch, send, wait."""
    root, deadline_s = Path(sys.argv[1]), float(sys.argv[2])
    vifs = [VifId(int(word), 0) for word in sys.argv[3:]]
    with open_xenstore(Paths(root=root)) as store:
        store.watch(BACKENDS, "bench")
        while store.take_event(0.05) is not None:
            pass
        started = time.monotonic()
        send_uevents(xen_backend_uevent("online", vif) for vif in vifs)
        sent = time.monotonic()
        waiting, failed = _wait(store, set(vifs), started + deadline_s)
        ended = time.monotonic()
    figures = {"took_s": ended - started, "sent_s": sent - started, "lost": len(waiting), "failed": len(failed)}
    sys.stdout.write(json.dumps(figures))


def _wait(store: Xenstore, waiting: set[VifId], end: float) -> tuple[set[VifId], set[VifId]]:
    """Take watch events until all are connected; who is not, and who failed."""
    failed: set[VifId] = set()
    while waiting and time.monotonic() < end:
        event = store.take_event(1.0)
        parts = event.path.removeprefix(f"{BACKENDS}/").split("/") if event else []
        if event is None or len(parts) != 3 or parts[2] not in {"hotplug-status", "hotplug-error"}:
            continue
        vif = VifId(int(parts[0]), int(parts[1]))
        value = store.read(event.path)
        if parts[2] == "hotplug-error" and value is not None:
            failed.add(vif)
        elif parts[2] == "hotplug-status" and value == b"connected":
            waiting.discard(vif)
    return waiting, failed


if __name__ == "__main__":
    main()
