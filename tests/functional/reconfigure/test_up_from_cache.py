"""interface-reconfigure --force BRIDGE up: a management interface comes up from the cache and stays right."""

from __future__ import annotations

import pytest
from host_records import DHCP, HostRecords, static
from host_state import (
    addresses,
    bridges,
    configuration,
    ip,
    settle,
    spec_for,
    succeed,
    transactions,
    vsctl,
    watched,
)

from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.root_prefix import record_uuid
from xsagent.sandbox.spec import default_segments

UP = ("--force", "xenbr0", "up")
NO_XAPI = {"XSAGENT_XAPI_DEADLINE_S": "1"}
"""Nobody listens on XAPI's socket here: no need to wait for it long."""


def management(**fields: object) -> HostRecords:
    """A host whose eth0 is management and whose eth1 has no IP."""
    records = HostRecords()
    records.nic("eth0", management=True, **fields)
    records.nic("eth1")
    return records


def test_dhcp_management_comes_up_with_bridge_lease_route_and_dns() -> None:
    """Bridge settings, port, lease, default route and resolver are what the records say, read by other programs."""
    with Sandbox(spec_for(management(**DHCP))) as sandbox:
        succeed(sandbox, *UP)

        assert vsctl(sandbox, "list-ports", "xenbr0") == "eth0"
        assert vsctl(sandbox, "br-get-external-id", "xenbr0", "xs-network-uuids") == record_uuid("network xenbr0")
        assert vsctl(sandbox, "get", "Bridge", "xenbr0", "fail_mode") == "standalone"
        assert vsctl(sandbox, "get", "Bridge", "xenbr0", "other_config:hwaddr").strip('"') == "00:1b:21:00:5a:01"
        leased = addresses(sandbox, "xenbr0")
        assert leased[0].split("/")[0] in " ".join(sandbox.far().leases())
        assert [route["gateway"] for route in ip(sandbox, "route", "show", "default")] == ["192.0.2.1"]
        assert "nameserver 192.0.2.1" in (sandbox.root / "etc/resolv.conf").read_text()
        assert sandbox.run(["ping", "-c3", "-i0.3", "-W2", "192.0.2.1"], check=False).returncode == 0


@pytest.mark.parametrize("fields", [DHCP, static("192.0.2.10", dns="192.0.2.2, 192.0.2.3")], ids=["dhcp", "static"])
def test_a_second_run_changes_nothing(fields: dict[str, str]) -> None:
    """No OVSDB record, no netlink change, no journal (DESIGN.md rule 2)."""
    with Sandbox(spec_for(management(**fields))) as sandbox:
        succeed(sandbox, *UP)
        settle(sandbox)
        before = transactions(sandbox)

        with watched(sandbox) as changes:
            succeed(sandbox, *UP)

        assert transactions(sandbox) == before
        assert changes == []
        assert not (sandbox.root / "var/lib/xsagent/journal").exists()


def test_what_was_changed_by_hand_is_mended_by_the_very_next_run() -> None:
    """An address, an MTU, a port and a bridge setting changed in between are right again after one run."""
    with Sandbox(spec_for(management(**static("192.0.2.10")))) as sandbox:
        succeed(sandbox, *UP)
        right = (configuration(sandbox), addresses(sandbox, "xenbr0"), ip(sandbox, "route"))
        for command in (
            "ip address flush dev xenbr0",
            "ip link set eth0 mtu 1400",
            "ovs-vsctl del-port eth0",
            "ovs-vsctl set-fail-mode xenbr0 secure",
        ):
            sandbox.run(command.split())

        succeed(sandbox, *UP)

        assert (configuration(sandbox), addresses(sandbox, "xenbr0"), ip(sandbox, "route")) == right
        assert ip(sandbox, "link", "show", "eth0")[0]["mtu"] == 1500


def test_a_lease_that_somebody_flushed_is_back_after_the_next_run() -> None:
    """The DHCP client is restarted when its address is gone from the device."""
    with Sandbox(spec_for(management(**DHCP))) as sandbox:
        succeed(sandbox, *UP)
        before = addresses(sandbox, "xenbr0")
        sandbox.run(["ip", "address", "flush", "dev", "xenbr0"])

        succeed(sandbox, *UP)

        assert addresses(sandbox, "xenbr0") == before


def test_no_packet_is_lost_while_a_right_pif_is_brought_up_again() -> None:
    """A 5 ms stream through the bridge loses nothing; with the flows deleted it loses all."""
    with Sandbox(spec_for(management(**static("192.0.2.10")))) as sandbox:
        succeed(sandbox, *UP)
        guest = sandbox.add_guest("vif1.0", "xenbr0", "192.0.2.77/24")
        with guest.ping_stream("192.0.2.1", interval_ms=5) as stream:
            stream.wait_answered(20)
            succeed(sandbox, *UP)
            stream.wait_answered(20)
        assert stream.result.lost == 0
        assert stream.result.sent > 40

        with guest.ping_stream("192.0.2.1", interval_ms=5) as control:
            sandbox.delete_flows("xenbr0")
            silent_from = control.counts()
            last = control.wait_sent(60)
        assert last.answered - silent_from.answered <= 3


def test_static_to_dhcp_and_back_leaves_no_trace_of_the_other() -> None:
    """The address of the old mode goes after the new one is there, and its client ends."""
    with Sandbox(spec_for(management(**static("192.0.2.10")))) as sandbox:
        succeed(sandbox, *UP)
        (sandbox.root / "var/xapi/network.dbcache").write_text(management(**DHCP).as_dbcache())
        succeed(sandbox, *UP)
        leased = addresses(sandbox, "xenbr0")
        assert len(leased) == 1
        assert leased != ["192.0.2.10/24"]

        (sandbox.root / "var/xapi/network.dbcache").write_text(management(**static("192.0.2.10")).as_dbcache())
        succeed(sandbox, *UP)

        assert addresses(sandbox, "xenbr0") == ["192.0.2.10/24"]
        assert sandbox.run(["pgrep", "-f", "dhclient"], check=False).stdout == ""


def test_a_bridgeless_pif_has_its_address_on_the_nic_and_gives_it_back() -> None:
    """No OVS object is made for a network without bridge (legacy-faults F19)."""
    records = management(**static("192.0.2.10"))
    pif = records.nic("eth2", bridge="", **static("198.51.100.10", gateway=""))
    with Sandbox(spec_for(records, segments=default_segments(nics=3))) as sandbox:
        sandbox.leave_to_kernel("eth2")
        succeed(sandbox, *UP)
        before = configuration(sandbox)

        succeed(sandbox, "--pif-uuid", pif["uuid"], "up", env=NO_XAPI)

        assert addresses(sandbox, "eth2") == ["198.51.100.10/24"]
        assert configuration(sandbox) == before
        succeed(sandbox, "--pif-uuid", pif["uuid"], "down", env=NO_XAPI)
        assert addresses(sandbox, "eth2") == []
        assert "UP" not in ip(sandbox, "link", "show", "eth2")[0]["flags"]


def test_a_network_that_lost_its_bridge_leaves_none() -> None:
    """The bridge goes with the address that it had: the NIC has it now, and twice it would lead nowhere.

    One that an SDN controller has a port on stays, without the address.
    """
    for kept in (False, True):
        records = HostRecords()
        pif = records.nic("eth0", management=True, **static("192.0.2.10"))
        with Sandbox(spec_for(records)) as sandbox:
            succeed(sandbox, *UP)
            if kept:
                words = ["set", "Interface", "gre7", "type=gre", "options:remote_ip=192.0.2.7"]
                vsctl(sandbox, "add-port", "xenbr0", "gre7", "--", *words)
            sandbox.leave_to_kernel("eth0")
            records.network_of(pif)["bridge"] = ""
            (sandbox.root / "var/xapi/network.dbcache").write_text(records.as_dbcache())

            succeed(sandbox, "--pif-uuid", pif["uuid"], "up", env=NO_XAPI)

            assert vsctl(sandbox, "list-br").split() == (["xenbr0"] if kept else [])
            if kept:
                assert vsctl(sandbox, "list-ports", "xenbr0") == "gre7"
                assert addresses(sandbox, "xenbr0") == []
            assert addresses(sandbox, "eth0") == ["192.0.2.10/24"]
            assert sandbox.run(["ping", "-c3", "-i0.3", "-W2", "192.0.2.1"], check=False).returncode == 0


def test_a_bridge_by_an_older_agent_is_taken_over_without_a_change() -> None:
    """What the legacy scripts made is recognised by their marks: only what they do not set is added."""
    with Sandbox(spec_for(management(**static("192.0.2.10")))) as sandbox:
        vsctl(
            sandbox, "add-br", "xenbr0", "--", "set", "Bridge", "xenbr0", "datapath_type=netdev", "--",
            "add-port", "xenbr0", "eth0", "--", "set", "Port", "eth0", "external_ids:admin=note", "--",
            "set", "Interface", "eth0", "ingress_policing_rate=1000", "--",
            "set", "Bridge", "xenbr0", "other-config:hwaddr=00:1b:21:00:5a:01", "fail_mode=standalone", "--",
            "br-set-external-id", "xenbr0", "xs-network-uuids", record_uuid("network xenbr0"),
        )  # fmt: skip
        row = vsctl(sandbox, "get", "Port", "eth0", "_uuid")

        succeed(sandbox, *UP)

        assert vsctl(sandbox, "get", "Port", "eth0", "_uuid") == row
        assert vsctl(sandbox, "get", "Port", "eth0", "external_ids") == "{admin=note}"
        assert vsctl(sandbox, "get", "Interface", "eth0", "ingress_policing_rate") == "1000"
        assert bridges(sandbox) == ["xenbr0"]


def test_down_takes_the_pif_away_and_leaves_the_rest() -> None:
    """Bridge, NIC state and IP device go; another bridge, an admin's one and management stay."""
    records = management(**static("192.0.2.10"))
    with Sandbox(spec_for(records)) as sandbox:
        succeed(sandbox, *UP)
        succeed(sandbox, "--force", "xenbr1", "up")
        vsctl(sandbox, "add-br", "br-admin", "--", "set", "Bridge", "br-admin", "datapath_type=netdev")

        succeed(sandbox, "--force", "xenbr1", "down")

        assert bridges(sandbox) == ["br-admin", "xenbr0"]
        assert "UP" not in ip(sandbox, "link", "show", "eth1")[0]["flags"]
        assert addresses(sandbox, "xenbr0") == ["192.0.2.10/24"]
        assert sandbox.run(["ping", "-c3", "-i0.3", "-W2", "192.0.2.1"], check=False).returncode == 0
