"""All of guests' devices, or those about which something was heard -> the events that make each right. Effects.

The daemon's resync, and what it does for a few: after udev's word that does not count (`handle.ignore_udevs`). What is
changed at once is flows that are for nobody's port, or, without xenstored, missing; all else is read.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from xsagent.errors import XenstoreUnavailableError
from xsagent.hotplug.event import Event, parse_device
from xsagent.hotplug.lock import prune_flows
from xsagent.hotplug.lock_by_file import lock_by_files
from xsagent.hotplug.peers import Peers
from xsagent.hotplug.resync import build_resync_events
from xsagent.hotplug.survey import read_survey, read_survey_of
from xsagent.model.vif import DeviceType
from xsagent.observed.netdev import read_netdevs
from xsagent.observed.ovsdb import read_ovsdb
from xsagent.observed.vif_ports import read_vif_ports
from xsagent.topology.ownership import may_have_guests
from xsagent.topology.values import Bridge


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a look at all devices found.

    Attributes:
        events: what is to be done.
        devices: names of all that exist for any peer.
        vifs: how many have a backend.
    """

    events: tuple[Event, ...]
    devices: frozenset[str]
    vifs: int


def look_at_all(peers: Peers, bridges: Mapping[str, Bridge]) -> Found:
    """What a resync does for every VIF; flows for ports that are gone are taken out.

    Locked guests that the switch forgot are locked before anything else is asked. Where xenstored does not answer,
    those that xenopsd's files name are locked too before that is an error.

    Args:
        peers: connections.
        bridges: read whole, just now.

    Raises:
        XenstoreError, XenstoreUnavailableError, OvsdbError, OvsdbUnavailableError: a peer does not tell.
    """
    peers.locks.put_back(bridges.values())
    try:
        survey = read_survey(peers.store, peers.paths.sys, bridges.values())
    except XenstoreUnavailableError:
        lock_by_files(peers, bridges.values())
        raise
    # on a bridge without guests the cookie may be somebody's who knows nothing of ours
    guests = {name: bridge for name, bridge in bridges.items() if may_have_guests(bridge)}
    prune_flows(peers.paths.ovs_rundir, guests, lambda: read_ovsdb(peers.database).bridges)
    known = {vif.device(kind) for kind, vif in survey.netdevs | survey.ports}
    known |= {vif.device(DeviceType.VIF) for vif in survey.online | survey.backends}
    return Found(events=build_resync_events(survey), devices=frozenset(known), vifs=len(survey.backends))


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
