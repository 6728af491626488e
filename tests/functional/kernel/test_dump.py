"""Our reading of the kernel against ip(8)'s, for everything that an administrator may have set up."""

from __future__ import annotations

import ipaddress
import json
import sys
from typing import TYPE_CHECKING, Any

from xsagent.observed.netlink import KernelDump
from xsagent.topology.codec import from_json

if TYPE_CHECKING:
    from kernel_dom0 import Dom0

DUMP = """
import json, sys
from xsagent.observed.netlink import dump_kernel
from xsagent.topology.codec import to_json
print(json.dumps(to_json(dump_kernel(sys.argv[1:] or None))))
assert not any(name.startswith("pyroute2") for name in sys.modules)
"""

ONE_DEVICE = """
import json, sys
from xsagent.observed.netlink import KernelDump, read_addresses_of
from xsagent.topology.codec import to_json
print(json.dumps(to_json(KernelDump(links=(), addresses=read_addresses_of(sys.argv[1]), routes=()))))
"""

SET_UP = """
link add name a0 type veth peer name a1
link add name br0 type bridge
link set a0 up mtu 9000 address 02:00:00:00:00:aa
link set a1 master br0 up
link set br0 up
address add 192.0.2.10/24 dev a0
address add 192.0.2.11/24 dev a0
address add 10.1.1.1 peer 10.1.1.2/32 dev a0
address add 2001:db8::10/64 dev a0 nodad
address add 2001:db8::11/128 dev a0 nodad preferred_lft 100 valid_lft 200
route add default via 192.0.2.1 metric 50 proto 158
route add 198.18.0.0/16 nexthop via 192.0.2.2 dev a0 nexthop via 192.0.2.3 dev a0
route add 198.19.0.0/16 via inet6 2001:db8::9 dev a0
route add 203.0.113.0/24 dev a0 scope link
route add 203.0.113.0/24 via 192.0.2.9 table 77
route add blackhole 198.51.100.0/24
route add 2001:db8:1::/48 via 2001:db8::9 metric 7
route add default via 2001:db8::1 dev a0
"""


def dump(dom0: Dom0, *devices: str) -> KernelDump:
    """What we read: of these devices, or for none of all."""
    return from_json(KernelDump, json.loads(dom0.sandbox.run([sys.executable, "-c", DUMP, *devices]).stdout))


def set_up(dom0: Dom0) -> None:
    """Make links, addresses and routes of many forms; what this kernel cannot make is passed over."""
    dom0.sandbox.run(["ip", "-force", "-batch", "-"], input_text=SET_UP, check=False)
    dom0.sandbox.run(["sh", "-c", "echo 0 > /proc/sys/net/ipv6/conf/br0/accept_dad"])


def test_links_are_what_ip_shows(dom0: Dom0) -> None:
    """Names, numbers, MACs, MTUs, flags, carrier and kinds."""
    set_up(dom0)
    shown = dom0.ip("-details", "link", "show")

    rows = dump(dom0).links

    assert len(rows) > 4
    assert [(row.ifindex, row.name, row.mac, row.mtu) for row in rows] == [
        (link["ifindex"], link["ifname"], link["address"], link["mtu"]) for link in shown
    ]
    assert [row.kind for row in rows] == [link.get("linkinfo", {}).get("info_kind", "") for link in shown]
    assert [bool(row.flags & 1) for row in rows] == ["UP" in link["flags"] for link in shown]
    up = {link["ifname"]: "LOWER_UP" in link["flags"] for link in shown if "UP" in link["flags"]}
    assert {row.name: row.carrier for row in rows if row.flags & 1} == up


def test_addresses_are_what_ip_shows(dom0: Dom0) -> None:
    """Point-to-point ones by their own end, with the kernel's word on their origin and lifetime."""
    set_up(dom0)
    shown = [
        (link["ifindex"], f"{item['local']}/{item['prefixlen']}", not item.get("dynamic", False))
        for link in dom0.ip("address", "show")
        for item in link["addr_info"]
    ]

    rows = dump(dom0).addresses

    assert sorted((row.ifindex, str(row.interface), bool(row.flags & 0x80)) for row in rows) == sorted(shown)


def test_one_devices_addresses_are_read_alone(dom0: Dom0) -> None:
    """As in the whole list; none of a device that is not there."""
    set_up(dom0)
    whole = dump(dom0)
    (index,) = (row.ifindex for row in whole.links if row.name == "a0")

    alone = dom0.sandbox.run([sys.executable, "-c", ONE_DEVICE, "a0"]).stdout

    assert from_json(KernelDump, json.loads(alone)).addresses == tuple(
        row for row in whole.addresses if row.ifindex == index
    )
    assert len(json.loads(alone)["addresses"]) > 4
    assert json.loads(dom0.sandbox.run([sys.executable, "-c", ONE_DEVICE, "gone"]).stdout)["addresses"] == []


def test_devices_that_matter_are_read_as_in_the_whole(dom0: Dom0) -> None:
    """With their addresses and routes; beside them those that a route leads through which somebody set (a0)."""
    set_up(dom0)
    whole = dump(dom0)
    kept = {row.ifindex for row in whole.links if row.name in {"a0", "br0"}}

    part = dump(dom0, "br0", "gone", "a-name-that-no-netdev-can-have")

    assert {row.ifindex for row in part.links} == kept
    assert sorted(part.links, key=lambda row: row.ifindex) == [row for row in whole.links if row.ifindex in kept]
    assert part.addresses == tuple(row for row in whole.addresses if row.ifindex in kept)
    assert part.routes == tuple(row for row in whole.routes if row.ifindex in kept)
    assert len(whole.links) > len(part.links)


def test_very_many_devices_are_read_from_the_whole_list(dom0: Dom0) -> None:
    """Asking for each would take longer."""
    set_up(dom0)

    assert dump(dom0, "br0", *(f"vif{number}.0" for number in range(100))) == dump(dom0)


def test_routes_are_those_that_ip_shows_of_the_main_table(dom0: Dom0) -> None:
    """Each next hop of a multipath route, gateways of the other family; no other table, no blackholes."""
    set_up(dom0)
    links = {link["ifindex"]: link["ifname"] for link in dom0.ip("link", "show")}
    shown = [*expected(dom0.ip("-N", "-4", "route", "show"), 4), *expected(dom0.ip("-N", "-6", "route", "show"), 6)]

    rows = dump(dom0).routes

    found = [(str(r.route.destination), str(r.route.gateway), links[r.ifindex], r.route.protocol) for r in rows]
    assert sorted(found) == sorted(shown)
    assert ("198.19.0.0/16", "2001:db8::9", "a0", 3) in found
    assert {gateway for destination, gateway, *_ in found if destination == "198.18.0.0/16"} == {
        "192.0.2.2", "192.0.2.3"
    }  # fmt: skip
    assert [row.route.metric for row in rows if str(row.route.destination) == "2001:db8:1::/48"] == [7]


def expected(items: list[dict[str, Any]], version: int) -> list[tuple[str, str, str, int]]:
    """What ip(8) shows of unicast routes, one line a next hop."""
    found: list[tuple[str, str, str, int]] = []
    for item in items:
        if "type" in item:  # shown of all but unicast routes
            continue
        default = "0.0.0.0/0" if version == 4 else "::/0"
        destination = str(ipaddress.ip_network(default if item["dst"] == "default" else item["dst"]))
        for hop in item.get("nexthops", [item]):
            gateway = hop.get("gateway") or hop.get("via", {}).get("host")
            found.append((destination, str(gateway), hop["dev"], int(item.get("protocol", 3))))
    return found
