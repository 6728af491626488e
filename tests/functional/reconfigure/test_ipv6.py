"""IPv6 of a PIF: static, autoconf, DHCPv6 and none; a host that has nothing else; changes that leave no trace."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest
from host_records import DHCP, HostRecords, static
from host_state import addresses, ip, settle, spec_for, state, succeed, transactions, watched, write_cache
from xapi_host import XapiHost, write_our_cache

from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.spec import Segment, default_segments

UP = ("--force", "xenbr0", "up")
GATEWAY = "2001:db8::1"


def segments(ipv6: Literal["", "autoconf", "dhcp"]) -> tuple[Segment, ...]:
    """The default wires, with this kind of IPv6 on the first."""
    first, *others = default_segments()
    return (replace(first, ipv6=ipv6), *others)


def management(mode: str, *, only: bool = False, **fields: object) -> HostRecords:
    """eth0 is management; `only`: with IPv6 alone, which then is its primary type."""
    records = HostRecords()
    ipv4 = {"primary_address_type": "IPv6"} if only else static("192.0.2.10")
    records.nic("eth0", management=True, **ipv4, ipv6_configuration_mode=mode, **fields)
    return records


STATIC = {"IPv6": ["2001:db8::10/64"], "ipv6_gateway": GATEWAY}
MODES = {
    "static": (segments(""), management("Static", **STATIC)),
    "autoconf": (segments("autoconf"), management("Autoconf")),
    "dhcp": (segments("dhcp"), management("DHCP")),
    "only static": (segments(""), management("Static", only=True, **STATIC)),
    "only autoconf": (segments("autoconf"), management("Autoconf", only=True)),
    "only dhcp": (segments("dhcp"), management("DHCP", only=True)),
}


def global_addresses(sandbox: Sandbox) -> list[str]:
    """IPv6 addresses that are not link-local."""
    return [address for address in addresses(sandbox, "xenbr0", "-6") if not address.startswith("fe80:")]


def wait_for(sandbox: Sandbox, count: int) -> list[str]:
    """Wait until the device has this many global IPv6 addresses, none of them tentative."""
    for _ in range(150):
        found = global_addresses(sandbox)
        if len(found) >= count and not any(
            link.get("addr_info") for link in ip(sandbox, "-6", "address", "show", "tentative")
        ):
            return found
        sandbox.run(["sleep", "0.1"])
    raise AssertionError(f"no global IPv6 address: {ip(sandbox, '-6', 'address')}")


def up_from_xapi_cache(sandbox: Sandbox, records: HostRecords) -> None:
    """The cache as xsagent writes it: the legacy form has no IPv6 (legacy-faults F31)."""
    write_our_cache(sandbox, records)
    succeed(sandbox, *UP)


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_gives_an_address_and_a_way_out(mode: str) -> None:
    """Address, default route and an answer from the gateway; a second run changes nothing."""
    wires, records = MODES[mode]
    with Sandbox(spec_for(records, segments=wires)) as sandbox:
        up_from_xapi_cache(sandbox, records)

        assert wait_for(sandbox, 1)
        assert sandbox.run(["ping", "-6", "-c2", "-W2", GATEWAY], check=False).returncode == 0
        assert ip(sandbox, "-6", "route", "show", "default")
        # what the router repeats every few seconds is no doing of ours
        sandbox.far().dhcp.pause()
        settle(sandbox)
        before = transactions(sandbox)
        with watched(sandbox) as changes:
            succeed(sandbox, *UP)
        assert transactions(sandbox) == before
        assert changes == []


def test_mode_none_has_the_link_local_address_alone_beside_ipv4() -> None:
    """XAPI's None means link-local only, also on a wire where routers advertise."""
    records = management("None")
    with Sandbox(spec_for(records, segments=segments("autoconf"))) as sandbox:
        up_from_xapi_cache(sandbox, records)
        sandbox.run(["sleep", "3"])

        assert global_addresses(sandbox) == []
        assert ip(sandbox, "-6", "route", "show", "default") == []


@pytest.mark.parametrize(("wire", "mode"), [("dhcp", "DHCP"), ("autoconf", "Autoconf")])
def test_a_change_of_mode_leaves_no_trace_of_the_other(wire: Literal["dhcp", "autoconf"], mode: str) -> None:
    """Static to DHCPv6 or autoconf, back, and to none: each time only the new mode's addresses, ways and client."""
    with Sandbox(spec_for(management("Static", **STATIC), segments=segments(wire))) as sandbox:
        up_from_xapi_cache(sandbox, management("Static", **STATIC))
        assert wait_for(sandbox, 1) == ["2001:db8::10/64"]

        up_from_xapi_cache(sandbox, management(mode))
        assert "2001:db8::10/64" not in wait_for(sandbox, 1)

        up_from_xapi_cache(sandbox, management("Static", **STATIC))
        assert wait_for(sandbox, 1) == ["2001:db8::10/64"]
        assert {route["gateway"] for route in ip(sandbox, "-6", "route", "show", "default")} == {GATEWAY}
        assert sandbox.run(["pgrep", "-f", "dhclient"], check=False).stdout == ""

        up_from_xapi_cache(sandbox, management("None"))
        assert global_addresses(sandbox) == []
        assert ip(sandbox, "-6", "route", "show", "default") == []
        assert addresses(sandbox, "xenbr0") == ["192.0.2.10/24"]


@pytest.mark.parametrize(("wire", "mode"), [("dhcp", "DHCP"), ("autoconf", "Autoconf")])
def test_mode_none_leaves_nothing_of_what_a_router_said(wire: Literal["dhcp", "autoconf"], mode: str) -> None:
    """Ways and name servers go at once; a change to a static IPv4 address takes the lease's search domain along."""
    records = HostRecords()
    pif = records.nic("eth0", management=True, **DHCP, ipv6_configuration_mode=mode)
    with XapiHost(records, segments=segments(wire)) as host:
        resolv_conf = host.sandbox.root / "etc/resolv.conf"
        resolv_conf.write_text("options rotate\n", encoding="utf-8")
        host.up(pif)
        assert wait_for(host.sandbox, 1)
        assert f"nameserver {GATEWAY}\n" in resolv_conf.read_text(encoding="utf-8")

        pif["ipv6_configuration_mode"] = "None"
        host.up(pif)

        assert [route["dst"] for route in ip(host.sandbox, "-6", "route", "show", "dev", "xenbr0")] == ["fe80::/64"]
        leased = "options rotate\nsearch gateway.example\nnameserver 192.0.2.1\n"
        assert resolv_conf.read_text(encoding="utf-8") == leased
        pif |= static("192.0.2.10", dns="192.0.2.1")
        host.up(pif)
        assert resolv_conf.read_text(encoding="utf-8") == "options rotate\nnameserver 192.0.2.1\n"


def test_a_bad_ipv6_value_does_not_cost_ipv4() -> None:
    """It is refused by name, and nothing is changed."""
    records = management("Static", IPv6=["2001:db8::zz/64"], ipv6_gateway="")
    with Sandbox(spec_for(management("None"))) as sandbox:
        up_from_xapi_cache(sandbox, management("None"))
        write_cache(sandbox, records)
        with pytest.raises(AssertionError, match="2001:db8::zz"):
            up_from_xapi_cache(sandbox, records)

        assert addresses(sandbox, "xenbr0") == ["192.0.2.10/24"]


def test_a_wrong_gateway_is_taken_back() -> None:
    """The deadman on a host that is reached over IPv6 alone: neighbour discovery decides, before and after."""
    records = management("Static", only=True, **STATIC)
    (pif,) = records.classes["PIF"].values()
    with XapiHost(records) as host:
        host.up(pif)
        settle(host.sandbox)
        kept = ("var/lib/xsagent", "run", "var/lib/xcp")
        before = (state(host.sandbox, without=kept), ip(host.sandbox, "-6", "route", "show", "default"))
        pif["ipv6_gateway"] = "2001:db8::99"
        with host.sandbox.far().ping_stream("2001:db8::10", interval_ms=20) as stream:
            stream.wait_answered(5)
            done = host.run("up", pif, XSAGENT_DEADMAN_S="3")
            stream.wait_answered(5)

        assert done.returncode == 1
        last = done.stderr.splitlines()[-1]
        assert "gateway 2001:db8::99 does not answer on xenbr0 within 3 s; the old configuration is back" in last
        assert (state(host.sandbox, without=kept), ip(host.sandbox, "-6", "route", "show", "default")) == before
