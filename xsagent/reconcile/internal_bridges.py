"""Fail mode and in-band control of bridges of internal networks, which no PIF's operation sets. Effects.

As the peers' ovs-xapi-sync does (features.md section 11): XAPI makes such a bridge when the first VIF needs it, and
nobody runs interface-reconfigure for it. The change itself is `control.py`'s, which puts back guests' flows.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

from xsagent.apply.lock import hold_lock
from xsagent.config import Paths, Settings
from xsagent.desired.fail_mode import choose_disable_in_band, choose_fail_mode
from xsagent.desired.notes import Notes
from xsagent.model.records import Network, Pool, Ref
from xsagent.model.snapshot import networks_by_bridge
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.observed.ovsdb_ids import SwitchIds
from xsagent.plan.manager import diff_bridges
from xsagent.planning import Host
from xsagent.reconcile.control import apply_control
from xsagent.reconcile.external_ids import find_network, is_internal
from xsagent.topology.control import BridgeControl, DesiredControl
from xsagent.topology.ownership import NETWORK_MARK

_OWNER: Final = "xsagentd, internal bridges"


def differing_bridges(
    switch: SwitchIds, networks: Mapping[Ref, Network], pool: Pool | None
) -> dict[str, BridgeControl]:
    """What XAPI wants of the internal bridges that have it otherwise, by name; pure."""
    by_bridge = networks_by_bridge(networks)
    found: dict[str, BridgeControl] = {}
    for name, bridge in switch.bridges.items():
        network = find_network(name, bridge.external_ids.get(NETWORK_MARK, ""), by_bridge)
        if network is None or not is_internal(network):
            continue
        wanted = _wanted(network, pool)
        if (bridge.fail_mode, bridge.disable_in_band) != (wanted.fail_mode, wanted.disable_in_band):
            found[name] = wanted
    return found


def _wanted(network: Network, pool: Pool | None) -> BridgeControl:
    notes = Notes()
    return BridgeControl(
        fail_mode=choose_fail_mode(network.bridge, None, network, pool, notes),
        disable_in_band=choose_disable_in_band(network.bridge, network, notes),
    )


def update_internal_bridges(paths: Paths, settings: Settings, wanted: Mapping[str, BridgeControl]) -> None:
    """Make these bridges so; what is right already is not touched.

    Raises:
        XsagentError: as `apply_control`; the bridges are as they were.
    """
    with (
        hold_lock(paths.lock, _OWNER, settings.lock_wait_s),
        OvsdbConnection.open(paths.ovsdb_socket, 0) as connection,
    ):
        desired = DesiredControl(bridges=wanted)
        apply_control(Host(paths, settings, connection), desired, partial(diff_bridges, desired))
