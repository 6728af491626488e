"""The host's firewall -> the chains that filter what comes in, with our rules in them. Reads only, by child programs.

Which firewall a host has: firewalld where it runs, and then nothing else is looked at, since it owns its tables. Else
nftables, each chain of its own on the input hook that can block; and iptables, each of its variants in use. iptables
counts as in use too where there is no other, as for the original start script. Nobody can tell from outside who set a
rule, so an accept is needed in every chain that can block.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

from xsagent.child import find_program, look_for_program, run_child
from xsagent.config import Paths
from xsagent.errors import CommandError
from xsagent.observed.firewalld_text import parse_zone, parse_zones
from xsagent.observed.iptables_text import parse_iptables
from xsagent.observed.nft_text import input_tables, parse_nft_table
from xsagent.observed.processes import read_process_names
from xsagent.topology.firewall import FirewallChain

_DEADLINE_S: Final = 20
_LONGEST_LISTING: Final = 1 << 26
"""Bytes; the rules of a large host are some MB."""
_FAMILIES: Final = (("iptables", "ip_tables_names"), ("ip6tables", "ip6_tables_names"))


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFirewall:
    """What was found.

    Attributes:
        warnings: programs that did not say what they should.
    """

    chains: tuple[FirewallChain, ...] = ()
    warnings: tuple[str, ...] = ()


def read_firewall(paths: Paths) -> HostFirewall:
    """Every chain that filters what comes in for this host. Loads no kernel module."""
    if _is_firewalld_running(paths):
        return _collect(_read_firewalld)
    native = _collect(_read_nftables)
    tables = _collect(partial(_read_iptables, paths, alone=not native.chains))
    return HostFirewall(chains=native.chains + tables.chains, warnings=native.warnings + tables.warnings)


def _collect(read: Callable[[], list[FirewallChain]]) -> HostFirewall:
    try:
        return HostFirewall(chains=tuple(read()))
    except CommandError as error:
        return HostFirewall(warnings=(str(error),))
    except (ValueError, KeyError, TypeError) as error:
        return HostFirewall(warnings=(f"what the firewall says of its rules makes no sense ({error!r:.100})",))


# --- firewalld -------------------------------------------------------------------------------------------


def _is_firewalld_running(paths: Paths) -> bool:
    """By its process: asking an absent one over D-Bus takes seconds."""
    return "firewalld" in read_process_names(paths.proc) and _find("firewall-cmd") is not None


def _read_firewalld() -> list[FirewallChain]:
    default = _ask("firewall-cmd", "--get-default-zone").strip()
    zones = dict.fromkeys([default, *parse_zones(_ask("firewall-cmd", "--get-active-zones"))])
    return [_read_zone(zone) for zone in zones if zone]


def _read_zone(zone: str) -> FirewallChain:
    lists = [_ask("firewall-cmd", f"--zone={zone}", f"--list-{what}") for what in ("protocols", "services")]
    return parse_zone(zone, _ask("firewall-cmd", f"--zone={zone}", "--list-rich-rules"), lists)


# --- nftables --------------------------------------------------------------------------------------------


def _read_nftables() -> list[FirewallChain]:
    if _find("nft") is None:
        return []
    tables = input_tables(_ask("nft", "-j", "list", "chains"), has_iptables=_find("iptables") is not None)
    listed = [_ask("nft", "-j", "-a", "-t", "list", "table", family, table) for family, table in tables]
    return [chain for text in listed for chain in parse_nft_table(text)]


# --- iptables --------------------------------------------------------------------------------------------


def _read_iptables(paths: Paths, *, alone: bool) -> list[FirewallChain]:
    found = []
    for default, loaded in _FAMILIES:
        for program in _variants(paths, default, loaded):
            chain, is_used = parse_iptables(program, _ask(program, "-w", "5", "-S"))
            if is_used or chain.own or (alone and program == default):
                found.append(chain)
    return found


def _variants(paths: Paths, default: str, loaded: str) -> list[str]:
    """The program that this host calls iptables, and the other variant where the kernel has tables of it."""
    if _find(default) is None:
        return []
    is_legacy = "nf_tables" not in _ask(default, "--version")
    other = default.replace("tables", "tables-nft" if is_legacy else "tables-legacy")
    if _find(other) is None:
        return [default]
    if is_legacy:
        return [default, other] if _has_nft_tables() else [default]
    try:
        names = (paths.proc / "net" / loaded).read_text(encoding="ascii").split()
    except OSError:
        names = []
    return [default, other] if "filter" in names else [default]


def _has_nft_tables() -> bool:
    return _find("nft") is not None and bool(input_tables(_ask("nft", "-j", "list", "chains"), has_iptables=False))


# --- asking ----------------------------------------------------------------------------------------------


def _find(program: str) -> str | None:
    return look_for_program(program, f"/usr/sbin/{program}")


def _ask(program: str, *words: str) -> str:
    path = find_program(program, f"/usr/sbin/{program}")
    return run_child([path, *words], deadline_s=_DEADLINE_S, output_limit=_LONGEST_LISTING).stdout
