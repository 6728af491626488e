"""Which bridges go at the first start of a boot."""

from __future__ import annotations

from xsagent.desired.stale_bridges import choose_stale_bridges
from xsagent.topology.values import Bridge, Interface, Port


def bridge(name: str, *interfaces: str, marked: bool = False) -> Bridge:
    """A bridge with one port that has these interfaces."""
    ports = {"p": Port(name="p", interfaces={name: Interface(name=name) for name in interfaces})} if interfaces else {}
    return Bridge(name=name, ports=ports, external_ids={"xs-network-uuids": "x"} if marked else {})


BRIDGES = {
    "marked": bridge("marked", marked=True),
    "bond": bridge("bond", "eth0", "eth1"),
    "admins": bridge("admins", "tap0"),
    "empty": bridge("empty"),
}


def test_all_of_them_by_default() -> None:
    """As XenServer expects."""
    assert choose_stale_bridges(BRIDGES, "all", ()) == (frozenset(BRIDGES), frozenset())


def test_or_those_that_are_ours_or_in_the_way() -> None:
    """A bridge that holds a PIF's device, as a bond member too, would keep the boot from using it."""
    stale, kept = choose_stale_bridges(BRIDGES, "marked", {"eth1", "eth7"})

    assert (stale, kept) == ({"marked", "bond"}, {"admins", "empty"})


def test_or_none() -> None:
    """For who knows what they do."""
    assert choose_stale_bridges(BRIDGES, "none", {"eth1"}) == (frozenset(), frozenset(BRIDGES))
