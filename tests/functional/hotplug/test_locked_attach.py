"""Locked devices from their attach on: taps, VLANs, and a switch that does not take or keep what it is told."""

from __future__ import annotations

import pytest
from dom0 import EVERY, FLOWS, KEYS, LOCKED, VM, Dom0, sent
from guest_traffic import own_frames

from xsagent.apply.flows import read_flows


def replace_ofctl(dom0: Dom0, behaviour: str) -> None:
    """Put a stand-in for ovs-ofctl first in PATH that does this instead of adding flows."""
    program = dom0.sandbox.bin / "ovs-ofctl"
    program.write_text(f'#!/bin/sh\ncase "$*" in *add-flows*) {behaviour};; esac\nexec /usr/bin/ovs-ofctl "$@"\n')
    program.chmod(0o755)


def test_a_locked_tap_sends_what_is_its_own_and_nothing_else(dom0: Dom0) -> None:
    """A guest without PV drivers is held by the same flows; unlocked, live, it sends everything."""
    dom0.sandbox.run(["ip", "link", "set", "vif1.0", "name", "tap1.0"])
    dom0.lock(LOCKED)

    dom0.vif("add", "tap", INTERFACE="tap1.0")

    port = int(dom0.vsctl("get", "Interface", "tap1.0", "ofport"))
    assert len(read_flows(dom0.rundir, "xenbr0")[port]) == FLOWS
    assert sent(dom0) == own_frames().keys()
    dom0.lock("Unlocked")
    dom0.rules("filter", "tap1.0")
    assert sent(dom0) == EVERY.keys()


def test_a_locked_vif_on_a_vlan_sends_what_is_its_own_and_nothing_else(dom0: Dom0) -> None:
    """A VLAN bridge has no flows: they are its parent's."""
    dom0.add_bridge("xapi5", "xenbr0", "50")
    dom0.vsctl("set", "Port", "vif2.0", "tag=50")  # the watcher's
    dom0.write("bridge", "xapi5")
    dom0.lock(LOCKED)

    dom0.vif("vif", "1", "0", "online")

    port = int(dom0.vsctl("get", "Interface", "vif1.0", "ofport"))
    assert (dom0.bridge_of(), len(read_flows(dom0.rundir, "xenbr0")[port])) == ("xapi5", FLOWS)
    assert sent(dom0) == own_frames().keys()
    dom0.lock("Unlocked")
    dom0.rules("filter")
    assert sent(dom0) == EVERY.keys()


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [("echo refused >&2; exit 1", "refused"), ("exit 0", "does not hold the locking flows of vif1.0")],
)
def test_a_locked_vif_whose_flows_are_not_there_is_not_let_in(dom0: Dom0, behaviour: str, said: str) -> None:
    """Refused, or taken and dropped: no `connected`, the link stays down, and the VM's start fails with the reason."""
    replace_ofctl(dom0, behaviour)
    dom0.lock(LOCKED)

    failed = dom0.vif("vif", "1", "0", "online", check=False)

    assert failed.returncode == 1
    assert said in (dom0.read(f"{KEYS.backend}/hotplug-error") or "")
    assert dom0.read(f"{KEYS.backend}/hotplug-status") is None
    assert dom0.read(f"{KEYS.hotplug}/hotplug") is None
    assert "UP" not in dom0.link()["flags"]
    (dom0.sandbox.bin / "ovs-ofctl").unlink()
    dom0.vif("vif", "1", "0", "online")
    assert dom0.read(f"{KEYS.backend}/hotplug-error") is None
    assert sent(dom0) == own_frames().keys()


def test_a_vif_in_place_whose_flows_do_not_go_in_is_said_to_be_up_and_not_locked(dom0: Dom0) -> None:
    """Nobody is told that its link is down when it is not."""
    dom0.vif("vif", "1", "0", "online")
    replace_ofctl(dom0, "exit 0")
    dom0.lock(LOCKED)

    failed = dom0.run("setup_vif_rules", "xenlight", "vif1.0", VM, "0", "filter", check=False)

    assert failed.returncode == 1
    assert "the locking flows of vif1.0 (up all the same, not locked as is set)" in failed.stderr
    assert "UP" in dom0.link()["flags"]
