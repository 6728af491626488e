"""The exact flows of a locked VIF (features.md section 16)."""

from __future__ import annotations

import ipaddress

import pytest

from xsagent.errors import InputError
from xsagent.hotplug.locking import derive_link_local, render_flows
from xsagent.model.vif import Locking, LockingMode

MAC = "00:16:3e:00:00:01"
M = f"dl_src={MAC}"
LOCKED = Locking(
    mode=LockingMode.LOCKED,
    ipv4=(ipaddress.IPv4Address("192.0.2.7"),),
    ipv6=(ipaddress.IPv6Address("2001:db8::7"),),
)
SOURCE = f"{M},ipv6_src=2001:db8::7"


def test_a_locked_vif_has_the_flows_of_the_table_with_the_drop_first() -> None:
    """Priorities, matches, cookie and actions are those that operators' tooling knows."""
    matches = [
        "priority=4000,in_port=3 actions=drop",
        "priority=7000,icmp6,in_port=3,icmp_type=135 actions=drop",
        "priority=7000,icmp6,in_port=3,icmp_type=136 actions=drop",
        *(
            f"priority=6000,icmp6,in_port=3,icmp_type={kind} actions=drop"
            for kind in (134, 137, 146, 147, 151, 152, 153)
        ),
        f"priority=8000,udp,in_port=3,{M},tp_dst=67 actions=NORMAL",
        f"priority=7000,arp,in_port=3,{M},arp_spa=0.0.0.0,arp_sha={MAC} actions=NORMAL",
        f"priority=7000,arp,in_port=3,{M},arp_spa=192.0.2.7,arp_sha={MAC} actions=NORMAL",
        f"priority=6000,ip,in_port=3,{M},nw_src=192.0.2.7 actions=NORMAL",
        f"priority=8000,icmp6,in_port=3,{SOURCE},icmp_type=135,nd_sll={MAC} actions=NORMAL",
        f"priority=8000,icmp6,in_port=3,{SOURCE},icmp_type=136,nd_target=2001:db8::7 actions=NORMAL",
        f"priority=5000,icmp6,in_port=3,{SOURCE} actions=NORMAL",
        f"priority=5000,tcp6,in_port=3,{SOURCE} actions=NORMAL",
        f"priority=5000,udp6,in_port=3,{SOURCE} actions=NORMAL",
    ]

    assert render_flows(LOCKED, MAC, 3) == tuple(f"cookie=0x1,{match}" for match in matches)


@pytest.mark.parametrize("mode", [LockingMode.UNLOCKED, LockingMode.DISABLED])
def test_other_modes_have_no_flows(mode: LockingMode) -> None:
    """Unlocked is not filtered; disabled has no port to filter."""
    assert render_flows(Locking(mode=mode), "", 3) == ()


def test_autoconf_adds_link_local_detection_and_reports_alone() -> None:
    """The opt-in lets `::` ask for own addresses, fe80:: of the MAC be used, and listener reports out."""
    extra = set(render_flows(LOCKED, MAC, 3, autoconf=True)) - set(render_flows(LOCKED, MAC, 3))

    text = "\n".join(extra)
    assert len(extra) == 5 + 2 + 3
    assert "ipv6_src=::,icmp_type=135,nd_target=fe80::216:3eff:fe00:1" in text
    assert "ipv6_src=::,icmp_type=135,nd_target=2001:db8::7" in text
    assert text.count("icmp_type=143") == 1


def test_link_local_address_of_a_mac() -> None:
    """Modified EUI-64 (RFC 4291 appendix A)."""
    assert str(derive_link_local("34:56:78:9a:bc:de")) == "fe80::3656:78ff:fe9a:bcde"


@pytest.mark.parametrize(
    ("mac", "port"), [("", 3), ("00:16:3e:00:00:01,actions=normal", 3), (MAC, 0), (MAC, -1), (MAC, 0xFF00)]
)
def test_what_is_no_mac_or_port_shapes_no_flow(mac: str, port: int) -> None:
    """No text from outside and no reserved number gets into a flow."""
    with pytest.raises(InputError):
        render_flows(LOCKED, mac, port)
