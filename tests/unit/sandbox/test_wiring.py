"""The commands that lay a sandbox's wires."""

from __future__ import annotations

from xsagent.sandbox.spec import Segment, shared_segment
from xsagent.sandbox.wiring import chain_name, far_interface, render_addresses, render_drop, render_far


def test_one_nic_needs_no_bridge_at_its_far_end() -> None:
    """The far end of a single NIC bears the far host's addresses itself."""
    segment = Segment(name="far1", nics=("eth1",), addresses=("198.51.100.1/24",))

    assert far_interface(segment) == "wire1"
    assert "bridge" not in render_far(segment)
    assert "address add 198.51.100.1/24 dev wire1\n" in render_far(segment)


def test_several_nics_meet_in_a_bridge_that_bears_the_addresses() -> None:
    """All far ends of a shared segment are ports of one bridge without spanning tree."""
    [segment] = shared_segment(nics=2)
    text = render_far(segment)

    assert f"dev {far_interface(segment)}\n" in text
    for wire in ("wire0", "wire1"):
        assert f"link set {wire} master {far_interface(segment)}\n" in text
        assert f"link set {wire} up\n" in text


def test_ipv6_addresses_are_usable_at_once() -> None:
    """No duplicate address detection delays a test; IPv4 has none to switch off."""
    text = render_addresses("eth0", ["192.0.2.1/24", "2001:db8::1/64"])

    assert text == "address add 192.0.2.1/24 dev eth0\naddress add 2001:db8::1/64 dev eth0 nodad\n"


def test_each_device_has_a_drop_chain_of_its_own_with_a_name_that_nft_takes() -> None:
    """A vif's name holds a dot, which a chain's may not."""
    assert "." not in chain_name("vif1.0")
    assert chain_name("vif1.0") != chain_name("vif10")
    assert render_drop(["eth0", "vif1.0"]).count("policy drop") == 2
