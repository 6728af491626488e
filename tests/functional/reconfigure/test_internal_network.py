"""`xsagent network create|remove`: the bridge of an internal network, made and removed on request (features.md 3)."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from host_records import HostRecords, static
from host_state import addresses, bridges, ip, our_transactions, settle, state, vsctl, watched
from xapi_host import XapiHost

from xsagent.sandbox.root_prefix import record_uuid

UUID = record_uuid("network xapi9")
INSTALLER = {"is_guest_installer_network": "true", "ip_begin": "169.254.0.1", "netmask": "255.255.0.0"}


@pytest.fixture(scope="module")
def shared() -> Iterator[XapiHost]:
    """A host with management up and two internal networks, one of them the guest installer's."""
    records = HostRecords()
    management = records.nic("eth0", management=True, **static("192.0.2.10"))
    records.nic("eth1")
    records.network("xapi9", MTU="1400")
    records.network("xapi1", other_config=INSTALLER)
    with XapiHost(records) as host:
        host.up(management)
        host.restart_xapi()
        settle(host.sandbox)
        yield host


@pytest.fixture
def host(shared: XapiHost) -> Iterator[XapiHost]:
    """The shared host; a test leaves neither bridges behind nor a change of anything else."""
    before = state(shared.sandbox)
    yield shared
    shared.restart_xapi()
    for name in set(bridges(shared.sandbox)) - {"xenbr0"}:
        vsctl(shared.sandbox, "del-br", name)
    assert state(shared.sandbox) == before


def network(host: XapiHost, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """`xsagent network` on the host."""
    argv = ["xsagent", "network", *words, f"--root-prefix={host.sandbox.root}"]
    return host.sandbox.run(argv, check=False, env=env)


def succeed(host: XapiHost, *words: str) -> None:
    """It says nothing and ends with 0."""
    done = network(host, *words)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def refuse(host: XapiHost, *words: str) -> str:
    """It changes nothing, says why in one sentence and ends with 1."""
    before = our_transactions(host.sandbox)
    done = network(host, *words)

    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1), done.stderr
    assert our_transactions(host.sandbox) == before
    return done.stderr


@pytest.mark.parametrize("name", ["xapi9", UUID])
def test_it_is_made_with_its_mark_and_removed_without_a_trace(host: XapiHost, name: str) -> None:
    """By bridge name or uuid; up, with the network's MTU, no address, and a bridge that learns by itself."""
    succeed(host, "create", name)

    assert bridges(host.sandbox) == ["xapi9", "xenbr0"]
    assert vsctl(host.sandbox, "br-get-external-id", "xapi9", "xs-network-uuids") == UUID
    assert vsctl(host.sandbox, "get-fail-mode", "xapi9") == "standalone"
    link = ip(host.sandbox, "link", "show", "dev", "xapi9")[0]
    assert ("UP" in link["flags"], link["mtu"], addresses(host.sandbox, "xapi9")) == (True, 1400, [])

    succeed(host, "remove", name)
    assert bridges(host.sandbox) == ["xenbr0"]


def test_what_is_right_already_is_not_touched(host: XapiHost) -> None:
    """A second create and a second remove make no transaction and no netlink change; what differs is mended."""
    succeed(host, "create", "xapi9")
    settle(host.sandbox)
    made = our_transactions(host.sandbox)
    with watched(host.sandbox) as changes:
        succeed(host, "create", "xapi9")
    assert (our_transactions(host.sandbox), changes) == (made, [])

    vsctl(host.sandbox, "br-set-external-id", "xapi9", "xs-network-uuids")
    succeed(host, "create", "xapi9")
    assert vsctl(host.sandbox, "br-get-external-id", "xapi9", "xs-network-uuids") == UUID

    succeed(host, "remove", "xapi9")
    gone = our_transactions(host.sandbox)
    succeed(host, "remove", "xapi9")
    assert our_transactions(host.sandbox) == gone


def test_the_guest_installer_network_has_its_address_and_guests_reach_it(host: XapiHost) -> None:
    """And each other; while their VIFs are there nobody but who insists removes the bridge (features.md 14)."""
    succeed(host, "create", "xapi1")
    assert addresses(host.sandbox, "xapi1") == ["169.254.0.1/16"]
    one = host.sandbox.add_guest("one", "xapi1", "169.254.0.7/16")
    other = host.sandbox.add_guest("other", "xapi1", "169.254.0.8/16")
    for target in ("169.254.0.1", "169.254.0.8"):
        one.run(["ping", "-c", "1", "-W", "5", target])

    said = refuse(host, "remove", "xapi1")
    assert one.vif in said
    assert other.vif in said
    assert "--even-if-in-use" in said
    one.run(["ping", "-c", "1", "-W", "5", "169.254.0.1"])

    succeed(host, "remove", "--even-if-in-use", "xapi1")
    assert bridges(host.sandbox) == ["xenbr0"]
    for guest in (one, other):
        assert ip(host.sandbox, "link", "show", "dev", guest.vif)
        host.sandbox.run(["ip", "link", "del", guest.vif])


@pytest.mark.parametrize("action", ["create", "remove"])
def test_what_is_no_internal_network_is_refused(host: XapiHost, action: str) -> None:
    """A PIF's network, by the record; a name or uuid that no network has."""
    assert "PIF" in refuse(host, action, "xenbr0")
    assert "no network has uuid or bridge xapi77" in refuse(host, action, "xapi77")
    assert "no network has uuid or bridge" in refuse(host, action, record_uuid("nothing"))


@pytest.mark.parametrize("action", ["create", "remove"])
def test_a_bridge_that_is_somebody_elses_is_refused(host: XapiHost, action: str) -> None:
    """Another network's mark on it, a NIC in it, a VLAN on it, a VLAN bridge of that name: none is cut off."""
    vsctl(host.sandbox, "add-br", "xapi9")
    vsctl(host.sandbox, "br-set-external-id", "xapi9", "xs-network-uuids", record_uuid("another"))
    insist = ("--even-if-in-use",) if action == "remove" else ()
    assert record_uuid("another") in refuse(host, action, "xapi9", *insist)
    vsctl(host.sandbox, "br-set-external-id", "xapi9", "xs-network-uuids")
    vsctl(host.sandbox, "add-br", "vlan7", "xapi9", "7")
    assert "carries vlan7" in refuse(host, action, "xapi9", *insist)
    vsctl(host.sandbox, "del-br", "vlan7", "--", "add-port", "xapi9", "eth1")
    assert "carries eth1" in refuse(host, action, "xapi9", *insist)
    vsctl(host.sandbox, "del-br", "xapi9")
    vsctl(host.sandbox, "add-br", "xapi9", "xenbr0", "7")
    assert "on bridge xenbr0" in refuse(host, action, "xapi9")
    vsctl(host.sandbox, "del-br", "xapi9")


def test_a_port_of_others_is_cut_off_only_for_who_insists(host: XapiHost) -> None:
    """An SDN controller's port to another host makes an internal network one of several hosts."""
    succeed(host, "create", "xapi9")
    vsctl(host.sandbox, "add-port", "xapi9", "sdn0", "--", "set", "Interface", "sdn0", "type=internal")

    succeed(host, "create", "xapi9")
    assert "carries sdn0" in refuse(host, "remove", "xapi9")
    assert vsctl(host.sandbox, "list-ports", "xapi9") == "sdn0"

    succeed(host, "remove", "xapi9", "--even-if-in-use")
    assert bridges(host.sandbox) == ["xenbr0"]


def test_a_dry_run_prints_the_plan_and_stops(host: XapiHost) -> None:
    """As interface-reconfigure's does; no lock is taken, nothing is made."""
    before = our_transactions(host.sandbox)
    done = network(host, "create", "xapi9", "--dry-run")

    assert (done.returncode, done.stderr) == (0, "")
    assert "create bridge xapi9" in done.stdout
    assert our_transactions(host.sandbox) == before


def test_without_xapi_the_cache_is_used_with_a_warning(host: XapiHost) -> None:
    """As for --pif-uuid (DESIGN.md section 5); a network that the cache does not hold cannot be made."""
    assert host.xapi is not None
    host.xapi.stop()
    (host.sandbox.root / "var/lib/xcp/xapi").unlink(missing_ok=True)

    done = network(host, "create", "xapi9", XSAGENT_XAPI_DEADLINE_S="1")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert "xsagent: warning:" in done.stderr
    assert "the cache is used" in done.stderr
    assert "xapi9" in bridges(host.sandbox)

    done = network(host, "create", "xapi77", XSAGENT_XAPI_DEADLINE_S="1")
    assert done.returncode == 1
    assert "network.dbcache" in done.stderr.splitlines()[-1]
