"""Random lives of guests' devices on real Open vSwitch, xenstored and netdevs: a sample beside the property tests."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import run_life

from xsagent.apply.flows import read_flows

if TYPE_CHECKING:
    from dom0 import Dom0

SEEDS = range(6)
STEPS = 40


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_life_ends_right_or_with_a_reason(dom0: Dom0, seed: int) -> None:
    """Hostile keys, lost events, vanishing devices, foreign hands: a resync leaves each VIF right, or says why not."""
    program = [sys.executable, str(Path(run_life.__file__)), str(dom0.sandbox.root), str(seed), str(STEPS)]
    ended = json.loads(dom0.sandbox.run(program, timeout=200).stdout)

    for vif in run_life.VIFS:
        has_netdev = dom0.sandbox.run(["ip", "link", "show", vif.device], check=False).returncode == 0
        has_backend = dom0.store.directory(vif.backend) is not None
        bridge, port = ended["bridges"].get(vif.device), dom0.bridge_of(vif.device)
        if has_netdev and has_backend:
            result, text = ended["outcomes"][vif.device]
            if result == "done":
                assert bridge is None or port == bridge
                assert dom0.read(f"{vif.backend}/hotplug-status") == "connected"
            else:
                assert text
                assert bridge in {None, "absent"}
        elif not has_netdev and not has_backend:
            assert port == ""
            assert dom0.read(f"{vif.hotplug}/hotplug") is None
    assert dom0.vsctl("list-br").split() == ["xenbr0", "xenbr1"]
    numbers = {
        int(dom0.vsctl("get", "Interface", name, "ofport"))
        for bridge in ("xenbr0", "xenbr1")
        for name in dom0.vsctl("list-ports", bridge).split()
    }
    assert {port for name in ("xenbr0", "xenbr1") for port in read_flows(dom0.rundir, name)} <= numbers
