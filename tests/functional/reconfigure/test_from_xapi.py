"""XAPI's ways in: --session/--pif, --pif-uuid, --management, rewrite; and when the cache is written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from disks import full_disk
from host_records import DHCP, HostRecords, Record, static
from host_state import addresses, bridges, ip, reconfigure, refuse, settle, succeed, transactions, vsctl, watched
from xapi_host import XapiHost

from xsagent.sandbox.root_prefix import record_ref, record_uuid
from xsagent.sandbox.spec import default_segments
from xsagent.sandbox.xapi_standin import XapiStandin

WINDOW = {"XSAGENT_DEADMAN_S": "3"}


def host_records(**fields: object) -> HostRecords:
    """A host whose eth0 is management, static unless said otherwise, and whose eth1 has no IP."""
    records = HostRecords()
    records.nic("eth0", management=True, **{**static("192.0.2.10"), **fields})
    records.nic("eth1")
    return records


@pytest.fixture
def host() -> Iterator[XapiHost]:
    """A host with XAPI, nothing brought up."""
    with XapiHost(host_records()) as running:
        yield running


def standin(host: XapiHost) -> XapiStandin:
    """The XAPI that runs."""
    assert host.xapi is not None
    return host.xapi


def nic(host: XapiHost, device: str = "eth0") -> Record:
    """The PIF of a NIC."""
    return host.records.classes["PIF"][record_ref(f"pif {device}")]


def cache(host: XapiHost) -> Path:
    """The cache that the next boot uses."""
    return host.sandbox.root / "var/xapi/network.dbcache"


def identity(path: Path) -> tuple[int, int, bytes]:
    """What changes when a file is replaced, even by an equal one."""
    status = path.stat()
    return status.st_ino, status.st_mtime_ns, path.read_bytes()


def test_f32_up_by_uuid_after_up_from_the_cache_changes_nothing(host: XapiHost) -> None:
    """The same records by another way: no OVSDB record, no netlink change, no journal; --pif-uuid works (F32)."""
    succeed(host.sandbox, "--force", "xenbr0", "up")
    settle(host.sandbox)
    before = transactions(host.sandbox)

    with watched(host.sandbox) as changes:
        succeed(host.sandbox, "--pif-uuid", nic(host)["uuid"], "up")

    assert transactions(host.sandbox) == before
    assert changes == []
    assert not (host.sandbox.root / "var/lib/xsagent/journal").exists()


def test_a_given_session_is_used_and_stays_open(host: XapiHost) -> None:
    """It belongs to the caller: no login, no logout (wire.md section 1); --management comes after it, too."""
    session = standin(host).control("open_session", originator="xapi")
    standin(host).control("clear_log")

    succeed(host.sandbox, "--session", session, "--pif", record_ref("pif eth0"), "up", "--management")

    assert session in standin(host).sessions()
    assert not [method for method in standin(host).methods() if method.startswith("session.")]
    assert addresses(host.sandbox, "xenbr0") == ["192.0.2.10/24"]


@pytest.mark.parametrize("ending", ["well", "with an error"])
def test_a_session_of_ours_is_always_logged_out(host: XapiHost, ending: str) -> None:
    """No session of ours is left in XAPI, however the run ends."""
    uuid = nic(host)["uuid"] if ending == "well" else "11111111-2222-3333-4444-555555555555"

    reconfigure(host.sandbox, "--pif-uuid", uuid, "up")

    assert "session.login_with_password" in standin(host).methods()
    assert standin(host).sessions() == {}


def test_eight_calls_read_a_host_beside_login_look_up_and_logout(host: XapiHost) -> None:
    """No call for each object (DESIGN.md rule 11)."""
    for tag in range(2, 40):
        host.records.vlan("eth1", tag, f"xapi{tag}")
    host.restart_xapi()

    succeed(host.sandbox, "--pif-uuid", nic(host)["uuid"], "up")

    calls = standin(host).methods()
    beside = ("session.", "host.get_by_uuid", "host.signal_networking_change")
    assert len([method for method in calls if not method.startswith(beside)]) <= 8
    assert sum(method.startswith("session.") for method in calls) == 4


def test_down_by_uuid_takes_the_bridge_away(host: XapiHost) -> None:
    """And leaves management alone."""
    succeed(host.sandbox, "--pif-uuid", nic(host)["uuid"], "up")
    succeed(host.sandbox, "--pif-uuid", nic(host, "eth1")["uuid"], "up")
    assert bridges(host.sandbox) == ["xenbr0", "xenbr1"]

    succeed(host.sandbox, "--pif-uuid", nic(host, "eth1")["uuid"], "down")

    assert bridges(host.sandbox) == ["xenbr0"]
    assert addresses(host.sandbox, "xenbr0") == ["192.0.2.10/24"]


@pytest.mark.parametrize("who", ["XAPI", "an admin who insists"])
def test_a_vlan_under_a_running_vif_goes_down_for_whom_it_may(host: XapiHost, who: str) -> None:
    """Bond.create relies on it and moves the VIF afterwards: its device stays (features.md section 14)."""
    vlan = host.records.vlan("eth1", 5, "xapi5")
    host.restart_xapi()
    admin = ("--pif-uuid", vlan["uuid"], "down")
    succeed(host.sandbox, "--pif-uuid", vlan["uuid"], "up")
    vlan["currently_attached"] = True
    guest = host.sandbox.add_guest("guest", "xapi5", "198.51.100.77/24")
    session = host.restart_xapi().control("open_session", originator="xapi")
    assert guest.vif in refuse(host.sandbox, *admin)
    assert bridges(host.sandbox) == ["xapi5", "xenbr1"]

    by_xapi = ("--session", session, "--pif", record_ref("pif eth1.5"), "down")
    succeed(host.sandbox, *(by_xapi if who == "XAPI" else (*admin, "--even-if-in-use")))

    assert bridges(host.sandbox) == []
    assert [link["ifname"] for link in ip(host.sandbox, "link", "show", "dev", guest.vif)] == [guest.vif]


def test_fields_that_an_older_server_lacks_have_their_defaults(host: XapiHost) -> None:
    """A server without IPv6, properties, managed ... still describes a host (wire.md section 4)."""
    for field in (
        "managed", "properties", "capabilities", "igmp_snooping_status", "ipv6_configuration_mode", "IPv6",
        "ipv6_gateway", "primary_address_type", "sriov_physical_PIF_of", "sriov_logical_PIF_of",
    ):  # fmt: skip
        standin(host).control("drop_field", name="PIF", field_name=field)
    for field in ("managed", "purpose", "default_locking_mode"):
        standin(host).control("drop_field", name="network", field_name=field)
    standin(host).control("drop_class", name="network_sriov")
    standin(host).control("drop_class", name="tunnel")

    succeed(host.sandbox, "--pif-uuid", nic(host)["uuid"], "up")

    assert addresses(host.sandbox, "xenbr0") == ["192.0.2.10/24"]


def test_management_moves_by_word_of_the_caller(host: XapiHost) -> None:
    """--management on a PIF whose record does not say so yet: it gets the default route."""
    succeed(host.sandbox, "--pif-uuid", nic(host)["uuid"], "up")
    nic(host)["currently_attached"] = True
    nic(host, "eth1").update(static("198.51.100.10", gateway="198.51.100.1"))
    host.restart_xapi()

    succeed(host.sandbox, "--pif-uuid", nic(host, "eth1")["uuid"], "--management", "up", env=WINDOW)

    defaults = [(route["gateway"], route["dev"]) for route in ip(host.sandbox, "route", "show", "default")]
    assert defaults == [("198.51.100.1", "xenbr1")]
    assert addresses(host.sandbox, "xenbr0") == ["192.0.2.10/24"]


# --- the cache -----------------------------------------------------------------------------------------------


def test_the_cache_is_written_after_success_and_the_old_one_kept(host: XapiHost) -> None:
    """After Applied, so that the next boot has what works (features.md section 22, When saved)."""
    old = cache(host).read_bytes()
    nic(host)["IP"] = "192.0.2.11"
    host.restart_xapi()

    succeed(host.sandbox, "--pif-uuid", nic(host)["uuid"], "up", env=WINDOW)

    assert "192.0.2.11" in cache(host).read_text()
    assert cache(host).with_name("network.dbcache.previous").read_bytes() == old


def test_an_equal_cache_is_not_touched(host: XapiHost) -> None:
    """Neither by up nor by rewrite."""
    succeed(host.sandbox, "--pif-uuid", nic(host)["uuid"], "up")
    before = identity(cache(host))

    succeed(host.sandbox, "--pif-uuid", nic(host)["uuid"], "up")
    succeed(host.sandbox, "rewrite")

    assert identity(cache(host)) == before


def test_rewrite_writes_the_cache_and_the_marks(host: XapiHost) -> None:
    """What XAPI changed meanwhile is there for the next boot; a bridge's xs-network-uuids follows."""
    succeed(host.sandbox, "--pif-uuid", nic(host)["uuid"], "up")
    host.records.network_of(nic(host))["uuid"] = record_uuid("another")
    host.records.network_of(nic(host))["MTU"] = "1496"
    host.restart_xapi()

    succeed(host.sandbox, "rewrite")

    assert "1496" in cache(host).read_text()
    assert vsctl(host.sandbox, "br-get-external-id", "xenbr0", "xs-network-uuids") == record_uuid("another")
    assert ip(host.sandbox, "link", "show", "xenbr0")[0]["mtu"] == 1500


def test_force_does_not_write_the_cache(host: XapiHost) -> None:
    """The cache is what it reads."""
    before = identity(cache(host))

    succeed(host.sandbox, "--force", "xenbr0", "up")
    succeed(host.sandbox, "--force", "xenbr1", "up")
    succeed(host.sandbox, "--force", "xenbr1", "down")

    assert identity(cache(host)) == before


def test_what_was_rolled_back_stays_out_of_the_cache_until_it_works(host: XapiHost) -> None:
    """Not through rewrite either, not after an old configuration was applied again at boot, nor from another PIF."""
    succeed(host.sandbox, "--pif-uuid", nic(host)["uuid"], "up")
    nic(host)["gateway"] = "192.0.2.99"
    host.restart_xapi()
    said = refuse(host.sandbox, "--pif-uuid", nic(host)["uuid"], "up", env=WINDOW)
    assert "192.0.2.99" in said
    assert "192.0.2.99" not in cache(host).read_text()

    succeed(host.sandbox, "rewrite")
    assert "192.0.2.99" not in cache(host).read_text()
    succeed(host.sandbox, "--force", "xenbr0", "up")
    succeed(host.sandbox, "--pif-uuid", nic(host, "eth1")["uuid"], "up")
    succeed(host.sandbox, "rewrite")
    assert "192.0.2.99" not in cache(host).read_text()
    assert "192.0.2.1<" in cache(host).read_text()

    host.sandbox.far().set_addresses("192.0.2.1/24", "192.0.2.99/24")
    succeed(host.sandbox, "--pif-uuid", nic(host)["uuid"], "up", env=WINDOW)
    assert "192.0.2.99" in cache(host).read_text()
    nic(host)["other_config"] = {"domain": "example.com"}
    host.restart_xapi()
    succeed(host.sandbox, "rewrite")
    assert "example.com" in cache(host).read_text()


def test_a_silent_gateway_at_first_configuration_leaves_the_cache_as_it_was(host: XapiHost) -> None:
    """Unverified: the network stays, and the next boot uses the last configuration that worked."""
    host.sandbox.far().set_addresses("192.0.2.2/24")
    nic(host)["IP"] = "192.0.2.12"
    host.restart_xapi()
    before = identity(cache(host))

    said = refuse(host.sandbox, "--pif-uuid", nic(host)["uuid"], "up", env=WINDOW)

    assert "192.0.2.1 does not answer" in said
    assert addresses(host.sandbox, "xenbr0") == ["192.0.2.12/24"]
    assert identity(cache(host)) == before


def test_a_cache_without_room_on_its_own_disk_stops_the_run_before_any_effect(host: XapiHost) -> None:
    """The next boot would not follow what XAPI was told is done. A boot, which writes none, goes on."""
    succeed(host.sandbox, "--pif-uuid", nic(host)["uuid"], "up")
    full_disk(host.sandbox, "var/xapi")
    before = cache(host).read_bytes()
    nic(host)["IP"] = "192.0.2.12"
    host.restart_xapi()

    said = refuse(host.sandbox, "--pif-uuid", nic(host)["uuid"], "up", env=WINDOW)

    assert f"{cache(host).parent} has no room" in said
    assert "nothing was changed" in said
    assert (addresses(host.sandbox, "xenbr0"), cache(host).read_bytes()) == (["192.0.2.10/24"], before)
    succeed(host.sandbox, "--force", "xenbr1", "up")
    assert bridges(host.sandbox) == ["xenbr0", "xenbr1"]


@pytest.mark.skipif(os.geteuid() != 0, reason="a folder that cannot be written is one for ordinary users only")
def test_a_cache_that_cannot_be_written_does_not_fail_the_operation(host: XapiHost) -> None:
    """The network is what was asked for; stderr and the log say that the next boot will not know."""
    folder = str(cache(host).parent)
    host.sandbox.run(["mount", "--bind", "-o", "ro", folder, folder])
    nic(host)["IP"] = "192.0.2.12"
    host.restart_xapi()

    done = reconfigure(host.sandbox, "--no-syslog", "--pif-uuid", nic(host)["uuid"], "up", env=WINDOW)

    assert done.returncode == 0, done.stderr
    assert "save_cache_failed" in done.stderr
    (warning,) = (line for line in done.stderr.splitlines() if line.startswith("interface-reconfigure: warning: "))
    assert "network.dbcache" in warning
    assert "until the next boot" in warning
    assert addresses(host.sandbox, "xenbr0") == ["192.0.2.12/24"]


# --- telling XAPI --------------------------------------------------------------------------------------------


def test_xapi_is_told_of_a_changed_management_address_when_an_admin_asked(host: XapiHost) -> None:
    """Not when XAPI itself asked, not when nothing changed (features.md section 24)."""
    told = "host.signal_networking_change"
    succeed(host.sandbox, "--pif-uuid", nic(host)["uuid"], "up")
    assert standin(host).methods().count(told) == 1
    succeed(host.sandbox, "--pif-uuid", nic(host)["uuid"], "up")
    assert standin(host).methods().count(told) == 1

    nic(host)["IP"] = "192.0.2.12"
    session = host.restart_xapi().control("open_session", originator="xapi")
    succeed(host.sandbox, "--session", session, "--pif", record_ref("pif eth0"), "up", env=WINDOW)
    assert told not in standin(host).methods()


def test_a_member_whose_coordinator_is_away_is_told_by_its_local_login(host: XapiHost) -> None:
    """Emergency mode: no login but the local one, and the change may be what brings the coordinator back."""
    xapi = standin(host)
    away = ["HOST_OFFLINE", "OpaqueRef:coordinator"]
    xapi.fault("error", "session.login_with_password", error=away)

    done = reconfigure(host.sandbox, "--pif-uuid", nic(host)["uuid"], "up", env={"XSAGENT_XAPI_DEADLINE_S": "1"})

    assert done.returncode == 0, done.stderr
    assert "the cache is used" in done.stderr
    last = ["session.slave_local_login_with_password", "host.signal_networking_change", "session.local_logout"]
    assert xapi.methods()[-3:] == last
    assert xapi.sessions() == {}


def test_a_xapi_that_does_not_take_the_signal_is_only_logged(host: XapiHost) -> None:
    """The network is as asked for: exit 0."""
    standin(host).fault("error", "host.signal_networking_change", error=["INTERNAL_ERROR", "x"])

    done = reconfigure(host.sandbox, "--no-syslog", "--pif-uuid", nic(host)["uuid"], "up")

    assert done.returncode == 0
    assert "signal_networking_change_failed" in done.stderr
    assert addresses(host.sandbox, "xenbr0") == ["192.0.2.10/24"]


def test_a_learnt_lease_does_not_make_a_rolled_back_configuration_another() -> None:
    """XAPI fills in IP, netmask and gateway of a DHCP PIF as they come and go: the request is the same."""
    with XapiHost(host_records(), segments=default_segments(dhcp=False)) as host:
        succeed(host.sandbox, "--pif-uuid", nic(host)["uuid"], "up")
        nic(host).update(DHCP, IP="192.0.2.10")
        host.restart_xapi()
        assert "DHCP" in refuse(host.sandbox, "--pif-uuid", nic(host)["uuid"], "up", env=WINDOW)
        nic(host).update(IP="", netmask="", gateway="", DNS="192.0.2.7")
        host.restart_xapi()

        succeed(host.sandbox, "rewrite")

        assert "Static" in cache(host).read_text()
        assert "DHCP" not in cache(host).read_text()
