"""What of a switch an operation is said to look at: the same choice as the reader's, made on whole values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from xsagent.topology.concern import SwitchConcern
from xsagent.topology.values import Bridge, Port


def only_concerned(bridges: Mapping[str, Bridge], concern: SwitchConcern | None) -> dict[str, Bridge]:
    """The bridges with those ports alone that are concerned; all ports where a whole bridge may go."""
    if concern is None or concern.bridges & bridges.keys():
        return dict(bridges)
    tags = set(concern.tags)
    ports = [port for bridge in bridges.values() for port in bridge.ports.values()]
    tags |= {port.tag for port in ports if port.fake_bridge is True and _is_chosen(port, concern, tags)}
    while more := {port.tag for port in ports if port.fake_bridge is True and _is_chosen(port, concern, tags)} - tags:
        tags |= more
    return {
        name: replace(
            bridge, ports={key: port for key, port in bridge.ports.items() if _is_chosen(port, concern, tags)}
        )
        for name, bridge in bridges.items()
    }


def _is_chosen(port: Port, concern: SwitchConcern, tags: set[object]) -> bool:
    by_name = port.name in concern.names or any(name in concern.names for name in port.interfaces)
    return by_name or (isinstance(port.tag, int) and port.tag in tags) or "@mirrors" in port.extra
