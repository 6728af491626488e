"""In a pool whose bridges are secure management stays reachable, whatever else comes up, and after a change undone."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import openflow_controller
import pytest
from host_records import HostRecords, Record, static
from host_state import addresses, bridges, refuse, vsctl
from trunk import UNTAGGED, Trunk
from xapi_host import XapiHost

from xsagent.sandbox.daemons import wait_for
from xsagent.sandbox.root_prefix import record_ref
from xsagent.sandbox.spec import Service, shared_segment

SECURE = {"vswitch-controller-fail-mode": "secure"}
OLD, OTHER = "192.0.2.10", "203.0.113.10"
_PORT = "6653"
_VERSIONS = "OpenFlow10,OpenFlow13,OpenFlow14,OpenFlow15"
WINDOW = {"XSAGENT_DEADMAN_S": "3"}


@dataclass(frozen=True)
class Pool:
    """A host of the pool, with the far host behind a switch that carries VLANs."""

    host: XapiHost
    trunk: Trunk

    def hears(self, address: str = OLD) -> bool:
        """Whether the far host gets an answer, asked for by ARP anew."""
        self.trunk.far.run(["ip", "neighbour", "flush", "all"])
        return self.trunk.far.run(["ping", "-c1", "-w3", address], check=False).returncode == 0

    def flows(self, bridge: str = "xenbr0") -> set[str]:
        """The bridge's flows, ports by name."""
        words = ["ovs-ofctl", "--names", "--no-stats", f"--protocols={_VERSIONS}", "dump-flows", bridge]
        done = self.host.sandbox.run(words)
        return {line.strip() for line in done.stdout.splitlines() if "actions" in line}

    def refuses(self, name: str, *options: str) -> str:
        """Have XAPI bring up a PIF, which must fail; the sentence."""
        session = self.host.restart_xapi().control("open_session", originator="xapi")
        words = ("--session", session, "--pif", record_ref(f"pif {name}"), "up", *options)
        return refuse(self.host.sandbox, *words, env=WINDOW)


@contextlib.contextmanager
def managed(records: HostRecords, management: Record, *, vlan: int = UNTAGGED) -> Iterator[Pool]:
    """Two NICs on one wire; management is up and the far host, on its VLAN, hears it."""
    with XapiHost(records, segments=shared_segment(nics=2)) as host:
        pool = Pool(host, Trunk(host.sandbox, vlan))
        host.up(management)
        assert pool.hears()
        yield pool


def secure_records() -> tuple[HostRecords, Record]:
    """A secure pool, with management on eth0."""
    records = HostRecords()
    records.pool["other_config"].update(SECURE)
    management = records.nic("eth0", management=True, **static(OLD))
    records.nic("eth1")
    return records, management


def to_bond(records: HostRecords) -> str:
    """Management is to be on a bond, behind a gateway that nobody has."""
    records.bond("bond0", ["eth0", "eth1"], "xapi0", mode="active-backup", **static(OLD, gateway="192.0.2.99"))
    return "bond0"


def to_vlan(records: HostRecords) -> str:
    """Management is to be on a VLAN that the far switch does not carry, with the address that it has."""
    records.vlan("eth0", 999, "xapi999", **static(OLD))
    return "eth0.999"


def to_other_nic(records: HostRecords) -> str:
    """Management is to be on the other NIC, behind a gateway that nobody has."""
    records.classes["PIF"][record_ref("pif eth1")].update(static(OLD, gateway="192.0.2.99"))
    return "eth1"


@pytest.mark.parametrize("move", [to_bond, to_vlan, to_other_nic])
def test_a_move_that_is_taken_back_leaves_management_reachable(move: Callable[[HostRecords], str]) -> None:
    """The undo brings the flows back with the bridge: the old ones, and nothing of the new path."""
    records, management = secure_records()
    with managed(records, management) as pool:
        before = pool.flows()

        said = pool.refuses(move(records), "--management")

        assert "the old configuration is back; the host is as it was before" in said
        assert "xenbr0" in bridges(pool.host.sandbox)
        assert "xapi0" not in bridges(pool.host.sandbox)
        assert addresses(pool.host.sandbox, "xenbr0") == [f"{OLD}/24"]
        assert pool.flows() == before
        assert pool.hears()


def test_the_old_path_carries_beside_the_new_one_while_it_is_configured() -> None:
    """Management moves to a VLAN of its NIC with another address: both answer, until XAPI takes the old one down."""
    records, management = secure_records()
    with managed(records, management) as pool:
        pool.trunk.carry(200, "203.0.113.1/24")
        new = records.vlan("eth0", 200, "xapi200", **static(OTHER, gateway="203.0.113.1"))

        pool.host.up(new, "--management")

        assert pool.hears()
        assert pool.hears(OTHER)
        management["management"], new["management"] = False, True
        settled = pool.flows()
        pool.host.up(new)
        assert pool.flows() == settled

        management.update(static(""), ip_configuration_mode="None")
        pool.host.up(management)
        assert pool.hears(OTHER)
        assert pool.flows() == {flow for flow in settled if "xapi200" in flow}


def test_the_old_path_s_flows_go_with_its_address() -> None:
    """Management moves to a VLAN of its NIC, on which the gateway is too, and takes its address along."""
    records, management = secure_records()
    with managed(records, management) as pool:
        pool.trunk.carry(200, "192.0.2.1/24")
        new = records.vlan("eth0", 200, "xapi200", **static(OLD))

        pool.host.up(new, "--management")

        pool.trunk.far.run(["ip", "address", "flush", "dev", pool.trunk.far.interface])
        assert pool.hears()
        assert all("xapi200" in flow for flow in pool.flows())


def test_another_vlan_that_makes_management_s_bridge_secure_leaves_it_reachable() -> None:
    """The pool's key is set, its plugin has not run, and XAPI plugs VLAN 100: management is on VLAN 200 beside it."""
    records = HostRecords()
    records.nic("eth0")
    records.nic("eth1")
    beside = records.vlan("eth0", 100, "xapi100")
    management = records.vlan("eth0", 200, "xapi200", management=True, **static(OLD))
    with managed(records, management, vlan=200) as pool:
        records.pool["other_config"].update(SECURE)

        pool.host.up(beside, "--no-deadman")

        assert vsctl(pool.host.sandbox, "get-fail-mode", "xenbr0") == "secure"
        assert pool.hears()
        # flows that are not management's are mended too, however many they are
        pool.host.sandbox.run(["ovs-ofctl", "mod-flows", "xenbr0", "dl_vlan=200,in_port=eth0,actions=drop"])
        assert not pool.hears()
        pool.host.up(management)
        assert pool.hears()


@pytest.mark.parametrize("protocols", ["OpenFlow10", "OpenFlow10,OpenFlow13", "OpenFlow13", "OpenFlow15"])
def test_management_is_reachable_whatever_versions_of_openflow_its_bridge_speaks(protocols: str) -> None:
    """A controller limited them. It is on a VLAN, whose flows take off a tag; others come up beside it."""
    records = HostRecords()
    records.nic("eth0")
    beside = records.vlan("eth0", 100, "xapi100")
    management = records.vlan("eth0", 200, "xapi200", management=True, **static(OLD))
    with managed(records, management, vlan=200) as pool:
        vsctl(pool.host.sandbox, "set", "Bridge", "xenbr0", f"protocols={protocols}")
        records.pool["other_config"].update(SECURE)

        pool.host.up(management)

        assert vsctl(pool.host.sandbox, "get-fail-mode", "xenbr0") == "secure"
        assert pool.hears()
        settled = pool.flows()
        again = pool.host.run("up", management)
        assert "outcome=applied changed=false" in again.stderr, again.stderr
        pool.host.up(beside)
        assert pool.flows() == settled
        assert pool.hears()
        pool.host.sandbox.run(["ovs-ofctl", f"--protocols={protocols}", "del-flows", "xenbr0"])
        assert not pool.hears(), "something else than the flows carries the traffic"
        pool.host.up(management)
        assert pool.hears()


@pytest.mark.parametrize("protocols", ["OpenFlow10", ""])
def test_flows_that_are_stale_go_on_a_bridge_without_bundles_too(protocols: str) -> None:
    """Management moves to a VLAN with its address: the flows of its former path are not there any more."""
    records, management = secure_records()
    with managed(records, management) as pool:
        vsctl(pool.host.sandbox, "set", "Bridge", "xenbr0", f"protocols=[{protocols}]")
        pool.trunk.carry(200, "192.0.2.1/24")
        new = records.vlan("eth0", 200, "xapi200", **static(OLD))

        pool.host.up(new, "--management")

        assert pool.flows()
        assert all("xapi200" in flow for flow in pool.flows())


def test_a_bridge_whose_flows_do_not_come_back_stands_in_nobody_else_s_way() -> None:
    """The switch refuses them, also on the way back: the run fails, and that of another PIF does not."""
    records, management = secure_records()
    with managed(records, management) as pool:
        program = pool.host.sandbox.bin / "ovs-ofctl"
        program.write_text(
            '#!/bin/sh\ncase "$*" in *add-flows*xenbr0.mgmt*) echo refused >&2; exit 1;; esac\n'
            'exec /usr/bin/ovs-ofctl "$@"\n'
        )
        program.chmod(0o755)
        records.vlan("eth0", 100, "xapi100")
        said = pool.refuses("eth0.100", "--no-deadman")
        assert "of the way back failed" in said

        other = pool.host.run("up", records.classes["PIF"][record_ref("pif eth1")])

        assert other.returncode == 0, other.stderr
        assert "of an earlier run: " in other.stderr
        assert "xenbr1" in bridges(pool.host.sandbox)
        program.unlink()
        pool.host.up(management)
        assert pool.hears()


def restart_switch(pool: Pool) -> None:
    """ovs-vswitchd dies and comes again, as its monitor has it: it knows no flow any more."""
    pool.host.sandbox.vswitchd.kill()
    pool.host.sandbox.vswitchd.start()


def start_openvswitch(pool: Pool) -> None:
    """What init and an admin run; it finds the switch running."""
    argv = [sys.executable, "-m", "xsagent.cli.main", "openvswitch", "start"]
    done = pool.host.sandbox.run([*argv, f"--root-prefix={pool.host.sandbox.root}"], check=False)
    assert done.returncode == 0, done.stderr


def test_management_is_reachable_again_when_the_switch_died_and_is_started() -> None:
    """Its flows are those of before; once they are there a second start leaves them alone."""
    records, management = secure_records()
    with managed(records, management) as pool:
        before = pool.flows()
        restart_switch(pool)
        assert not pool.hears(), "something else than the flows carries the traffic"

        start_openvswitch(pool)

        assert pool.hears()
        assert pool.flows() == before


def test_flows_that_are_not_wanted_any_more_do_not_come_back() -> None:
    """The pool became standalone again before the switch died."""
    records, management = secure_records()
    with managed(records, management) as pool:
        records.pool["other_config"].clear()
        pool.host.up(management)
        restart_switch(pool)

        start_openvswitch(pool)

        assert all("NORMAL" in flow for flow in pool.flows())
        assert pool.hears()


@pytest.mark.parametrize("bridge_goes", [False, True])
def test_flows_that_the_switch_forgot_do_not_come_back_once_management_is_elsewhere(*, bridge_goes: bool) -> None:
    """They would let whatever is on the old wire talk to dom0; nor on a bridge that somebody makes anew."""
    records, management = secure_records()
    with managed(records, management) as pool:
        restart_switch(pool)
        new = records.classes["PIF"][record_ref("pif eth1")]
        new.update(static("192.0.2.20"))
        pool.host.up(new, "--management", "--no-deadman")
        management["management"], new["management"] = False, True
        management.update(static(""), ip_configuration_mode="None")
        if bridge_goes:
            pool.host.down(management)
            anew = ("add-br", "xenbr0", "--", "set", "Bridge", "xenbr0", "datapath_type=netdev", "fail_mode=secure")
            vsctl(pool.host.sandbox, *anew, "--", "add-port", "xenbr0", "eth0")
        else:
            pool.host.up(management)

        start_openvswitch(pool)

        assert pool.flows() == set()
        assert pool.hears("192.0.2.20")


def test_a_controller_that_is_connected_has_the_last_word() -> None:
    """It may want no flow there: what it took out stays out."""
    records, management = secure_records()
    with managed(records, management) as pool:
        argv = (sys.executable, str(openflow_controller.__file__), _PORT)
        pool.host.sandbox.start_service(Service(name="controller", argv=argv))
        vsctl(pool.host.sandbox, "set-controller", "xenbr0", f"tcp:127.0.0.1:{_PORT}")
        vsctl(pool.host.sandbox, "--timeout=30", "wait-until", "Controller", "xenbr0", "is_connected=true")
        pool.host.sandbox.delete_flows("xenbr0")

        start_openvswitch(pool)

        assert pool.flows() == set()


def test_the_daemon_sees_the_switch_come_back_and_puts_management_s_flows_in() -> None:
    """Nobody runs anything: the host would be off the network until somebody goes there."""
    records, management = secure_records()
    with managed(records, management) as pool:
        before = pool.flows()
        argv = (sys.executable, "-m", "xsagent.cli.xsagentd", "--root-prefix={root}", "--no-syslog")
        pool.host.sandbox.start_service(Service(name="xsagentd", argv=argv, ready="run/xsagent/xsagentd.sock"))

        restart_switch(pool)

        wait_for(lambda: pool.flows() == before, 30, "management's flows did not come back")
        assert pool.hears()
