"""FirewallChange -> the host's firewall, by the program of each back end. Effects; rules of ours alone.

Run by `xsagent/firewall.py` under its lock. Idempotent as a whole: what fails half way is mended by the next run. Undo:
the change the other way round.
"""

from __future__ import annotations

import json
from typing import Final

from xsagent.child import find_program, run_child
from xsagent.observed.firewalld_text import rich_rule
from xsagent.observed.iptables_text import INPUT, iptables_words
from xsagent.observed.nft_text import nft_expression
from xsagent.topology.firewall import FirewallChange

_DEADLINE_S: Final = 30.0


def apply_firewall_change(change: FirewallChange) -> None:
    """Make one chain hold what it should; new rules come first in it. nftables: in one transaction.

    Raises:
        CommandError: a program refused; the sentence has what it said.
    """
    match change.backend:
        case "nftables":
            _apply_nftables(change)
        case "iptables":
            _apply_iptables(change)
        case "firewalld":
            _apply_firewalld(change)


def _apply_nftables(change: FirewallChange) -> None:
    family, table, chain = change.where
    place = {"family": family, "table": table, "chain": chain}
    inserted = [
        {"insert": {"rule": {**place, "comment": rule.tag, "expr": nft_expression(rule)}}} for rule in change.add
    ]
    deleted = [{"delete": {"rule": {**place, "handle": int(handle)}}} for (handle,) in change.remove]
    nft = find_program("nft", "/usr/sbin/nft")
    run_child([nft, "-j", "-f", "-"], deadline_s=_DEADLINE_S, input_text=json.dumps({"nftables": inserted + deleted}))


def _apply_iptables(change: FirewallChange) -> None:
    (name,) = change.where
    program = find_program(name, f"/usr/sbin/{name}")
    calls = [["-I", INPUT, *iptables_words(rule)] for rule in change.add]
    calls += [["-D", INPUT, *handle] for handle in change.remove]
    for words in calls:
        run_child([program, "-w", "5", *words], deadline_s=_DEADLINE_S)


def _apply_firewalld(change: FirewallChange) -> None:
    """At run time only: what is permanent is the admin's, and after a reload the next run puts ours back."""
    (zone,) = change.where
    program = find_program("firewall-cmd", "/usr/bin/firewall-cmd")
    calls = [f"--add-rich-rule={rich_rule(rule)}" for rule in change.add]
    calls += [f"--remove-rich-rule={handle}" for (handle,) in change.remove]
    for word in calls:
        run_child([program, f"--zone={zone}", word], deadline_s=_DEADLINE_S)
