"""Locked guests as they were verified last -> their flows in the switch again, before anybody else is asked. Effects.

`attempt` says what it verified, and `look` has it put back first of all: a switch that restarted has no flows, and
reading what every VIF is to be takes its time, or cannot be done while xenstored is away. What is put back counts until
xenstore has been read: a port that has any locking flows is left to that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from xsagent.apply.flows import read_numbers, replace_flows
from xsagent.errors import CommandError
from xsagent.hotplug.decision import Verdict
from xsagent.hotplug.locking import render_flows
from xsagent.hotplug.work import Work
from xsagent.log import get_logger
from xsagent.model.vif import Locking, LockingMode
from xsagent.topology.values import Bridge

_LOG = get_logger()
_READ_S = 2.0


@dataclass(frozen=True, slots=True)
class _Lock:
    """What the flows of one device are made of, and whose it is."""

    vif_uuid: str
    mac: str
    locking: Locking


@dataclass(slots=True)
class KnownLocks:
    """The locked devices of one host. For one thread.

    Attributes:
        rundir: OVS_RUNDIR.
        autoconf: as `render_flows`.
    """

    rundir: Path
    autoconf: bool
    _locks: dict[str, _Lock] = field(default_factory=dict, init=False)

    def learn(self, works: Iterable[Work]) -> None:
        """Keep what an attempt verified; one that failed says nothing of its device."""
        for work in works:
            vif = work.vif
            if vif is not None and vif.locking.mode is LockingMode.LOCKED and work.has(Verdict.ATTACH, Verdict.LEAVE):
                self._locks[work.event.device] = _Lock(vif.vif_uuid, vif.mac, vif.locking)
            elif work.has(Verdict.ATTACH, Verdict.LEAVE, Verdict.KEEP_OFF, Verdict.DETACH):
                self._locks.pop(work.event.device, None)

    def put_back(self, bridges: Iterable[Bridge]) -> None:
        """Lock each port again that has no locking flows at all. A bridge that does not answer is passed over.

        Args:
            bridges: all of the switch, read whole, just now.
        """
        found: set[str] = set()
        for bridge in bridges:
            found |= bridge.ports.keys() & self._locks.keys()
            try:
                self._put_missing(bridge.name, self._numbers(bridge))
            except CommandError as error:
                _LOG.warning("pass_over_flows", bridge=bridge.name, text=str(error))
        self._locks = {name: lock for name, lock in self._locks.items() if name in found}

    def _numbers(self, bridge: Bridge) -> dict[int, str]:
        """The devices that are still whose they were, by their ports' numbers."""
        numbers: dict[int, str] = {}
        for name in bridge.ports.keys() & self._locks.keys():
            interface = bridge.ports[name].interfaces.get(name)
            if interface is None or not interface.ofport or interface.ofport < 0:
                continue
            if (interface.external_ids.get("xs-vif-uuid") or "") == self._locks[name].vif_uuid:
                numbers[interface.ofport] = name
        return numbers

    def _put_missing(self, bridge: str, numbers: Mapping[int, str]) -> None:
        missing = numbers.keys() - read_numbers(self.rundir, bridge, _READ_S) if numbers else ()
        if missing:
            replace_flows(self.rundir, bridge, {number: self._render(numbers[number], number) for number in missing})
            _LOG.info("lock_again", bridge=bridge, devices=sorted(numbers[number] for number in missing))

    def _render(self, device: str, ofport: int) -> tuple[str, ...]:
        lock = self._locks[device]
        return render_flows(lock.locking, lock.mac, ofport, autoconf=self.autoconf)
