"""The Open vSwitch database -> external_ids of bridges, VLAN bridges and interfaces. I/O: one read, no effect.

What `reconcile/external_ids.py` compares with XAPI's records, and what xsagentd reads again whenever the database
changed: names and ids alone, whatever else the rows hold.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from xsagent.observed.ovsdb_connection import Operation, OvsdbConnection, rows_of
from xsagent.observed.ovsdb_json import Row, members, text_map

READ_DEADLINE_S: Final = 10.0

_SELECTS: Final[list[Operation]] = [
    {"op": "select", "table": "Bridge", "where": [], "columns": ["name", "fail_mode", "other_config", "external_ids"]},
    {
        "op": "select",
        "table": "Port",
        "where": [["fake_bridge", "==", True]],
        "columns": ["name", "tag", "external_ids"],
    },
    {"op": "select", "table": "Interface", "where": [], "columns": ["name", "external_ids"]},
]

Ids = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeIds:
    """A real bridge, as far as its ids and what it does without controller are concerned."""

    external_ids: Ids = field(default_factory=dict)
    fail_mode: str | None = None
    disable_in_band: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchIds:
    """What the database says, by name.

    Attributes:
        vlan_bridges: external_ids of the Port that stands for a VLAN bridge.
    """

    bridges: Mapping[str, BridgeIds] = field(default_factory=dict)
    vlan_bridges: Mapping[str, Ids] = field(default_factory=dict)
    interfaces: Mapping[str, Ids] = field(default_factory=dict)


def read_switch_ids(connection: OvsdbConnection, deadline: float | None = None) -> SwitchIds:
    """Read the ids of everything in one snapshot.

    Args:
        connection: open.
        deadline: a time of ``time.monotonic()``; None: READ_DEADLINE_S from now.

    Raises:
        OvsdbUnavailableError: no answer in time.
        OvsdbError: the answer makes no sense.
    """
    end = time.monotonic() + READ_DEADLINE_S if deadline is None else deadline
    bridges, ports, interfaces = map(rows_of, connection.transact(_SELECTS, end))
    return SwitchIds(
        bridges={str(row["name"]): _bridge(row) for row in bridges},
        # a VLAN bridge without a tag is a port like any other (ovs-vsctl(8))
        vlan_bridges={str(row["name"]): text_map(row["external_ids"]) for row in ports if isinstance(row["tag"], int)},
        interfaces={str(row["name"]): text_map(row["external_ids"]) for row in interfaces},
    )


def _bridge(row: Row) -> BridgeIds:
    return BridgeIds(
        external_ids=text_map(row["external_ids"]),
        fail_mode=next((str(word) for word in members(row["fail_mode"])), None),
        disable_in_band=text_map(row["other_config"]).get("disable-in-band"),
    )
