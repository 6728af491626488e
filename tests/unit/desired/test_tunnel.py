"""Tunnel access PIFs."""

from __future__ import annotations

import pytest
from records_builder import Records, management, static, warnings

from xsagent.errors import InputError
from xsagent.topology.values import ObjectKey, ObjectKind


def test_a_tunnel_is_a_bridge_without_ports_of_ours() -> None:
    """The controller's ports, controllers and flows are not spoken about, so they stay (recorded case 17)."""
    records = Records()
    desired = records.up(records.tunnel(records.nic(0, **management())))
    assert set(desired.topology.bridges) == {"xapi5"}
    bridge = desired.topology.bridges["xapi5"]
    assert set(bridge.ports) == {"xapi5"}
    assert bridge.hwaddr == "de:ad:be:ef:00:05"
    assert bridge.external_ids == {"xs-network-uuids": "uuid-net-tunnel0"}
    assert set(desired.topology.links) == set(desired.topology.ip_devices) == {"xapi5"}
    assert not desired.topology.absent


def test_a_tunnel_goes_down_with_its_bridge() -> None:
    """No NIC is concerned."""
    records = Records()
    desired = records.down(records.tunnel(records.nic(0, **management()), currently_attached=True))
    assert desired.topology.absent == {
        ObjectKey(kind=ObjectKind.BRIDGE, name="xapi5"),
        ObjectKey(kind=ObjectKind.IP_DEVICE, name="xapi5"),
    }


@pytest.mark.parametrize(("protocol", "fits"), [("gre", 1458), ("vxlan", 1450), ("odd", 1450)])
def test_frames_that_do_not_fit_into_the_transport_are_warned_about(protocol: str, fits: int) -> None:
    """Overheads of features.md section 8."""
    records = Records()
    tunnel = records.tunnel(records.nic(0, **management(**static())), protocol=protocol)
    records.change_network(tunnel, mtu=str(fits))
    assert not warnings(records.up(tunnel))
    records.change_network(tunnel, mtu=str(fits + 1))
    assert any("do not fit" in text for text in warnings(records.up(tunnel)))


def test_a_transport_without_ip_or_record_is_warned_about() -> None:
    """XAPI refuses the former itself; others may not."""
    records = Records()
    nic = records.nic(0)
    tunnel = records.tunnel(nic)
    records.change_network(tunnel, mtu="1400")
    assert any("has no IP configuration" in text for text in warnings(records.up(tunnel)))
    records.tunnels.clear()
    assert any("in no record" in text for text in warnings(records.up(tunnel)))


def test_a_bridgeless_tunnel_is_refused() -> None:
    """There is nothing a controller could add ports to."""
    records = Records()
    with pytest.raises(InputError, match="its network has no bridge"):
        records.up(records.tunnel(records.nic(0), bridge=""))
