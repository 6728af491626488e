"""A monitor's rows of table Interface -> numbers of guests' ports in the switch. Pure.

Locking flows name a port by its number. Whoever takes a port out and puts it in again, or asks for another number, has
them match nothing; `peer_watch` follows that, and the hotplug thread compares it with what it verified.
"""

from __future__ import annotations

from xsagent.hotplug.event import find_device
from xsagent.topology.values import Json


class GuestPorts:
    """The rows of guests' ports: an update of ovsdb-server(7) names a row that changed by its UUID alone."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def take(self, rows: Json) -> list[tuple[str, int]]:
        """Numbers by device, 0 for none, as far as these rows tell of them; those of others' ports are passed over.

        A row that goes and one that comes in its place may be in one update: its number is told after the 0. Of a row
        that comes without a number nothing is told: it has lost none.

        Args:
            rows: by UUID, as monitor_cond and update2 have them, with columns name and ofport.
        """
        numbers: list[tuple[str, int]] = []
        for uuid, change in rows.items() if isinstance(rows, dict) else ():
            for kind, row in change.items() if isinstance(change, dict) else ():
                columns = row if isinstance(row, dict) else {}
                self._learn(uuid, columns.get("name"))
                name = self._names.pop(uuid, None) if kind == "delete" else self._names.get(uuid)
                ofport = columns.get("ofport", 0)
                number = ofport if isinstance(ofport, int) and ofport > 0 else 0
                if name is not None and (number or kind != "insert"):
                    numbers.append((name, number))
        return sorted(numbers, key=lambda one: one[1] != 0)

    def _learn(self, uuid: str, name: Json) -> None:
        if isinstance(name, str) and find_device(name) is not None:
            self._names[uuid] = name
