"""Static routes of other_config: with `up` and `rewrite`, taken away when the key goes, no harm when refused."""

from __future__ import annotations

import pytest
from host_records import DHCP, HostRecords, static
from host_state import addresses, ip, reconfigure, settle, state, succeed, watched, write_cache
from xapi_host import XapiHost

from initscripts import install_initscripts
from xsagent.sandbox.dom0 import Sandbox

UP = ("--force", "xenbr0", "up")
BOOT = ("--force-interface", "all", "up")
KEY = "static-routes"
OURS, OTHER = "172.16.0.0/16", "172.17.0.0/16"


def management() -> HostRecords:
    """eth0 is management with a static address."""
    records = HostRecords()
    records.nic("eth0", management=True, currently_attached=True, **static("192.0.2.10"))
    return records


def routes(sandbox: Sandbox) -> dict[str, str]:
    """Destination and gateway of all routes through a gateway."""
    return {route["dst"]: route["gateway"] for route in ip(sandbox, "route") if "gateway" in route}


def test_routes_come_with_rewrite_and_go_with_it() -> None:
    """Administrators change the key of a plugged PIF; what is not ours stays, and the address is not touched."""
    records = management()
    config = records.classes["network"][records.network("xenbr0")]["other_config"]
    with XapiHost(records) as host:
        succeed(host.sandbox, *UP)
        host.sandbox.run(["ip", "route", "add", "10.99.0.0/24", "via", "192.0.2.7"])
        before = state(host.sandbox)
        config[KEY] = f"{OURS}/192.0.2.3,{OTHER}/192.0.2.4"
        host.restart_xapi()

        succeed(host.sandbox, "rewrite")

        others = {"default": "192.0.2.1", "10.99.0.0/24": "192.0.2.7"}
        assert routes(host.sandbox) == {**others, OURS: "192.0.2.3", OTHER: "192.0.2.4"}
        config[KEY] = f"{OTHER}/192.0.2.5"
        host.restart_xapi()
        succeed(host.sandbox, "rewrite")
        assert routes(host.sandbox) == {**others, OTHER: "192.0.2.5"}
        del config[KEY]
        host.restart_xapi()
        succeed(host.sandbox, "rewrite")
        assert routes(host.sandbox) == others
        assert {**state(host.sandbox), "files": None} == {**before, "files": None}


def test_a_route_goes_with_the_next_up_after_its_key() -> None:
    """Only ours: its protocol number tells (features.md section 7)."""
    records = management()
    config = records.classes["network"][records.network("xenbr0")]["other_config"]
    config[KEY] = f"{OURS}/192.0.2.3"
    with XapiHost(records) as host:
        succeed(host.sandbox, *UP)
        assert routes(host.sandbox)[OURS] == "192.0.2.3"
        host.sandbox.run(["ip", "route", "add", "10.99.0.0/24", "via", "192.0.2.7"])
        del config[KEY]
        write_cache(host.sandbox, records)

        succeed(host.sandbox, *UP)

        assert routes(host.sandbox) == {"default": "192.0.2.1", "10.99.0.0/24": "192.0.2.7"}


def test_a_route_that_the_kernel_refuses_is_a_warning() -> None:
    """Its gateway is a broadcast address; the interface comes up with address, default route and the other route."""
    records = management()
    config = records.classes["network"][records.network("xenbr0")]["other_config"]
    config[KEY] = f"{OURS}/192.0.2.255,{OTHER}/192.0.2.4"
    with XapiHost(records) as host:
        done = reconfigure(host.sandbox, "--no-syslog", *UP)

        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        assert any("refuse_setting" in line and OURS in line for line in done.stderr.splitlines()), done.stderr
        assert addresses(host.sandbox, "xenbr0") == ["192.0.2.10/24"]
        assert routes(host.sandbox) == {"default": "192.0.2.1", OTHER: "192.0.2.4"}


def test_a_route_never_takes_the_place_of_the_subnet_of_management() -> None:
    """An administrator's slip on another network, whose operation looks at that network's device alone."""
    records = management()
    pif = records.nic("eth1", **static("198.51.100.10", gateway=""))
    records.network_of(pif)["other_config"][KEY] = f"192.0.2.0/24/198.51.100.1,{OURS}/198.51.100.2"
    with XapiHost(records) as host:
        succeed(host.sandbox, *UP)
        before = ip(host.sandbox, "route", "show", "192.0.2.0/24")
        assert [route["protocol"] for route in before] == ["kernel"]

        host.up(pif)

        assert ip(host.sandbox, "route", "show", "192.0.2.0/24") == before
        assert routes(host.sandbox)[OURS] == "198.51.100.2"


@pytest.mark.parametrize("management_nic", ["eth0", "eth1"])
@pytest.mark.parametrize("ip_backend", ["netlink", "ifcfg"])
def test_a_boot_whose_lease_shows_a_route_to_be_wrong_goes_on_without_it(ip_backend: str, management_nic: str) -> None:
    """Before the lease nobody could know; whichever comes first, the host is on the lease's subnet afterwards."""
    records = HostRecords()
    for nic, fields in (("eth0", DHCP), ("eth1", static("198.51.100.10", gateway=""))):
        records.nic(nic, management=nic == management_nic, currently_attached=True, **fields)
    config = records.classes["network"][records.network("xenbr1")]["other_config"]
    config[KEY] = f"192.0.2.0/24/198.51.100.1,{OURS}/198.51.100.2"
    with XapiHost(records, ip_backend=ip_backend) as host:
        if ip_backend == "ifcfg":
            install_initscripts(host.sandbox)

        succeed(host.sandbox, *BOOT)

        assert len(addresses(host.sandbox, "xenbr0")) == 1
        assert [route["dev"] for route in ip(host.sandbox, "route", "show", "192.0.2.0/24")] == ["xenbr0"]
        assert routes(host.sandbox)[OURS] == "198.51.100.2"
        settle(host.sandbox)
        with watched(host.sandbox) as changes:
            succeed(host.sandbox, *BOOT)
        assert changes == []


def test_a_route_of_ours_gives_way_to_the_subnet_that_management_moves_to() -> None:
    """It was right as long as management was elsewhere."""
    records = HostRecords()
    pif = records.nic("eth0", management=True, currently_attached=True, **static("203.0.113.10", gateway=""))
    other = records.nic("eth1", currently_attached=True, **static("198.51.100.10", gateway=""))
    records.network_of(other)["other_config"][KEY] = "192.0.2.0/24/198.51.100.1"
    with XapiHost(records) as host:
        succeed(host.sandbox, *BOOT)
        assert routes(host.sandbox) == {"192.0.2.0/24": "198.51.100.1"}
        pif.update(static("192.0.2.10"))

        host.up(pif)

        assert [route["dev"] for route in ip(host.sandbox, "route", "show", "192.0.2.0/24")] == ["xenbr0"]
