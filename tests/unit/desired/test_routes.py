"""static-routes of other_config."""

from __future__ import annotations

import pytest
from records_builder import Records, management, static, warnings

from xsagent.topology.desired import Desired
from xsagent.topology.values import ROUTE_PROTOCOL


def _up(network: str = "", pif: str = "", **fields: object) -> Desired:
    records = Records()
    values = {**management(**static(gateway="")), **fields}
    nic = records.nic(0, other_config={"static-routes": pif} if pif else {}, **values)
    records.change_network(nic, other_config={"static-routes": network})
    return records.up(nic)


def _routes(desired: Desired) -> list[str]:
    return [f"{route.destination} {route.gateway}" for route in desired.topology.ip_devices["xenbr0"].routes]


def test_routes_of_the_network_are_ours_by_their_protocol_number() -> None:
    """So that removing one is exact."""
    desired = _up("172.16.0.0/15/192.0.2.3,172.18.0.0/16/192.0.2.4")
    assert _routes(desired) == ["172.16.0.0/15 192.0.2.3", "172.18.0.0/16 192.0.2.4"]
    assert {route.protocol for route in desired.topology.ip_devices["xenbr0"].routes} == {ROUTE_PROTOCOL}
    assert not warnings(desired)


def test_the_pif_wins_on_one_prefix_and_adds_others() -> None:
    """Per-host routes are an extension."""
    desired = _up("10.0.0.0/8/192.0.2.3,172.16.0.0/12/192.0.2.3", "10.0.0.0/8/192.0.2.4,10.1.0.0/16/192.0.2.5")
    assert _routes(desired) == ["10.0.0.0/8 192.0.2.4", "10.1.0.0/16 192.0.2.5", "172.16.0.0/12 192.0.2.3"]
    assert not warnings(desired)


def test_dotted_masks_ipv6_device_routes_and_blanks_are_understood() -> None:
    """More than the peers' grammar."""
    text = "10.0.0.0/255.0.0.0/192.0.2.3 , 172.16.0.0/12/, 172.32.0.0/12/xenbr0,2001:db8:1::/48/fe80::1,"
    assert _routes(_up(text)) == [
        "10.0.0.0/8 192.0.2.3",
        "172.16.0.0/12 None",
        "172.32.0.0/12 None",
        "2001:db8:1::/48 fe80::1",
    ]


@pytest.mark.parametrize(
    "element",
    [
        "10.0.0.0/8",
        "10.0.0.0/33/192.0.2.3",
        "10.0.0.0/8/somewhere",
        "10.0.0.1/8/192.0.2.3",
        "10.0.0.0/255.0.255.0/192.0.2.3",
        "0.0.0.0/0/192.0.2.3",
        "10.0.0.0/8/2001:db8::1",
        "2001:db8::/48/192.0.2.3",
        "10.0.0.0/8/198.51.100.1",
        "10.0.0.0/8/xenbr1",
        "10.0.0.0/8/192.0.2.3/x",
        "$(id)/8/192.0.2.3",
        "172.16.0.0/15/192.0.2.9",
    ],
)
def test_f24_a_bad_element_is_skipped_and_the_others_apply(element: str) -> None:
    """The peers dropped all, or kept the old file in force."""
    desired = _up(f"172.16.0.0/15/192.0.2.3,{element},172.18.0.0/16/192.0.2.4")
    assert _routes(desired) == ["172.16.0.0/15 192.0.2.3", "172.18.0.0/16 192.0.2.4"]
    assert len(warnings(desired)) == 1


def test_with_dhcp_a_gateway_cannot_be_checked() -> None:
    """The subnet is not known yet."""
    assert _routes(_up("10.0.0.0/8/198.51.100.1", ip_mode="DHCP")) == ["10.0.0.0/8 198.51.100.1"]


def test_without_ip_configuration_there_are_no_routes() -> None:
    """Nothing could reach a gateway."""
    assert _routes(_up("10.0.0.0/8/192.0.2.3", ip_mode="None")) == []
