"""What is in a sandbox, as its tenants see it: wires, far hosts, guests, daemons, files; on real programs."""

from __future__ import annotations

import json
from pathlib import Path

from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.spec import SandboxSpec, default_segments, far_mac, nic_mac, shared_segment

GATEWAY, GATEWAY6, DOM0 = "192.0.2.1", "2001:db8::1", "192.0.2.10/24"


def test_far_host_answers_through_a_bridge_and_no_longer_without_flows(sandbox: Sandbox) -> None:
    """Every ping from dom0 is answered once through the switch; with the flows deleted all are lost."""
    sandbox.build_bridge("xenbr0", "eth0", address=DOM0)

    with sandbox.ping_stream(interval_ms=1) as through:
        through.wait_answered(200)
    sandbox.delete_flows("xenbr0")
    with sandbox.ping_stream(interval_ms=1) as control:
        control.wait_sent(200)

    assert through.result.lost == 0
    assert through.result.duplicates == 0
    assert control.result.sent >= 200
    assert control.result.answered == 0
    assert control.result.longest_gap == control.result.sent


def test_far_host_answers_neighbour_discovery_and_ping_over_ipv6(sandbox: Sandbox) -> None:
    """The gateway answers ND and ping on its IPv6 address."""
    sandbox.build_bridge("xenbr0", "eth0", address=DOM0)
    sandbox.run(["ip", "address", "add", "2001:db8::10/64", "dev", "xenbr0", "nodad"])

    with sandbox.ping_stream(GATEWAY6) as stream:
        stream.wait_answered(50)

    assert stream.result.lost == 0
    assert far_mac("eth0") in sandbox.run(["ip", "-6", "neighbour", "show", GATEWAY6]).stdout


def test_kernel_alone_does_not_answer_on_a_nic(sandbox: Sandbox) -> None:
    """With dom0's address on no bridge but on the NIC, ARP gets no answer until the NIC is left to the kernel."""
    sandbox.run(["ip", "address", "add", "192.0.2.10/24", "dev", "eth0"])
    sandbox.run(["ip", "link", "set", "eth0", "up"])

    with sandbox.far().ping_stream("192.0.2.10") as deaf:
        deaf.wait_sent(50)
    sandbox.leave_to_kernel("eth0")
    with sandbox.far().ping_stream("192.0.2.10") as heard:
        heard.wait_answered(10)

    assert deaf.result.answered == 0
    assert heard.result.answered > 0


def test_dhclient_gets_a_lease_and_its_script_writes_the_private_resolv_conf(sandbox: Sandbox) -> None:
    """The system's dhclient and dhclient-script set up an address by DHCP and touch the sandbox's files alone."""
    machine = Path("/etc/resolv.conf").read_bytes()
    sandbox.build_bridge("xenbr0", "eth0")

    sandbox.run(["dhclient", "-1", "-pf", f"{sandbox.root}/run/dhclient.pid", "xenbr0"])

    [lease] = sandbox.far().leases()
    assert lease.split()[1] == nic_mac("eth0")
    [device] = json.loads(sandbox.run(["ip", "-4", "-j", "address", "show", "xenbr0"]).stdout)
    assert [entry["local"] for entry in device["addr_info"]] == [lease.split()[2]]
    assert f"nameserver {GATEWAY}" in (sandbox.root / "etc/resolv.conf").read_text()
    assert Path("/etc/resolv.conf").read_bytes() == machine
    with sandbox.ping_stream() as stream:
        stream.wait_answered(20)


def test_dhcp_server_is_off_where_the_spec_says_so_and_can_be_switched() -> None:
    """Without the server dhclient gets no lease; once the test starts it, it does; stopped, it no longer runs."""
    with Sandbox(SandboxSpec(segments=default_segments(dhcp=False))) as sandbox:
        sandbox.build_bridge("xenbr0", "eth0")
        once = ["dhclient", "-1", "-cf", f"{sandbox.root}/etc/dhclient.conf", "xenbr0"]
        (sandbox.root / "etc/dhclient.conf").write_text("timeout 2;\n")

        silent = sandbox.run(once, check=False)
        sandbox.far().dhcp.start()
        answered = sandbox.run(once, check=False)
        sandbox.far().dhcp.stop()

        assert silent.returncode != 0
        assert answered.returncode == 0
        assert len(sandbox.far().leases()) == 1
        assert sandbox.far().dhcp.pid is None


def test_guest_reaches_the_wire_and_dom0_through_its_port(sandbox: Sandbox) -> None:
    """A guest's pings to the gateway and to dom0 pass the switch, each answered once; without flows none."""
    sandbox.build_bridge("xenbr0", "eth0", address=DOM0)
    guest = sandbox.add_guest("guest1", "xenbr0")

    with guest.ping_stream(GATEWAY) as wire, guest.ping_stream("192.0.2.10") as dom0:
        wire.wait_answered(100)
        dom0.wait_answered(100)
    sandbox.delete_flows("xenbr0")
    with guest.ping_stream(GATEWAY) as control:
        control.wait_sent(50)

    assert (wire.result.lost, wire.result.duplicates) == (0, 0)
    assert (dom0.result.lost, dom0.result.duplicates) == (0, 0)
    assert control.result.answered == 0


def test_each_nic_has_a_segment_of_its_own() -> None:
    """By default every NIC has its own far host, and no segment hears another."""
    with Sandbox(SandboxSpec(segments=default_segments(nics=4, dhcp=False))) as sandbox:
        sandbox.build_bridge("xenbr1", "eth1", address="198.51.100.10/24")

        with sandbox.ping_stream("198.51.100.1") as stream:
            stream.wait_answered(20)

        assert stream.result.lost == 0
        assert sandbox.spec.nics == ("eth0", "eth1", "eth2", "eth3")
        for nic in sandbox.spec.nics:
            assert (sandbox.run(["cat", f"{sandbox.root}/sys/class/net/{nic}/address"]).stdout).strip() == nic_mac(nic)
        assert nic_mac("eth1") in sandbox.far("far1").run(["ip", "neighbour"]).stdout
        assert sandbox.far("gateway").run(["ip", "neighbour"]).stdout == ""


def test_several_nics_can_share_a_segment() -> None:
    """NICs on one segment reach the same far host and hear one another's frames."""
    with Sandbox(SandboxSpec(segments=shared_segment(nics=2))) as sandbox:
        sandbox.build_bridge("xenbr0", "eth0", address=DOM0)
        sandbox.build_bridge("xenbr1", "eth1")
        guest = sandbox.add_guest("guest1", "xenbr1")

        with guest.ping_stream("192.0.2.10") as across, sandbox.ping_stream() as gateway:
            across.wait_answered(20)
            gateway.wait_answered(20)

        assert across.result.lost == 0
        assert gateway.result.lost == 0


def test_carrier_and_addresses_of_a_far_host_can_be_taken_away(sandbox: Sandbox) -> None:
    """A pulled cable takes the NIC's carrier; a far host without its address no longer answers."""
    sandbox.build_bridge("xenbr0", "eth0", address=DOM0)
    carrier = ["cat", "/sys/class/net/eth0/carrier"]

    before = sandbox.run(carrier).stdout.strip()
    sandbox.far().set_carrier("eth0", up=False)
    pulled = sandbox.run(carrier).stdout.strip()
    sandbox.far().set_carrier("eth0", up=True)
    sandbox.far().set_addresses("192.0.2.7/24")
    with sandbox.ping_stream(GATEWAY) as old, sandbox.ping_stream("192.0.2.7") as new:
        old.wait_sent(20)
        new.wait_answered(20)

    assert (before, pulled) == ("1", "0")
    assert old.result.answered == 0


def test_ovs_daemons_can_be_stopped_killed_paused_and_started(sandbox: Sandbox) -> None:
    """Each daemon's absence is visible to its clients, and it comes back with its database."""
    sandbox.build_bridge("xenbr0", "eth0", address=DOM0)
    ask = ["ovs-vsctl", "--timeout=2", "--no-wait", "list-br"]

    sandbox.vswitchd.kill()
    assert sandbox.vswitchd.pid is None
    assert sandbox.run(["ovs-vsctl", "--timeout=1", "add-br", "b"], check=False).returncode != 0
    sandbox.vswitchd.start()
    sandbox.ovsdb_server.pause()
    assert sandbox.run(ask, check=False).returncode != 0
    sandbox.ovsdb_server.resume()
    assert "xenbr0" in sandbox.run(ask).stdout
    sandbox.ovsdb_server.stop()
    assert sandbox.run(ask, check=False).returncode != 0
    sandbox.ovsdb_server.start()
    assert "xenbr0" in sandbox.run(ask).stdout


def test_root_prefix_is_a_dom0s() -> None:
    """Below the prefix stand the files of a dom0, with the real NICs' addresses in the cache; a spec's files win."""
    files = {"etc/sysconfig/network": "NETWORKING=yes\n", "etc/xensource/network.conf": "bridge\n"}
    spec = SandboxSpec(management_address="192.0.2.10/24", files=files, ovsdb=False)
    with Sandbox(spec) as sandbox:
        cache = (sandbox.root / "var/xapi/network.dbcache").read_text()

        assert f"<MAC>{nic_mac('eth1')}</MAC>" in cache
        assert "<netmask>255.255.255.0</netmask>" in cache
        assert "MANAGEMENT_INTERFACE='xenbr0'" in (sandbox.root / "etc/xensource-inventory").read_text()
        assert (sandbox.root / "etc/xensource/network.conf").read_text() == "bridge\n"
        assert (sandbox.root / "etc/sysconfig/network").read_text() == "NETWORKING=yes\n"
        assert sandbox.ovsdb_server.pid is None
        assert (sandbox.run(["cat", f"{sandbox.root}/proc/1/comm"])).stdout != Path("/proc/1/comm").read_text()
