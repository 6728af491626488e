"""The switch's guests -> their locking flows in place, by what xenstore says now; ports stay put. Effects.

For who knows that the switch dropped flows: XAPI's plugin after a change of manager, and a run of `reconfigure` whose
transactions took away what `apply/locked_ports.py` could not put back, or that was killed before it did.
"""

from __future__ import annotations

from collections.abc import Collection

from xsagent.apply.locked_ports import LockedPorts
from xsagent.config import Paths, Settings
from xsagent.errors import InputError, UsageError, XsagentError
from xsagent.hotplug.attempt import attempt
from xsagent.hotplug.event import Event, build_repair_event
from xsagent.hotplug.peers import Peers
from xsagent.hotplug.work import Result
from xsagent.log import get_logger
from xsagent.observed.port_numbers import read_port_numbers


def relock_guests(paths: Paths, settings: Settings, bridges: Collection[str] | None = None) -> dict[str, str]:
    """Put the locking flows of every VIF on these bridges in place.

    Args:
        bridges: real ones; None for all.

    Returns:
        Of each device whose flows were not seen to be as they must: why.

    Raises:
        OvsdbUnavailableError, OvsdbError: nobody knows which VIFs there are; nothing was done.
    """
    unsettled: dict[str, str] = {}
    with Peers(paths, settings) as peers:
        numbers = read_port_numbers(peers.database)
        names = numbers.keys() if bridges is None else numbers.keys() & set(bridges)
        placed = {port: name for name in names for port in numbers[name]}
        events = [event for port in sorted(placed) if (event := _repair_event(port)) is not None]
        for outcome in attempt(peers, events, placed=placed) if events else []:
            device = outcome.event.device
            get_logger().info("relock", device=device, result=str(outcome.result), reason=outcome.text)
            if outcome.result is not Result.DONE and not outcome.placed:
                unsettled[device] = outcome.text
    return unsettled


def relock_rest(paths: Paths, settings: Settings, locked: LockedPorts) -> tuple[str, ...]:
    """Lock the guests whose flows were taken away and are not back.

    Returns:
        A sentence on each that may be unlocked afterwards. They are logged.
    """
    if locked.is_back:
        return ()
    try:
        unsettled = relock_guests(paths, settings)
    except (XsagentError, OSError) as error:
        unsettled = dict.fromkeys(
            [*sorted(locked.flows), *(f"a guest on {name}" for name in locked.silent)], str(error)
        )
    if not locked.silent:
        unsettled = {device: reason for device, reason in unsettled.items() if device in locked.flows}
    sentences = tuple(
        f"{device} may not be locked ({reason}), xsagent resync puts its flows in place"
        for device, reason in unsettled.items()
    )
    for sentence in sentences:
        get_logger().error("leave_unlocked", reason=sentence)
    return sentences


def _repair_event(port: str) -> Event | None:
    try:
        return build_repair_event(port)
    except (InputError, UsageError):
        return None
