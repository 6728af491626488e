"""Management by ifup (`ip_backend` ifcfg): mended after somebody's hand, taken back by the deadman, moved to a NIC."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from host_records import DHCP, HostRecords, Record, static
from host_state import addresses, ip, reconfigure, refuse, settle, state, succeed, watched
from xapi_host import XapiHost

from initscripts import install_initscripts, take_calls
from xsagent.sandbox.root_prefix import record_ref
from xsagent.sandbox.spec import shared_segment

WINDOW = {"XSAGENT_DEADMAN_S": "3"}
ROUTES = "172.16.0.0/16/192.0.2.3,172.17.0.0/16/192.0.2.4"


@contextlib.contextmanager
def managed(routes: str = "", **fields: object) -> Iterator[XapiHost]:
    """A host whose eth0 is management, static unless said otherwise, and up; eth1 is on the same wire."""
    records = HostRecords()
    eth0 = records.nic("eth0", management=True, **{**static("192.0.2.10"), **fields})
    records.network_of(eth0)["other_config"]["static-routes"] = routes
    records.nic("eth1")
    with XapiHost(records, segments=shared_segment(nics=2), ip_backend="ifcfg") as host:
        install_initscripts(host.sandbox)
        succeed(host.sandbox, "--force", "xenbr0", "up")
        pif(host, "eth0")["currently_attached"] = True
        assert take_calls(host.sandbox) == ["ifup xenbr0"]
        yield host


def pif(host: XapiHost, device: str) -> Record:
    """A NIC's PIF."""
    return host.records.classes["PIF"][record_ref(f"pif {device}")]


def ask(host: XapiHost, device: str = "eth0", **fields: object) -> tuple[str, ...]:
    """Change a PIF's record; the words that bring it up by XAPI's own way in."""
    pif(host, device).update(fields)
    session = host.restart_xapi().control("open_session", originator="xapi")
    return ("--session", session, "--pif", record_ref(f"pif {device}"), "up")


def routes(host: XapiHost) -> list[tuple[str, str]]:
    """Destination and gateway of each route by management that has one."""
    shown = ip(host.sandbox, "route", "show", "dev", "xenbr0")
    return sorted((route["dst"], route["gateway"]) for route in shown if "gateway" in route)


def state_of(host: XapiHost) -> dict[str, object]:
    """What must be as it was; the stand-in's own files are not the host's."""
    return state(host.sandbox, without=("var/lib/xsagent", "run", "var/lib/xcp"))


def reachable(host: XapiHost) -> bool:
    """Whether the far host reaches management on its old address."""
    return host.sandbox.far().run(["ping", "-c1", "-W1", "192.0.2.10"], check=False).returncode == 0


@pytest.mark.parametrize("words", ["default", "172.16.0.0/16", "172.17.0.0/16"])
def test_a_route_that_somebody_deleted_is_back_after_the_next_run(words: str) -> None:
    """Rule 2: the route alone comes back, neither address nor link flaps; the run after that does nothing."""
    with managed(ROUTES) as host:
        before = routes(host)
        assert len(before) == 3
        host.sandbox.run(["ip", "route", "delete", words, "dev", "xenbr0"])

        succeed(host.sandbox, *ask(host), env=WINDOW)

        assert routes(host) == before
        succeed(host.sandbox, *ask(host), env=WINDOW)
        assert take_calls(host.sandbox) == []


def test_a_leased_management_has_its_static_route_back_and_keeps_its_client() -> None:
    """The initscripts' dhclient is not started again: it would refuse, since it runs."""
    with managed(ROUTES, **DHCP, IP="", netmask="", gateway="", DNS="") as host:
        before, leased = routes(host), addresses(host.sandbox, "xenbr0")
        clients = host.sandbox.run(["pgrep", "-x", "dhclient"]).stdout
        assert len(before) == 3
        host.sandbox.run(["ip", "route", "delete", "172.16.0.0/16"])

        succeed(host.sandbox, *ask(host), env=WINDOW)

        assert routes(host) == before
        assert addresses(host.sandbox, "xenbr0") == leased
        assert host.sandbox.run(["pgrep", "-x", "dhclient"]).stdout == clients
        assert take_calls(host.sandbox) == []


def test_a_lease_of_one_family_is_kept_where_no_server_gives_the_other() -> None:
    """XAPI plugs a PIF again and again: no ifup, which would fail beside the client that asks on, and a warning."""
    with managed(**DHCP, IP="", netmask="", gateway="", DNS="") as host:
        succeed(host.sandbox, *ask(host, ipv6_configuration_mode="DHCP"), env=WINDOW)
        assert take_calls(host.sandbox) == ["ifdown xenbr0", "ifup xenbr0"]
        clients = host.sandbox.run(["pgrep", "-x", "dhclient"]).stdout.split()
        assert len(clients) == 2
        settle(host.sandbox)

        with watched(host.sandbox) as changes:
            done = reconfigure(host.sandbox, "--no-syslog", *ask(host), env=WINDOW)

        assert done.returncode == 0, done.stderr
        assert "no DHCP server gave xenbr0 an IPv6 address" in done.stderr
        assert (changes, take_calls(host.sandbox)) == ([], [])
        assert host.sandbox.run(["pgrep", "-x", "dhclient"]).stdout.split() == clients


def test_a_wrong_gateway_is_taken_back_by_the_deadman() -> None:
    """Exit 1 with the reason; files, addresses and routes as they were, and reachable again."""
    with managed() as host:
        words = ask(host, gateway="192.0.2.99")
        before = state_of(host)

        said = refuse(host.sandbox, *words, env=WINDOW)

        assert "gateway 192.0.2.99 does not answer on xenbr0 within 3 s; the old configuration is back" in said
        assert state_of(host) == before
        assert reachable(host)


def test_a_change_to_dhcp_with_a_silent_server_is_taken_back_by_the_deadman() -> None:
    """Although ifup succeeds where no lease came: the static address is back, and no client is left."""
    with managed() as host:
        host.sandbox.far().dhcp.stop()
        words = ask(host, **DHCP)
        before = state_of(host)

        said = refuse(host.sandbox, *words, env=WINDOW)

        assert "no DHCP server or router gave xenbr0 an address" in said
        assert state_of(host) == before
        assert reachable(host)
        assert host.sandbox.run(["pgrep", "-x", "dhclient"], check=False).stdout == ""


def test_a_former_management_that_does_not_let_go_is_taken_back_once() -> None:
    """Its ifdown fails after the new path was seen to work: each step of the way back runs once."""
    with managed() as host:
        words = ask(host, "eth1", **static("192.0.2.10"))
        before = state_of(host)
        (host.sandbox.log / "failing-ifdown").write_text("xenbr0")

        said = refuse(host.sandbox, *words, "--management", env=WINDOW)

        assert "ifdown does not want xenbr0" in said
        assert take_calls(host.sandbox) == ["ifup xenbr1", "ifdown xenbr0", "ifup xenbr0", "ifdown xenbr1"]
        assert state_of(host) == before
        assert host.sandbox.run(["ping", "-c3", "-i0.3", "-W2", "192.0.2.1"], check=False).returncode == 0
