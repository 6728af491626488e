"""A NIC: its Link, and the Interface and Port that it is in a bridge (features.md sections 3, 8, 9). Pure.

Used by build.py for a PIF of its own, by bond.py for members, by vlan.py for a bridgeless VLAN's carrier.
"""

from __future__ import annotations

from xsagent.desired.ethtool import link_settings, nic_features
from xsagent.desired.kind import label, refusal
from xsagent.desired.notes import Notes
from xsagent.desired.scene import Scene
from xsagent.errors import InputError
from xsagent.model.records import Pif
from xsagent.model.values import parse_device_name, parse_mac
from xsagent.topology.values import Interface, Keep, Keys, Link, Port


def nic_name(pif: Pif) -> str:
    """The NIC's device; InputError when it is no device name."""
    try:
        return parse_device_name(pif.device)
    except InputError as error:
        raise refusal(pif, error) from error


def pif_mac(pif: Pif, notes: Notes) -> str | None:
    """The record's MAC; None, with a warning, when it is none: the device's own counts then (features.md section 1)."""
    try:
        return parse_mac(pif.mac)
    except InputError as error:
        notes.warn("pass_over_mac", pif.device, f"the MAC of {label(pif)}: {error}; the device's own is taken")
        return None


def nic_link(scene: Scene, pif: Pif, carrier: Pif, mtu: int | Keep, notes: Notes) -> Link:
    """The NIC as a netdev that is up.

    Args:
        carrier: the bond of a member, else the PIF itself: its properties give the default of gro. One that is only on
            the way is made no narrower, whatever rides on it: its own `up` does that, and to all of it.
        mtu: bytes.
    """
    name = nic_name(pif)
    return Link(
        name=name,
        expected_mac=pif_mac(pif, notes),
        up=True,
        mtu=mtu,
        mtu_is_least=carrier.ref not in scene.raised,
        features=nic_features(pif.other_config, carrier.properties, name, notes),
        settings=link_settings(pif.other_config, name, notes),
    )


def nic_interface(pif: Pif, mtu: int | Keep, other_config: Keys | None = None) -> Interface:
    """The NIC as an interface of the switch."""
    return Interface(name=nic_name(pif), type="", mtu_request=mtu, other_config=other_config or {})


def nic_port(pif: Pif, mtu: int | Keep) -> Port:
    """The NIC as a port of its own: untagged, no bond, whatever the row was before."""
    interface = nic_interface(pif, mtu)
    return Port(name=interface.name, interfaces={interface.name: interface}, tag=None)
