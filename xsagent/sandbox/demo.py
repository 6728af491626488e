"""``xsagent sandbox demo``: boots a sandbox as a host boots and shows, read back, what came of it.

Every line that it prints was read from the kernel, from OVSDB or from the DHCP server's lease file, never from what a
program of ours says of itself; a check that does not hold ends the demo with exit 1.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from xsagent.errors import VerifyError
from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.namespaces import pid_of
from xsagent.sandbox.root_prefix import record_uuid
from xsagent.sandbox.spec import SandboxSpec, default_segments
from xsagent.sandbox.xapi_host import build_host
from xsagent.sandbox.xapi_standin import XapiStandin

_BRIDGE = "xenbr0"
_NIC = "eth0"
_GUEST_ADDRESS = "192.0.2.77/24"
_STREAM_MS = 5.0


@dataclass(slots=True)
class _Report:
    """Prints checks as they are made."""

    started: float = field(default_factory=time.monotonic)

    def head(self, text: str) -> None:
        print(f"\n== {text}", flush=True)

    def show(self, source: str, text: str) -> None:
        print(f"   {source:<24} {text}", flush=True)

    def check(self, holds: object, source: str, text: str) -> None:
        self.show(source, text)
        if not holds:
            raise VerifyError(f"the demo failed: {source}: {text}")


def run_demo(*, dhcp: bool = True) -> int:
    """Run the demo; returns 0 when every check held.

    Args:
        dhcp: False leaves the DHCP server off, which the demo must notice.

    Raises:
        VerifyError: a check did not hold; the sentence says which.
        SandboxError: the namespaces cannot be made here.
    """
    report = _Report()
    report.head("a throw-away dom0: own namespaces, real ovsdb-server and ovs-vswitchd, eth0 and eth1 as veth pairs")
    with Sandbox(SandboxSpec(segments=default_segments(nics=2, dhcp=dhcp))) as sandbox:
        _show_start(sandbox, report)
        _bring_up(sandbox, report)
        _run_again(sandbox, report)
        _run_from_xapi(sandbox, report)
        report.head("what is there: xsagent show")
        print(_output(sandbox, ["xsagent", "show", f"--root-prefix={sandbox.root}"]), end="", flush=True)
    print(f"\n== done in {time.monotonic() - report.started:.1f} s; nothing of it is left on this machine")
    return 0


def _show_start(sandbox: Sandbox, report: _Report) -> None:
    bridges = _output(sandbox, ["ovs-vsctl", "list-br"]).split()
    report.check(not bridges, "ovs-vsctl list-br", "no bridge yet")
    links = ", ".join(link["ifname"] for link in _ip(sandbox, "link", "show") if link["ifname"].startswith("eth"))
    report.check(links, "ip link", f"NICs {links}")
    for pif in _lines(sandbox.root.joinpath("var/xapi/network.dbcache").read_text(encoding="utf-8"), "<device>"):
        report.show("network.dbcache", f"a PIF on {pif}")


def _bring_up(sandbox: Sandbox, report: _Report) -> None:
    report.head(f"boot: interface-reconfigure --force {_BRIDGE} up, from the cache, with DHCP")
    took = _reconfigure(sandbox)
    ports = _output(sandbox, ["ovs-vsctl", "list-ports", _BRIDGE]).split()
    report.check(_NIC in ports, "ovs-vsctl list-ports", f"{_BRIDGE}: {', '.join(ports)} ({took:.2f} s)")
    uuids = _output(sandbox, ["ovs-vsctl", "br-get-external-id", _BRIDGE, "xs-network-uuids"]).strip()
    report.check(uuids, "ovs-vsctl external-id", f"xs-network-uuids={uuids}")
    addresses = _addresses(sandbox)
    report.check(addresses, "ip address", f"{_BRIDGE}: {', '.join(addresses)}")
    leases = sandbox.far().leases()
    leased = any(address.split("/")[0] in lease for lease in leases for address in addresses)
    report.check(leased, "dnsmasq's lease file", "; ".join(leases) or "no lease")
    gateway = sandbox.gateway_address
    routes = [route.get("gateway") for route in _ip(sandbox, "-4", "route", "show", "default")]
    report.check(gateway in routes, "ip route", f"default via {', '.join(map(str, routes))}")
    pong = sandbox.run(["ping", "-c", "2", "-i", "0.2", "-W", "2", gateway], check=False, timeout=20)
    report.check(pong.returncode == 0, f"ping {gateway}", pong.stdout.strip().splitlines()[-2:][0])


def _run_again(sandbox: Sandbox, report: _Report) -> None:
    report.head("a guest pings on while the same command runs again: nothing changes, nothing is lost")
    guest = sandbox.add_guest("vif1.0", _BRIDGE, _GUEST_ADDRESS)
    _await_duplicate_detection(sandbox)
    transactions = _transactions(sandbox)
    with (
        _kernel_monitor(sandbox) as changes,
        guest.ping_stream(sandbox.gateway_address, interval_ms=_STREAM_MS) as stream,
    ):
        stream.wait_answered(20)
        took = _reconfigure(sandbox)
        stream.wait_answered(20)
        counts = stream.stop()
    report.check(
        _transactions(sandbox) == transactions,
        "ovsdb-tool show-log",
        f"still {transactions} transactions ({took:.2f} s)",
    )
    report.check(not changes, "ip monitor", "; ".join(changes) or "no change of link, address, route or rule")
    report.check(counts.lost == 0, f"{_STREAM_MS:.0f} ms ping stream", f"{counts.sent} sent, {counts.lost} lost")


def _run_from_xapi(sandbox: Sandbox, report: _Report) -> None:
    report.head("XAPI comes up with the same records: the same PIF, up by its uuid from there, changes nothing")
    pif = record_uuid(f"pif {_NIC}")
    transactions = _transactions(sandbox)
    with XapiStandin(build_host(sandbox.spec), sandbox.root / "var/lib/xcp/xapi") as xapi:
        with _kernel_monitor(sandbox) as changes:
            took = _reconfigure(sandbox, "--pif-uuid", pif)
        calls = xapi.methods()
        report.check("PIF.get_all_records_where" in calls, "XAPI's call log", f"{len(calls)} calls: {', '.join(calls)}")
        report.check(not xapi.sessions(), "XAPI's sessions", "none is left open")
    report.check(
        _transactions(sandbox) == transactions,
        "ovsdb-tool show-log",
        f"still {transactions} transactions ({took:.2f} s)",
    )
    report.check(not changes, "ip monitor", "; ".join(changes) or "no change of link, address, route or rule")


def _reconfigure(sandbox: Sandbox, *way: str) -> float:
    started = time.monotonic()
    words = way or ("--force", _BRIDGE)
    done = sandbox.run(
        ["interface-reconfigure", f"--root-prefix={sandbox.root}", *words, "up"], check=False, timeout=120
    )
    if done.returncode != 0:
        raise VerifyError(f"interface-reconfigure ended with {done.returncode}: {done.stderr.strip()}")
    return time.monotonic() - started


@contextmanager
def _kernel_monitor(sandbox: Sandbox) -> Iterator[list[str]]:
    """Lines that `ip monitor` printed while the block ran; filled when it ends."""
    lines: list[str] = []
    monitor = sandbox.spawn(["ip", "monitor", "link", "address", "route", "rule"])
    time.sleep(0.2)
    try:
        yield lines
    finally:
        os.kill(pid_of(monitor), signal.SIGTERM)
        output, _ = monitor.communicate(timeout=10)
        lines += [line for line in output.splitlines() if line.strip()]


def _await_duplicate_detection(sandbox: Sandbox) -> None:
    """The kernel announces the end of IPv6 duplicate address detection a second or two after the first run."""
    deadline = time.monotonic() + 10.0
    while time.monotonic() < deadline:
        if not any(link.get("addr_info") for link in _ip(sandbox, "-6", "address", "show", "tentative")):
            return
        time.sleep(0.1)


def _addresses(sandbox: Sandbox) -> list[str]:
    return [
        f"{address['local']}/{address['prefixlen']}"
        for link in _ip(sandbox, "-4", "address", "show", "dev", _BRIDGE)
        for address in link["addr_info"]
    ]


def _transactions(sandbox: Sandbox) -> int:
    log = _output(sandbox, ["ovsdb-tool", "show-log", str(sandbox.root / "run/openvswitch/conf.db")])
    return sum(line.startswith("record ") for line in log.splitlines())


def _ip(sandbox: Sandbox, *arguments: str) -> list[dict[str, Any]]:
    parsed: list[dict[str, Any]] = json.loads(_output(sandbox, ["ip", "-j", *arguments]) or "[]")
    return parsed


def _output(sandbox: Sandbox, argv: list[str]) -> str:
    return sandbox.run(argv, timeout=30).stdout


def _lines(text: str, tag: str) -> list[str]:
    return [
        line.strip().removeprefix(tag).partition("<")[0] for line in text.splitlines() if line.strip().startswith(tag)
    ]
