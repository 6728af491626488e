"""What is there of guests' devices -> the events that make it right. Pure.

The daemon reads a Survey (`survey`) at its start, after a peer came back and every few minutes, and hands the events
to `attempt`. Lost events, a killed daemon and foreign hands are all mended by the same comparison (DESIGN.md
section 6).
"""

from __future__ import annotations

from dataclasses import dataclass

from xsagent.hotplug.event import Action, Event
from xsagent.model.vif import DeviceType, VifId


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """All guests' devices, as each peer knows them.

    Attributes:
        backends: vifs whose backend directory is in xenstore.
        closing: those of them that netback is taking away.
        closed: those of them that it has taken away for good: the toolstack, which removes the directory last, asked
            for that. A driver that plugs its device again does not.
        online: vifs with a ``hotplug`` key: xenopsd believes that they are plugged.
        netdevs: vif and tap netdevs of the kernel.
        ports: vif and tap ports of the switch that bear our marks, and vifs that have a mirror of ours.
        udev_ignored: the toolstack calls for each plug itself (``libxl/disable_udev``).
    """

    backends: frozenset[VifId]
    closing: frozenset[VifId] = frozenset()
    closed: frozenset[VifId] = frozenset()
    online: frozenset[VifId] = frozenset()
    netdevs: frozenset[tuple[DeviceType, VifId]] = frozenset()
    ports: frozenset[tuple[DeviceType, VifId]] = frozenset()
    udev_ignored: bool = False


def build_resync_events(survey: Survey) -> tuple[Event, ...]:
    """One event for each device that may need something, in the order of their names.

    What has a netdev is repaired (right ones cost a comparison). A port, or a ``hotplug`` key, is removed only when
    the netdev is gone and xenstore says that the backend is gone, or closed for good: a restarting xenstored is not
    "no vifs". A tap has no backend of its own; the VIF's counts. Where the toolstack calls for each vif, one that it
    has not yet had plugged is left to its call.
    """
    living = survey.backends - survey.closing
    events = {(kind, vif): Action.REPAIR for kind, vif in survey.netdevs if vif in living}
    if survey.udev_ignored:
        plugged = survey.ports | {(DeviceType.VIF, vif) for vif in survey.online}
        events = {key: action for key, action in events.items() if key in plugged or key[0] is DeviceType.TAP}
    leftovers = survey.ports | {(DeviceType.VIF, vif) for vif in survey.online}
    for kind, vif in leftovers - survey.netdevs:
        if vif not in survey.backends - survey.closed:
            events[kind, vif] = Action.REMOVE
    return tuple(Event(vif=vif, kind=kind, action=action) for (kind, vif), action in sorted(events.items()))
