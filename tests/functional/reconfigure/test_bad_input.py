"""Bad input and absent peers: exit 1, one sentence that names what was wrong, nothing changed (DESIGN.md section 5)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from host_records import DHCP, HostRecords, static
from host_state import addresses, bridges, ip, reconfigure, refuse, spec_for, state, succeed, vsctl, write_cache

from xsagent.sandbox.dom0 import Sandbox

UP = ("--force", "xenbr0", "up")
Change = Callable[[HostRecords], object]


def records(**fields: object) -> HostRecords:
    """A host with two NICs, eth0 management and static unless said otherwise."""
    made = HostRecords()
    made.nic("eth0", management=True, **{**static("192.0.2.10"), **fields})
    made.nic("eth1")
    return made


def nic(made: HostRecords) -> dict[str, object]:
    """The PIF of eth0."""
    return next(pif for pif in made.classes["PIF"].values() if pif["device"] == "eth0")


def set_nic(**fields: object) -> Change:
    """Change fields of eth0's PIF."""
    return lambda made: nic(made).update(fields)


def set_network(**fields: object) -> Change:
    """Change fields of eth0's network."""
    return lambda made: made.network_of(nic(made)).update(fields)


def share_bridge(made: HostRecords) -> None:
    """Two networks with one bridge name."""
    for network in made.classes["network"].values():
        network["bridge"] = "xenbr0"


REFUSED: dict[str, tuple[Change, str]] = {
    "two networks with one bridge name": (share_bridge, "xenbr0"),
    "unknown IP mode": (set_nic(ip_configuration_mode="Magic"), "Magic"),
    "an address that is none": (set_nic(IP="192.0.2.300"), "192.0.2.300"),
    "an empty static address": (set_nic(IP=""), "PIF"),
    "a netmask that is none": (set_nic(netmask="255.0.255.0"), "255.0.255.0"),
    "a device name that is a path": (set_nic(device="../eth0"), "eth0"),
    "an over-long device name": (set_nic(device="eth" + "0" * 13), "eth"),
    "a NIC that is not there": (set_nic(device="eth7", MAC="0c:c4:7a:00:00:77"), "eth7"),
    "a MAC that another NIC has": (set_nic(MAC="00:1b:21:00:5a:02"), "eth1"),
}


@pytest.fixture(scope="module")
def host() -> object:
    """A sandbox for everything that changes nothing."""
    with Sandbox(spec_for(records())) as sandbox:
        yield sandbox


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_record_is_refused_by_name_and_changes_nothing(host: Sandbox, case: str) -> None:
    """The sentence names the value; database, links, addresses, routes and files stay."""
    change, named = REFUSED[case]
    made = records()
    change(made)
    write_cache(host, made)
    before = state(host)

    said = refuse(host, *UP)

    assert named in said
    assert "nothing was changed" in said
    assert state(host) == before


def test_an_unknown_bridge_is_named(host: Sandbox) -> None:
    """No network has it, whatever it looks like."""
    write_cache(host, records())
    before = state(host)

    for name in ("nosuch", "a" * 40, "../../etc", "x y", "-oops"):
        assert name[:15] in refuse(host, f"--force={name}", "up")

    assert state(host) == before


def test_a_bridge_without_a_pif_of_this_host_is_named(host: Sandbox) -> None:
    """An internal network is nothing to bring up."""
    made = records()
    made.network("xapi7")
    write_cache(host, made)

    assert "no PIF of this host is on bridge xapi7" in refuse(host, "--force", "xapi7", "up")


def test_an_over_long_bridge_name_is_refused(host: Sandbox) -> None:
    """The kernel takes 15 characters (legacy-faults F15)."""
    made = records()
    made.network_of(nic(made))["bridge"] = "xenbr-far-too-long"
    write_cache(host, made)
    before = state(host)

    assert "xenbr-far-too-long" in refuse(host, "--force", "xenbr-far-too-long", "up")
    assert state(host) == before


@pytest.mark.parametrize("name", ["eth0", "eth1", "lo"])
def test_a_bridge_with_the_name_of_a_device_is_refused(host: Sandbox, name: str) -> None:
    """Of the PIF's own NIC, another one, or the kernel's loopback: found before anything is tried."""
    made = records()
    made.network_of(nic(made))["bridge"] = name
    write_cache(host, made)
    before = state(host)

    assert f"(eth0): its bridge cannot be named {name}" in refuse(host, "--force", name, "up")
    assert state(host) == before


@pytest.mark.parametrize("tag", [-2, 4095, 4096, 99999])
def test_a_vlan_tag_out_of_range_is_refused(host: Sandbox, tag: int) -> None:
    """0 to 4094 are tags (features.md section 3)."""
    made = records()
    made.vlan("eth1", tag, "xapi9")
    write_cache(host, made)
    before = state(host)

    assert str(tag) in refuse(host, "--force", "xapi9", "up")
    assert state(host) == before


@pytest.mark.parametrize("text", ["", "<", "<xenserver-network-configuration>", "\x00" * 100, "<a/>"])
def test_a_cache_that_cannot_be_read_is_refused_with_what_was_tried(text: str) -> None:
    """No traceback, one sentence, nothing changed; there is nothing else to boot from here."""
    with Sandbox(spec_for(records())) as sandbox:
        (sandbox.root / "var/xapi/network.dbcache").write_text(text)
        before = state(sandbox)

        said = refuse(sandbox, *UP)

        assert "network.dbcache" in said
        assert state(sandbox) == before


def test_a_bad_mtu_is_passed_over_and_the_link_comes_up() -> None:
    """` 1_500 ` is no MTU: the next level counts (legacy-faults F04, F15)."""
    made = records(other_config={"mtu": " 1_500 "})
    made.network_of(nic(made))["MTU"] = "1400"
    with Sandbox(spec_for(made)) as sandbox:
        succeed(sandbox, *UP)

        assert [ip(sandbox, "link", "show", name)[0]["mtu"] for name in ("eth0", "xenbr0")] == [1400, 1400]


def test_f24_a_malformed_route_is_skipped_and_the_others_apply() -> None:
    """One bad element does not cost the others (legacy-faults F24)."""
    made = records()
    made.network_of(nic(made))["other_config"] = {
        "static-routes": "10.8.0.0/16/192.0.2.1,nonsense,10.9.0.0/99/192.0.2.1,10.10.0.0/16/192.0.2.1"
    }
    with Sandbox(spec_for(made)) as sandbox:
        done = reconfigure(sandbox, "--no-syslog", *UP)

        assert done.returncode == 0, done.stderr
        assert "nonsense" in done.stderr
        present = {route["dst"] for route in ip(sandbox, "route")}
        assert {"10.8.0.0/16", "10.10.0.0/16"} <= present


def test_a_gateway_that_is_none_costs_the_gateway_only_at_boot() -> None:
    """--force: an address without a gateway is better than no address; the warning names it."""
    with Sandbox(spec_for(records(gateway="192.0.2.1x"))) as sandbox:
        done = reconfigure(sandbox, "--no-syslog", *UP)

        assert done.returncode == 0, done.stderr
        assert "192.0.2.1x" in done.stderr
        assert addresses(sandbox, "xenbr0") == ["192.0.2.10/24"]
        assert ip(sandbox, "route", "show", "default") == []


def test_a_domain_that_would_break_out_of_its_quotes_does_nothing_when_sourced() -> None:
    """The ifcfg file is sourced as root: no character of `domain` may end the quotes (legacy-faults F02)."""
    made = records(other_config={"domain": "a.example'; touch \"$SANDBOX_ROOT/owned\"; '\n$(reboot)`x`"})
    with Sandbox(spec_for(made, ip_backend="ifcfg")) as sandbox:
        for name in ("ifup", "ifdown"):
            program = sandbox.bin / name
            program.write_text('#!/bin/sh\nip link set "$1" up 2>/dev/null\nip address add 192.0.2.10/24 dev "$1"\n')
            program.chmod(0o755)
        succeed(sandbox, *UP)

        path = str(sandbox.root / "etc/sysconfig/network-scripts/ifcfg-xenbr0")
        sourced = sandbox.run(["sh", "-euc", '. "$0"; echo "$IPADDR"', path])
        assert (sourced.stdout, sourced.stderr) == ("192.0.2.10\n", "")
        assert not (sandbox.root / "owned").exists()


def test_ovsdb_absent_ends_after_its_wait_and_changes_nothing() -> None:
    """The wait is bounded and named."""
    with Sandbox(spec_for(records(), ovsdb=False)) as sandbox:
        before = ip(sandbox, "link")

        said = refuse(sandbox, *UP, env={"XSAGENT_OVSDB_WAIT_S": "1"})

        assert "db.sock" in said
        assert ip(sandbox, "link") == before


def test_vswitchd_dead_or_hanging_is_found_before_any_effect() -> None:
    """The database would change and the switch would not (legacy-faults F12)."""
    with Sandbox(spec_for(records())) as sandbox:
        sandbox.vswitchd.pause()
        before = state(sandbox)
        assert "ovs-vswitchd" in refuse(sandbox, *UP, env={"XSAGENT_VSWITCHD_WAIT_S": "1"})
        assert state(sandbox) == before

        sandbox.vswitchd.kill()
        assert "ovs-vswitchd" in refuse(sandbox, *UP, env={"XSAGENT_VSWITCHD_WAIT_S": "1"})
        assert state(sandbox) == before


def test_a_silent_dhcp_server_is_no_failure_at_boot_and_the_client_keeps_trying() -> None:
    """--force: exit 0 with a warning; when the server comes up the address is there."""
    with Sandbox(spec_for(records(**DHCP, IP="", netmask="", gateway=""))) as sandbox:
        sandbox.far().dhcp.stop()

        done = reconfigure(sandbox, *UP, env={"XSAGENT_DHCP_WAIT_S": "3"})

        assert done.returncode == 0
        assert "warning" in done.stderr
        assert bridges(sandbox) == ["xenbr0"]
        sandbox.far().dhcp.start()
        for _ in range(300):
            if addresses(sandbox, "xenbr0"):
                break
            sandbox.run(["sleep", "0.1"])
        assert addresses(sandbox, "xenbr0")


LOSING_DHCLIENT = """\
#!/bin/sh
# The client itself; but whatever it puts on the bridge is taken off for a while.
(
    until [ -e {run}/dhclient-xenbr0.json ]; do sleep 0.01; done
    for _ in $(seq 300); do ip address flush dev xenbr0; sleep 0.05; done
) >/dev/null 2>&1 &
exec /sbin/dhclient "$@"
"""


def test_a_lease_that_is_lost_again_is_no_failure_at_boot_either() -> None:
    """As with a server that is silent from the start: topology and client stay, exit 0 with a warning."""
    with Sandbox(spec_for(records(**DHCP, IP="", netmask="", gateway=""))) as sandbox:
        dhclient = sandbox.bin / "dhclient"
        dhclient.write_text(LOSING_DHCLIENT.format(run=sandbox.root / "run/xsagent"))
        dhclient.chmod(0o755)

        done = reconfigure(sandbox, *UP)

        assert (done.returncode, bridges(sandbox)) == (0, ["xenbr0"])
        assert "the lease of xenbr0 was lost again" in done.stderr
        assert sandbox.run(["pgrep", "-f", "dhclient.*xenbr0"]).stdout


def test_management_does_not_go_down_at_the_boot_scripts_word() -> None:
    """Only XAPI may, or somebody who insists (features.md section 14)."""
    with Sandbox(spec_for(records())) as sandbox:
        succeed(sandbox, *UP)
        before = state(sandbox)

        assert "management" in refuse(sandbox, "--force", "xenbr0", "down")
        assert state(sandbox) == before
        succeed(sandbox, "--force", "xenbr0", "down", "--even-if-in-use")
        assert bridges(sandbox) == []


def test_a_bridge_under_a_running_vif_does_not_go_down() -> None:
    """The VIF is named; somebody who insists may (features.md section 14)."""
    with Sandbox(spec_for(records())) as sandbox:
        succeed(sandbox, "--force", "xenbr1", "up")
        guest = sandbox.add_guest("guest", "xenbr1", "198.51.100.77/24")
        before = state(sandbox)

        assert guest.vif in refuse(sandbox, "--force", "xenbr1", "down")
        assert state(sandbox) == before


def test_a_foreign_bridge_with_our_name_is_ours_and_a_foreign_port_stays() -> None:
    """A network record names the bridge, so it is taken over; the admin's port on it survives up."""
    with Sandbox(spec_for(records())) as sandbox:
        vsctl(
            sandbox, "add-br", "xenbr0", "--", "set", "Bridge", "xenbr0", "datapath_type=netdev", "--",
            "add-port", "xenbr0", "admin0", "--", "set", "Interface", "admin0", "type=internal",
        )  # fmt: skip

        succeed(sandbox, *UP)

        assert vsctl(sandbox, "list-ports", "xenbr0").split() == ["admin0", "eth0"]
