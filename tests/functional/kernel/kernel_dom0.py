"""A dom0 without Open vSwitch whose NICs are the kernel's own, ways to run steps in it, and the tests' own eyes."""

from __future__ import annotations

import ipaddress
import json
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from xsagent.plan.steps import StartDhcpStep, Step, StopDhcpStep
from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.spec import SandboxSpec, Segment
from xsagent.topology.codec import from_json, to_json
from xsagent.topology.values import Address, DhcpClient, IpDevice, Link, Route

RUNNER = Path(__file__).with_name("run_steps.py")


QUICK = "timeout 60; retry 1; initial-interval 1; backoff-cutoff 2; reboot 2;\n"
EVERYTHING = (
    QUICK
    + "option rfc3442-classless-static-routes code 121 = array of unsigned integer 8;\n"
    + "request subnet-mask, broadcast-address, routers, domain-name, domain-name-servers, "
    + "domain-search, rfc3442-classless-static-routes;\n"
)
ADDRESS_ALONE = QUICK + "request subnet-mask, broadcast-address;\n"
RENEWING = EVERYTHING + "supersede dhcp-renewal-time 1; supersede dhcp-rebinding-time 100;\n"
SIX = "request dhcp6.name-servers, dhcp6.domain-search;\n"


@dataclass(frozen=True)
class Outcome:
    """What the steps did and what is there afterwards."""

    returned: list[str]
    error: str | None
    text: str
    links: dict[str, Link]
    devices: dict[str, IpDevice]
    refused: dict[str, Any]


@dataclass
class Dom0:
    """A running sandbox and the steps run in it."""

    sandbox: Sandbox

    def run(
        self, *steps: Step, wait_s: float = 20, sysctls: Sequence[str] = (), ethtool: Sequence[str] = ()
    ) -> Outcome:
        """Run steps inside and observe."""
        request = {
            "steps": [to_json(step) for step in steps],
            "wait_s": wait_s,
            "sysctls": list(sysctls),
            "ethtool": list(ethtool),
        }
        words = [sys.executable, str(RUNNER), str(self.sandbox.root)]
        answer = json.loads(self.sandbox.run(words, input_text=json.dumps(request)).stdout)
        return Outcome(
            returned=answer["returned"],
            error=answer["error"],
            text=answer["text"],
            links={name: from_json(Link, form) for name, form in answer["links"].items()},
            devices={name: from_json(IpDevice, form) for name, form in answer["ip_devices"].items()},
            refused=answer["refused"],
        )

    def ip(self, *words: str) -> list[dict[str, Any]]:
        """Return what ``ip -json`` says: the tests' own eyes."""
        text = self.sandbox.run(["ip", "-json", *words]).stdout
        return list(json.loads(text)) if text.strip() else []

    def addresses(self, device: str, family: str = "inet") -> list[str]:
        """Return a device's addresses of global scope."""
        found = self.ip("address", "show", "dev", device)
        return [
            f"{item['local']}/{item['prefixlen']}"
            for link in found
            for item in link.get("addr_info", ())
            if item["family"] == family and item["scope"] == "global"
        ]

    def text(self, path: str) -> str:
        """Return a file's text below the root prefix; empty without it."""
        place = self.sandbox.root / path
        return place.read_text(encoding="utf-8") if place.exists() else ""

    def server_log(self, host: str = "gateway") -> str:
        """Return what a far host's DHCP server logged."""
        path = self.sandbox.log / f"{host}-dnsmasq.log"
        return path.read_text(encoding="utf-8") if path.exists() else ""


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Wait for what must come sooner or later; generous, so that a busy machine fails nothing."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, f"never came: {what}"
        time.sleep(0.1)


class Monitor:
    """``ip monitor`` in dom0: every line that the kernel tells while it is watched."""

    def __init__(self, sandbox: Sandbox, *words: str) -> None:
        self._sandbox = sandbox
        self._process: subprocess.Popen[str] = sandbox.spawn(["stdbuf", "-oL", "ip", "-oneline", *words])
        self._marks = 0
        while not self._readable():  # it listens from the first mark that it shows
            self._mark()

    def lines(self) -> list[str]:
        """Return what was told since the start, without the marks."""
        last = self._mark()
        found: list[str] = []
        while not any(last in line for line in found):
            assert self._process.stdout
            found.append(self._process.stdout.readline())
        return [line for line in found if "203.0.113." not in line]

    def _mark(self) -> str:
        self._marks += 1
        address = f"203.0.113.{self._marks}/32"
        self._sandbox.run(["ip", "address", "add", address, "dev", "lo"])
        return address

    def _readable(self) -> bool:
        assert self._process.stdout
        return bool(select.select([self._process.stdout], [], [], 0.2)[0])


def address(text: str) -> Address:
    """A static address."""
    return Address(interface=ipaddress.ip_interface(text))


def route(destination: str, gateway: str | None, *, protocol: int = 0, metric: int = 0) -> Route:
    """A route, with the protocol left to the writer."""
    via = ipaddress.ip_address(gateway) if gateway else None
    return Route(destination=ipaddress.ip_network(destination), gateway=via, protocol=protocol, metric=metric)


def dnsmasq(dom0: Dom0, *words: str) -> None:
    """Start a DHCP server or router of another form than the sandbox's on the host ``gateway``."""
    log = f"--log-facility={dom0.sandbox.log}/gateway-dnsmasq.log"
    command = ["dnsmasq", "--conf-file=/dev/null", "--port=0", "--user=", "--group=", "--no-ping", "--pid-file="]
    dom0.sandbox.far("gateway").run([*command, "--log-dhcp", log, "--interface=wire0", *words])


@contextmanager
def running_dom0(*segments: Segment) -> Iterator[Dom0]:
    """A dom0 with these wires, its NICs up and in no bridge; IPv6 addresses are usable at once."""
    with Sandbox(SandboxSpec(segments=segments, ovsdb=False, vswitchd=False)) as running:
        for nic in running.spec.nics:
            running.leave_to_kernel(nic)
            running.run(["sh", "-c", f"echo 0 > /proc/sys/net/ipv6/conf/{nic}/accept_dad"])
            running.run(["ip", "link", "set", nic, "up"])
        dom0 = Dom0(running)
        for nic in running.spec.nics:  # what follows is the test's doing, not the link's
            wait_until(partial(has_link_local, dom0, nic), f"the link-local address of {nic}")
        yield dom0


def has_link_local(dom0: Dom0, nic: str) -> bool:
    """Whether IPv6 works on a NIC."""
    found = dom0.ip("-6", "address", "show", "dev", nic, "scope", "link", "-tentative")
    return any(link.get("addr_info") for link in found)


def start_dhcp(device: str = "eth0", configuration: str = EVERYTHING, family: int = 4) -> StartDhcpStep:
    """A client to start."""
    return StartDhcpStep(device=device, client=DhcpClient(family=family, configuration=configuration))


def stop_dhcp(device: str = "eth0", family: int = 4) -> StopDhcpStep:
    """A client to stop."""
    return StopDhcpStep(device=device, family=family)


def client(device: IpDevice) -> DhcpClient:
    """The IPv4 client seen on a device."""
    assert device.dhcp4 is not None
    return device.dhcp4


def inner_pids(dom0: Dom0) -> list[int]:
    """Process ids, as the sandbox counts, of every live dhclient."""
    shown = dom0.sandbox.run(["ps", "-e", "-o", "pid=,stat=,comm="]).stdout.splitlines()
    rows = [line.split() for line in shown]
    return [int(row[0]) for row in rows if row[2] == "dhclient" and not row[1].startswith("Z")]


def gateway_segment(*options: str) -> Segment:
    """The gateway's segment with DHCP and these options in dnsmasq's form."""
    return Segment(name="gateway", nics=("eth0",), addresses=("192.0.2.1/24",), dhcp=True, dhcp_options=options)
