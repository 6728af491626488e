"""Services that hold a connection to each peer of hotplug and say when it came back or changed. I/O: reads only.

Each waits on its peer's own descriptor: nothing is polled while all is well. What they say is a hint: the hotplug
thread then reads everything (DESIGN.md section 3, rule 7).
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from xsagent.config import Paths
from xsagent.daemon.guest_ports import GuestPorts
from xsagent.errors import OvsdbError, OvsdbUnavailableError, XenstoreUnavailableError
from xsagent.observed.jsonrpc import JsonRpcChannel, RemoteError
from xsagent.observed.ovsdb_connection import DATABASE, OvsdbConnection
from xsagent.observed.switch_alive import open_switch_control
from xsagent.sources.xenstore import open_xenstore
from xsagent.topology.values import Json

_CALL_S: Final = 10.0
_LOOK_S: Final = 0.5
"""Between two looks for a peer that is away."""
_LONG_S: Final = 1e6
"""Longer than any wait, and still a number of milliseconds that poll(2) takes."""


class Tell(Protocol):
    """Takes the reason for which everything is to be looked at again (`HotplugThread.request_resync`)."""

    def __call__(self, reason: str, *, urgent: bool = True) -> None:
        """Tell it."""


Follow = Callable[[Paths, Callable[[], None], Tell], None]
"""Returns when the peer went away; calls its second argument once it is there."""


@dataclass(slots=True, kw_only=True)
class PeerWatch:
    """One peer, followed.

    Attributes:
        name: of the service.
        follow: waits for this peer.
        tell: not called for a peer that is found for the first time: the daemon has just read everything.
        there: the peer answers.
        losses: how often it went away.
    """

    name: str
    paths: Paths
    follow: Follow
    tell: Tell
    there: bool = field(default=False, init=False)
    losses: int = field(default=0, init=False)

    def run(self, stop: threading.Event) -> None:
        """Follow the peer until `stop` is set; one that is away is looked for."""
        while not stop.is_set():
            try:
                self.follow(self.paths, self._found, self.tell)
            finally:
                if self.there:
                    self.there = False
                    self.losses += 1
            if stop.wait(_LOOK_S):
                return

    def _found(self) -> None:
        self.there = True
        if self.losses:
            self.tell(f"{self.name} came back")

    def status(self) -> Mapping[str, Json]:
        """Whether the peer is there, and how often it was lost."""
        return {"connected": self.there, "losses": self.losses}

    def flush(self) -> None:
        """Nothing is kept here."""


def follow_xenstore(paths: Paths, found: Callable[[], None], _tell: Tell) -> None:
    """Hold a connection to xenstored."""
    with contextlib.suppress(XenstoreUnavailableError), open_xenstore(paths) as store:
        found()
        while True:
            store.take_event(_LONG_S)


def follow_switch(paths: Paths, found: Callable[[], None], _tell: Tell) -> None:
    """Hold a connection to ovs-vswitchd's control socket: it ends with the process, whatever the pid file says."""
    channel = open_switch_control(paths.ovs_rundir)
    if channel is None:
        return
    try:
        # only its main loop answers, so from here on it works on bridges
        channel.call("version", [], time.monotonic() + _CALL_S)
        found()
        while True:
            channel.receive(time.monotonic() + _LONG_S)
    except (OSError, RemoteError):
        return
    finally:
        channel.close()


_MONITORED: Final[dict[str, Json]] = {
    "Bridge": [{"columns": ["name", "fail_mode", "controller", "datapath_type"]}],
    "Port": [{"columns": ["name", "tag"], "where": [["fake_bridge", "==", True]]}],
    "Controller": [{"columns": ["target", "is_connected", "inactivity_probe"]}],
    "Open_vSwitch": [{"columns": ["manager_options"]}],
    "Interface": [{"columns": ["name", "ofport"]}],
}
"""Where a guest's port can go, and what makes the switch drop flows (DESIGN.md section 6). Never Bridge.ports: with
1,000 ports each change of it is 80 kB."""


def follow_database(
    paths: Paths, found: Callable[[], None], tell: Tell, hear_numbers: Callable[[Sequence[tuple[str, int]]], None]
) -> None:
    """Hold a monitor of the switch's database (ovsdb-server(7), monitor_cond).

    Args:
        paths, found, tell: as of any Follow.
        hear_numbers: takes numbers of guests' ports, 0 for none, when they are found and when they change.
    """
    with contextlib.suppress(OvsdbUnavailableError, OvsdbError, OSError, RemoteError):
        connection = OvsdbConnection.open(paths.ovsdb_socket, 0)
        with connection:
            channel = connection.channel
            present = channel.call("monitor_cond", [DATABASE, None, dict(_MONITORED)], time.monotonic() + _CALL_S)
            ports = GuestPorts()
            hear_numbers(ports.take(present.get("Interface") if isinstance(present, dict) else None))
            found()
            while True:
                channel.receive(time.monotonic() + _LONG_S)
                updates = list(_take_updates(channel))
                for table in dict.fromkeys(table for update in updates for table in update if table != "Interface"):
                    # a VLAN bridge that comes is waited for by few; 500 may come in a row
                    tell(f"{table} changed in the switch's database", urgent=table != "Port")
                for update in updates:
                    if numbers := ports.take(update.get("Interface")):
                        hear_numbers(numbers)


def _take_updates(channel: JsonRpcChannel) -> Iterator[dict[str, Json]]:
    """The updates that came: rows by table."""
    while channel.notifications:
        message = channel.notifications.popleft()
        params = message.get("params")
        if message.get("method") == "update2" and isinstance(params, list) and isinstance(params[-1], dict):
            yield params[-1]
