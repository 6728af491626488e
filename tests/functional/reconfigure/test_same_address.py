"""Between a lease and a static address: the same one, as a reservation gives it, and one after the client died."""

from __future__ import annotations

from host_records import DHCP, HostRecords, static
from host_state import addresses
from xapi_host import XapiHost

NO_ADDRESS = {"IP": "", "netmask": "", "gateway": ""}


def test_a_lease_of_the_address_that_was_static_stays_on_the_device() -> None:
    """The plan takes the static address away, and was made before the lease came; management goes on to answer."""
    records = HostRecords()
    nic = records.nic("eth0", management=True, **DHCP)
    with XapiHost(records) as host:
        host.up(nic)
        (leased,) = addresses(host.sandbox, "xenbr0")
        nic.update(**static(leased.partition("/")[0]))
        host.up(nic)
        assert addresses(host.sandbox, "xenbr0") == [leased]

        nic.update(**DHCP, **NO_ADDRESS)
        host.up(nic)

        assert addresses(host.sandbox, "xenbr0") == [leased]
        ping = ["ping", "-n", "-c", "2", "-i", "0.2", "-W", "2", leased.partition("/")[0]]
        assert host.sandbox.far().run(ping, check=False).returncode == 0
        nic.update(**static(leased.partition("/")[0]))
        host.up(nic)
        assert addresses(host.sandbox, "xenbr0") == [leased]


def test_a_static_address_takes_the_place_of_a_lease_whose_client_died() -> None:
    """Nobody renews it any more: what the client left in its files is no lease that holds."""
    records = HostRecords()
    nic = records.nic("eth0", management=True, **DHCP)
    with XapiHost(records) as host:
        host.up(nic)
        assert addresses(host.sandbox, "xenbr0") != []
        host.sandbox.run(["pkill", "-KILL", "-x", "dhclient"])

        nic.update(**static("192.0.2.77"))
        host.up(nic)

        assert addresses(host.sandbox, "xenbr0") == ["192.0.2.77/24"]
