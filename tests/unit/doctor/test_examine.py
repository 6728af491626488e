"""xsagent/doctor: order, exit codes, each thing once, and what is said of facts that no sandbox can be given."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

import pytest
from pictured_hosts import bridge, interface, ip_device, link, nic, port, topology, tunnel

from xsagent.doctor.check_mtu import check_mtu
from xsagent.doctor.check_peers import check_peers
from xsagent.doctor.examine import examine
from xsagent.doctor.facts import DaemonFacts, Facts, Peer, Probes, Records, SwitchFacts
from xsagent.doctor.findings import Finding, Severity, exit_code, in_order
from xsagent.topology.values import Origin, Topology


def finding(severity: Severity, kind: str = "some-kind", subject: str = "eth0") -> Finding:
    """A finding of that severity."""
    return Finding(id=kind, severity=severity, subject=subject, problem="it is so", reason="it matters")


@pytest.mark.parametrize(
    ("severities", "code"),
    [
        ([], 0),
        ([Severity.INFO], 0),
        ([Severity.WARNING, Severity.INFO], 3),
        ([Severity.WARNING, Severity.ERROR], 1),
    ],
)
def test_the_exit_code_is_that_of_the_worst(severities: list[Severity], code: int) -> None:
    """0 nothing or information, 3 warnings alone, 1 errors; 2 stays a wrong command line."""
    assert exit_code([finding(severity) for severity in severities]) == code


def test_the_worst_comes_first_and_nothing_twice() -> None:
    """Then by kind and object, so that two runs read the same."""
    findings = [
        finding(Severity.INFO),
        finding(Severity.ERROR, "b"),
        finding(Severity.ERROR, "a"),
        finding(Severity.INFO),
    ]

    assert [(one.severity, one.id) for one in in_order(findings)] == [
        (Severity.ERROR, "a"),
        (Severity.ERROR, "b"),
        (Severity.INFO, "some-kind"),
    ]


def test_what_others_follow_from_comes_first() -> None:
    """Among those that are as bad, whatever its kind is called."""
    cause = replace(finding(Severity.ERROR, "z"), is_cause=True)

    assert [one.id for one in in_order([finding(Severity.ERROR, "a"), cause])] == ["z", "a"]


def test_behind_a_dead_switch_no_gateway_is_to_blame() -> None:
    """Nobody has to check a VLAN that is right."""
    silent = Probes(gateways={("xenbr0", ipaddress.ip_address("192.0.2.1")): False})

    kinds = {one.id for one in examine(Facts(probes=silent, unread={Peer.SWITCH: "it does not answer"}))}

    assert "vswitchd-down" in kinds
    assert "gateway-silent" not in kinds


def test_who_is_not_root_hears_that_first_and_of_no_dead_peer() -> None:
    """What it may not ask may well live."""
    denied = "ovsdb-server may not be asked on db.sock (Permission denied): run this as root"

    findings = examine(Facts(is_root=False, unread={Peer.OVSDB: denied, Peer.XENSTORE: "it ended"}))

    assert findings[0].id == "not-root"
    assert {one.id for one in findings} & {"ovsdb-server-down", "xenstored-unreachable"} == {"xenstored-unreachable"}


def test_a_host_of_which_nothing_could_be_read_is_still_examined() -> None:
    """Every peer dead: a finding each, and no check stumbles over what is not there."""
    peers = [value for name, value in vars(Peer).items() if name.isupper()]
    facts = Facts(
        unread=dict.fromkeys(peers, "it does not answer"),
        topology=Topology(switch_alive=False, complete=False),
        records=Records(cache_path="/var/xapi/network.dbcache", cache_problem="it does not exist"),
    )

    findings = examine(facts)

    assert {one.subject for one in findings} >= set(peers)
    assert all(one.problem and one.reason for one in findings)


@pytest.mark.parametrize(("threads", "found"), [(0, True), (4, False), (None, False)])
def test_a_switch_without_handler_threads_loses_packets(threads: int | None, *, found: bool) -> None:
    """Seen with Open vSwitch 3.1 that started within ten seconds of boot (udev-xen.md); a restart mends it."""
    facts = Facts(switch=SwitchFacts(handler_threads=threads), topology=topology([bridge("xenbr0")], [], []))

    findings = [one for one in check_peers(facts) if one.id == "no-handler-threads"]

    assert bool(findings) is found
    assert all(one.severity is Severity.ERROR and one.mend == ("xsagent openvswitch restart",) for one in findings)


def test_a_switch_that_waits_for_its_flows_is_not_told_to_restart() -> None:
    """It has no handler threads either; another restart would not give it any."""
    switch = SwitchFacts(handler_threads=0, flow_restore_wait=True)

    (found,) = check_peers(Facts(switch=switch, topology=topology([bridge("xenbr0")], [], [])))

    assert (found.id, found.severity) == ("flow-restore-wait", Severity.ERROR)
    assert found.mend == ("ovs-vsctl remove Open_vSwitch . other_config flow-restore-wait",)


def test_commands_carry_the_root_prefix() -> None:
    """What is typed must reach the same host that was examined; a prefix with a blank is quoted."""
    facts = Facts(root="/tmp/my root", unread={Peer.SWITCH: "it does not answer"})  # noqa: S108 - no file is touched

    (found,) = check_peers(facts)

    assert found.mend == ("xsagent openvswitch start '--root-prefix=/tmp/my root'",)


@pytest.mark.parametrize(
    ("kind", "remote", "inner", "fits"),
    [
        ("gre", "192.0.2.20", 1458, True),
        ("gre", "192.0.2.20", 1459, False),
        ("vxlan", "192.0.2.20", 1450, True),
        ("vxlan", "192.0.2.20", 1451, False),
        ("vxlan", "2001:db8::20", 1430, True),
        ("vxlan", "2001:db8::20", 1431, False),
        ("vxlan", "203.0.113.20", 1450, True),
    ],
)
def test_a_tunnels_overhead_counts(kind: str, remote: str, inner: int, *, fits: bool) -> None:
    """GRE 42, VXLAN 50, 20 more over IPv6 (features.md section 8); the route to its end says what carries it."""
    bridges = [bridge("xenbr0", port("eth0")), bridge("xapi1", tunnel("tun0", kind, remote))]
    addresses = ip_device("xenbr0", ("192.0.2.10/24", Origin.STATIC), ("2001:db8::10/64", Origin.STATIC))
    host = topology(bridges, [nic(0), link("xenbr0"), link("xapi1", mtu=inner)], [addresses])

    found = [one for one in check_mtu(Facts(topology=host)) if one.id == "tunnel-mtu"]

    assert bool(found) is not fits


def test_a_port_of_the_switch_without_a_report_is_no_fault_of_a_dead_switch() -> None:
    """A dead switch is one finding and not one at each port."""
    dead = bridge("xenbr0", port("nosuch0", interface("nosuch0", ofport=-1)))
    facts = Facts(topology=topology([dead], [], []), unread={Peer.SWITCH: "it does not answer"})

    assert {one.id for one in examine(facts) if one.severity is Severity.ERROR} == {"vswitchd-down", "cache-unreadable"}


def test_a_silent_gateway_elsewhere_is_a_warning() -> None:
    """Only management's default gateway is an error."""
    gateway = ipaddress.ip_address("198.51.100.1")

    findings = examine(Facts(probes=Probes(gateways={("xenbr1", gateway): False})))

    assert [one.severity for one in findings if one.id == "gateway-silent"] == [Severity.WARNING]


@pytest.mark.parametrize(
    ("facts", "kind"),
    [
        (DaemonFacts(answers=True, processes=frozenset({"ovs-xapi-sync"})), "rival-daemon"),
        (DaemonFacts(answers=True, failing=(("vif1.0", "its bridge xapi9 does not exist"),)), "daemon-key-failing"),
        (DaemonFacts(foreign_rules="/etc/udev/rules.d/xen-backend.rules"), "vif-rules-twice"),
    ],
)
def test_what_stands_beside_the_daemon_or_fails_in_it(facts: DaemonFacts, kind: str) -> None:
    """Named with what is to be done about it."""
    (found,) = [one for one in examine(Facts(daemon=facts)) if one.id == kind]

    assert found.mend or found.by_hand
