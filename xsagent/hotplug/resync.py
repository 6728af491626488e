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
        closing: those of them that netback closes or has closed. A guest alone can bring that about, and come again.
        unplugging: those of them for which the toolstack asked. A driver that plugs its device again does not.
        closed: those of them that netback is through with: it takes netdevs away, the toolstack the directory last.
        online: vifs with a ``hotplug`` key: xenopsd believes that they are plugged.
        netdevs: vif and tap netdevs of the kernel.
        ports: vif and tap ports of the switch that bear our marks, and vifs that have a mirror of ours.
        udev_ignored: the toolstack calls for each plug itself (``libxl/disable_udev``).
    """

    backends: frozenset[VifId]
    closing: frozenset[VifId] = frozenset()
    unplugging: frozenset[VifId] = frozenset()
    closed: frozenset[VifId] = frozenset()
    online: frozenset[VifId] = frozenset()
    netdevs: frozenset[tuple[DeviceType, VifId]] = frozenset()
    ports: frozenset[tuple[DeviceType, VifId]] = frozenset()
    udev_ignored: bool = False


def build_resync_events(survey: Survey) -> tuple[Event, ...]:
    """One event for each device that may need something, in the order of their names.

    What has a netdev is repaired (right ones cost a comparison). Of a closing vif that is a device which is plugged in,
    since a guest that comes again is told by nobody; on its way out it gets no port back. A port, or a ``hotplug`` key,
    is removed only when the netdev is gone and xenstore says that the backend is gone, or closed for good: a restarting
    xenstored is not "no vifs". A tap has no backend of its own; the VIF's counts. Where the toolstack calls for each
    vif, one that it has not yet had plugged is left to its call.
    """
    plugged = survey.ports | {(DeviceType.VIF, vif) for vif in survey.online}
    events = {key: Action.REPAIR for key in survey.netdevs if _is_living(survey, *key)}
    if survey.udev_ignored:
        events = {key: action for key, action in events.items() if key in plugged or key[0] is DeviceType.TAP}
    for kind, vif in plugged - survey.netdevs:
        if vif not in survey.backends - survey.closed:
            events[kind, vif] = Action.REMOVE
    return tuple(Event(vif=vif, kind=kind, action=action) for (kind, vif), action in sorted(events.items()))


def _is_living(survey: Survey, kind: DeviceType, vif: VifId) -> bool:
    """Whether a netdev is to be as the toolstack wants its device."""
    if vif in survey.closing:
        return (kind, vif) in survey.ports or vif in survey.online - survey.unplugging
    return vif in survey.backends
