"""A bridge that goes x the one that has its ports then -> what others set on it, moved along; what is lost. Pure.

`plan/ovsdb.py` asks for the operations, beside those that move the ports, `plan/check.py` for the warnings. What only
looks at traffic or describes the bridge goes along; what steers it does not (DECISIONS.md 58).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from xsagent.plan.columns import effective_maps
from xsagent.plan.ovsdb_model import mirror_name, mirrors_of
from xsagent.plan.steps import MoveMirror, OvsdbOperation, SetColumns, SetKeys
from xsagent.topology.ownership import NETWORK_MARK
from xsagent.topology.values import Bridge

_OURS: Final[Mapping[str, frozenset[str]]] = {
    "other_config": frozenset({
        "disable-in-band", "mac-table-size", "enable-ipv6-mcast-snooping", "mcast-snooping-disable-flood-unregistered",
    }),
    "external_ids": frozenset({NETWORK_MARK, "bridge-id"}),
}  # fmt: skip
"""Keys that each bridge of ours gets by its own records (desired/bridge.py, reconcile/external_ids.py)."""
_MIRRORS: Final = "mirrors"
_MEASURES: Final = ("netflow", "sflow", "ipfix")
"""Columns that only have what passes reported; a bridge has at most one row in each."""


def take_over(source: Bridge, target: Bridge) -> Iterator[OvsdbOperation]:
    """What others set on a bridge, moved to the one that has its ports from now on; what is set there already counts.

    Args:
        source: goes afterwards.
        target: as it is by then.
    """
    for mirror in mirrors_of(source):
        yield MoveMirror(mirror=mirror, source=source.name, target=target.name)
    columns = {name: source.extra[name] for name in _MEASURES if name in source.extra and name not in target.extra}
    if columns:
        yield SetColumns(table="Bridge", record=target.name, columns=columns)
    present = effective_maps(target)
    for column, keys in _others_keys(source).items():
        new = {key: value for key, value in keys.items() if key not in present[column]}
        if new:
            yield SetKeys(table="Bridge", record=target.name, column=column, keys=new)


def left_behind(source: Bridge, target: Bridge | None) -> list[str]:
    """What others set on a bridge that goes, and that is gone with it, each by its name.

    Args:
        target: the bridge that takes it over; None: none does. One that is yet to be made has nothing set.
    """
    left = [f"OpenFlow controllers {', '.join(source.controllers)}"] if source.controllers else []
    left += [f"mirror {mirror_name(mirror)}" for mirror in mirrors_of(source) if target is None]
    along = {name for name in _MEASURES if target is not None and name not in target.extra}
    left += sorted(name.lstrip("@") for name in source.extra.keys() - {"controller", _MIRRORS, *along})
    there = {} if target is None else effective_maps(target)
    for column, keys in _others_keys(source).items():
        lost = [key for key, value in keys.items() if target is None or there[column].get(key, value) != value]
        left += [f"{column}:{key}" for key in lost]
    return left


def _others_keys(bridge: Bridge) -> dict[str, dict[str, str | None]]:
    maps = {"other_config": bridge.other_config, "external_ids": bridge.external_ids}
    return {
        column: {key: value for key, value in sorted(keys.items()) if key not in _OURS[column]}
        for column, keys in maps.items()
    }
