"""A cache written from what XAPI said reads as the same Snapshot, so that a boot plans what XAPI wanted."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace

import pytest

from xsagent.sandbox.xapi_pool import network_record, ref_for, uuid_for
from xsagent.sandbox.xapi_standin import XapiStandin
from xsagent.sources.dbcache import parse_dbcache
from xsagent.sources.dbcache_render import render_dbcache
from xsagent.sources.xapi import XapiSession, read_snapshot

Opener = Callable[..., AbstractContextManager[XapiSession]]
HOST_UUID = uuid_for("host 1")

ODD_CONFIG = {
    "xo:sdn-controller:vni": "7",
    "ethtool-gro": "off",
    "static-routes": "10.8.0.0/16/192.0.2.254",
    "a key with <blanks> & marks": "a value \u00e9 \U0001f600 with\nlines",
    "": "",
}
CHANGES: list[tuple[str, str, dict[str, object]]] = [
    (
        "PIF",
        "PIF 1 eth0",
        {
            "IPv6": ["2001:db8::11/64", "2001:db8::12/64"],
            "ipv6_configuration_mode": "Static",
            "ipv6_gateway": "2001:db8::1",
            "primary_address_type": "IPv6",
            "other_config": ODD_CONFIG,
            "properties": {"gro": "on"},
            "capabilities": ["sriov"],
            "currently_attached": True,
            "managed": False,
            "disallow_unplug": True,
        },
    ),
    ("PIF", "PIF 1 eth1.1", {"VLAN": "1e3"}),
    ("PIF", "PIF 1 bond0", {"MTU": "-1", "MAC": "0C:C4:7A:00:01:02", "ip_configuration_mode": "DHCP"}),
    (
        "Bond",
        "Bond 1 bond0",
        {"mode": "lacp", "properties": {"hashing_algorithm": "tcpudp_ports", "lacp-time": "slow"}},
    ),
    ("VLAN", "VLAN 1 eth0.2", {"other_config": ODD_CONFIG}),
    ("tunnel", "tunnel 1 tunnel0", {"status": {"active": "true", "key": "0x1a"}}),
    ("pool", "pool", {"vswitch_controller": "192.0.2.77", "igmp_snooping_enabled": True, "other_config": ODD_CONFIG}),
]


@pytest.mark.parametrize("changed", [False, True])
def test_a_cache_written_from_xapis_snapshot_reads_as_that_snapshot(
    standin: XapiStandin,
    opened: Opener,
    changed: bool,
) -> None:
    """Every field of every record survives, unusable records and odd keys too."""
    if changed:
        for kind, name, fields in CHANGES:
            standin.control("put", name=kind, ref=ref_for(name), fields=fields)
        internal = network_record("internal", "xapi9") | {"other_config": ODD_CONFIG, "purpose": ["nbd"]}
        standin.control("put", name="network", ref="OpaqueRef:internal", fields=internal)
    with opened() as session:
        snapshot = read_snapshot(session, HOST_UUID)

    cached = parse_dbcache(render_dbcache(snapshot))

    assert bool(snapshot.unusable) is changed
    assert replace(cached, source=snapshot.source, warnings=snapshot.warnings) == snapshot
