"""Text of dhclient's configuration; tests/functional/desired/ has dhclient read it."""

from __future__ import annotations

import dataclasses
import re

import pytest
from records_builder import HOST, NETLINK, Records, management

from xsagent.desired.request import BuildOptions, HostFacts
from xsagent.topology.values import DhcpClient

_BOTH = {"peerdns": "true", "defaultroute": "true"}


def _clients(
    taken: dict[str, str] | None = None, host: HostFacts = HOST, options: BuildOptions = NETLINK
) -> tuple[DhcpClient, DhcpClient]:
    """Clients of a management interface, beside another one that takes these roles."""
    records = Records()
    records.nic(1, currently_attached=True, ip_mode="DHCP", other_config=taken or {})
    nic = records.nic(0, **management(ipv6_mode="DHCP"))
    device = records.up(nic, host, options).topology.ip_devices["xenbr0"]
    assert device.dhcp4 is not None
    assert device.dhcp6 is not None
    return device.dhcp4, device.dhcp6


def _requested(client: DhcpClient) -> set[str]:
    (options,) = re.findall(r"^  request (.*);$", client.configuration, re.MULTILINE)
    return set(options.split(", "))


_ROUTERS = {"routers", "rfc3442-classless-static-routes"}
_NAMES = {"domain-name", "domain-name-servers"}
_NAMES6 = {"dhcp6.name-servers", "dhcp6.domain-search"}


def test_both_roles_ask_for_everything() -> None:
    """The options of xcp-networkd, and classless static routes."""
    four, six = _clients()
    assert _requested(four) == _ROUTERS | _NAMES | {
        "subnet-mask",
        "broadcast-address",
        "time-offset",
        "host-name",
        "nis-domain",
        "nis-servers",
        "ntp-servers",
        "interface-mtu",
    }
    assert _requested(six) == _NAMES6 | {"dhcp6.sntp-servers"}


@pytest.mark.parametrize(
    ("taken", "left_out"),
    [
        ({"defaultroute": "true"}, _ROUTERS),
        ({"peerdns": "true"}, _NAMES | _NAMES6),
        (_BOTH, _ROUTERS | _NAMES | _NAMES6),
    ],
)
def test_without_a_role_its_options_are_not_asked_for(taken: dict[str, str], left_out: set[str]) -> None:
    """What is not asked for cannot override the interface that has the role."""
    full, less = _clients(), _clients(taken)
    assert _requested(full[0]) - _requested(less[0]) == left_out & (_ROUTERS | _NAMES)
    assert _requested(full[1]) - _requested(less[1]) == left_out & _NAMES6


def test_the_host_name_is_sent_when_it_is_one() -> None:
    """It stands between quotes in the file."""
    assert 'send host-name "host0";' in _clients()[0].configuration
    for name in ("", 'a"; script "/tmp/x', "a\nb", "-x"):
        host = dataclasses.replace(HOST, hostname=name)
        assert "host-name " not in _clients(host=host)[0].configuration.replace("request", "")


def test_the_vendor_class_is_sent_when_configured() -> None:
    """Neither peer sends one."""
    assert "vendor-class" not in _clients()[0].configuration
    options = BuildOptions(dhcp_vendor_class="XCP-ng dom0")
    assert 'send vendor-class-identifier "XCP-ng dom0";' in _clients(options=options)[0].configuration


def test_nothing_else_changes_the_text() -> None:
    """A different text restarts the client: neither address, MTU nor first boot may."""
    records = Records()
    nic = records.nic(0, **management())
    before = records.up(nic).topology.ip_devices["xenbr0"].dhcp4
    records.change(nic, mtu="9000", ip="192.0.2.1", other_config={"mtu": "9000", "ethtool-tx": "off"})
    after = records.up(nic, dataclasses.replace(HOST, first_boot=True)).topology.ip_devices["xenbr0"].dhcp4
    assert before == after
