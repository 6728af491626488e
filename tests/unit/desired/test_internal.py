"""Bridges of networks without PIFs."""

from __future__ import annotations

import pytest
from records_builder import HOST, NETLINK, Records, warnings

from xsagent.desired.internal import build_internal_desired, check_internal_bridge
from xsagent.errors import ForeignObjectError, InputError, NotFoundError
from xsagent.model.records import Network, Ref
from xsagent.topology.desired import Desired
from xsagent.topology.values import KEEP, Bridge, Interface, ObjectKey, ObjectKind, Port

_REF = Ref("net-internal")


def _desire(action: str = "up", **fields: object) -> Desired:
    records = Records()
    records.nic(0)
    values = {"uuid": "uuid-internal", "bridge": "xapi9", "mtu": "1500", **fields}
    records.networks[_REF] = Network(ref=_REF, **values)
    return build_internal_desired(records.snapshot(), _REF, action, HOST, NETLINK)


def test_up_wants_a_bridge_with_its_mark_and_no_port() -> None:
    """The switch chooses its MAC."""
    desired = _desire()
    bridge = desired.topology.bridges["xapi9"]
    assert set(bridge.ports) == {"xapi9"}
    assert bridge.hwaddr is KEEP
    assert bridge.external_ids == {"xs-network-uuids": "uuid-internal"}
    assert desired.topology.ip_devices["xapi9"].addresses == ()
    assert desired.topology.links["xapi9"].up is True
    assert not warnings(desired)


def test_down_wants_it_gone_and_owns_it() -> None:
    """The planner still refuses while VIFs are plugged."""
    desired = _desire("down")
    assert desired.topology.absent == {
        ObjectKey(kind=ObjectKind.BRIDGE, name="xapi9"),
        ObjectKey(kind=ObjectKind.IP_DEVICE, name="xapi9"),
    }
    assert desired.ownership.bridges == {"xapi9"}


def test_the_guest_installer_network_gives_its_bridge_an_address() -> None:
    """One that is none is warned about, and the bridge is wanted all the same."""
    config = {"is_guest_installer_network": "true", "ip_begin": "169.254.0.1", "netmask": "255.255.0.0"}
    device = _desire(other_config=config).topology.ip_devices["xapi9"]
    assert [str(address.interface) for address in device.addresses] == ["169.254.0.1/16"]
    desired = _desire(other_config={**config, "netmask": "16"})
    assert desired.topology.ip_devices["xapi9"].addresses == ()
    assert any("'16' is not a netmask" in text for text in warnings(desired))


def test_the_bridge_name_of_a_pifs_network_is_not_an_internal_ones() -> None:
    """It would take the PIF's bridge away."""
    with pytest.raises(InputError, match="several networks have its bridge name xenbr0"):
        _desire("down", bridge="xenbr0")


def test_what_is_no_internal_network_is_refused() -> None:
    """Bridgeless, unmanaged, with a PIF here, unknown."""
    for fields in ({"bridge": ""}, {"managed": False}, {"bridge": "much-too-long-a-name"}):
        with pytest.raises(InputError):
            _desire(**fields)
    records = Records()
    records.nic(0)
    with pytest.raises(InputError, match="is not internal"):
        build_internal_desired(records.snapshot(), Ref("net-eth0"), "up", HOST, NETLINK)
    with pytest.raises(NotFoundError):
        build_internal_desired(records.snapshot(), Ref("nothing"), "up", HOST, NETLINK)


def _check(*ports: Port, name: str = "xapi9", mark: str = "") -> None:
    records = Records()
    records.nic(0)
    network = Network(ref=_REF, uuid="uuid-internal", bridge="xapi9")
    marks = {"xs-network-uuids": mark} if mark else {}
    bridge = Bridge(name=name, external_ids=marks, ports={port.name: port for port in (_port(name), *ports)})
    check_internal_bridge(records.snapshot(), network, {name: bridge})


def _port(name: str, **ids: str) -> Port:
    return Port(name=name, interfaces={name: Interface(name=name, external_ids=ids)})


@pytest.mark.parametrize("mark", ["", "uuid-internal", "uuid-other;uuid-internal"])
def test_a_bridge_that_is_only_that_of_the_network_is_right(mark: str) -> None:
    """Without a mark its name tells; a guest's port is the planner's to look at."""
    _check(_port("vif1.0", **{"xs-vif-uuid": "v"}), mark=mark)


def test_a_bridge_that_is_more_than_that_is_refused_whoever_insists() -> None:
    """Another network's, a PIF's device in it, a bond of PIFs, a VLAN on it; a VLAN bridge of its name elsewhere."""
    bond = Port(name="bond0", interfaces={name: Interface(name=name) for name in ("eth0", "eth7")})
    for refused in (_port("eth0"), bond, Port(name="vlan7", interfaces={}, fake_bridge=True, tag=7)):
        with pytest.raises(ForeignObjectError, match=f"carries {refused.name}"):
            _check(refused)
    with pytest.raises(ForeignObjectError, match="'uuid-other', not of uuid-internal"):
        _check(mark="uuid-other")
    with pytest.raises(ForeignObjectError, match="on bridge xenbr0"):
        _check(Port(name="xapi9", interfaces={}, fake_bridge=True, tag=7), name="xenbr0")


def test_ports_of_others_are_the_planners_to_look_at() -> None:
    """As a guest's: they would go with the bridge, and making it leaves them."""
    _check(_port("sdn0"))
