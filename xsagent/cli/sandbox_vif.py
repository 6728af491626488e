"""The options of ``xsagent sandbox vif add|remove``; what it does is `sandbox_vif_run`.

Beside `cli.sandbox`, which calls both.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xsagent.cli.sandbox import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Add ``vif`` with its own verbs to the verbs of ``xsagent sandbox``."""
    vif = subparsers.add_parser(
        "vif",
        help="plug a guest's VIF into a running sandbox, or unplug it",
        description="Does what xenopsd and netback do, in a shell of the sandbox or, with --in, from outside: keys "
        "and file, a netdev whose other end is in the guest's namespace, uevents; and waits for the answer.",
    )
    verbs = vif.add_subparsers(dest="vif_verb", required=True, metavar="VERB")
    add = verbs.add_parser("add", help="plug one in; exit 1 with the hotplug-error when that fails")
    _add_place(add)
    add.add_argument("--bridge", default="xenbr0", metavar="BRIDGE", help="bridge of its network (default: xenbr0)")
    add.add_argument("--mac", default="", help="of the guest (default: made from the ids)")
    add.add_argument("--mtu", type=int, default=1500, help="bytes (default: 1500)")
    mode = add.add_mutually_exclusive_group()
    mode.add_argument("--locked", nargs="*", metavar="ADDRESS", help="locking mode locked: only these may be sent from")
    mode.add_argument("--disabled", action="store_true", help="locking mode disabled: on no bridge")
    add.add_argument("--address", metavar="CIDR", help="of the guest (default: one of 192.0.2.200/24 onwards)")
    add.add_argument("--trunks", default="", metavar="TAG,...", help="VLANs let through (default: all)")
    add.add_argument("--domid", type=int, help="domain id of the guest (default: the next free one)")
    add.add_argument("--devid", type=int, default=0, help="device number in the guest (default: 0)")
    add.add_argument("--layout", choices=("uuid", "domid"), default="uuid", help="of the toolstack's keys")
    add.add_argument("--tap", action="store_true", help="a device model's tap beside it")
    remove = verbs.add_parser("remove", help="unplug one")
    _add_place(remove)
    remove.add_argument("device", help="the netdev in dom0, for example vif1.0")


def _add_place(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--in", dest="sandbox", default="", metavar="NAME", help="the sandbox, as its shell calls it")
