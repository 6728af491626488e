"""One event -> done, with repetitions until the deadline, and `hotplug-error` when it cannot be. Effects.

The one-shot way of hotplug: `cli/vif` and `cli/setup_vif_rules` end here when no daemon takes the event. The
daemon has the same rules in its own loop (`ignore_udevs`, `attempt`, `report_failure`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from xsagent.apply.xenstore import write_failed
from xsagent.config import Settings
from xsagent.errors import BackendError, XsagentError
from xsagent.hotplug.attempt import attempt
from xsagent.hotplug.event import Event, Want
from xsagent.hotplug.peers import Peers
from xsagent.hotplug.report import end_removals
from xsagent.hotplug.work import Outcome, Result, failed_outcome
from xsagent.log import get_logger
from xsagent.model.vif import DeviceType
from xsagent.observed.netdev import read_netdevs
from xsagent.sources.host_files import check_backend
from xsagent.sources.vif_reader import DISABLE_UDEV, read_backend_state

UDEVS_PATIENCE_S: Final = 80
"""udev kills what a rule started after 180 s (systemd-udevd.service(8)): the failure is to be reported by then, also
where the hook has waited 90 s for a daemon that hangs."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.5
_LOG = get_logger()


def handle_event(peers: Peers, event: Event) -> Outcome:
    """Have the event done; blocks until it is, or until `patience_s` seconds have passed.

    Idempotent: an event that comes twice finds everything right. DONE means verified (DESIGN.md section 6); WAITING
    never comes out: past the deadline it is FAILED, and xenstore holds the text where the device still exists.

    Raises:
        BackendError: this host's network backend is not Open vSwitch; nothing was changed.
    """
    check_hotplug_backend(peers)
    if event.want is Want.NOTHING:
        return Outcome(event=event, result=Result.IGNORED, text=f"{event.action} asks for nothing")
    deadline, pause = time.monotonic() + patience_s(event, peers.settings), _FIRST_PAUSE_S
    while True:
        outcome = _try_once(peers, event)
        if outcome.result in {Result.DONE, Result.IGNORED}:
            return outcome
        if not is_still_there(peers, outcome):
            return Outcome(event=event, result=Result.IGNORED, text=f"{event.device} is gone", paths=outcome.paths)
        if outcome.result is Result.FAILED or time.monotonic() + pause > deadline:
            report_failure(peers, outcome)
            return Outcome(event=event, result=Result.FAILED, text=outcome.text, paths=outcome.paths)
        _LOG.debug("wait_hotplug", device=event.device, text=outcome.text)
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_S)


def patience_s(event: Event, settings: Settings) -> int:
    """How long a failure that may pass is tried again before it counts as final, seconds."""
    return min(settings.hotplug_s, UDEVS_PATIENCE_S) if event.from_udev else settings.hotplug_s


def _try_once(peers: Peers, event: Event) -> Outcome:
    try:
        if ignored := ignore_udevs(peers, [event]):
            return ignored[0]
    except XsagentError as error:
        return failed_outcome(event, error)
    outcome = attempt(peers, [event])[0]
    if outcome.hook is None:
        return outcome
    outcome.hook.exception()  # waits for its end; the event does not fail with its hook
    return end_removals(peers, [outcome])[0]


def ignore_udevs(peers: Peers, events: Sequence[Event]) -> list[Outcome]:
    """Outcomes for events to be ignored: udev's about vifs, where the toolstack calls for each vif itself.

    xenstore is asked once for all of them, and only when there are any. Errors as `Xenstore.read`.
    """
    udevs = [event for event in events if event.from_udev and event.kind is DeviceType.VIF]
    if not udevs or peers.store.read(DISABLE_UDEV) is None:
        return []
    text = "the toolstack calls us itself (libxl/disable_udev)"
    return [Outcome(event=event, result=Result.IGNORED, text=text) for event in udevs]


def is_still_there(peers: Peers, outcome: Outcome) -> bool:
    """Whether it is worth going on with an attach that did not work.

    A vif whose backend directory is gone, or that closes and has no netdev, or a tap without netdev, will not be
    attached: its next event tells of it, and udev holds that back until we end. One that closes and has its netdev may
    be a guest's that comes again. An unreachable xenstored is not "no vifs" (DESIGN.md section 6).
    """
    event = outcome.event
    if event.want is not Want.ATTACHED:
        return True
    has_netdev = bool(read_netdevs(peers.paths.sys, [event.device]))
    if event.kind is DeviceType.TAP:
        return has_netdev
    try:
        state = read_backend_state(peers.store, outcome.paths) if outcome.paths else None
    except XsagentError:
        return True
    return state is None or (state.exists and (has_netdev or not state.closing))


def report_failure(peers: Peers, outcome: Outcome) -> None:
    """Write ``hotplug-error`` for a vif that could not be attached, if it still exists; logs what cannot be written.

    Of setup-vif-rules its caller learns by the exit code: the guest may run, and nobody would take the error back.
    """
    event = outcome.event
    _LOG.error("fail_hotplug", device=event.device, action=str(event.action), text=outcome.text)
    if (
        event.kind is not DeviceType.VIF
        or event.want is not Want.ATTACHED
        or not event.reports
        or outcome.paths is None
    ):
        return
    try:
        write_failed(peers.store, outcome.paths, outcome.text)
    except XsagentError as error:
        _LOG.error("cannot_report", device=event.device, text=str(error))


def check_hotplug_backend(peers: Peers) -> None:
    """Make sure that guests' devices go into Open vSwitch here (features.md section 15).

    network.conf says so; without that file, the kernel's module or a running ovsdb-server does.

    Raises:
        BackendError: none of them does.
    """
    paths = peers.paths
    if paths.network_conf.exists():
        check_backend(paths)
    elif not (paths.sys / "module/openvswitch").exists() and not paths.ovsdb_socket.exists():
        raise BackendError(f"there is neither {paths.network_conf} nor a running Open vSwitch; nothing was changed")
