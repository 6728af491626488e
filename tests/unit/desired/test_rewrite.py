"""`rewrite`: marks of all bridges, and nothing else."""

from __future__ import annotations

from records_builder import Records, management, warnings

from xsagent.desired.rewrite import build_rewrite_desired
from xsagent.topology.values import KEEP


def test_every_bridge_that_is_there_gets_its_networks() -> None:
    """Recorded case 21: real and VLAN bridges, attached or not by their records; nothing else is spoken about."""
    records = Records()
    nic = records.nic(0, **management())
    records.vlan(nic, 5, currently_attached=True)
    records.nic(1)
    records.nic(2)
    parents = {"xenbr0": None, "xapi5": "xenbr0", "xenbr1": None, "foreign": None}
    topology = build_rewrite_desired(records.snapshot(), parents).topology
    assert set(topology.bridges) == {"xenbr0", "xenbr1"}
    bridge = topology.bridges["xenbr0"]
    assert bridge.external_ids == {"xs-network-uuids": "uuid-net-eth0;uuid-net-eth0.5"}
    assert (bridge.fail_mode, bridge.hwaddr, bridge.other_config) == (KEEP, KEEP, {})
    port = bridge.ports["xapi5"]
    assert (port.fake_bridge, port.tag) == (True, KEEP)
    assert port.external_ids == {"fake-bridge-xs-network-uuids": "uuid-net-eth0.5"}
    assert (topology.links, topology.ip_devices, topology.absent) == ({}, {}, frozenset())


def test_a_vlan_bridge_is_marked_where_it_is() -> None:
    """On whatever bridge carries it now: rewrite moves nothing."""
    records = Records()
    records.vlan(records.nic(0), 5, currently_attached=True)
    topology = build_rewrite_desired(records.snapshot(), {"xapi5": "xapi0", "xapi0": None}).topology
    assert set(topology.bridges["xapi0"].ports) == {"xapi5"}
    assert topology.bridges["xapi0"].external_ids == {}


def test_f22_missing_and_bridgeless_pifs_are_skipped_with_a_warning() -> None:
    """The legacy scripts failed the whole rewrite; unmanaged and detached ones are no news."""
    records = Records()
    records.nic(0, **management())
    records.nic(1, bridge="", currently_attached=True)
    records.nic(2, currently_attached=True)
    records.nic(3)
    records.nic(4, managed=False, currently_attached=True)
    records.nic(5, bridge="a-name-much-too-long", currently_attached=True)
    vlan = records.vlan(records.nic(6), 5, currently_attached=True)
    records.change(vlan, vlan_record=None)
    desired = build_rewrite_desired(records.snapshot(), {"xenbr0": None})
    assert set(desired.topology.bridges) == {"xenbr0"}
    assert len(warnings(desired)) == 4


def test_a_bridge_of_the_wrong_kind_is_left_to_up() -> None:
    """A real bridge where a VLAN bridge should be, and the reverse."""
    records = Records()
    nic = records.nic(0, currently_attached=True)
    records.vlan(nic, 5, currently_attached=True)
    desired = build_rewrite_desired(records.snapshot(), {"xenbr0": "other", "xapi5": None})
    assert desired.topology.bridges == {}
    assert len(warnings(desired)) == 2


def test_static_routes_of_attached_pifs_with_an_address_are_kept_in_step() -> None:
    """Where netlink does it; of a detached PIF and of one without an IP nothing is said (features.md section 7)."""
    records = Records()
    fields = {"ip_mode": "Static", "ip": "192.0.2.10", "netmask": "255.255.255.0"}
    records.nic(0, currently_attached=True, other_config={"static-routes": "172.16.0.0/16/192.0.2.3"}, **fields)
    records.nic(1, currently_attached=True)
    records.nic(2, **fields)
    snapshot = records.snapshot()
    parents = dict.fromkeys(["xenbr0", "xenbr1", "xenbr2"])

    (device,) = build_rewrite_desired(snapshot, parents, with_routes=True).topology.ip_devices.values()

    assert (device.device, device.routes_only, device.addresses) == ("xenbr0", True, ())
    assert [str(route.destination) for route in device.routes] == ["172.16.0.0/16"]
    assert build_rewrite_desired(snapshot, parents).topology.ip_devices == {}
