"""Management with IPv4 and IPv6: each family whose gateway answered before must answer afterwards, too."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections.abc import Iterator
from dataclasses import replace

import pytest
from deadman_host import WINDOW, ask, default_gateway, guardians, host_records, nic, state_of, wait_until
from host_records import DHCP, HostRecords, static
from host_state import addresses, ip, reconfigure, refuse, settle, succeed
from xapi_host import XapiHost, write_our_cache

from xsagent.sandbox.namespaces import pid_of
from xsagent.sandbox.spec import Segment, default_segments, shared_segment

GATEWAY, GATEWAY6 = "192.0.2.1", "2001:db8::1"
STATIC6 = {"ipv6_configuration_mode": "Static", "IPv6": ["2001:db8::10/64"], "ipv6_gateway": GATEWAY6}
AUTOCONF6 = {"ipv6_configuration_mode": "Autoconf"}
RIGHT = {**static("192.0.2.10"), **STATIC6, "primary_address_type": "IPv4"}
NO_IPV4 = {"ip_configuration_mode": "None", "IP": "", "netmask": "", "gateway": "", "primary_address_type": "IPv6"}
NO_IPV6 = {"ipv6_configuration_mode": "None", "IPv6": [], "ipv6_gateway": ""}
MISTAKES = {
    "wrong IPv4 subnet": ({"IP": "198.18.77.10", "gateway": "198.18.77.1"}, "198.18.77.1"),
    "wrong IPv4 gateway": ({"gateway": "192.0.2.99"}, "192.0.2.99"),
    "wrong IPv6 subnet": ({"IPv6": ["2001:db8:77::10/64"], "ipv6_gateway": "2001:db8:77::1"}, "2001:db8:77::1"),
    "wrong IPv6 gateway": ({"ipv6_gateway": "2001:db8::99"}, "2001:db8::99"),
    "wrong IPv6 gateway, and no IPv4 any more": ({**NO_IPV4, "ipv6_gateway": "2001:db8::99"}, "2001:db8::99"),
    "wrong IPv4 gateway, and no IPv6 any more": ({**NO_IPV6, "gateway": "192.0.2.99"}, "192.0.2.99"),
}


@contextlib.contextmanager
def managed(segments: tuple[Segment, ...] | None = None, **fields: object) -> Iterator[XapiHost]:
    """A host whose management is up with these fields of the PIF, from our own cache: the legacy one has no IPv6."""
    records = host_records(**fields)
    with XapiHost(records, segments=segments) as host:
        write_our_cache(host.sandbox, records)
        succeed(host.sandbox, "--force", "xenbr0", "up")
        nic(host)["currently_attached"] = True
        settle(host.sandbox)
        yield host


@pytest.fixture(scope="module")
def shared() -> Iterator[XapiHost]:
    """A host with both families: for mistakes that are taken back."""
    with managed(**RIGHT) as host:
        yield host


def default_gateway6(host: XapiHost) -> list[str]:
    """Gateways of the IPv6 default routes."""
    return [route["gateway"] for route in ip(host.sandbox, "-6", "route", "show", "default")]


def reaches(host: XapiHost, address: str) -> bool:
    """Whether the host reaches an address."""
    return host.sandbox.run(["ping", "-c1", "-w5", "-i0.2", address], check=False).returncode == 0


def advertising(*segments: Segment) -> tuple[Segment, ...]:
    """The wires, with a router that advertises on the first."""
    first, *others = segments
    return (replace(first, ipv6="autoconf"), *others)


@pytest.mark.parametrize("case", MISTAKES)
def test_a_mistake_in_one_family_is_taken_back_though_the_other_works(shared: XapiHost, case: str) -> None:
    """Exit 1 with the gateway that is silent; also where the family that works is given up in the same change."""
    mistake, gateway = MISTAKES[case]
    words = ask(shared, **{**RIGHT, **mistake})
    before = (state_of(shared), default_gateway6(shared))

    said = refuse(shared.sandbox, *words, env=WINDOW)

    assert f"gateway {gateway} does not answer on xenbr0 within 3 s; the old configuration is back" in said
    assert "the host is as it was before" in said
    settle(shared.sandbox)
    assert (state_of(shared), default_gateway6(shared)) == before
    assert reaches(shared, GATEWAY)
    assert reaches(shared, GATEWAY6)


@pytest.mark.parametrize(
    ("given_up", "left"),
    [(NO_IPV6, GATEWAY), (NO_IPV4, GATEWAY6), ({"ipv6_gateway": ""}, GATEWAY), ({"gateway": ""}, GATEWAY6)],
    ids=["IPv6", "IPv4", "IPv6's gateway", "IPv4's gateway"],
)
def test_a_family_that_is_given_up_is_not_missed(given_up: dict[str, object], left: str) -> None:
    """Its gateway answered before; the change takes it away on purpose, and stays."""
    with managed(**RIGHT) as host:
        succeed(host.sandbox, *ask(host, **given_up), env=WINDOW)

        assert [*default_gateway(host.sandbox), *default_gateway6(host)] == [left]
        assert reaches(host, left)


def test_a_family_whose_gateway_never_answered_does_not_undo_what_works() -> None:
    """There was nothing better: IPv6's gateway is silent before and after, IPv4 has its new address."""
    with managed(**{**RIGHT, "ipv6_gateway": "2001:db8::99"}) as host:
        succeed(host.sandbox, *ask(host, IP="192.0.2.12"), env=WINDOW)

        assert addresses(host.sandbox, "xenbr0") == ["192.0.2.12/24"]


def test_a_family_that_comes_new_does_not_undo_what_works() -> None:
    """IPv6 with a gateway that nobody has: IPv4 is as reachable as before."""
    with managed(**{**RIGHT, **NO_IPV6}) as host:
        succeed(host.sandbox, *ask(host, **{**STATIC6, "ipv6_gateway": "2001:db8::99"}), env=WINDOW)

        assert reaches(host, GATEWAY)


def test_the_gateway_of_another_device_is_no_baseline() -> None:
    """Management's own never answered, a default route through storage does: nothing better to go back to."""
    records = host_records(gateway="192.0.2.77")
    storage = next(pif for pif in records.classes["PIF"].values() if pif["device"] == "eth1")
    storage.update(static("198.51.100.10", gateway=""))
    with XapiHost(records) as host:
        write_our_cache(host.sandbox, records)
        reconfigure(host.sandbox, "--force-interface", "all", "up")
        host.sandbox.run(["ip", "route", "add", "default", "via", "198.51.100.1", "dev", "xenbr1", "metric", "500"])
        nic(host)["currently_attached"] = storage["currently_attached"] = True

        said = refuse(host.sandbox, *ask(host, gateway="192.0.2.78"), env=WINDOW)

        assert "gateway 192.0.2.78 does not answer on xenbr0" in said
        assert "the old configuration is back" not in said
        assert "192.0.2.78" in default_gateway(host.sandbox)


def test_the_gateway_of_another_device_counts_where_management_has_none() -> None:
    """`defaultroute` on storage moves to management, with a gateway that nobody has: the host had a way out."""
    records = host_records()
    storage = next(pif for pif in records.classes["PIF"].values() if pif["device"] == "eth1")
    storage.update(static("198.51.100.10", gateway="198.51.100.1"), other_config={"defaultroute": "true"})
    with XapiHost(records) as host:
        write_our_cache(host.sandbox, records)
        succeed(host.sandbox, "--force-interface", "all", "up")
        nic(host)["currently_attached"] = storage["currently_attached"] = True
        assert default_gateway(host.sandbox) == ["198.51.100.1"]
        storage["other_config"] = {}

        said = refuse(host.sandbox, *ask(host, gateway="192.0.2.99"), env=WINDOW)

        assert "gateway 192.0.2.99 does not answer on xenbr0 within 3 s; the old configuration is back" in said
        assert default_gateway(host.sandbox) == ["198.51.100.1"]


# --- who on the wire names the gateway ---------------------------------------------------------------------------


def test_ipv6_that_is_wrong_is_taken_back_beside_a_lease() -> None:
    """The lease, and its client, stay."""
    with managed(**{**RIGHT, **DHCP, "IP": "", "netmask": "", "gateway": ""}) as host:
        before = addresses(host.sandbox, "xenbr0")
        clients = host.sandbox.run(["pgrep", "dhclient"]).stdout

        said = refuse(host.sandbox, *ask(host, ipv6_gateway="2001:db8::99"), env=WINDOW)

        assert "gateway 2001:db8::99 does not answer on xenbr0 within 3 s; the old configuration is back" in said
        assert default_gateway6(host) == [GATEWAY6]
        assert addresses(host.sandbox, "xenbr0") == before
        assert host.sandbox.run(["pgrep", "dhclient"]).stdout == clients


def test_a_change_to_dhcp_that_brings_no_lease_is_taken_back_beside_ipv6_by_dhcp() -> None:
    """IPv4 was static: that IPv6 had a client before is no reason to keep it."""
    wires = default_segments()
    with managed((replace(wires[0], ipv6="dhcp"), *wires[1:]), **{**RIGHT, **NO_IPV6}) as host:
        succeed(host.sandbox, *ask(host, ipv6_configuration_mode="DHCP"), env={"XSAGENT_DEADMAN_S": "20"})
        host.sandbox.far().dhcp.stop()

        said = refuse(host.sandbox, *ask(host, **DHCP), env=WINDOW)

        assert "no DHCP server answered on xenbr0 within 3 s" in said
        assert addresses(host.sandbox, "xenbr0") == ["192.0.2.10/24"]
        assert reaches(host, GATEWAY)


def test_a_router_s_gateway_is_missed_too() -> None:
    """IPv4 that is wrong is taken back beside an advertised gateway that answers, and the other way round."""
    with managed(advertising(*default_segments()), **{**static("192.0.2.10"), **AUTOCONF6}) as host:
        wait_until(lambda: default_gateway6(host), "no router was learnt")

        said = refuse(host.sandbox, *ask(host, gateway="192.0.2.99"), env=WINDOW)

        assert "gateway 192.0.2.99 does not answer" in said
        assert default_gateway(host.sandbox) == [GATEWAY]
        assert default_gateway6(host)
        words = ask(host, **static("192.0.2.10"), **{**STATIC6, "ipv6_gateway": "2001:db8::99"})
        said = refuse(host.sandbox, *words, env=WINDOW)
        assert "gateway 2001:db8::99 does not answer" in said
        assert all(gateway.startswith("fe80:") for gateway in default_gateway6(host))
        wait_until(lambda: default_gateway6(host), "no router was learnt again")


def test_a_router_that_answers_and_gives_no_address_is_no_proof() -> None:
    """Management on IPv6 alone goes from its static address to autoconf where only DHCPv6 gives addresses."""
    wires = default_segments()
    with managed((replace(wires[0], ipv6="dhcp"), *wires[1:]), **{**NO_IPV4, **STATIC6}) as host:
        words = ask(host, ipv6_configuration_mode="Autoconf", IPv6=[], ipv6_gateway="")

        said = refuse(host.sandbox, *words, env=WINDOW)

        assert "gave xenbr0 an address within 3 s; the old configuration is back" in said
        assert "2001:db8::10/64" in addresses(host.sandbox, "xenbr0", "-6")
        assert reaches(host, GATEWAY6)


def test_management_takes_both_families_to_a_bond() -> None:
    """IPv6's gateway is learnt anew there, from an advertisement that we ask for; the move stays."""
    records = HostRecords()
    fields = {**static("192.0.2.10"), **AUTOCONF6}
    first = records.nic("eth0", management=True, **fields)
    records.nic("eth1")
    with XapiHost(records, segments=advertising(*shared_segment(nics=2))) as host:
        host.up(first)
        wait_until(lambda: default_gateway6(host), "no router was learnt")
        bond = records.bond("bond0", ["eth0", "eth1"], "xapi0", mode="active-backup", **fields)
        first.update(ip_configuration_mode="None", ipv6_configuration_mode="None")

        host.up(bond, "--management", XSAGENT_DEADMAN_S="20")

        assert [route["dev"] for route in ip(host.sandbox, "-6", "route", "show", "default")] == ["xapi0"]
        assert reaches(host, GATEWAY)
        assert reaches(host, GATEWAY6)


# --- after a kill, and after the way back ------------------------------------------------------------------------


def start(host: XapiHost, **fields: object) -> int:
    """Start a change of management; the run's process id, once it is in its window."""
    words = ask(host, **fields)
    run = host.sandbox.spawn(
        ["interface-reconfigure", f"--root-prefix={host.sandbox.root}", *words], env={"XSAGENT_DEADMAN_S": "120"}
    )
    wait_until(lambda: default_gateway(host.sandbox) == [fields["gateway"]], "the change was never made")
    return pid_of(run)


def test_the_guardian_asks_each_family_as_the_run_would_have() -> None:
    """SIGKILL in the window of a wrong IPv4 gateway; IPv6's answers, and is no proof."""
    with managed(**RIGHT) as host:
        run = start(host, gateway="192.0.2.99")

        os.kill(run, signal.SIGKILL)
        wait_until(lambda: not guardians(host.sandbox), "the guardian never ended")

        assert default_gateway(host.sandbox) == [GATEWAY]
        assert reaches(host, GATEWAY6)


def test_a_run_of_a_version_that_told_no_families_apart_is_taken_back_too() -> None:
    """It was killed with its guardian in the window of a wrong gateway, and the package was upgraded."""
    with managed(**RIGHT) as host:
        run = start(host, gateway="192.0.2.99")
        host.sandbox.run(["kill", "-9", *map(str, guardians(host.sandbox))])
        os.kill(run, signal.SIGKILL)
        journal = host.sandbox.root / "var/lib/xsagent/journal"
        head, *begun = journal.read_text().splitlines(keepends=True)
        form = json.loads(head)
        del form["answered"]
        journal.write_text("".join([json.dumps({**form, "armed": True}), "\n", *begun]))

        succeed(host.sandbox, "--force", "xenbr1", "up")

        assert default_gateway(host.sandbox) == [GATEWAY]
        assert reaches(host, GATEWAY)


def test_a_family_that_does_not_come_back_is_named() -> None:
    """IPv4's gateway goes away meanwhile: the host is not as it was, though IPv6's answers."""
    with managed(**RIGHT) as host:
        words = ask(host, gateway="192.0.2.99")
        run = host.sandbox.spawn(
            ["interface-reconfigure", f"--root-prefix={host.sandbox.root}", "--no-syslog", *words],
            env={"XSAGENT_DEADMAN_S": "5"},
        )
        wait_until(lambda: default_gateway(host.sandbox) == ["192.0.2.99"], "the change was never made")
        host.sandbox.far().set_addresses("2001:db8::1/64")
        _, said = run.communicate(timeout=90)

        assert run.returncode == 1
        assert "gateway 192.0.2.1 does not answer on xenbr0, as one did before" in said
        assert "the host is as it was before" not in said
