"""Open vSwitch's in-band control against locking flows, in frames: why the doctor warns of it."""

from __future__ import annotations

import frames
from dom0 import LOCKED, Dom0
from guest_traffic import MAC, OTHER_MAC, arrived

MANAGER = "192.0.2.250"
AS_MANAGER = {
    "arp request": frames.arp(MAC, MAC, MANAGER),
    "arp request with another mac": frames.arp(OTHER_MAC, OTHER_MAC, MANAGER),
}


def seen(dom0: Dom0) -> set[str]:
    """Which of them another guest gets of the locked one, once the switch took its configuration over."""
    dom0.sandbox.run(["ovs-appctl", "revalidator/wait"])
    return arrived(dom0.sandbox, dom0.guest, dom0.watcher, AS_MANAGER)


def test_a_locked_guest_may_speak_for_a_manager_only_where_control_is_in_band(dom0: Dom0) -> None:
    """Flows of the switch's own, which nobody can put others above; without in-band control there are none."""
    dom0.lock(LOCKED)
    dom0.vif("vif", "1", "0", "online")
    without = seen(dom0)
    dom0.vsctl("set-manager", f"tcp:{MANAGER}:6640")
    in_band = seen(dom0)
    dom0.vsctl("set", "Bridge", "xenbr0", "other_config:disable-in-band=true")

    assert (without, in_band) == (set(), AS_MANAGER.keys())
    assert seen(dom0) == set()
