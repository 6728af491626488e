"""The flows of the devices of one attempt: out before a port leaves, in before its link comes up. Effects.

Between `attempt`'s phases; `locking` renders the lines and `apply/flows` sends them, one ovs-ofctl a bridge.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from functools import partial
from pathlib import Path

from xsagent.apply.flows import delete_flows, is_same, read_flows, read_numbers, replace_flows
from xsagent.errors import CommandError, VerifyError
from xsagent.hotplug.decision import Verdict
from xsagent.hotplug.locking import render_flows
from xsagent.hotplug.work import Work, for_all
from xsagent.log import get_logger
from xsagent.topology.values import Bridge

_READ_S = 2.0
_PRUNE_S = 10.0
"""For all bridges of a host whose switch answers none of them."""
_LOG = get_logger()


def is_leaving(work: Work) -> bool:
    """Whether its port leaves the bridge on which it was found."""
    if work.before is None or not work.has(Verdict.ATTACH, Verdict.KEEP_OFF, Verdict.DETACH):
        return False
    place = work.decision.place if work.decision else None
    return place is None or place.bridge != work.before.place.bridge


def unlock_leaving(works: list[Work], rundir: Path) -> None:
    """Take out the flows of ports that leave: their numbers will be others'. Their links are down by now."""
    leaving = [work for work in works if is_leaving(work) and work.ofport_before]
    for bridge in sorted({work.before.place.bridge for work in leaving if work.before}):
        group = [work for work in leaving if work.before and work.before.place.bridge == bridge]
        for_all(group, partial(_unlock, rundir, bridge))


def _unlock(rundir: Path, bridge: str, works: list[Work]) -> None:
    delete_flows(rundir, bridge, [work.ofport_before for work in works])


def lock_attached(works: list[Work], rundir: Path, *, autoconf: bool) -> None:
    """Put each attached port's flows in place, before its link comes up; right ones are left untouched.

    A Work whose flows are not there afterwards has an error, so that its link stays down; one that was in place before
    is left up, and its error says so. `autoconf` as `render_flows`.
    """
    for bridge, group in _by_bridge(works).items():
        for_all(group, partial(_lock, rundir, bridge, autoconf=autoconf))


def _by_bridge(works: list[Work]) -> dict[str, list[Work]]:
    groups: dict[str, list[Work]] = {}
    for work in works:
        if work.has(Verdict.ATTACH, Verdict.LEAVE) and work.decision and work.decision.place:
            groups.setdefault(work.decision.place.bridge, []).append(work)
    return groups


def _lock(rundir: Path, bridge: str, works: list[Work], *, autoconf: bool) -> None:
    wanted = {work.ofport: _lines(work, autoconf=autoconf) for work in works}
    in_place = [work for work in works if work.decision and work.decision.in_place]
    if in_place:
        wanted = _differing(wanted, rundir, bridge)
        if changed := [work.event.device for work in in_place if work.ofport in wanted]:
            _LOG.info("replace_flows", bridge=bridge, devices=changed)
    replace_flows(rundir, bridge, wanted)
    locked = {in_port: lines for in_port, lines in wanted.items() if lines}
    wrong = _differing(locked, rundir, bridge) if locked else {}
    if wrong:
        names = ", ".join(_name_with_link(work) for work in works if work.ofport in wrong)
        raise VerifyError(f"the switch does not hold the locking flows of {names}")


def _name_with_link(work: Work) -> str:
    in_place = work.decision is not None and work.decision.in_place
    return f"{work.event.device} ({'up all the same, not locked as is set' if in_place else 'its link was left down'})"


def _lines(work: Work, *, autoconf: bool) -> tuple[str, ...]:
    if work.vif is None:
        return ()
    return render_flows(work.vif.locking, work.vif.mac, work.ofport, autoconf=autoconf)


def _differing(wanted: Mapping[int, tuple[str, ...]], rundir: Path, bridge: str) -> dict[int, tuple[str, ...]]:
    present = read_flows(rundir, bridge)
    return {port: lines for port, lines in wanted.items() if not is_same(lines, present.get(port, frozenset()))}


def prune_flows(rundir: Path, bridges: Mapping[str, Bridge], read_again: Callable[[], Mapping[str, Bridge]]) -> None:
    """Take out locking flows for numbers that no port of their bridge has.

    A netdev that vanished, or a port that somebody took away, takes its number along, and its flows would meet the next
    port that gets it. A bridge that does not answer is passed over, and so are all that are left after `_PRUNE_S`.

    Args:
        rundir: OVS_RUNDIR.
        bridges: real ones by name, read whole.
        read_again: the same, asked where flows were found for ports that `bridges` does not know: others add some.
    """
    end = time.monotonic() + _PRUNE_S
    stales = ((name, _read_stale(rundir, bridges[name])) for name in sorted(bridges) if time.monotonic() < end)
    suspects = {name: numbers for name, numbers in stales if numbers}
    fresh = read_again() if suspects else {}
    for name in suspects.keys() & fresh.keys():
        if stale := suspects[name] - ofports_of(fresh[name]):
            _LOG.info("prune_flows", bridge=name, ofports=sorted(stale))
            delete_flows(rundir, name, stale)


def _read_stale(rundir: Path, bridge: Bridge) -> AbstractSet[int]:
    try:
        return read_numbers(rundir, bridge.name, _READ_S) - ofports_of(bridge)
    except CommandError as error:
        _LOG.warning("pass_over_flows", bridge=bridge.name, text=str(error))
        return frozenset()


def ofports_of(bridge: Bridge) -> frozenset[int]:
    """Numbers of all ports of a bridge that was read whole."""
    interfaces = (interface for port in bridge.ports.values() for interface in port.interfaces.values())
    return frozenset(interface.ofport for interface in interfaces if interface.ofport is not None)
