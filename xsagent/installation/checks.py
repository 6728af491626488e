"""May this host be taken over? Reads the host, and for profile `full` writes the cache; raises a sentence if not.

What the package's %pre calls. A host is live when its systemd or its switch runs; below a directory that is only
being filled (an image, DESTDIR) there is nothing to ask and nothing to lose.
"""

from __future__ import annotations

import os
from typing import Final

from xsagent.apply.lock import hold_lock
from xsagent.child import find_program, run_child
from xsagent.config import Paths, Settings
from xsagent.errors import CommandError, RefusedError, XsagentError
from xsagent.installation.divert import is_link_to
from xsagent.installation.layout import NOWHERE, UNIT_OVERRIDES, Profile
from xsagent.operations import read_from_xapi, save_snapshot
from xsagent.sources.dbcache import read_dbcache
from xsagent.sources.host_files import check_backend, read_text

_NETWORKD: Final = "xcp-networkd"
_SYSTEMCTL_S: Final = 20.0


def is_live(paths: Paths) -> bool:
    """Whether something runs that an installation could disturb."""
    runs = (paths.below("/run/systemd/system"), paths.ovsdb_socket, *paths.xapi_sockets)
    return any(place.exists() for place in runs)


def check_host(paths: Paths, settings: Settings, profile: Profile, *, upgrade: bool) -> None:
    """Refuse where the profile does not fit; for `full` on a live host the cache is written first.

    Args:
        paths: of the host.
        settings: deadlines.
        profile: that is to be installed.
        upgrade: it is installed already: XAPI may be away if the cache is good.

    Raises:
        BackendError: network.conf names another backend than Open vSwitch.
        RefusedError: xcp-networkd owns the topology, or the cache cannot be written.
    """
    live = is_live(paths)
    if live or paths.network_conf.exists():
        check_backend(paths)
    if profile == "full":
        _check_networkd(paths)
        if live:
            _write_cache(paths, settings, upgrade=upgrade)


def _check_networkd(paths: Paths) -> None:
    if is_link_to(paths, f"{UNIT_OVERRIDES}/{_NETWORKD}.service", NOWHERE) and not _runs(paths):
        return
    state = "runs" if _runs(paths) else "is enabled" if _is_enabled(paths) else ""
    if state:
        raise RefusedError(
            f"{_NETWORKD} {state} and owns this host's topology, so profile full was not installed and nothing was "
            f"changed; profile hotplug works beside it"
        )


def _runs(paths: Paths) -> bool:
    """By name among the processes, and by what systemd says of the unit where that is this host's."""
    if any(read_text(place) == f"{_NETWORKD}\n" for place in paths.proc.glob("[0-9]*/comm")):
        return True
    if str(paths.root) != "/" or not paths.below("/run/systemd/system").exists():
        return False
    try:
        systemctl = find_program("systemctl", "/usr/bin/systemctl")
        words = [systemctl, "is-active", "--quiet", f"{_NETWORKD}.service"]
        return run_child(words, deadline_s=_SYSTEMCTL_S, accepted=()).status == 0
    except CommandError:
        return False


def _is_enabled(paths: Paths) -> bool:
    """Whether some target starts it at the next boot."""
    places = (paths.below(UNIT_OVERRIDES), paths.below("/usr/lib/systemd/system"))
    return any(
        os.path.lexists(entry / f"{_NETWORKD}.service")
        for place in places
        for entry in (*place.glob("*.wants"), *place.glob("*.requires"))
    )


def _write_cache(paths: Paths, settings: Settings, *, upgrade: bool) -> None:
    """What the next boot starts from; without it the host would come up without a network."""
    try:
        with hold_lock(paths.lock, "xsagent-setup", settings.lock_wait_s):
            save_snapshot(paths, read_from_xapi(paths, settings))
    except XsagentError as error:
        if upgrade and _has_good_cache(paths):
            return
        raise RefusedError(
            f"the cache {paths.dbcache}, from which this host is to boot, could not be written first ({error}), so "
            "profile full was not installed and nothing was changed"
        ) from error


def _has_good_cache(paths: Paths) -> bool:
    try:
        return bool(read_dbcache(paths.dbcache).pifs)
    except XsagentError:
        return False
