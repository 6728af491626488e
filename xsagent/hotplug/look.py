"""Names of devices about which something was heard -> the events that make each right. I/O: reads only.

What the daemon's resync does for all devices, for a few: after udev's word that does not count (`handle.ignore_udevs`).
"""

from __future__ import annotations

from collections.abc import Collection

from xsagent.hotplug.event import Event, parse_device
from xsagent.hotplug.peers import Peers
from xsagent.hotplug.resync import build_resync_events
from xsagent.hotplug.survey import read_survey_of
from xsagent.model.vif import DeviceType
from xsagent.observed.netdev import read_netdevs
from xsagent.observed.vif_ports import read_vif_ports


def look_at(peers: Peers, devices: Collection[str]) -> tuple[Event, ...]:
    """What a resync would do for the VIFs of these devices.

    A netdev that is up was made so by us, after it came; nothing is asked about those.

    Raises:
        XenstoreError, XenstoreUnavailableError, OvsdbError, OvsdbUnavailableError: a peer does not tell.
    """
    links = read_netdevs(peers.paths.sys, devices)
    vifs = sorted({parse_device(name)[1] for name in devices if name not in links or not links[name].up})
    if not vifs:
        return ()
    bridges = read_vif_ports(peers.database, [vif.device(kind) for vif in vifs for kind in DeviceType])
    return build_resync_events(read_survey_of(vifs, peers.store, peers.paths.sys, bridges.values()))
