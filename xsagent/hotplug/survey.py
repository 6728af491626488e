"""xenstored, kernel and switch -> Survey of all guests' devices. I/O: reads only.

Before `resync.build_resync_events`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from xsagent.errors import UsageError
from xsagent.hotplug.event import MAX_DEVID, MAX_DOMID, parse_device
from xsagent.hotplug.mirror import mirrored_devices
from xsagent.hotplug.resync import Survey
from xsagent.model.vif import DeviceType, VifId
from xsagent.sources.vif_reader import DISABLE_UDEV
from xsagent.sources.xenstore import Xenstore
from xsagent.topology.ownership import is_vif_port
from xsagent.topology.values import Bridge

_BACKENDS = "/local/domain/0/backend/vif"
_CLOSED = b"6"
_CLOSING = frozenset({b"5", _CLOSED})


def read_survey(store: Xenstore, sysfs: Path, bridges: Iterable[Bridge]) -> Survey:
    """All devices as they are now.

    Args:
        store: xenstored.
        sysfs: /sys below the root prefix.
        bridges: read whole.

    Raises:
        XenstoreError, XenstoreUnavailableError: as `Xenstore.read`: a xenstored that does not tell is not "no vifs".
    """
    netdevs = frozenset(_devices(path.name for path in (sysfs / "class/net").glob("*")))
    ports = frozenset(_devices(name for bridge in bridges for name in _marked(bridge)))
    backends, closing, closed = _read_backends(store)
    return Survey(
        backends=backends,
        closing=closing,
        closed=closed,
        online=frozenset(_read_online(store)),
        netdevs=netdevs,
        ports=ports,
        udev_ignored=store.read(DISABLE_UDEV) is not None,
    )


def _marked(bridge: Bridge) -> Iterator[str]:
    """What bears our marks: ports, and mirrors whose port may have gone."""
    yield from (name for name, port in bridge.ports.items() if is_vif_port(port))
    yield from mirrored_devices(bridge)


def _devices(names: Iterable[str]) -> Iterator[tuple[DeviceType, VifId]]:
    for name in names:
        with contextlib.suppress(UsageError):
            yield parse_device(name)


def _read_backends(store: Xenstore) -> tuple[frozenset[VifId], frozenset[VifId], frozenset[VifId]]:
    """Every vif with a backend directory, those that are going, and those of them that are gone for good."""
    domids = [name for name in store.directory(_BACKENDS) or () if _is_number(name, MAX_DOMID)]
    listed = store.directories([f"{_BACKENDS}/{domid}" for domid in domids])
    vifs = [
        VifId(int(domid), int(devid))
        for domid, devids in zip(domids, listed, strict=True)
        for devid in devids or ()
        if _is_number(devid, MAX_DEVID)
    ]
    values = store.read_all([f"{vif.backend_path}/{key}" for vif in vifs for key in ("state", "online")])
    states = dict(zip(vifs, zip(values[::2], values[1::2], strict=True), strict=True))
    closing = (vif for vif, (state, _) in states.items() if state in _CLOSING)
    closed = (vif for vif, found in states.items() if found == (_CLOSED, b"0"))
    return frozenset(vifs), frozenset(closing), frozenset(closed)


def _read_online(store: Xenstore) -> Iterator[VifId]:
    """Vifs with a ``hotplug`` key, in both layouts (features.md section 19)."""
    tops = store.directory("/xapi") or ()
    places: list[tuple[str, int]] = []
    listed = store.directories([f"/xapi/{top}/hotplug" for top in tops])
    for top, names in zip(tops, listed, strict=True):
        for name in names or ():
            if name == "vif" and _is_number(top, MAX_DOMID):
                places.append((f"/xapi/{top}/hotplug/vif", int(top)))
            elif _is_number(name, MAX_DOMID):
                places.append((f"/xapi/{top}/hotplug/{name}/vif", int(name)))
    found = store.directories([path for path, _ in places])
    keys = [
        (f"{path}/{devid}/hotplug", VifId(domid, int(devid)))
        for (path, domid), devids in zip(places, found, strict=True)
        for devid in devids or ()
        if _is_number(devid, MAX_DEVID)
    ]
    values = store.read_all([path for path, _ in keys])
    yield from (vif for (_, vif), value in zip(keys, values, strict=True) if value is not None)


def _is_number(text: str, highest: int) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= len(str(highest)) and int(text) <= highest
