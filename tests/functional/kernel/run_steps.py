"""Runs steps inside a sandbox with the writers of apply/ and tells, as JSON, what they returned and what is there now.

Usage: run_steps.py ROOT < {"steps": [...], "wait_s": 5, "sysctls": [...], "ethtool": [...]}
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any, get_args

from xsagent.apply import dhcp, ethtool, ifcfg, netlink, routes
from xsagent.apply.refusals import read_refusals
from xsagent.apply.resolver import apply_resolver
from xsagent.config import Paths
from xsagent.errors import XsagentError
from xsagent.observed.ip_devices import read_ip_devices
from xsagent.observed.links import read_links
from xsagent.observed.netlink import dump_kernel
from xsagent.plan import steps
from xsagent.topology.codec import from_json, to_json


def run(step: steps.Step, paths: Paths, wait_s: float) -> object:
    """Run one step with the writer that its kind has."""
    returning: dict[type, Callable[[Any], object]] = {
        steps.LinkStep: netlink.apply_link,
        steps.CreateVlanLinkStep: netlink.create_vlan_link,
        steps.DeleteLinkStep: netlink.delete_link,
        steps.WaitCarrierStep: netlink.wait_carrier,
        steps.SysctlStep: lambda step: netlink.apply_sysctls(step, paths.proc),
        steps.AddressStep: lambda step: netlink.apply_addresses(step, paths.proc),
        steps.RouteStep: routes.apply_routes,
        steps.AnnounceStep: netlink.announce_addresses,
        steps.FeaturesStep: lambda step: ethtool.apply_features(step, paths),
        steps.LinkSettingsStep: lambda step: ethtool.apply_link_settings(step, paths),
        steps.StartDhcpStep: lambda step: dhcp.start_client(step, paths, wait_s),
        steps.StopDhcpStep: lambda step: dhcp.stop_client(step, paths),
        steps.ResolverStep: lambda step: apply_resolver(step.resolver, paths),
        steps.IfupStep: lambda step: ifcfg.run_ifup(step, paths, wait_s),
        steps.IfdownStep: lambda step: ifcfg.run_ifdown(step, paths),
        steps.UpdateIssueStep: lambda _step: ifcfg.update_issue(paths),
    }
    return returning[type(step)](step)


def decode_step(form: dict[str, Any]) -> steps.Step:
    """A step from its JSON, which names its kind."""
    kinds: dict[str, Any] = {kind.__name__: kind for kind in get_args(steps.Step)}
    step: steps.Step = from_json(kinds[form["is"]], form)
    return step


def main() -> None:
    """Run the steps of stdin in order until one fails."""
    request = json.load(sys.stdin)
    paths = Paths.from_environ(sys.argv[1], {})
    returned: list[str] = []
    answer: dict[str, object] = {"returned": returned, "error": None, "text": ""}
    try:
        for step in map(decode_step, request["steps"]):
            returned.append(repr(run(step, paths, request["wait_s"])))  # noqa: PERF401 - keeps those before a failure
    except (XsagentError, OSError) as error:
        answer |= {"error": type(error).__name__, "text": str(error)}
    dump = dump_kernel()
    links = read_links(dump, sysfs=paths.sys, proc=paths.proc, ethtool=request["ethtool"], sysctls=request["sysctls"])
    devices = read_ip_devices(dump, state=paths.state_dir, run=paths.run_dir, proc=paths.proc)
    refusals = read_refusals(paths)
    answer["links"] = {name: to_json(link) for name, link in links.items()}
    answer["ip_devices"] = {name: to_json(device) for name, device in devices.items()}
    answer["refused"] = {"features": refusals.features, "settings": refusals.settings}
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
