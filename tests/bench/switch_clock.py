"""Puts one port into the switch by a bare transaction and times it. A program of `make bench`.

Usage: switch_clock.py ROOT BRIDGE DEVICE [TAG GATEWAY]  Prints seconds from the transaction sent until the switch runs
it: what every attach waits for at least once, whoever makes it. With TAG the port is a VLAN bridge with that tag, and
time runs until GATEWAY answers through BRIDGE: what each verified change to the bridge below management waits for.
"""

from __future__ import annotations

import sys
import time
from ipaddress import ip_address
from pathlib import Path

from xsagent.apply.ovsdb import apply_ovsdb
from xsagent.apply.probe import probe_gateway
from xsagent.config import Paths
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.plan.steps import AddPort, OvsdbStep
from xsagent.topology.values import Interface, Port

DEADLINE_S = 60.0


def main() -> None:
    """Connect, add, wait."""
    root, bridge, device, *vlan = sys.argv[1:]
    port = Port(name=device, interfaces={device: Interface(name=device)})
    if vlan:
        internal = {device: Interface(name=device, type="internal")}
        port = Port(name=device, tag=int(vlan[0]), fake_bridge=True, interfaces=internal)
    step = OvsdbStep(operations=(AddPort(bridge=bridge, port=port),))
    with OvsdbConnection.open(Paths(root=Path(root)).ovsdb_socket, 0) as database:
        database.schema(time.monotonic() + DEADLINE_S)
        started = time.monotonic()
        apply_ovsdb(database, step, started + DEADLINE_S)
        if vlan and not probe_gateway(bridge, ip_address(vlan[1]), deadline_s=DEADLINE_S):
            sys.exit(f"{vlan[1]} does not answer")
        ended = time.monotonic()
    sys.stdout.write(f"{ended - started}")


if __name__ == "__main__":
    main()
