"""Wanted rules x the host's chains -> changes of each chain, and their words. Pure.

Level-triggered and idempotent: rules of ours that should be there are left alone, others of ours go, foreign ones are
never touched. An empty result means that all is as wanted.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from xsagent.topology.firewall import FirewallChain, FirewallChange, FirewallRule


def diff_firewall(wanted: Collection[FirewallRule], chains: Iterable[FirewallChain]) -> tuple[FirewallChange, ...]:
    """The changes that make every chain hold exactly the wanted rules of ours, each once."""
    changes = (_diff_chain(frozenset(wanted), chain) for chain in chains)
    return tuple(change for change in changes if change.add or change.remove)


def render_change(change: FirewallChange) -> list[str]:
    """The change in words, one line a rule."""
    place = " ".join(dict.fromkeys((change.backend, *change.where)))
    added = [f"{place}: accept {_name(rule)}" for rule in change.add]
    return added + [f"{place}: take out {' '.join(handle)}" for handle in change.remove]


def _diff_chain(wanted: frozenset[FirewallRule], chain: FirewallChain) -> FirewallChange:
    if chain.mentions_gre:  # an admin's word on it counts, whichever it is (ovs-ctl(8), enable-protocol)
        wanted -= {FirewallRule("gre")}
    present: set[FirewallRule] = set()
    remove = []
    for own in chain.own:
        if own.rule in wanted and own.rule not in present and own.rule is not None:
            present.add(own.rule)
        else:
            remove.append(own.handle)
    return FirewallChange(
        backend=chain.backend, where=chain.where, add=tuple(sorted(wanted - present)), remove=tuple(remove)
    )


def _name(rule: FirewallRule) -> str:
    return f"{rule.protocol} port {rule.port}" if rule.port else rule.protocol
