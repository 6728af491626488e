"""LinkStep, SysctlStep, VLAN netdevs and offloads on a real kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xsagent.plan.steps import (
    CreateVlanLinkStep,
    DeleteLinkStep,
    FeaturesStep,
    LinkSettingsStep,
    LinkStep,
    SysctlStep,
    WaitCarrierStep,
)

if TYPE_CHECKING:
    from kernel_dom0 import Dom0


def test_mtu_mac_and_up_are_what_the_kernel_shows_afterwards(dom0: Dom0) -> None:
    """A LinkStep sets all three; reading back finds them."""
    done = dom0.run(LinkStep(device="eth1", mtu=1400, up=True, mac="02:00:00:00:00:77"))

    shown = dom0.ip("link", "show", "dev", "eth1")[0]
    assert done.error is None
    assert (shown["mtu"], shown["address"], "UP" in shown["flags"]) == (1400, "02:00:00:00:00:77", True)
    link = done.links["eth1"]
    assert (link.mtu, link.mac, link.up, link.carrier, link.physical) == (1400, "02:00:00:00:00:77", True, True, True)


def test_a_link_that_is_down_has_no_carrier_to_speak_of(dom0: Dom0) -> None:
    """Down means up False and carrier None, whatever the cable says."""
    link = dom0.run(LinkStep(device="eth1", up=False)).links["eth1"]

    assert (link.up, link.carrier) == (False, None)


def test_an_mtu_that_the_kernel_refuses_is_named(dom0: Dom0) -> None:
    """The error says which device and which MTU; the old one stays."""
    done = dom0.run(LinkStep(device="eth1", mtu=70000))

    assert done.error == "NetlinkError"
    assert "70000" in done.text
    assert "eth1" in done.text
    assert done.links["eth1"].mtu == 1500


def test_an_absent_device_is_named(dom0: Dom0) -> None:
    """A device that is not there is DeviceAbsentError, not a number of the kernel."""
    done = dom0.run(LinkStep(device="eth9", up=True))

    assert done.error == "DeviceAbsentError"
    assert "eth9" in done.text


def test_sysctls_are_written_and_read_by_device(dom0: Dom0) -> None:
    """A written value is read back with its link; an unknown one is refused by name, others being set."""
    path = "ipv6/conf/eth1/accept_ra"
    done = dom0.run(SysctlStep(values={"ipv6/conf/eth1/nonsense": "1", path: "0"}), sysctls=[path])

    assert done.links["eth1"].sysctls == {path: "0"}
    assert done.error == "NetlinkError"
    assert "nonsense" in done.text


def test_waiting_for_carrier_ends_without_it(dom0: Dom0) -> None:
    """A pulled cable costs the step's seconds and is no error."""
    dom0.sandbox.far("far1").set_carrier("eth1", up=False)

    done = dom0.run(WaitCarrierStep(devices=("eth0", "eth1"), seconds=0.2))

    assert done.error is None
    assert done.links["eth1"].carrier is False


def test_only_vlan_devices_are_deleted(dom0: Dom0) -> None:
    """A netdev of another kind is foreign: it stays. One that is gone needs nothing."""
    done = dom0.run(DeleteLinkStep(device="eth9"), DeleteLinkStep(device="eth1"))

    assert done.error == "ForeignObjectError"
    assert "eth1" in done.links


def test_a_vlan_device_is_not_put_in_the_place_of_another(dom0: Dom0) -> None:
    """A netdev of that name which is no such VLAN is left alone."""
    done = dom0.run(CreateVlanLinkStep(device="eth1", parent="eth0", tag=5))

    assert done.error == "ForeignObjectError"


def test_a_refused_offload_does_not_keep_others_from_being_set(dom0: Dom0) -> None:
    """A veth has no LRO: that is one reason and one memory; gro and tx change all the same."""
    done = dom0.run(FeaturesStep(device="eth1", features={"lro": True, "gro": True, "tx": False}), ethtool=["eth1"])

    assert done.error is None
    assert done.returned[0].count("does not turn") == 1
    assert "lro" in done.returned[0]
    features = done.links["eth1"].features
    assert (features["lro"], features["gro"], features["tx"]) == (False, True, False)
    assert done.refused["features"] == {"eth1": {"lro": True}}


def test_a_refusal_is_forgotten_once_the_value_is_taken(dom0: Dom0) -> None:
    """TSO needs checksums: refused while they are off, taken and forgotten afterwards."""
    refused = dom0.run(FeaturesStep(device="eth1", features={"tx": False, "tso": True})).refused
    taken = dom0.run(FeaturesStep(device="eth1", features={"tx": True, "tso": True})).refused

    assert refused["features"] == {"eth1": {"tso": True}}
    assert taken["features"] == {}


def test_a_refusal_does_not_bind_another_nic_of_the_same_name(dom0: Dom0) -> None:
    """After the NIC was exchanged (another MAC) nothing is known to be refused."""
    before = dom0.run(FeaturesStep(device="eth1", features={"lro": True})).refused
    after = dom0.run(LinkStep(device="eth1", mac="02:00:00:00:00:78")).refused

    assert before["features"] == {"eth1": {"lro": True}}
    assert after["features"] == {}


def test_link_modes_that_the_driver_lacks_are_refused_one_by_one(dom0: Dom0) -> None:
    """A veth has no link modes, rings or wake-on-LAN: a reason for each, and no error."""
    done = dom0.run(LinkSettingsStep(device="eth1", settings={"autoneg": "off", "speed": "100", "ring-rx": "64"}))

    assert done.error is None
    assert set(done.refused["settings"]["eth1"]) == {"autoneg", "speed", "ring-rx"}
