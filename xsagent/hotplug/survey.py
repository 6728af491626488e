"""xenstored, kernel and switch -> Survey of all guests' devices. I/O: reads only.

Before `resync.build_resync_events`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from xsagent.errors import InputError, UsageError
from xsagent.hotplug.event import MAX_DEVID, MAX_DOMID, parse_device
from xsagent.hotplug.mirror import mirrored_devices
from xsagent.hotplug.resync import Survey
from xsagent.model.vif import DeviceType, VifId
from xsagent.sources.vif_reader import DISABLE_UDEV, read_all_vif_keys
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
    netdevs = (path.name for path in (sysfs / "class/net").glob("*"))
    return _build(store, netdevs, bridges, _list_backends(store), _read_online(store))


def read_survey_of(vifs: Sequence[VifId], store: Xenstore, sysfs: Path, bridges: Iterable[Bridge]) -> Survey:
    """The same of the devices of some VIFs alone; `bridges` need to hold no others."""
    names = (vif.device(kind) for vif in vifs for kind in DeviceType)
    netdevs = (name for name in names if (sysfs / "class/net" / name).exists())
    listed = store.directories([vif.backend_path for vif in vifs])
    backends = [vif for vif, found in zip(vifs, listed, strict=True) if found is not None]
    survey = _build(store, netdevs, bridges, backends, _read_online_of(store, vifs))
    return replace(survey, ports=frozenset(port for port in survey.ports if port[1] in vifs))


def _build(
    store: Xenstore,
    netdevs: Iterable[str],
    bridges: Iterable[Bridge],
    backends: Sequence[VifId],
    online: Iterable[VifId],
) -> Survey:
    states = _read_states(store, backends)
    return Survey(
        backends=frozenset(backends),
        closing=frozenset(vif for vif, (state, _) in states.items() if state in _CLOSING),
        unplugging=frozenset(vif for vif, (state, online) in states.items() if state in _CLOSING and online == b"0"),
        closed=frozenset(vif for vif, found in states.items() if found == (_CLOSED, b"0")),
        online=frozenset(online),
        netdevs=frozenset(_devices(netdevs)),
        ports=frozenset(_devices(name for bridge in bridges for name in _marked(bridge))),
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


def _list_backends(store: Xenstore) -> list[VifId]:
    """Every vif with a backend directory."""
    domids = [name for name in store.directory(_BACKENDS) or () if _is_number(name, MAX_DOMID)]
    listed = store.directories([f"{_BACKENDS}/{domid}" for domid in domids])
    return [
        VifId(int(domid), int(devid))
        for domid, devids in zip(domids, listed, strict=True)
        for devid in devids or ()
        if _is_number(devid, MAX_DEVID)
    ]


def _read_states(store: Xenstore, vifs: Sequence[VifId]) -> dict[VifId, tuple[bytes | None, bytes | None]]:
    """``state`` and ``online`` of each."""
    values = store.read_all([f"{vif.backend_path}/{key}" for vif in vifs for key in ("state", "online")])
    return dict(zip(vifs, zip(values[::2], values[1::2], strict=True), strict=True))


def _read_online_of(store: Xenstore, vifs: Sequence[VifId]) -> Iterator[VifId]:
    """As `_read_online`; a domain whose own keys are malformed has none."""
    found = zip(vifs, read_all_vif_keys(store, vifs), strict=True)
    keys = {vif: f"{one.paths.hotplug}/hotplug" for vif, one in found if not isinstance(one, InputError)}
    values = store.read_all(list(keys.values()))
    yield from (vif for vif, value in zip(keys, values, strict=True) if value is not None)


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
