"""Bond record and other_config -> mode and options of a bond in OVS's words (features.md section 10). Pure.

The record counts first, PIF.other_config:bond-* overrides it; what is no valid value is warned about and the next level
taken. Used by bond.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from xsagent.desired.notes import Notes
from xsagent.errors import InputError
from xsagent.model.records import Bond, Pif
from xsagent.model.values import parse_device_name, parse_integer, shown
from xsagent.topology.values import Keys

BOND_PREFIX: Final = "bond-"
"""What the records' bond options begin with, in PIF.other_config and, where they become a key, on the Port."""
_DEFAULT_MODE: Final = "balance-slb"
_OTHER_MODES: Final = {
    "balance-rr": "Open vSwitch cannot send the frames of one flow over several links in turn",
    "broadcast": "Open vSwitch cannot send each frame over all links",
}
_MAX_MS: Final = 0x7FFFFFFF
_MAX_KEY: Final = 65535
_DEFAULT_UPDELAY_MS: Final = 31000
_DEFAULT_DOWNDELAY_MS: Final = 200
_DEFAULT_MIIMON_MS: Final = "100"
_DEFAULT_REBALANCE_MS: Final = "1800000"


@dataclass(frozen=True, slots=True, kw_only=True)
class BondOptions:
    """Columns of the Port, and keys of each member's Interface."""

    bond_mode: str
    lacp: str
    updelay_ms: int
    downdelay_ms: int
    port_keys: Keys = field(default_factory=dict)
    member_keys: Keys = field(default_factory=dict)


def bond_options(pif: Pif, bond: Bond, notes: Notes) -> BondOptions:
    """The bond's options; total for any other_config and properties."""
    levels = _Levels(pif=pif, bond=bond, notes=notes)
    mode = levels.first("mode", _mode, _DEFAULT_MODE, record=bond.mode)
    is_lacp = mode in {"lacp", "balance-tcp"}
    bond_mode = _lacp_balance(levels, mode) if is_lacp else mode
    port_keys = {
        "bond-miimon-interval": levels.first("miimon", _milliseconds, _DEFAULT_MIIMON_MS),
        "bond-detect-mode": levels.first("use_carrier", _detect_mode, "carrier"),
        "bond-rebalance-interval": levels.maybe("rebalance-interval", _milliseconds)
        or (None if is_lacp else _DEFAULT_REBALANCE_MS),
        "bond-primary": levels.maybe("primary", parse_device_name) or levels.maybe("active-slave", parse_device_name),
        "lacp-time": levels.first("lacp-time", _one_of("slow", "fast"), "slow") if is_lacp else None,
        "lacp-fallback-ab": levels.first("lacp-fallback-ab", _one_of("true", "false"), "true") if is_lacp else None,
        **levels.unknown(),
    }
    return BondOptions(
        bond_mode=bond_mode,
        lacp="active" if is_lacp else "off",
        updelay_ms=int(levels.first("updelay", _milliseconds, str(_DEFAULT_UPDELAY_MS))),
        downdelay_ms=int(levels.first("downdelay", _milliseconds, str(_DEFAULT_DOWNDELAY_MS))),
        port_keys=port_keys,
        member_keys={name: levels.maybe(name, _lacp_key) if is_lacp else None for name in _MEMBER_KEYS},
    )


_MEMBER_KEYS: Final = ("lacp-aggregation-key", "lacp-actor-key")
_KNOWN: Final = frozenset(
    {"mode", "miimon", "use_carrier", "rebalance-interval", "lacp-time", "lacp-fallback-ab", "updelay", "downdelay"}
    | {"hashing-algorithm", "primary", "active-slave", *_MEMBER_KEYS}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Levels:
    """Where an option can stand: PIF.other_config over Bond.properties."""

    pif: Pif
    bond: Bond
    notes: Notes

    def maybe(self, name: str, read: Callable[[str], str], record: str = "") -> str | None:
        """The first valid value of an option; None when there is none."""
        properties = _normal(self.bond.properties)
        places = [
            ("PIF.other_config", _own_options(self.pif).get(name)),
            ("the Bond record", record or properties.get(name)),
        ]
        for where, text in places:
            if text is None:
                continue
            try:
                return read(text)
            except InputError as error:
                self.notes.warn("pass_over_bond_option", self.pif.device, f"{name} of {where}: {error}")
        return None

    def first(self, name: str, read: Callable[[str], str], default: str, record: str = "") -> str:
        """As `maybe`, with a default."""
        found = self.maybe(name, read, record)
        return default if found is None else found

    def unknown(self) -> dict[str, str | None]:
        """Options that we give no meaning: they go to the Port under their own name."""
        merged = {**_normal(self.bond.properties), **_own_options(self.pif)}
        return {BOND_PREFIX + name: text for name, text in sorted(merged.items()) if name and name not in _KNOWN}


def _own_options(pif: Pif) -> dict[str, str]:
    named = {
        key.removeprefix(BOND_PREFIX): text for key, text in pif.other_config.items() if key.startswith(BOND_PREFIX)
    }
    return _normal(named)


def _normal(options: Mapping[str, str]) -> dict[str, str]:
    """Both spellings of the hashing option become one; XAPI's properties write it with an underscore."""
    return {("hashing-algorithm" if name == "hashing_algorithm" else name): text for name, text in options.items()}


def _lacp_balance(levels: _Levels, mode: str) -> str:
    hashing = "tcpudp_ports" if mode == "balance-tcp" else levels.maybe("hashing-algorithm", _hashing)
    if hashing is None:
        levels.notes.warn("choose_lacp_hash", levels.pif.device, "LACP without a valid hashing algorithm: tcpudp_ports")
    return "balance-slb" if hashing == "src_mac" else "balance-tcp"


def _mode(text: str) -> str:
    if text in _OTHER_MODES:
        raise InputError(f"{shown(text)} does not work here: {_OTHER_MODES[text]}")
    return _one_of("balance-slb", "active-backup", "lacp", "balance-tcp")(text)


def _hashing(text: str) -> str:
    return _one_of("src_mac", "tcpudp_ports")(text)


def _milliseconds(text: str) -> str:
    return str(parse_integer(text, 0, _MAX_MS))


def _lacp_key(text: str) -> str:
    return str(parse_integer(text, 1, _MAX_KEY))


def _detect_mode(text: str) -> str:
    return {"1": "carrier", "0": "miimon"}[_one_of("0", "1")(text)]


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise InputError(f"{shown(text)} is none of {', '.join(words)}")
        return text

    return read
