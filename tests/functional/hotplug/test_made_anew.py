"""A guest's netdev that was deleted and made again under its port, which nobody removed, goes in like a new one."""

from __future__ import annotations

import sys

import pytest
from dom0 import EVERY, KEYS, LOCKED, Dom0, sent
from guest_traffic import MAC, own_frames

STALE_INDEX = """
from xsagent.apply.netdev import prepare_netdevs, set_netdevs_up
from xsagent.hotplug.decision import NetdevPrep
prep = NetdevPrep(device="vif1.0", ifindex=99999, mac="fe:ff:ff:ff:ff:ff", mtu=1300)
stale = {"vif1.0": 99999}
for wrong in (prepare_netdevs([(prep, True)]), set_netdevs_up(stale), set_netdevs_up(stale, up=False)):
    print({device: type(error).__name__ for device, error in wrong.items()})
"""


def make_anew(dom0: Dom0) -> None:
    """Another netdev of that name, as netback makes it: down; the guest is at its other end."""
    dom0.sandbox.run(
        ["ip", "-batch", "-"],
        input_text=f"link delete vif1.0\nlink add vif1.0 type veth peer name eth0 netns guest address {MAC}\n",
    )
    dom0.guest.run(["ip", "link", "set", "eth0", "up"])
    dom0.guest.run(["ethtool", "-K", "eth0", "tx", "off"])
    dom0.sandbox.leave_to_switch("vif1.0")


@pytest.mark.parametrize("told", [True, False])
def test_a_netdev_made_anew_is_prepared_and_carries_what_the_guest_may_send(dom0: Dom0, *, told: bool) -> None:
    """By its next event, or by a resync where that was lost: quiet, locked, its frames arrive; reported once more."""
    dom0.lock(LOCKED)
    dom0.vif("vif", "1", "0", "online")
    make_anew(dom0)
    dom0.remove(f"{KEYS.backend}/hotplug-status")

    if told:
        dom0.vif("vif", "1", "0", "online")
    else:
        dom0.resync()

    link = dom0.link()
    assert {"UP", "NOARP"} <= set(link["flags"])
    assert ("MULTICAST" in link["flags"], link["addr_info"]) == (False, [])
    assert "addrgenmode none" in dom0.sandbox.run(["ip", "-d", "link", "show", "vif1.0"]).stdout
    assert (link["address"], link["mtu"]) == ("fe:ff:ff:ff:ff:ff", 1400)
    assert sent(dom0) == own_frames().keys() & EVERY.keys()
    assert dom0.read(f"{KEYS.backend}/hotplug-status") == "connected"
    assert dom0.read(f"{KEYS.hotplug}/vif-ifindex") == str(link["ifindex"])


def test_the_port_of_a_netdev_made_anew_leaves_no_flow_behind(dom0: Dom0) -> None:
    """Its number may be another's next; a second event finds everything right."""
    dom0.lock(LOCKED)
    dom0.vif("vif", "1", "0", "online")
    make_anew(dom0)

    dom0.vif("vif", "1", "0", "online")

    before = (dom0.configuration(), dom0.bounces())
    number = dom0.vsctl("get", "Interface", "vif1.0", "ofport")
    flows = dom0.sandbox.run(["ovs-ofctl", "--no-names", "dump-flows", "xenbr0", "cookie=1/-1"]).stdout
    assert flows.count("actions=") == flows.count(f"in_port={number}") > 0
    dom0.vif("vif", "1", "0", "online")
    assert (dom0.configuration(), dom0.bounces()) == before


def test_a_netdev_that_came_in_place_of_the_one_looked_at_is_not_touched(dom0: Dom0) -> None:
    """Else it would look as if it had been prepared for its port. One that was to go down may be gone."""
    before = dom0.link()

    done = dom0.sandbox.run([sys.executable, "-c", STALE_INDEX])

    assert done.stdout.splitlines() == [str({"vif1.0": "DeviceAbsentError"})] * 2 + ["{}"]
    assert dom0.link() == before
