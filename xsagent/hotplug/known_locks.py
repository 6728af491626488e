"""Locked guests as they were verified last -> their flows in the switch again, before anybody else is asked. Effects.

`attempt` says what it verified, and `look` has it put back first of all: a switch that restarted has no flows, and
reading what every VIF is to be takes its time, or cannot be done while xenstored is away. What is put back counts until
xenstore has been read: a port that has any locking flows is left to that.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from xsagent.apply.flows import read_flows, replace_flows
from xsagent.errors import CommandError
from xsagent.hotplug.decide import Verdict
from xsagent.hotplug.locking import render_flows
from xsagent.hotplug.work import Work
from xsagent.log import get_logger
from xsagent.model.vif import Locking, LockingMode
from xsagent.topology.values import Bridge, Interface

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
            interfaces = {name: port.interfaces.get(name) for name, port in bridge.ports.items() if name in self._locks}
            found |= interfaces.keys()
            wanted = self._render(interfaces)
            if not wanted:
                continue
            try:
                self._put_missing(bridge.name, wanted)
            except CommandError as error:
                _LOG.warning("pass_over_flows", bridge=bridge.name, text=str(error))
        self._locks = {name: lock for name, lock in self._locks.items() if name in found}

    def _render(self, interfaces: Mapping[str, Interface | None]) -> dict[int, tuple[str, ...]]:
        wanted: dict[int, tuple[str, ...]] = {}
        for name, interface in interfaces.items():
            lock, ofport = self._locks[name], interface.ofport if interface else None
            if interface is None or ofport is None or ofport <= 0:
                continue
            if (interface.external_ids.get("xs-vif-uuid") or "") == lock.vif_uuid:
                wanted[ofport] = render_flows(lock.locking, lock.mac, ofport, autoconf=self.autoconf)
        return wanted

    def _put_missing(self, bridge: str, wanted: Mapping[int, tuple[str, ...]]) -> None:
        missing = wanted.keys() - read_flows(self.rundir, bridge, _READ_S).keys()
        if missing:
            replace_flows(self.rundir, bridge, {ofport: wanted[ofport] for ofport in missing})
            _LOG.info("lock_again", bridge=bridge, ofports=sorted(missing))
