"""Bridges that forward everything without their controllers, as the switch itself counts them."""

from __future__ import annotations

import pytest
from host_state import vsctl

from xsagent.observed.fail_open import OpenableBridge, is_open, read_openable
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.sandbox.daemons import wait_for
from xsagent.sandbox.dom0 import Sandbox

AWAY = OpenableBridge(connected=False, delay_s=15)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("", None),
        ("-- set-controller xenbr0 tcp:127.0.0.1:6653", AWAY),
        ("-- set-controller xenbr0 tcp:127.0.0.1:6653 -- set-fail-mode xenbr0 standalone", AWAY),
        ("-- set-controller xenbr0 tcp:127.0.0.1:6653 -- set-fail-mode xenbr0 secure", None),
        ("-- set-controller xenbr0 ptcp:6653:127.0.0.1", None),
        ("-- set-controller xenbr0 none", None),
        ("-- set-controller xenbr0 tcp:127.0.0.1:6653 -- set controller xenbr0 type=service", None),
        (
            "-- set-controller xenbr0 tcp:127.0.0.1:6653 -- set controller xenbr0 inactivity_probe=60000",
            OpenableBridge(connected=False, delay_s=180),
        ),
        (
            "-- set-controller xenbr0 tcp:127.0.0.1:6653 -- set controller xenbr0 inactivity_probe=0",
            OpenableBridge(connected=False, delay_s=0),
        ),
    ],
)
def test_a_bridge_counts_where_a_lost_controller_opens_it(
    sandbox: Sandbox, connection: OvsdbConnection, words: str, found: OpenableBridge | None
) -> None:
    """A controller that the switch connects to, and no secure fail mode; three probes without a word open it."""
    vsctl(sandbox, "--no-wait", "add-br", "xenbr0", *words.split())

    assert read_openable(connection) == ({} if found is None else {"xenbr0": found})


def test_the_switch_says_when_it_forwards_everything(sandbox: Sandbox) -> None:
    """Before that, and on a bridge that is not there, it does not."""
    rundir = sandbox.root / "run/openvswitch"
    vsctl(sandbox, "add-br", "xenbr0", "--", "set", "Bridge", "xenbr0", "datapath_type=netdev")
    before = is_open(rundir, "xenbr0", 1)

    vsctl(sandbox, "set-controller", "xenbr0", "tcp:127.0.0.1:6653")
    vsctl(sandbox, "set", "Controller", "xenbr0", "inactivity_probe=1000")
    wait_for(lambda: is_open(rundir, "xenbr0", 1) is True, 20, "it did not fail open")

    assert (before, is_open(rundir, "xenbr7", 1)) == (False, None)
