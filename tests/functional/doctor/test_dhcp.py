"""DHCP clients that died, or that somebody started beside ours; and a resolver that a lease had filled."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from host_records import DHCP, HostRecords
from patient import Patient
from xapi_host import XapiHost


@pytest.fixture(scope="module")
def leased() -> Iterator[Patient]:
    """A host whose management has its address by DHCP."""
    made = HostRecords()
    management = made.nic("eth0", management=True, **DHCP)
    made.nic("eth1")
    with XapiHost(made) as host:
        host.up(management)
        host.restart_xapi()
        yield Patient(host)


def clients(patient: Patient) -> list[str]:
    """Process ids of every dhclient."""
    return patient.sandbox.run(["pgrep", "-x", "dhclient"], check=False).stdout.split()


def test_a_healthy_lease_is_no_finding(leased: Patient) -> None:
    """One client, its address and its servers are all right."""
    assert [one["id"] for one in leased.findings() if one["severity"] != "info"] == []


def test_a_client_that_died(leased: Patient) -> None:
    """The address is still there and nobody renews it: up starts a client again."""
    (pid,) = clients(leased)
    leased.run("kill", "-9", pid)

    finding = leased.mends("dhcp-client-dead")

    assert (finding["severity"], finding["subject"]) == ("error", "xenbr0")
    assert len(clients(leased)) == 1


def test_a_second_client(leased: Patient) -> None:
    """What somebody started by hand is to go; ours is not touched."""
    ours = clients(leased)
    leased.run("sh", "-c", "dhclient -lf /tmp/second.leases -pf /tmp/second.pid -sf /bin/true xenbr0")

    finding = leased.mends("dhcp-client-doubled")

    assert (finding["severity"], finding["subject"]) == ("warning", "xenbr0")
    assert clients(leased) == ours


def test_the_resolver_that_a_lease_had_filled(leased: Patient) -> None:
    """The lease names a server: up writes it down again."""
    leased.path("etc/resolv.conf").write_text("options timeout:1\n")

    leased.mends("dns-missing")

    assert "nameserver 192.0.2.1" in leased.path("etc/resolv.conf").read_text()
