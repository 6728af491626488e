"""What the former management interface gives up once the new one is verified."""

from __future__ import annotations

from records_builder import HOST, NETLINK, Records, management, static

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
