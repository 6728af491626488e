"""The verbs of `xsagent` with their options; pure but for the import of the verb that is called.

`main.py` parses with them and calls the chosen one's `run`. A new verb is a function here and a module of its name.
"""

from __future__ import annotations

import argparse
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Final, TypeAlias

from xsagent.cli import sandbox

Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001 - argparse names it no better


def add_verbs(parser: argparse.ArgumentParser) -> None:
    """Add every verb; the parsed arguments hold the chosen one's function as `run`."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    _add_show(verbs)
    _add_topology(verbs)
    _add_status(verbs)
    _add_doctor(verbs)
    _add_plan(verbs)
    _add_network(verbs)
    _add_resync(verbs)
    _add_firewall(verbs)
    _add_openvswitch(verbs)
    sandbox.add_parser(verbs)
    verbs.choices["sandbox"].set_defaults(run=sandbox.run)


def _add_show(verbs: Subparsers) -> None:
    parser = verbs.add_parser(
        "show",
        help="what is there: bridges, ports, bonds, VLANs, NICs, addresses",
        description="Shows this host's network as a tree. What is not ours is marked foreign.",
    )
    parser.add_argument("--json", action="store_true", help="as JSON, for `xsagent plan --observed`")
    _add_root_prefix(parser)
    parser.set_defaults(run=partial(_run, "show"))


def _add_plan(verbs: Subparsers) -> None:
    parser = verbs.add_parser(
        "plan",
        help="what bringing a PIF up or down would do, step by step",
        description="Prints what a reconfigure would do and why; changes nothing. With --from-dbcache and "
        "--observed it needs neither root nor Open vSwitch.",
    )
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--force", "--force-interface", metavar="BRIDGE", help="the PIF on this bridge, from the cache")
    which.add_argument("--pif-uuid", metavar="UUID", help="the PIF with this uuid")
    parser.add_argument("--from-dbcache", metavar="FILE", type=Path, help="records from this network.dbcache")
    parser.add_argument("--observed", metavar="FILE", type=Path, help="a host as `xsagent show --json` writes it")
    parser.add_argument("--management", action="store_true", help="the PIF is about to become management")
    parser.add_argument("--even-if-in-use", action="store_true", help="plan although VIFs or others would be cut off")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.add_argument("--verbose", action="store_true", help="also what is relied on, and each step's undo")
    _add_root_prefix(parser)
    parser.add_argument("action", choices=("up", "down"))
    parser.set_defaults(run=partial(_run, "plan"))


def _add_network(verbs: Subparsers) -> None:
    parser = verbs.add_parser(
        "network",
        help="make or remove the bridge of an internal network, on which no PIF is",
        description="Makes or removes the bridge that an internal network has on this host, which XAPI does by itself "
        "when a VIF comes or goes. The network's record must be there: xe network-create makes that. Bridges that PIFs "
        "are on are interface-reconfigure's.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    make, take = "make it, or set what differs from XAPI's record", "remove it, when nothing is plugged into it"
    _add_network_action(
        actions.add_parser("create", help=make, description=f"The bridge of an internal network: {make}.")
    )
    remove = actions.add_parser("remove", help=take, description=f"The bridge of an internal network: {take}.")
    remove.add_argument("--even-if-in-use", action="store_true", help="go on although VIFs or others would be cut off")
    _add_network_action(remove)


def _add_network_action(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("network", metavar="NETWORK", help="its uuid or its bridge's name")
    parser.add_argument("--dry-run", action="store_true", help="print the plan and stop")
    parser.add_argument("--no-syslog", action="store_true", help="log to stderr")
    _add_root_prefix(parser)
    parser.set_defaults(run=partial(_run, "network"))


_SWITCH_VERBS: Final = """\
start              start whichever daemon does not run
stop               end both; what flows goes on to flow
restart            end and start both, flows saved where both answer
reload             have xsagentd, or this run, read XAPI's marks anew; also force-reload
status             exit 0, or 1, 3, 4 for a daemon that is dead, does not run, runs and does not answer
version            of both
force-reload-kmod  replace the kernel module by the installed one
start-database, start-switch, stop-database, stop-switch
                   one daemon, for units
check-handlers     restart a switch that has no threads for new flows
xapi-update        once XAPI is up: what its plugin does"""


def _add_openvswitch(verbs: Subparsers) -> None:
    parser = verbs.add_parser(
        "openvswitch",
        help="start and end Open vSwitch as a boot does; what the init script and the units call",
        description="Starts, ends and asks Open vSwitch's daemons. At the first start of a boot the bridges that the\n"
        "boot before left are deleted (setting boot_delete_bridges).",
        epilog=_SWITCH_VERBS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    both = ("start", "stop", "restart", "reload", "force-reload", "status", "version", "force-reload-kmod")
    one = ("start-database", "start-switch", "stop-database", "stop-switch", "check-handlers", "xapi-update")
    parser.add_argument("what", choices=(*both, *one), metavar="WHAT", help=f"{', '.join(both)}; {', '.join(one)}")
    parser.add_argument("--save-flows", choices=("yes", "no"), default="yes", help="at restart (default: yes)")
    parser.add_argument("--no-monitor", action="store_true", help="somebody else restarts a daemon that dies (systemd)")
    parser.add_argument(
        "--wait", type=float, default=600.0, metavar="S", help="for XAPI, at xapi-update (default: 600)"
    )
    _add_root_prefix(parser)
    parser.set_defaults(run=partial(_run, "openvswitch"))


def _add_status(verbs: Subparsers) -> None:
    parser = verbs.add_parser(
        "status",
        help="what the daemon does, device by device, and what earlier runs left",
        description="Shows xsagentd's devices, peers and last resync, and what runs that failed left to be done. "
        "Works without a daemon.",
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    _add_root_prefix(parser)
    parser.set_defaults(run=partial(_run, "status"))


def _add_resync(verbs: Subparsers) -> None:
    parser = verbs.add_parser(
        "resync",
        help="look at every guest's device now, and make right what is not",
        description="Has xsagentd compare every guest's device with xenstore, or does it itself without a daemon, and "
        "waits for the end. Exit 1 where a device is not right then. Ports that are right are not touched.",
    )
    _add_root_prefix(parser)
    parser.set_defaults(run=partial(_run, "resync"))


def _add_doctor(verbs: Subparsers) -> None:
    parser = verbs.add_parser(
        "doctor",
        help="what is wrong with this host's network, why it matters, and the command that mends it",
        description="Examines this host and changes nothing; works, in seconds, also when everything else is dead. "
        "Exit code: 0 nothing wrong, 1 errors, 3 warnings and no errors.",
    )
    parser.add_argument("--json", action="store_true", help="as JSON")
    _add_root_prefix(parser)
    parser.set_defaults(run=partial(_run, "doctor"))


def _add_topology(verbs: Subparsers) -> None:
    parser = verbs.add_parser(
        "topology",
        help="a picture: NICs, bonds, bridges, VLANs, tunnels, VIFs and their state",
        description="Draws this host's network, or that in a file which `xsagent show --json` wrote. State shows by "
        "colour and by shape.",
    )
    parser.add_argument(
        "--format", choices=("text", "json", "dot", "svg"), default="text", help="what to write (default: text)"
    )
    parser.add_argument("--observed", metavar="FILE", type=Path, help="a host as `xsagent show --json` writes it")
    _add_root_prefix(parser)
    parser.set_defaults(run=partial(_run, "topology"))


def _add_firewall(verbs: Subparsers) -> None:
    parser = verbs.add_parser(
        "firewall",
        help="let in what this host's tunnels need: GRE, and VXLAN, Geneve, STT, IPsec while there is one",
        description="Compares the rules of ours in the host's firewall with the tunnels that there are, and mends what "
        "differs. Rules of others are never touched. Says each rule that it changed.",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be changed")
    _add_root_prefix(parser)
    parser.set_defaults(run=partial(_run, "firewall"))


def _add_root_prefix(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--root-prefix", default="", metavar="DIR", help="every path lies below DIR")


def _run(verb: str, arguments: argparse.Namespace) -> int:
    """The verb's own module is imported when it is called: the others must not pay for it."""
    return int(import_module(f"xsagent.cli.{verb}").run(arguments))
