"""``xsagent plan``: what a reconfigure would do, step by step with reasons. Reads only.

From two files it works on a laptop: no root, no Open vSwitch, no pyroute2. On a host it is
``interface-reconfigure --dry-run`` with more to choose from (JSON, the undo of each step).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from xsagent.cli.reconfigure_options import parse_options
from xsagent.desired.build import build_desired
from xsagent.desired.request import BuildOptions, HostFacts, Request
from xsagent.errors import InputError, UsageError
from xsagent.model.snapshot import Snapshot
from xsagent.plan.diff import build_plan
from xsagent.plan.options import PlanOptions
from xsagent.plan.render import render_plan
from xsagent.plan.steps import Plan
from xsagent.sources.dbcache import read_dbcache
from xsagent.topology.codec import from_json, to_json
from xsagent.topology.desired import Desired
from xsagent.topology.network_scripts import SCRIPTS, SYSCONFIG_NETWORK
from xsagent.topology.ownership import is_vlan_bridge
from xsagent.topology.values import Topology

_MAX_OBSERVED_BYTES = 64 << 20
_HOST_NAME = re.compile(r'^ *send host-name "([^"]*)";$', re.MULTILINE)
_VENDOR_CLASS = re.compile(r'^ *send vendor-class-identifier "([^"]*)";$', re.MULTILINE)


def run(arguments: argparse.Namespace) -> int:
    """Print the plan; 0 whether or not there is something to do.

    Raises:
        XsagentError: a file or the host cannot be read, the PIF cannot be planned for.
        UsageError: one of the two files without the other.
    """
    if (arguments.from_dbcache is None) != (arguments.observed is None):
        raise UsageError("plan: --from-dbcache and --observed go together")
    desired, plan = _from_files(arguments) if arguments.from_dbcache else _on_host(arguments)
    if arguments.json:
        form = {"plan": to_json(plan), "reasons": [to_json(reason) for reason in desired.reasons]}
        sys.stdout.write(json.dumps(form, indent=1, sort_keys=True) + "\n")
    else:
        sys.stdout.write(render_plan(plan, desired.reasons, verbose=arguments.verbose))
    return 0


def _from_files(arguments: argparse.Namespace) -> tuple[Desired, Plan]:
    snapshot, observed = read_dbcache(arguments.from_dbcache), read_observed(arguments.observed)
    force = arguments.force
    pif = snapshot.pif_for_bridge(force) if force else snapshot.pif_by_uuid(arguments.pif_uuid)
    request = Request(
        action=arguments.action,
        pif=pif.ref,
        becoming_management=arguments.management and not force,
        origin="force" if force else "pif-uuid",
        even_if_in_use=arguments.even_if_in_use,
    )
    desired = build_desired(snapshot, request, _facts(snapshot, observed), _build_options(observed))
    return desired, build_plan(desired, observed, PlanOptions(keep_ports=not arguments.even_if_in_use))


def _facts(snapshot: Snapshot, observed: Topology) -> HostFacts:
    """What the files say of the host itself: the bridges that are there, and which one is management."""
    ports = (port for bridge in observed.bridges.values() for port in bridge.ports.values())
    present = {*observed.bridges, *(port.name for port in ports if is_vlan_bridge(port))}
    management = snapshot.management_pif()
    return HostFacts(
        management_bridge=snapshot.bridge_of(management) if management else "",
        present_bridges=frozenset(present),
        hostname=_sent_by_dhcp(observed, _HOST_NAME),
        sysconfig_network=observed.files.get(SYSCONFIG_NETWORK) or "",
    )


def _build_options(observed: Topology) -> BuildOptions:
    """A host whose files were read has the network scripts: there the ifcfg files count."""
    ifcfg = any(path.startswith(f"{SCRIPTS}/ifcfg-") for path in observed.files)
    return BuildOptions(
        ip_backend="ifcfg" if ifcfg else "netlink", dhcp_vendor_class=_sent_by_dhcp(observed, _VENDOR_CLASS)
    )


def _sent_by_dhcp(observed: Topology, pattern: re.Pattern[str]) -> str:
    """What the host's DHCP clients send; no file of the two says it otherwise, and an empty text when none runs."""
    clients = (device.dhcp4 for device in observed.ip_devices.values())
    found = (pattern.search(client.configuration) for client in clients if client is not None)
    return next((match[1] for match in found if match), "")


def read_observed(path: Path) -> Topology:
    """The topology in a file that ``xsagent show --json`` wrote.

    Raises:
        InputError: the file cannot be read, or holds no such thing.
    """
    try:
        with path.open("rb") as stream:
            raw = stream.read(_MAX_OBSERVED_BYTES + 1)
    except OSError as error:
        raise InputError(f"the file {path} cannot be read: {error.strerror}") from error
    if len(raw) > _MAX_OBSERVED_BYTES:
        raise InputError(f"the file {path} is larger than {_MAX_OBSERVED_BYTES} bytes")
    try:
        form = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise InputError(f"the file {path} is not JSON: {error}") from error
    if not isinstance(form, dict) or "is" not in form:
        raise InputError(f"the file {path} is nothing that `xsagent show --json` wrote: it does not say what it is")
    try:
        return from_json(Topology, form)
    except InputError as error:
        raise InputError(f"the file {path} is nothing that `xsagent show --json` wrote: {error}") from error


def _on_host(arguments: argparse.Namespace) -> tuple[Desired, Plan]:
    # brings all that applies and reads a host, which a laptop may lack
    from xsagent.cli.reconfigure_run import plan_only  # noqa: PLC0415 - as said

    return plan_only(parse_options(list(_as_reconfigure(arguments))), os.environ)


def _as_reconfigure(arguments: argparse.Namespace) -> Iterator[str]:
    """The command line of interface-reconfigure that asks for the same."""
    yield "--dry-run"
    yield f"--force={arguments.force}" if arguments.force else f"--pif-uuid={arguments.pif_uuid}"
    yield f"--root-prefix={arguments.root_prefix}"
    if arguments.management:
        yield "--management"
    if arguments.even_if_in_use:
        yield "--even-if-in-use"
    yield arguments.action
