"""Puts one port into the switch by a bare transaction and times it. A program of `make bench`.

Usage: switch_clock.py ROOT BRIDGE DEVICE  Prints seconds from the transaction sent until the switch runs it: what every
attach waits for at least once, whoever makes it.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from xsagent.apply.ovsdb import apply_ovsdb
from xsagent.config import Paths
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.plan.steps import AddPort, OvsdbStep
from xsagent.topology.values import Interface, Port

DEADLINE_S = 60.0


def main() -> None:
    """Connect, add, wait."""
    root, bridge, device = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    port = Port(name=device, interfaces={device: Interface(name=device)})
    step = OvsdbStep(operations=(AddPort(bridge=bridge, port=port),))
    with OvsdbConnection.open(Paths(root=root).ovsdb_socket, 0) as database:
        database.schema(time.monotonic() + DEADLINE_S)
        started = time.monotonic()
        apply_ovsdb(database, step, started + DEADLINE_S)
        ended = time.monotonic()
    sys.stdout.write(f"{ended - started}")


if __name__ == "__main__":
    main()
