"""The switch's database and control socket -> where it may forward everything, and where it does. I/O: reads only.

While none of a bridge's controllers answers and its fail mode is not ``secure``, ovs-vswitchd takes out all its flows
once, and puts in one that forwards every frame (ofproto/fail-open.c). That one is above all others, and ovs-ofctl does
not show it. Before `hotplug/unlocked`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from xsagent.observed.jsonrpc import RemoteError
from xsagent.observed.ovsdb_connection import Operation, OvsdbConnection, rows_of
from xsagent.observed.ovsdb_json import Row, members, uuid_of, uuids_of
from xsagent.observed.switch_alive import open_switch_control

_DEADLINE_S: Final = 10.0
_FLOW: Final = re.compile(r"\bpriority 15790320$", re.ASCII | re.MULTILINE)
"""FAIL_OPEN_PRIORITY, as ofproto/trace shows it; OpenFlow's own priorities end at 65535."""
_PASSIVE: Final = ("ptcp:", "pssl:", "punix:", "none")
_PROBE_S: Final = 5
_PROBES: Final = 3
"""Probe intervals without a word from any controller, after which the switch fails open."""
_ADMISSION_S: Final = 30
"""A controller that only greets counts as having taken the switch in after this time (lib/rconn.c)."""
_MARGIN_S: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenableBridge:
    """A bridge that has controllers and forwards everything without them.

    Attributes:
        connected: one of them is connected, as the switch wrote at most some seconds ago.
        delay_s: without a word from any, until the switch forwards everything.
    """

    connected: bool
    delay_s: int

    @property
    def settles_s(self) -> float:
        """After the news that they came or went: until the switch has done what follows from it, seconds."""
        return (_ADMISSION_S if self.connected else self.delay_s) + _MARGIN_S


def describe_changes(
    before: Mapping[str, OpenableBridge], now: Mapping[str, OpenableBridge]
) -> Iterator[tuple[str, float]]:
    """What came or went between two readings, and how long after the news of it the flows have settled, seconds."""
    for name, bridge in now.items():
        if before.get(name) != bridge:
            went = "came" if bridge.connected else "went"
            yield f"controllers of {name} {went} {bridge.settles_s:g} s ago", bridge.settles_s


def read_openable(connection: OvsdbConnection, deadline: float | None = None) -> dict[str, OpenableBridge]:
    """The bridges that have a controller to which the switch connects, and a fail mode that is not secure, by name.

    Controllers that come to the switch (``ptcp:``), and those of type ``service``, do not count for it.

    Args:
        connection: open.
        deadline: a time of ``time.monotonic()``; None: 10 s from now.

    Raises:
        OvsdbUnavailableError, OvsdbError: as `read_ovsdb`.
    """
    end = time.monotonic() + _DEADLINE_S if deadline is None else deadline
    columns = ["_uuid", "target", "is_connected", "inactivity_probe"]
    if "type" in connection.schema(end)["Controller"]:
        columns.append("type")
    selects: list[Operation] = [
        {
            "op": "select",
            "table": "Bridge",
            "where": [["fail_mode", "excludes", "secure"], ["controller", "!=", ["set", []]]],
            "columns": ["name", "controller"],
        },
        {"op": "select", "table": "Controller", "where": [], "columns": list(columns)},
    ]
    bridges, rows = map(rows_of, connection.transact(selects, end))
    primaries = {uuid_of(row["_uuid"]): row for row in rows if _is_primary(row)}
    found = {str(row["name"]): _openable(row, primaries) for row in bridges}
    return {name: bridge for name, bridge in found.items() if bridge is not None}


def _is_primary(row: Row) -> bool:
    return not str(row["target"]).startswith(_PASSIVE) and "service" not in members(row.get("type"))


def _openable(bridge: Row, primaries: dict[str, Row]) -> OpenableBridge | None:
    rows = [primaries[uuid] for uuid in uuids_of(bridge["controller"]) if uuid in primaries]
    if not rows:
        return None
    return OpenableBridge(
        connected=any(row["is_connected"] is True for row in rows),
        delay_s=_PROBES * max(_probe_s(row) for row in rows),
    )


def _probe_s(row: Row) -> int:
    """As vswitchd/bridge.c reads the column, which has milliseconds."""
    for value in members(row["inactivity_probe"]):
        if isinstance(value, int):
            return max(1, value // 1000) if value else 0
    return _PROBE_S


def is_open(rundir: Path, bridge: str, ofport: int) -> bool | None:
    """Whether the switch forwards whatever comes from a port of this bridge; None when it does not say.

    Args:
        rundir: OVS_RUNDIR.
        bridge: real bridge.
        ofport: any of its ports: the flow is there for all.
    """
    channel = open_switch_control(rundir)
    if channel is None:
        return None
    try:
        answer = channel.call("ofproto/trace", [bridge, f"in_port={ofport}"], time.monotonic() + _DEADLINE_S)
    except (OSError, RemoteError):
        return None
    finally:
        channel.close()
    return isinstance(answer, str) and _FLOW.search(answer) is not None
