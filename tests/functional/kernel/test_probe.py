"""Probes of a gateway through an internal port of a real switch, and through a NIC."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator

import pytest

from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.spec import SandboxSpec, default_segments

PROBE = """
import ipaddress, json, sys
from xsagent.apply.probe import probe_gateway
device, gateway, deadline = sys.argv[1:]
try:
    print(json.dumps(probe_gateway(device, ipaddress.ip_address(gateway), deadline_s=float(deadline))))
except Exception as error:
    print(json.dumps(type(error).__name__))
print(json.dumps("pyroute2" in sys.modules))
"""


@pytest.fixture(scope="module")
def switch() -> Iterator[Sandbox]:
    """xenbr0 over eth0, without an address."""
    with Sandbox(SandboxSpec(segments=default_segments(dhcp=False))) as running:
        running.build_bridge("xenbr0", "eth0")
        yield running


def probe(switch: Sandbox, device: str, gateway: str, deadline_s: float = 20) -> bool | str:
    """Whether a gateway answers, or the error's name."""
    lines = switch.run([sys.executable, "-c", PROBE, device, gateway, str(deadline_s)]).stdout.splitlines()
    answer: bool | str = json.loads(lines[0])
    assert json.loads(lines[1]) is False, "a probe must not cost the import of pyroute2"
    return answer


@pytest.mark.parametrize("gateway", ["192.0.2.1", "2001:db8::1"])
def test_a_gateway_answers_through_the_bridge(switch: Sandbox, gateway: str) -> None:
    """ARP without an address of our own (RFC 5227), neighbour discovery from the link-local one."""
    assert probe(switch, "xenbr0", gateway) is True


@pytest.mark.parametrize("gateway", ["192.0.2.77", "2001:db8::77", "198.51.100.1"])
def test_a_wrong_gateway_does_not_answer(switch: Sandbox, gateway: str) -> None:
    """Nor does one that is on another wire."""
    assert probe(switch, "xenbr0", gateway, 0.6) is False


def test_a_gateway_behind_a_cut_wire_does_not_answer(switch: Sandbox) -> None:
    """The flows of the bridge are gone: the control run."""
    switch.delete_flows("xenbr0")

    assert probe(switch, "xenbr0", "192.0.2.1", 0.6) is False

    switch.run(["ovs-ofctl", "add-flow", "xenbr0", "actions=normal"])
    assert probe(switch, "xenbr0", "192.0.2.1") is True


def test_a_gateway_that_comes_later_is_found_before_the_deadline(switch: Sandbox) -> None:
    """Questions are asked again and again."""
    switch.delete_flows("xenbr0")
    running = switch.spawn([sys.executable, "-c", PROBE, "xenbr0", "192.0.2.1", "30"])
    switch.run(["sleep", "1"])
    switch.run(["ovs-ofctl", "add-flow", "xenbr0", "actions=normal"])

    assert running.communicate()[0].splitlines()[0] == "true"


def test_a_device_that_is_not_there_is_named(switch: Sandbox) -> None:
    """The caller tells a missing device from a silent gateway."""
    assert probe(switch, "eth9", "192.0.2.1") == "DeviceAbsentError"


HOLDER = """
import ipaddress, json, sys
from xsagent.apply.probe import find_other_holder
device, address, deadline, *ours = sys.argv[1:]
print(json.dumps(find_other_holder(device, ipaddress.ip_address(address), deadline_s=float(deadline), ours=ours)))
"""


@pytest.mark.parametrize("address", ["192.0.2.50/24", "2001:db8::50/64"])
def test_another_host_that_has_our_address_is_named(switch: Sandbox, address: str) -> None:
    """By its MAC; of both families, whose answers to somebody without an address differ. Our own do not count."""
    gateway, bare = switch.far("gateway"), address.partition("/")[0]
    own = json.loads(switch.run(["ip", "-json", "link", "show", "dev", "xenbr0"]).stdout)[0]["address"]
    words = [sys.executable, "-c", HOLDER, "xenbr0", bare]
    switch.run(["ip", "address", "add", address, "dev", "xenbr0", *(["nodad"] if ":" in bare else [])])
    assert json.loads(switch.run([*words, "1", own]).stdout) == ""

    gateway.run(["ip", "address", "add", address, "dev", gateway.interface, *(["nodad"] if ":" in bare else [])])
    try:
        holder = json.loads(switch.run([*words, "20", own]).stdout)
    finally:
        gateway.run(["ip", "address", "del", address, "dev", gateway.interface])
        switch.run(["ip", "address", "del", address, "dev", "xenbr0"])

    assert holder == "02:00:00:00:fe:01"


def test_our_own_address_is_no_gateway(switch: Sandbox) -> None:
    """A host that asks for itself hears its own packets leave; they are no answer."""
    switch.run(["ip", "address", "add", "192.0.2.10/24", "dev", "xenbr0"])

    assert probe(switch, "xenbr0", "192.0.2.10", 0.6) is False


def test_a_router_is_asked_from_its_own_subnet(switch: Sandbox) -> None:
    """It may not answer a sender that is in none of its subnets, though that is the device's first address."""
    switch.run(["ip", "address", "flush", "dev", "xenbr0", "scope", "global"])
    for address in ("203.0.113.10/24", "192.0.2.10/24"):
        switch.run(["ip", "address", "add", address, "dev", "xenbr0"])
    listener = switch.far("gateway").spawn(
        ["tcpdump", "--immediate-mode", "-l", "-n", "-c1", "-i", "wire0", "arp[7]=1"]
    )
    assert listener.stderr
    assert any("listening on" in line for line in listener.stderr), "tcpdump ended"

    assert probe(switch, "xenbr0", "192.0.2.1") is True

    assert "who-has 192.0.2.1 tell 192.0.2.10" in listener.communicate()[0]


DEAF = """
table netdev deaf { chain in { type filter hook ingress device "wire0" priority 0
  ether type arp drop
  icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } drop
  }
}
"""
"""At the gateway: what it says reaches us, what we say does not reach it."""

HEARD = """
table netdev heard { chain in { type filter hook ingress device "xenbr0" priority 0
  ether saddr 02:00:00:00:fe:01 counter
  }
}
"""


@pytest.mark.parametrize("gateway", ["192.0.2.1", "2001:db8::1"])
def test_a_gateway_that_asks_us_but_does_not_hear_us_has_not_answered(switch: Sandbox, gateway: str) -> None:
    """A path that carries packets one way only has lost the host; its question for us proves no more than that."""
    far = switch.far("gateway")
    switch.run(["ip", "address", "replace", "192.0.2.10/24", "dev", "xenbr0"])
    switch.run(["ip", "address", "replace", "2001:db8::10/64", "dev", "xenbr0", "nodad"])
    ours = "2001:db8::10" if ":" in gateway else "192.0.2.10"
    far.run(["nft", "-f", "-"], input_text=DEAF)
    switch.run(["nft", "-f", "-"], input_text=HEARD)
    asking = far.spawn(["ping", "-q", "-i", "0.2", ours])
    try:
        assert probe(switch, "xenbr0", gateway, 3) is False
        assert re.findall(r"counter packets ([0-9]+)", switch.run(["nft", "list", "ruleset"]).stdout) != ["0"]
    finally:
        asking.kill()
        far.run(["nft", "delete", "table", "netdev", "deaf"])
        switch.run(["nft", "delete", "table", "netdev", "heard"])

    assert probe(switch, "xenbr0", gateway) is True
