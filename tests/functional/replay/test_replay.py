"""The host model told against a real ovsdb-server, ovs-vswitchd and kernel: the same plan has the same effect there.

20 generated hosts, 200 with PROFILE=long (DESIGN.md section 12); all in one sandbox, one after the other.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from samples import Sample, samples

from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.spec import SandboxSpec, default_segments
from xsagent.topology.codec import from_json, to_json
from xsagent.topology.values import Bridge, Interface, Origin, Topology

pytestmark = pytest.mark.timeout(3600)

INSIDE = Path(__file__).with_name("replay_inside.py")
COUNT = 200 if os.environ.get("PROFILE") == "long" else 20
_KERNELS_OWN = {2, 9}
"""Protocols of routes that come and go by themselves."""


def test_the_model_and_a_real_host_agree() -> None:
    """After the plan the host is what the model says, and after its undo it is what it was."""
    chosen = samples(COUNT)
    assert len(chosen) == COUNT
    with Sandbox(SandboxSpec(segments=default_segments(nics=4, dhcp=False))) as sandbox:
        lines = [json.dumps({"start": to_json(item.start), "plan": to_json(item.plan)}) for item in chosen]
        words = [sys.executable, str(INSIDE), str(sandbox.root)]
        done = sandbox.run(words, input_text="\n".join(lines) + "\n", timeout=1800)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(chosen), done.stderr
    problems = [text for item, answer in zip(chosen, answers, strict=True) for text in _problems(item, answer)]
    assert problems == [], "\n".join(problems)


def _problems(sample: Sample, answer: dict[str, Any]) -> list[str]:
    start = _facts(from_json(Topology, answer["before"]))
    modelled = _facts(sample.start)
    found = _differences("the start was not built", start, modelled)
    if answer["error"] is not None:
        found.append(f"the plan failed: {answer['error']}")
    else:
        found += _differences("after the plan", _facts(from_json(Topology, answer["after"])), _facts(sample.after))
        found += _differences(f"undone ({answer['ended']})", _facts(from_json(Topology, answer["undone"])), start)
    return [f"{sample.title}: {text}" for text in found]


def _differences(what: str, real: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    return [
        f"{what}: {name} is {real.get(name)}, must be {wanted.get(name)}"
        for name in sorted(real.keys() | wanted.keys())
        if real.get(name) != wanted.get(name)
    ]


def _facts(topology: Topology) -> dict[str, Any]:
    """What can be compared, by a name each: rows, link states, widths that somebody asked for, addresses, routes."""
    facts: dict[str, Any] = {}
    for bridge in topology.bridges.values():
        facts |= _rows(bridge)
    asked = {name for name, fact in facts.items() if name.startswith("interface") and fact["mtu_request"] is not None}
    nics = {name for name, link in topology.links.items() if name.startswith(("eth", "vif"))}
    for name, link in topology.links.items():
        if name in {"lo", "ovs-netdev"} or name.startswith("far-"):
            continue
        facts[f"link {name}"] = link.up
        if name in nics or f"interface {name}" in asked:
            facts[f"mtu {name}"] = link.mtu
    for name, device in topology.ip_devices.items():
        if name != "lo":
            own = sorted(str(item.interface) for item in device.addresses if item.origin is not Origin.LINK_LOCAL)
            routes = [route for route in device.routes if route.protocol not in _KERNELS_OWN]
            ways = sorted(f"{route.destination} {route.gateway} {route.protocol} {route.metric}" for route in routes)
            facts |= {f"addresses {name}": own} if own else {}
            facts |= {f"routes {name}": ways} if ways else {}
    return facts


def _rows(bridge: Bridge) -> dict[str, Any]:
    facts: dict[str, Any] = {
        f"bridge {bridge.name}": {
            "fail_mode": bridge.fail_mode,
            "hwaddr": bridge.hwaddr,
            "snooping": bridge.mcast_snooping,
            "other_config": dict(bridge.other_config),
            "external_ids": dict(bridge.external_ids),
            "extra": _without_uuids(bridge.extra),
        }
    }
    for port in bridge.ports.values():
        facts[f"port {port.name}"] = {
            "bridge": bridge.name,
            "interfaces": sorted(port.interfaces),
            "extra": _without_uuids(port.extra),
            **{
                name: getattr(port, name)
                for name in ("tag", "trunks", "mac", "fake_bridge", "bond_fake_iface", "bond_mode", "lacp")
            },
            "delays": (port.bond_updelay, port.bond_downdelay),
            "other_config": dict(port.other_config),
            "external_ids": dict(port.external_ids),
        }
        facts |= {f"interface {item.name}": _row(item) for item in port.interfaces.values()}
    return facts


def _row(interface: Interface) -> dict[str, Any]:
    return {
        "type": interface.type or "system",
        "mac": interface.mac,
        "mtu_request": interface.mtu_request,
        "options": dict(interface.options),
        "other_config": dict(interface.other_config),
        "external_ids": dict(interface.external_ids),
    }


def _without_uuids(value: Any) -> Any:
    """A nested column without the names that a database gives its rows; a set of one is its element (RFC 7047)."""
    match value:
        case ["set", [element]]:
            return _without_uuids(element)
    if isinstance(value, dict):
        return {key: _without_uuids(item) for key, item in value.items() if key != "uuid"}
    return [_without_uuids(item) for item in value] if isinstance(value, list | tuple) else value
