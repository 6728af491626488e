"""argv of interface-reconfigure -> ReconfigureOptions, with every combination rule of features.md section 1. Pure.

GNU getopt's habits are part of the contract: options may follow the action, long options may be abbreviated.
"""

from __future__ import annotations

import getopt
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from xsagent.errors import UsageError
from xsagent.model.values import shown

Action = Literal["up", "down", "rewrite"]

ALL_INTERFACES: Final = "all"
"""``--force-interface all``: every interface of the boot set."""

USAGE: Final = """\
usage: interface-reconfigure [--session REF --pif REF | --pif-uuid UUID | --force BRIDGE] [options] up|down
       interface-reconfigure rewrite
       interface-reconfigure --force BRIDGE rewrite --device=NIC --mac=MAC --mode=dhcp|static [address options]
       interface-reconfigure --force-interface all up

Brings a PIF of this host up or down on Open vSwitch.

Which PIF:
  --session REF --pif REF     by reference, in a session of the caller's (XAPI)
  --pif-uuid UUID             by uuid; logs in to XAPI, falls back to the cache when XAPI cannot answer
  --force, --force-interface BRIDGE
                              the PIF on this bridge, from network.dbcache; XAPI is never asked
  --force-interface all       every interface of the boot set, management first

Actions:
  up, down                    configure or remove the PIF's topology and IP device
  rewrite                     bring external-ids and the cache in step with XAPI
                              (also: rewrite-configuration); with --force: write a one-PIF cache

Options:
  --management                the PIF is about to become the management interface
  --dry-run                   print the plan and stop
  --even-if-in-use            go on although VIFs, others' ports or management would be cut off
  --no-deadman                do not go back when the gateway no longer answers
  --root-prefix=DIR           every path lies below DIR
  --no-syslog                 log to stderr
  -h, --help                  this text
  --version                   the version

Options of --force BRIDGE rewrite:
  --device=NIC --mac=MAC      the NIC and its MAC (no MAC, such as x: taken from the NIC)
  --mode=dhcp|static|none     with static: --ip= --netmask= [--gateway=]
  --vlan=TAG                  management on a VLAN
  --dns=LIST --domain=LIST    name servers and search domains, separated by commas
  --mode-v6=dhcp|static|autoconf|none
                              with static: --ipv6=ADDRESS/LENGTH [--gateway-v6=]
  --bond-mode=MODE --bond-members=NIC,NIC
                              management on a bond
"""

_REWRITE_OPTIONS: Final = (
    "device",
    "mac",
    "mode",
    "ip",
    "netmask",
    "gateway",
    "vlan",
    "dns",
    "domain",
    "mode-v6",
    "ipv6",
    "gateway-v6",
    "bond-mode",
    "bond-members",
)
_FLAGS: Final = ("management", "dry-run", "even-if-in-use", "no-deadman", "no-syslog", "help", "version")
_VALUES: Final = ("session", "pif", "pif-uuid", "force", "force-interface", "root-prefix", *_REWRITE_OPTIONS)
_ACTIONS: Final[dict[str, Action]] = {
    "up": "up",
    "down": "down",
    "rewrite": "rewrite",
    "rewrite-configuration": "rewrite",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconfigureOptions:
    """A command line that obeys every rule.

    Attributes:
        action: None only with `help` or `version`.
        force: bridge name, or ALL_INTERFACES; None without ``--force``.
        rewrite: values of the address options by option name; only with ``--force BRIDGE rewrite``.
    """

    action: Action | None
    session: str | None = None
    pif: str | None = None
    pif_uuid: str | None = None
    force: str | None = None
    management: bool = False
    dry_run: bool = False
    even_if_in_use: bool = False
    deadman: bool = True
    root_prefix: str = ""
    syslog: bool = True
    help: bool = False
    version: bool = False
    rewrite: dict[str, str] = field(default_factory=dict)


def option_names() -> tuple[str, ...]:
    """Every long option, for completion and for the test of the manual."""
    return tuple(sorted((*_FLAGS, *_VALUES)))


def parse_options(argv: Sequence[str]) -> ReconfigureOptions:
    """The options of a command line (without the program's name).

    Raises:
        UsageError: a rule is broken; the sentence names the options that must change.
    """
    _check_text(argv)
    try:
        pairs, words = getopt.gnu_getopt(list(argv), "h", [*_FLAGS, *(f"{name}=" for name in _VALUES)])
    except getopt.GetoptError as error:
        raise UsageError(f"{error.msg}") from error
    given = {name.lstrip("-"): value for name, value in pairs}
    if "help" in given or "h" in given or "version" in given:
        return ReconfigureOptions(action=None, help="version" not in given, version="version" in given)
    action = _parse_action(words)
    _check_choice(action, given)
    _check_rewrite(action, given)
    return ReconfigureOptions(
        action=action,
        session=given.get("session"),
        pif=given.get("pif"),
        pif_uuid=given.get("pif-uuid"),
        force=_force(given),
        management="management" in given,
        dry_run="dry-run" in given,
        even_if_in_use="even-if-in-use" in given,
        deadman="no-deadman" not in given,
        root_prefix=given.get("root-prefix", ""),
        syslog="no-syslog" not in given,
        rewrite={name: given[name] for name in _REWRITE_OPTIONS if name in given},
    )


def _check_text(argv: Sequence[str]) -> None:
    """Bytes that are no UTF-8 come as lone surrogates, which neither XAPI nor a file of ours takes."""
    for word in argv:
        try:
            word.encode("utf-8")
        except UnicodeEncodeError as error:
            raise UsageError(f"{shown(word)} is not UTF-8") from error


def _parse_action(words: Sequence[str]) -> Action:
    if len(words) != 1:
        raise UsageError(f"exactly one action is needed (up, down or rewrite), not {len(words)}")
    if words[0] not in _ACTIONS:
        raise UsageError(f"unknown action {words[0]!r}: it must be up, down or rewrite")
    return _ACTIONS[words[0]]


def _force(given: dict[str, str]) -> str | None:
    return given.get("force-interface", given.get("force"))


def _check_choice(action: Action, given: dict[str, str]) -> None:
    if _force(given) is not None and {"session", "pif", "pif-uuid"} & given.keys():
        raise UsageError("--force goes with none of --session, --pif and --pif-uuid: it never asks XAPI")
    if "pif-uuid" in given and {"session", "pif"} & given.keys():
        raise UsageError("--pif-uuid goes with neither --session nor --pif: both choose the PIF")
    if ("session" in given) != ("pif" in given):
        raise UsageError("--session and --pif go together only")
    if action == "rewrite":
        if "pif-uuid" in given or "pif" in given:
            raise UsageError("rewrite takes no PIF: drop --pif-uuid, or --pif and --session")
    elif _force(given) is None and not {"pif", "pif-uuid"} & given.keys():
        raise UsageError(f"{action} needs a PIF: --session with --pif, --pif-uuid, or --force")
    if _force(given) == ALL_INTERFACES and action != "up":
        raise UsageError(f"--force-interface all goes with up only, not with {action}")


def _check_rewrite(action: Action, given: dict[str, str]) -> None:
    named = [name for name in _REWRITE_OPTIONS if name in given]
    if _force(given) is None or action != "rewrite":
        if named:
            raise UsageError(
                f"--{named[0]} goes with --force BRIDGE rewrite only, as do --device, --mode, --ip, --netmask, "
                "--gateway"
            )
        return
    if "device" not in given and "bond-members" not in given:
        raise UsageError("--force BRIDGE rewrite needs --device (or --bond-members), --mac and --mode")
    if "mode" not in given and "mode-v6" not in given:
        raise UsageError("--force BRIDGE rewrite needs --device, --mac and --mode (or --mode-v6)")
    _check_mode("mode", given, ("dhcp", "static", "none"), ("ip", "netmask"))
    _check_mode("mode-v6", given, ("dhcp", "static", "autoconf", "none"), ("ipv6",))


def _check_mode(option: str, given: dict[str, str], modes: tuple[str, ...], needed: tuple[str, ...]) -> None:
    mode = given.get(option)
    if mode is None:
        return
    if mode not in modes:
        raise UsageError(f"--{option} must be one of {', '.join(modes)}, not {mode!r:.40}")
    if mode == "static" and not all(given.get(name) for name in needed):
        raise UsageError(f"--{option}=static needs {' and '.join('--' + name for name in needed)}")
