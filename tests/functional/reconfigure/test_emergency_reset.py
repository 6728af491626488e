"""Emergency reset: a one-PIF cache by hand, then `up` from it; and the states to boot from when there is no cache."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from typing import Literal

import pytest
from host_records import HostRecords, static
from host_state import addresses, bridges, ip, reconfigure, refuse, spec_for, succeed, vsctl

from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.spec import SandboxSpec, default_segments, nic_mac, shared_segment

STATIC = ("--mode=static", "--ip=192.0.2.10", "--netmask=255.255.255.0", "--gateway=192.0.2.1")


def reset(sandbox: Sandbox, *arguments: str, bridge: str = "xenbr0") -> None:
    """Write a one-PIF cache and bring its PIF up from it."""
    succeed(sandbox, "--force", bridge, "rewrite", *arguments)
    succeed(sandbox, "--force", bridge, "up", env={"XSAGENT_DHCP_WAIT_S": "5"})


@pytest.fixture
def blank() -> object:
    """A host whose cache is gone."""
    with Sandbox(SandboxSpec(dbcache="")) as sandbox:
        yield sandbox


def test_dhcp_with_the_dummy_mac_that_xapis_own_reset_passes(blank: Sandbox) -> None:
    """`--mac=x` means: the MAC that the NIC has."""
    reset(blank, "--device=eth0", "--mac=x", "--mode=dhcp")

    assert addresses(blank, "xenbr0")
    assert vsctl(blank, "get", "Bridge", "xenbr0", "other_config:hwaddr").strip('"') == nic_mac("eth0")


def test_static_with_name_servers_and_domain(blank: Sandbox) -> None:
    """Address, gateway, resolver: everything that a reachable host needs."""
    reset(blank, "--device=eth0", "--mac=x", *STATIC, "--dns=192.0.2.2,192.0.2.3", "--domain=example.com")

    assert addresses(blank, "xenbr0") == ["192.0.2.10/24"]
    assert [route["gateway"] for route in ip(blank, "route", "show", "default")] == ["192.0.2.1"]
    resolver = (blank.root / "etc/resolv.conf").read_text()
    assert "nameserver 192.0.2.2" in resolver
    assert "search example.com" in resolver
    assert blank.run(["ping", "-c3", "-i0.3", "-W2", "192.0.2.1"], check=False).returncode == 0


def test_static_without_a_gateway_comes_up(blank: Sandbox) -> None:
    """The legacy cache for it made the next `up` fail (legacy-faults F18)."""
    reset(blank, "--device=eth0", "--mac=x", *STATIC[:3])

    assert addresses(blank, "xenbr0") == ["192.0.2.10/24"]


def test_ipv6_static(blank: Sandbox) -> None:
    """A host that is reached over IPv6."""
    reset(
        blank, "--device=eth0", "--mac=x", "--mode=none",
        "--mode-v6=static", "--ipv6=2001:db8::10/64", "--gateway-v6=2001:db8::1",
    )  # fmt: skip

    assert "2001:db8::10/64" in addresses(blank, "xenbr0", "-6")
    assert blank.run(["ping", "-6", "-c3", "-i0.3", "-W2", "2001:db8::1"], check=False).returncode == 0


@pytest.mark.parametrize("mode", ["autoconf", "dhcp"])
def test_ipv6_from_the_network(mode: Literal["autoconf", "dhcp"]) -> None:
    """A host that is reached over IPv6 alone, its address from the router or a server."""
    first, *others = default_segments()
    with Sandbox(SandboxSpec(dbcache="", segments=(replace(first, ipv6=mode), *others))) as sandbox:
        reset(sandbox, "--device=eth0", "--mac=x", "--mode=none", f"--mode-v6={mode}")

        deadline = time.monotonic() + 60
        while not any(address.startswith("2001:db8:") for address in addresses(sandbox, "xenbr0", "-6")):
            assert time.monotonic() < deadline, ip(sandbox, "-6", "address")
            time.sleep(0.1)
        assert sandbox.run(["ping", "-6", "-c3", "-i0.3", "-W5", "2001:db8::1"], check=False).returncode == 0


def test_management_on_a_vlan(blank: Sandbox) -> None:
    """The VLAN's bridge with the address rides on the NIC's with the tag."""
    done = reconfigure(blank, "--force", "xapi5", "rewrite", "--device=eth0", "--mac=x", *STATIC, "--vlan=5")
    assert done.returncode == 0, done.stderr

    done = reconfigure(blank, "--force", "xapi5", "up")

    assert done.returncode == 0, done.stderr
    assert vsctl(blank, "br-to-vlan", "xapi5") == "5"
    assert "eth0" in vsctl(blank, "list-ports", vsctl(blank, "br-to-parent", "xapi5")).split()
    assert addresses(blank, "xapi5") == ["192.0.2.10/24"]


def test_management_on_a_bond() -> None:
    """Every member and the mode, from the first second (pains.md 5)."""
    with Sandbox(SandboxSpec(dbcache="", segments=shared_segment(nics=2))) as sandbox:
        reset(
            sandbox, "--mac=x", *STATIC, "--bond-mode=active-backup", "--bond-members=eth0,eth1", bridge="xapi0",
        )  # fmt: skip

        bond = json.loads(vsctl(sandbox, "--format=json", "--columns=name,interfaces,bond_mode", "list", "Port"))
        bonds = [row for row in bond["data"] if row[2] == "active-backup"]
        assert len(bonds) == 1
        assert len(bonds[0][1][1]) == 2
        assert addresses(sandbox, "xapi0") == ["192.0.2.10/24"]
        assert sandbox.run(["ping", "-c3", "-i0.3", "-W2", "192.0.2.1"], check=False).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--device=eth0", "--mode=static", "--ip=192.0.2.10<b>", "--netmask=255.255.255.0"), "192.0.2.10<b>"),
        (("--device=eth0", "--mode=static", "--ip=192.0.2.10", "--netmask=255.0.255.0"), "255.0.255.0"),
        (("--device=../x", "--mode=dhcp"), "../x"),
        (("--device=eth0", "--mode=dhcp", "--vlan=4095"), "4095"),
        (("--device=eth0", "--mode=dhcp", "--dns=nonsense"), "nonsense"),
    ],
)
def test_nonsense_is_refused_and_no_cache_is_written(blank: Sandbox, arguments: tuple[str, ...], named: str) -> None:
    """The legacy script wrote malformed XML and nonsense addresses (legacy-faults F03)."""
    said = refuse(blank, "--force", "xenbr0", "rewrite", "--mac=x", *arguments)

    assert named in said
    assert not (blank.root / "var/xapi/network.dbcache").exists()


def test_the_resets_own_mark_wins_over_every_other_state() -> None:
    """With the mark of xe-reset-networking our state is ignored and management.conf counts (pains.md 3)."""
    records = HostRecords()
    records.nic("eth0", management=True, **static("192.0.2.99"))
    conf = "LABEL='eth0'\nMODE='static'\nIP='192.0.2.10'\nNETMASK='255.255.255.0'\nGATEWAY='192.0.2.1'\n"
    files = {"etc/firstboot.d/data/management.conf": conf, "var/tmp/network-reset": "DEVICE=eth0\nMODE=static\n"}
    with Sandbox(spec_for(records, files=files)) as sandbox:
        succeed(sandbox, "--force", "xenbr0", "up")

        assert addresses(sandbox, "xenbr0") == ["192.0.2.10/24"]


def test_management_conf_alone_is_enough_to_boot() -> None:
    """First boot: no cache, no networkd.db."""
    conf = "LABEL='eth0'\nMODE='dhcp'\n"
    with Sandbox(SandboxSpec(dbcache="", files={"etc/firstboot.d/data/management.conf": conf})) as sandbox:
        succeed(sandbox, "--force-interface", "all", "up")

        assert addresses(sandbox, "xenbr0")
        assert bridges(sandbox) == ["xenbr0"]


def test_the_previous_generation_stands_in_for_a_corrupt_cache() -> None:
    """A warning says so; nothing else is lost."""
    records = HostRecords()
    records.nic("eth0", management=True, **static("192.0.2.10"))
    with Sandbox(spec_for(records)) as sandbox:
        cache = sandbox.root / "var/xapi/network.dbcache"
        cache.with_name("network.dbcache.previous").write_text(records.as_dbcache())
        cache.write_text("<xenserver-network-configuration><pif")

        done = reconfigure(sandbox, "--no-syslog", "--force", "xenbr0", "up")

        assert done.returncode == 0, done.stderr
        assert "previous" in done.stderr
        assert addresses(sandbox, "xenbr0") == ["192.0.2.10/24"]
