"""A bond's member that is not there: the bond works without it, and has it again when it is there and up."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator

from host_records import HostRecords, Record, static
from host_state import ip, our_transactions, vsctl
from xapi_host import XapiHost

from xsagent.sandbox.spec import shared_segment

WARNING = "bond member eth1 is not on this host"
GATEWAY = "192.0.2.1"
BOND = {"bond-updelay": "0"}
"""What comes back is used at once."""


def bond_of_two() -> HostRecords:
    """Management on bond0 over eth0 and eth1, and a VLAN on it."""
    records = HostRecords()
    records.nic("eth0")
    records.nic("eth1")
    fields = {"management": True, "other_config": BOND, **static("192.0.2.10", gateway=GATEWAY)}
    records.bond("bond0", ["eth0", "eth1"], "xapi0", mode="active-backup", **fields)
    records.vlan("bond0", 5, "xapi5")
    return records


def pif(records: HostRecords, tag: str) -> Record:
    """The PIF of the bond, or of the VLAN on it."""
    return next(p for p in records.classes["PIF"].values() if (p["device"], p["VLAN"]) == ("bond0", tag))


@contextlib.contextmanager
def away(host: XapiHost) -> Iterator[None]:
    """The NIC eth1 is under another name meanwhile, as when its driver probes it anew; it comes back down."""
    host.sandbox.run(["ip", "-batch", "-"], input_text="link set eth1 down\nlink set eth1 name gone\n")
    try:
        yield
    finally:
        host.sandbox.run(["ip", "link", "set", "gone", "name", "eth1"])


def ofport(host: XapiHost) -> int:
    """The switch's number of eth1's port; -1: it could not open it."""
    shown = json.loads(vsctl(host.sandbox, "--format=json", "--columns=ofport", "list", "Interface", "eth1"))
    return int(shown["data"][0][0])


def works_through_eth1_alone(host: XapiHost) -> bool:
    """Whether the gateway answers while the other member's cable is out."""
    host.sandbox.far().set_carrier("eth0", up=False)
    try:
        return host.sandbox.run(["ping", "-c1", "-w10", "-i0.2", GATEWAY], check=False).returncode == 0
    finally:
        host.sandbox.far().set_carrier("eth0", up=True)


def wait_taken_in(host: XapiHost) -> None:
    """Until the switch has opened eth1 by itself."""
    deadline = time.monotonic() + 20
    while ofport(host) <= 0:
        assert time.monotonic() < deadline, "the switch does not take eth1 in"
        time.sleep(0.1)


def test_a_bond_goes_up_without_a_member_and_the_switch_takes_it_in_when_it_appears() -> None:
    """Its row is there from the start; the next up of the bond is only needed to bring its link up."""
    records = bond_of_two()
    bond = pif(records, "-1")
    with XapiHost(records, segments=shared_segment(nics=2)) as host:
        with away(host):
            done = host.run("up", bond, "--no-deadman")
            assert (done.returncode, WARNING in done.stderr) == (0, True), done.stderr
            bond["currently_attached"] = True
            assert ofport(host) == -1
            assert host.sandbox.run(["ping", "-c1", "-w5", GATEWAY], check=False).returncode == 0
            before = our_transactions(host.sandbox)
            done = host.run("up", bond)
            assert (done.returncode, WARNING in done.stderr) == (0, True), done.stderr
            assert our_transactions(host.sandbox) == before

        wait_taken_in(host)
        host.up(bond)

        assert our_transactions(host.sandbox) == before
        assert "UP" in ip(host.sandbox, "link", "show", "dev", "eth1")[0]["flags"]
        assert works_through_eth1_alone(host)


def test_a_vlan_comes_up_on_a_bond_whose_member_is_away_and_leaves_that_in_the_bond() -> None:
    """An operation that only passes by must not make a moment's absence last."""
    records = bond_of_two()
    bond, vlan = pif(records, "-1"), pif(records, "5")
    with XapiHost(records, segments=shared_segment(nics=2)) as host:
        host.up(bond, "--no-deadman")
        row = vsctl(host.sandbox, "get", "Interface", "eth1", "_uuid")
        with away(host):
            done = host.run("up", vlan)
            assert (done.returncode, WARNING in done.stderr) == (0, True), done.stderr
            assert vsctl(host.sandbox, "get", "Interface", "eth1", "_uuid") == row

        wait_taken_in(host)
        host.sandbox.run(["ip", "link", "set", "eth1", "up"])

        assert vsctl(host.sandbox, "br-to-parent", "xapi5") == "xapi0"
        assert vsctl(host.sandbox, "get", "Interface", "eth1", "_uuid") == row
        assert works_through_eth1_alone(host)
