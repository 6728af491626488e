"""A real bridge with its own internal port (features.md sections 3, 11, 12). Pure.

build.py adds what hangs on it: a NIC's port, a bond's, VLAN bridges.
"""

from __future__ import annotations

from xsagent.desired.external_ids import network_uuids
from xsagent.desired.fail_mode import disable_in_band, fail_mode
from xsagent.desired.mtu import is_side_effect_on_management, wanted_mtu
from xsagent.desired.notes import Notes
from xsagent.desired.scene import Scene
from xsagent.errors import InputError
from xsagent.model.records import Pif
from xsagent.model.values import parse_integer
from xsagent.topology.ownership import NETWORK_MARK
from xsagent.topology.values import KEEP, Bridge, Interface, Keep, Keys, Port

_MAC_TABLE_KEY = "mac-table-size"
_MIN_MAC_TABLE, _MAX_MAC_TABLE = 10, 1_000_000
"""Range of the key in ovs-vswitchd.conf.db(5)."""


def real_bridge(scene: Scene, pif: Pif, name: str, mac: str | None, notes: Notes) -> Bridge:
    """The bridge of a NIC, bond or tunnel PIF, with its internal port alone.

    Args:
        mac: the bridge's; None leaves it to the switch.
    """
    pool = scene.snapshot.pool
    return Bridge(
        name=name,
        ports={name: internal_port(name, _internal_mtu(scene, pif, notes))},
        datapath_type=scene.options.datapath_type,
        fail_mode=fail_mode(scene, pif, name, notes),
        hwaddr=KEEP if mac is None else mac,
        mcast_snooping=KEEP if pool is None else pool.igmp_snooping_enabled,
        other_config={
            "disable-in-band": disable_in_band(scene, pif, name, notes),
            _MAC_TABLE_KEY: _mac_table_size(scene, pif, name, notes),
            **_snooping_keys(scene),
        },
        external_ids={NETWORK_MARK: network_uuids(scene, pif)},
    )


def internal_port(name: str, mtu: int | Keep) -> Port:
    """The port that every bridge has under its own name."""
    interface = Interface(name=name, type="internal", mtu_request=mtu)
    return Port(name=name, interfaces={name: interface})


def _internal_mtu(scene: Scene, pif: Pif, notes: Notes) -> int | Keep:
    if is_side_effect_on_management(scene, pif):
        return KEEP
    return wanted_mtu(scene, pif, notes)


def _snooping_keys(scene: Scene) -> Keys:
    """What xcp-networkd sets beside mcast_snooping_enable; nothing is said where snooping is off."""
    pool = scene.snapshot.pool
    if pool is None or not pool.igmp_snooping_enabled:
        return {}
    return {"enable-ipv6-mcast-snooping": "false", "mcast-snooping-disable-flood-unregistered": "true"}


def _mac_table_size(scene: Scene, pif: Pif, name: str, notes: Notes) -> str:
    """The configured size, or a larger one that the network's other_config asks for."""
    size = scene.options.mac_table_size
    text = scene.network_of(pif).other_config.get(_MAC_TABLE_KEY)
    if text is None:
        return str(size)
    try:
        return str(max(size, parse_integer(text, _MIN_MAC_TABLE, _MAX_MAC_TABLE)))
    except InputError as error:
        notes.warn("pass_over_mac_table_size", name, f"{_MAC_TABLE_KEY}: {error}")
        return str(size)
