"""What the former management interface gives up once the new one is verified."""

from __future__ import annotations

from records_builder import HOST, NETLINK, Records, management, static, warnings

from xsagent.desired.request import Request
from xsagent.desired.retire import build_retirement
from xsagent.model.records import Ref
from xsagent.topology.desired import Desired


def _retire(records: Records, pif: Ref, **fields: object) -> Desired | None:
    request = Request(action="up", pif=pif, **{"becoming_management": True, **fields})
    return build_retirement(records.snapshot(), request, HOST, NETLINK)


def test_the_address_that_moved_goes_from_the_former_interface() -> None:
    """xcp-ng/xcp#603: it stayed on both, and the host was unreachable."""
    records = Records()
    records.nic(0, **management(**static()))
    new = records.nic(1, **static())
    first = records.up(new, becoming_management=True)
    assert len(first.topology.ip_devices["xenbr0"].addresses) == 1
    desired = _retire(records, new)
    assert desired is not None
    device = desired.topology.ip_devices["xenbr0"]
    assert (device.ipv4_mode, device.addresses) == ("none", ())
    assert (desired.topology.bridges, desired.topology.absent) == ({}, frozenset())


def test_one_address_is_one_however_it_is_written() -> None:
    """Its prefix or its spelling may differ between the two records."""
    records = Records()
    records.nic(0, **management(**static(), ipv6_mode="Static", ipv6=("2001:DB8:0::2/64",)))
    new = records.nic(1, **static("192.0.2.11"), ipv6_mode="Static", ipv6=("2001:db8::2/48",))
    desired = _retire(records, new)
    assert desired is not None
    device = desired.topology.ip_devices["xenbr0"]
    assert [str(address.interface) for address in device.addresses] == ["192.0.2.10/24"]
    assert device.ipv6_mode == "none"


def test_other_addresses_stay() -> None:
    """Only what the new one has is given up."""
    records = Records()
    fields = {"ipv6_mode": "Static", "ipv6": ("2001:db8::1/64", "2001:db8::2/64")}
    records.nic(0, **management(**static("192.0.2.9"), **fields))
    new = records.nic(1, **static(), ipv6_mode="Static", ipv6=("2001:db8::2/64",))
    desired = _retire(records, new)
    assert desired is not None
    addresses = desired.topology.ip_devices["xenbr0"].addresses
    assert [str(address.interface) for address in addresses] == ["192.0.2.9/24", "2001:db8::1/64"]


def test_nothing_is_retired_without_reason() -> None:
    """No move, no address in common, the former one down already, or taken down by its sibling."""
    records = Records()
    former = records.nic(0, **management(**static()))
    new = records.nic(1, **static("192.0.2.11"))
    assert _retire(records, new) is None
    records.change(new, ip="192.0.2.10")
    assert _retire(records, new, becoming_management=False) is None
    assert _retire(records, former) is None
    bond = records.bond(former, records.nic(2), **static())
    assert _retire(records, bond) is None
    records.change(former, currently_attached=False)
    assert _retire(records, new) is None


def test_a_raised_interface_does_not_take_the_address_of_management() -> None:
    """At XAPI's start the former interface is plugged again with its old record: management wins."""
    records = Records()
    records.nic(0, **management(**static()))
    desired = records.up(records.nic(1, **static()))
    assert desired.topology.ip_devices["xenbr1"].addresses == ()
    assert any(reason.event == "leave_out_address" for reason in desired.reasons)


def test_nor_does_it_take_managements_ipv6_address() -> None:
    """Its IPv4 address it has all the same."""
    fields = {"ipv6_mode": "Static", "ipv6": ("2001:db8::1/64",)}
    records = Records()
    records.nic(0, **management(**fields))
    desired = records.up(records.nic(1, **static(), **fields))
    device = desired.topology.ip_devices["xenbr1"]
    assert [str(address.interface) for address in device.addresses] == ["192.0.2.10/24"]
    assert warnings(desired) == [
        "2001:db8::1 is the address of PIF uuid-eth0 (eth0) too; it comes up without",
    ]
