"""Runs inside a sandbox: builds hosts on its switch and kernel, runs plans by the real runner, takes them back.

Usage: replay_inside.py ROOT, with a line of JSON {"start": ..., "plan": ...} for each host on stdin; answers with a
line {"before", "after", "undone", "error"} each.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

from xsagent.apply.executor import Executed, Failed, execute, roll_back
from xsagent.apply.ovsdb import apply_ovsdb
from xsagent.apply.run_step import StepRunner
from xsagent.config import Paths, Settings
from xsagent.log import get_logger
from xsagent.observed.host import Interest, observe_host
from xsagent.observed.ovsdb import read_ovsdb
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.plan.settle import settle_undo
from xsagent.plan.steps import CreateBridge, DeleteBridge, OvsdbStep, Plan, Step
from xsagent.topology.codec import from_json, to_json
from xsagent.topology.values import IpDevice, IpInterface, Link, Origin, Topology

_READ_S = 20.0
_KERNELS_OWN = 2
_FAR_END = "far-"
"""Prefix of the other end of a link that a host needs and the sandbox lacks."""


class Dom0:
    """The sandbox's dom0 from within."""

    def __init__(self, root: str) -> None:
        self.paths = Paths.from_environ(root, {})
        self.connection = OvsdbConnection.open(self.paths.ovsdb_socket, 10)
        self.runner = StepRunner(
            paths=self.paths,
            settings=Settings(),
            connection=self.connection,
            dhcp_wait_s=0.0,
            logger=get_logger(),
        )

    def replay(self, start: Topology, plan: Plan) -> dict[str, object]:
        """Build, run, take back; what is there each time."""
        self.clear(start)
        self.build(start)
        answer: dict[str, object] = {"before": to_json(self.observe()), "error": None}
        done = execute(plan, self.runner.run, _nothing, _quiet)
        answer["after"] = to_json(self.observe())
        if not isinstance(done, Executed):
            answer["error"] = str(done)
            return answer
        replayed = Failed(begun=done.begun, cause="replayed")
        ended = roll_back(replayed, self.runner.run, _quiet, self.settle)
        answer["ended"] = str(ended)
        answer["undone"] = to_json(self.observe())
        return answer

    def observe(self) -> Topology:
        """The host, by the product's own eyes."""
        return observe_host(self.paths, self.connection, Interest(), time.monotonic() + _READ_S)

    def settle(self, undo: Sequence[Step]) -> tuple[Step, ...]:
        """As the flow's Host.settle."""
        return settle_undo(undo, read_ovsdb(self.connection, time.monotonic() + _READ_S).bridges)

    def clear(self, start: Topology) -> None:
        """No bridges, and no links but the sandbox's own."""
        present = read_ovsdb(self.connection, time.monotonic() + _READ_S).bridges
        gone = tuple(DeleteBridge(name=name) for name in present)
        apply_ovsdb(self.connection, OvsdbStep(operations=gone), time.monotonic() + _READ_S)
        names = {link["ifname"] for link in json.loads(_ip("-json", "link", "show").stdout)}
        ends = sorted(name for name in names if name.startswith(_FAR_END))
        lines = [f"link del {name}" for name in ends]
        there = names - {name.removeprefix(_FAR_END) for name in ends}
        for name in self.nics(start):
            made = f"link add {name} type veth peer name {_FAR_END}{name}"
            lines += [f"addr flush dev {name}"] if name in there else [made]
        _ip("-batch", "-", lines=lines)

    def build(self, start: Topology) -> None:
        """The start: rows by the product's writer, the rest by ip(8).

        NICs have their MACs first: a bridge without hwaddr follows those of its ports, and the switch takes its device
        down for a moment to change it (lib/netdev-linux.c, netdev_linux_set_etheraddr()).
        """
        _ip("-batch", "-", lines=[f"link set {name} address {start.links[name].mac} down" for name in self.nics(start)])
        made = tuple(CreateBridge(bridge=bridge) for bridge in start.bridges.values())
        ports = tuple(name for name, link in start.links.items() if link.kind == "openvswitch")
        apply_ovsdb(self.connection, OvsdbStep(operations=made, ports=ports), time.monotonic() + _READ_S)
        for link in start.links.values():
            self.set_sysctls(link)
        lines = [f"link set {link.name} mtu {link.mtu} {'up' if link.up else 'down'}" for link in start.links.values()]
        for device in start.ip_devices.values():
            own = [item.interface for item in device.addresses if item.origin is not Origin.LINK_LOCAL]
            lost = _lost_subnets(device, own)
            lines += [f"addr add {item} dev {device.device}" for item in (*own, *lost)]
            routes = (route for route in device.routes if route.protocol != _KERNELS_OWN)
            for route in sorted(routes, key=lambda route: route.gateway is not None):
                way = f"via {route.gateway} " if route.gateway is not None else ""
                metric = f"metric {route.metric} " if route.metric else ""
                lines.append(
                    f"route replace {route.destination} {way}dev {device.device} proto {route.protocol} {metric}"
                )
            lines += [f"addr del {item} dev {device.device}" for item in lost]
        _ip("-batch", "-", lines=lines)

    def nics(self, start: Topology) -> list[str]:
        """Links that no switch makes."""
        return [name for name, link in start.links.items() if link.kind != "openvswitch"]

    def set_sysctls(self, link: Link) -> None:
        """The kernel settings of a device."""
        for path, value in link.sysctls.items():
            (Path("/proc/sys/net") / path).write_text(value, encoding="ascii")


def _lost_subnets(device: IpDevice, own: Iterable[IpInterface]) -> list[str]:
    """Addresses that the device has while its routes are made: a gateway that none of its own reaches had one once."""
    gateways = {route.gateway for route in device.routes if route.gateway is not None}
    off = [gateway for gateway in sorted(gateways, key=str) if not any(gateway in item.network for item in own)]
    return [f"{gateway + 1}/{gateway.max_prefixlen - 8}" for gateway in off if not gateway.is_link_local]


def _ip(*words: str, lines: list[str] | None = None) -> subprocess.CompletedProcess[str]:
    text = "\n".join(lines) + "\n" if lines else ""
    done = subprocess.run(["ip", *words], check=False, capture_output=True, text=True, input=text)
    if done.returncode:
        raise RuntimeError(f"{done.stderr}\n{text}")
    return done


def _nothing(_step: Step) -> None:
    """No journal: nobody kills this process."""


def _quiet(_event: str, _step: Step, _text: str) -> None:
    """What failed is in the answer."""


def main() -> None:
    """Answer each line."""
    dom0 = Dom0(sys.argv[1])
    for line in sys.stdin:
        request = json.loads(line)
        answer = dom0.replay(from_json(Topology, request["start"]), from_json(Plan, request["plan"]))
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


main()
