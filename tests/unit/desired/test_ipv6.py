"""IPv6 modes, addresses, gateway and kernel settings."""

from __future__ import annotations

import dataclasses

import pytest
from records_builder import HOST, Records, management, static, warnings

from xsagent.errors import InputError

_STATIC6 = {"ipv6_mode": "Static", "ipv6": ("2001:db8::10/64", "2001:db8:1::10/64")}


def _sysctls(records: Records, fields: dict[str, object]) -> dict[str, str]:
    values = records.up(records.nic(0, **management(**fields))).topology.links["xenbr0"].sysctls
    return {path.removeprefix("ipv6/conf/xenbr0/"): value for path, value in values.items()}


@pytest.mark.parametrize(
    ("fields", "values"),
    [
        ({"ip_mode": "None"}, {"disable_ipv6": "1"}),
        ({}, {"disable_ipv6": "0", "accept_ra": "0", "autoconf": "0"}),
        (_STATIC6, {"disable_ipv6": "0", "accept_ra": "0", "autoconf": "0"}),
        (
            {"ipv6_mode": "Autoconf"},
            {"disable_ipv6": "0", "accept_ra": "1", "autoconf": "1", "accept_ra_defrtr": "1"},
        ),
        ({"ipv6_mode": "DHCP"}, {"disable_ipv6": "0", "accept_ra": "1", "autoconf": "0", "accept_ra_defrtr": "1"}),
    ],
)
def test_each_mode_has_its_kernel_settings(fields: dict[str, object], values: dict[str, str]) -> None:
    """features.md section 4: None means link-local only; no mode at all means no IPv6; DHCP learns its router."""
    assert _sysctls(Records(), fields) == values


def test_an_interface_without_the_gateway_role_takes_no_default_router() -> None:
    """Its addresses it does take."""
    records = Records()
    records.nic(1, currently_attached=True, ip_mode="DHCP", other_config={"defaultroute": "true"})
    assert _sysctls(records, {"ipv6_mode": "Autoconf"})["accept_ra_defrtr"] == "0"


def test_other_config_can_keep_link_local_addresses() -> None:
    """On a device without any mode (xcp-ng/xcp-ng-release#42 is about those)."""
    records = Records()
    nic = records.nic(0, other_config={"ipv6-link-local": "true"})
    assert records.up(nic).topology.links["xenbr0"].sysctls["ipv6/conf/xenbr0/disable_ipv6"] == "0"


def test_a_host_without_ipv6_gets_no_settings() -> None:
    """The paths are not there."""
    records = Records()
    host = dataclasses.replace(HOST, ipv6_available=False)
    assert records.up(records.nic(0, **management()), host).topology.links["xenbr0"].sysctls == {}


def test_static_addresses_and_gateway() -> None:
    """Several addresses; one default route a family."""
    records = Records()
    fields = static(**_STATIC6, ipv6_gateway="2001:db8::1")
    desired = records.up(records.nic(0, **management(**fields)))
    device = desired.topology.ip_devices["xenbr0"]
    assert device.ipv6_mode == "static"
    assert [str(address.interface) for address in device.addresses] == [
        "192.0.2.10/24",
        "2001:db8::10/64",
        "2001:db8:1::10/64",
    ]
    assert [(str(route.destination), str(route.gateway)) for route in device.routes] == [
        ("0.0.0.0/0", "192.0.2.1"),
        ("::/0", "2001:db8::1"),
    ]
    assert desired.management is not None
    assert [str(gateway) for gateway in desired.management.gateways] == ["192.0.2.1", "2001:db8::1"]


def test_a_link_local_gateway_is_reachable() -> None:
    """Most routers announce one."""
    records = Records()
    nic = records.nic(0, **management(**_STATIC6, ipv6_gateway="fe80::1"))
    assert str(records.up(nic).topology.ip_devices["xenbr0"].routes[0].gateway) == "fe80::1"


@pytest.mark.parametrize(
    ("fields", "cause"),
    [
        ({"ipv6_mode": "Static"}, "has no IPv6 address"),
        ({"ipv6_mode": "Static", "ipv6": ("2001:db8::10",)}, "has no prefix length"),
        ({"ipv6_mode": "Static", "ipv6": ("2001:db8::10/129",)}, "has no prefix length"),
        ({"ipv6_mode": "Static", "ipv6": ("192.0.2.1/24",)}, "is not an IPv6 address"),
        ({**_STATIC6, "ipv6_gateway": "192.0.2.1"}, "its IPv6 gateway: '192.0.2.1' is not an IPv6 address"),
        ({**_STATIC6, "ipv6_gateway": "2001:db8:9::1"}, "on none of its subnets"),
        ({**_STATIC6, "ipv6_gateway": "2001:db8::10"}, "or is its own address"),
    ],
)
def test_what_is_asked_for_must_be_valid(fields: dict[str, object], cause: str) -> None:
    """Named, nothing changed; at boot a bad gateway is only warned about."""
    records = Records()
    nic = records.nic(0, **management(**fields))
    with pytest.raises(InputError) as caught:
        records.up(nic)
    assert cause in str(caught.value)
    if "ipv6_gateway" in fields:
        assert any(cause in text for text in warnings(records.up(nic, origin="force")))


def test_where_only_routers_configure_management_they_name_its_gateway() -> None:
    """The deadman must wait for what they say, as for DHCP; beside an IPv4 mode that one's gateway counts."""
    for fields, by_others, gateways in (({"ip_mode": "None"}, True, []), (static(), False, ["192.0.2.1"])):
        records = Records()
        path = records.up(records.nic(0, **management(**fields, ipv6_mode="Autoconf"))).management

        assert path is not None
        assert (path.dhcp, [str(gateway) for gateway in path.gateways]) == (by_others, gateways)


def test_dhcp_has_a_client_of_its_own_family() -> None:
    """Beside IPv4's."""
    records = Records()
    device = records.up(records.nic(0, **management(ipv6_mode="DHCP"))).topology.ip_devices["xenbr0"]
    assert device.dhcp4 is not None
    assert device.dhcp6 is not None
    assert (device.dhcp4.family, device.dhcp6.family) == (4, 6)


@pytest.mark.parametrize("mode", ["Static", "Autoconf"])
def test_static_servers_count_where_ipv6_is_primary(mode: str) -> None:
    """xcp-ng/xcp#641: the resolver was emptied with IPv6 primary and autoconf."""
    records = Records()
    fields = {**_STATIC6, "ip_mode": "None", "ipv6_mode": mode, "primary_address_type": "IPv6", "dns": "2001:db8::53"}
    resolver = records.up(records.nic(0, **management(**fields))).topology.resolver
    assert resolver is not None
    assert resolver.servers == ("2001:db8::53",)
