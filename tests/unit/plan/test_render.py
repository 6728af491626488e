"""xsagent/plan/render.py and describe_operation.py: the plan that a dry run prints."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Interface, IPv6Network
from typing import get_args

import pytest

from xsagent.plan.describe_operation import describe_operation, describe_relied
from xsagent.plan.render import describe_step, render_plan
from xsagent.plan.steps import (
    AddInterface,
    AddPort,
    AddressStep,
    AnnounceStep,
    CreateBridge,
    CreateVlanLinkStep,
    DeleteBridge,
    DeleteLinkStep,
    DeletePort,
    FeaturesStep,
    FileStep,
    IfdownStep,
    IfupStep,
    IgmpQueryStep,
    LinkSettingsStep,
    LinkStep,
    MoveMirror,
    MovePort,
    OvsdbOperation,
    OvsdbStep,
    Plan,
    Relied,
    RemoveInterface,
    ResolverStep,
    RouteStep,
    SafetyFlowsStep,
    SetColumns,
    SetKeys,
    SetMirror,
    StartDhcpStep,
    Step,
    StopDhcpStep,
    SysctlStep,
    UpdateIssueStep,
    VirtualFunctionsStep,
    WaitCarrierStep,
)
from xsagent.topology.desired import Reason
from xsagent.topology.values import Address, Bridge, DhcpClient, Interface, Port, Resolver, Route


def _port(interface: Interface) -> Port:
    return Port(name=interface.name, interfaces={interface.name: interface})


def _bond() -> Port:
    members = {name: Interface(name=name) for name in ("eth2", "eth1")}
    return Port(name="bond0", bond_mode="balance-slb", bond_updelay=31000, interfaces=members)


def _bridge() -> Bridge:
    return Bridge(
        name="xenbr0",
        fail_mode="standalone",
        hwaddr="52:54:00:00:00:01",
        external_ids={"xs-network-uuids": "11111111-1"},
        ports={"xenbr0": _port(Interface(name="xenbr0", type="internal")), "bond0": _bond()},
    )


def _plan() -> Plan:
    address = Address(interface=IPv4Interface("192.0.2.10/24"))
    raise_nic = LinkStep(
        device="eth0", up=True, mtu=9000, reason="it is down", undo=(LinkStep(device="eth0", up=False, mtu=1500),)
    )
    transaction = OvsdbStep(
        operations=(
            CreateBridge(bridge=_bridge()),
            AddPort(bridge="xenbr0", port=_port(Interface(name="eth0", mtu_request=9000))),
            SetKeys(table="Bridge", record="xapi1", column="other_config", keys={"hwaddr": "aa", "old": None}),
        ),
        relied=(Relied(table="Bridge", record="xenbr0", column="name", value=False),),
        ports=("eth0",),
        reason="the switch's configuration",
        management=True,
        undo=(OvsdbStep(operations=(DeleteBridge(name="xenbr0"),)),),
    )
    steps: tuple[Step, ...] = (
        raise_nic,
        FeaturesStep(device="eth0", features={"tso": False, "gro": True}, required=False, reason="offloads differ"),
        transaction,
        AddressStep(device="xenbr0", add=(address,), management=True, reason="the record says so"),
    )
    # ten steps, so that the numbers need two columns
    return Plan(
        steps=(*steps, *(AnnounceStep(device=f"xapi{n}", required=False, management=True) for n in range(6))),
        warnings=("VIF port vif1.0 stands on xenbr9\nand stays",),
    )


PLAN = """\
 1. set link eth0 mtu 9000, up  # it is down
 2. set offloads of eth0: gro on tso off [best effort]  # offloads differ
 3. change Open vSwitch in one transaction of 3 operations [management]  # the switch's configuration
    create bridge xenbr0 fail_mode=standalone other_config:hwaddr=52:54:00:00:00:01 \
external_ids:xs-network-uuids=11111111-1
      with port bond0 bond_mode=balance-slb bond_updelay=31000
        with interface eth1
        with interface eth2
      with port xenbr0 type=internal
    add to bridge xenbr0 port eth0 mtu_request=9000
    set Bridge xapi1 other_config:hwaddr=aa
    remove from Bridge xapi1 other_config:old
 4. addresses of xenbr0: add 192.0.2.10/24 [management]  # the record says so
 5. announce the addresses of xapi0 to its neighbours [best effort] [management]
 6. announce the addresses of xapi1 to its neighbours [best effort] [management]
 7. announce the addresses of xapi2 to its neighbours [best effort] [management]
 8. announce the addresses of xapi3 to its neighbours [best effort] [management]
 9. announce the addresses of xapi4 to its neighbours [best effort] [management]
10. announce the addresses of xapi5 to its neighbours [best effort] [management]
decided:
  xenbr0: choose gateway device: it is the management interface
  WARNING 198.51.100.0/24: pass over route: its gateway is not reachable
WARNING VIF port vif1.0 stands on xenbr9\\nand stays
"""

REASONS = (
    Reason(event="choose_gateway_device", subject="xenbr0", text="it is the management interface"),
    Reason(event="pass_over_route", subject="198.51.100.0/24", text="its gateway is not reachable", warning=True),
)


def test_a_plan_is_numbered_lines_with_their_reasons() -> None:
    """A person who knows OVS but not us understands each line and why it is there."""
    assert render_plan(_plan(), REASONS) == PLAN


def test_verbose_adds_what_is_relied_on_and_the_undo() -> None:
    """How each step is taken back, without the undo's own reason."""
    text = render_plan(Plan(steps=(_plan().steps[0], _plan().steps[2])), verbose=True)

    assert text.splitlines() == [
        "1. set link eth0 mtu 9000, up  # it is down",
        "   undo: set link eth0 mtu 1500, down",
        "2. change Open vSwitch in one transaction of 3 operations [management]  # the switch's configuration",
        *(line[1:] for line in PLAN.splitlines()[3:11]),
        "   relies on Bridge xenbr0 being absent",
        "   undo: change Open vSwitch in one transaction of 1 operation",
        "         delete bridge xenbr0 with its ports",
    ]


def test_flows_stand_below_their_step() -> None:
    """Each flow in full: whoever reads the plan can judge what will pass."""
    step = SafetyFlowsStep(bridge="xenbr0", lines=("priority=0,arp actions=LOCAL",), reason="it becomes secure")

    assert render_plan(Plan(steps=(step,))).splitlines() == [
        "1. put 1 safety flow into bridge xenbr0  # it becomes secure",
        "   flow priority=0,arp actions=LOCAL",
    ]


def test_an_empty_plan_says_that_nothing_is_to_do() -> None:
    """No output would look like a failure; a warning is printed all the same."""
    assert render_plan(Plan()) == "Nothing to do: the host is as it should be.\n"
    assert render_plan(Plan(warnings=("w",))) == "Nothing to do: the host is as it should be.\nWARNING w\n"


_ROUTES = (
    Route(destination=IPv4Network("0.0.0.0/0"), gateway=IPv4Address("192.0.2.1")),
    Route(destination=IPv6Network("2001:db8::/32"), gateway=None),
)

_STEPS: list[tuple[Step, str]] = [
    (SafetyFlowsStep(bridge="xenbr0", lines=("a", "b")), "put 2 safety flows into bridge xenbr0"),
    (SafetyFlowsStep(bridge="xenbr0", lines=()), "take our safety flows out of bridge xenbr0"),
    (VirtualFunctionsStep(device="eth0"), "give eth0 its virtual functions"),
    (VirtualFunctionsStep(device="eth0", remove=True), "take the virtual functions of eth0 away"),
    (LinkStep(device="eth0", mac="52:54:00:00:00:01"), "set link eth0 mac 52:54:00:00:00:01"),
    (CreateVlanLinkStep(device="eth0.5", parent="eth0", tag=5), "create VLAN device eth0.5 with tag 5 on eth0"),
    (DeleteLinkStep(device="eth0.5"), "delete device eth0.5"),
    (IgmpQueryStep(bridge="xenbr0"), "ask the guests on bridge xenbr0 for their multicast groups"),
    (WaitCarrierStep(devices=("eth1", "eth2"), seconds=5.0), "wait at most 5 s for carrier on eth1 eth2"),
    (
        LinkSettingsStep(device="eth0", settings={"speed": "1000", "autoneg": "off"}),
        "set link settings of eth0: autoneg off speed 1000",
    ),
    (SysctlStep(values={"ipv6/conf/xenbr0/accept_ra": "0"}), "set sysctl net/ipv6/conf/xenbr0/accept_ra = 0"),
    (
        AddressStep(
            device="xenbr0",
            add=(Address(interface=IPv4Interface("192.0.2.10/24")),),
            remove=(Address(interface=IPv6Interface("2001:db8::1/64")),),
        ),
        "addresses of xenbr0: add 192.0.2.10/24, remove 2001:db8::1/64",
    ),
    (
        RouteStep(device="xenbr0", add=_ROUTES[:1], remove=_ROUTES[1:]),
        "routes of xenbr0: set default via 192.0.2.1, remove 2001:db8::/32 on the link",
    ),
    (
        StartDhcpStep(device="xenbr0", client=DhcpClient(family=4, configuration="")),
        "start a DHCP client on xenbr0 and wait for its lease",
    ),
    (
        StartDhcpStep(device="xenbr0", client=DhcpClient(family=6, configuration="")),
        "start a DHCPv6 client on xenbr0 and wait for its lease",
    ),
    (StopDhcpStep(device="xenbr0", family=4), "stop the DHCP client on xenbr0"),
    (StopDhcpStep(device="xenbr0", family=6), "stop the DHCPv6 client on xenbr0"),
    (StopDhcpStep(device="xenbr0", family=4, flush=True), "stop the DHCP client on xenbr0 and take its lease off"),
    (FileStep(path="/etc/a", text="x\n"), "write file /etc/a (1 line)"),
    (FileStep(path="/etc/a", text="x\ny\n"), "write file /etc/a (2 lines)"),
    (FileStep(path="/etc/a", text=None), "remove file /etc/a"),
    (
        ResolverStep(resolver=Resolver(servers=("192.0.2.53",))),
        "put into resolv.conf: servers 192.0.2.53, search none",
    ),
    (
        ResolverStep(resolver=Resolver(search=("a.example", "b.example"))),
        "put into resolv.conf: servers none, search a.example b.example",
    ),
    (IfupStep(device="xenbr0"), "run ifup xenbr0"),
    (IfdownStep(device="xenbr0"), "run ifdown xenbr0"),
    (AnnounceStep(device="xenbr0"), "announce the addresses of xenbr0 to its neighbours"),
    (UpdateIssueStep(), "run update-issue"),
]


@pytest.mark.parametrize(("step", "text"), _STEPS, ids=[text for _, text in _STEPS])
def test_a_step_is_one_clause(step: Step, text: str) -> None:
    """The same words stand in the plan, in the log and in an error."""
    assert describe_step(step) == text


_OPERATIONS: list[tuple[OvsdbOperation, list[str]]] = [
    (DeletePort(bridge="xenbr0", name="eth0"), ["delete port eth0 from bridge xenbr0"]),
    (
        MovePort(name="vif1.0", source="xenbr0", target="xapi1"),
        ["move port vif1.0 from bridge xenbr0 to bridge xapi1"],
    ),
    (
        AddInterface(port="bond0", interface=Interface(name="eth3", other_config={"lacp-actor-key": "7"})),
        ["add to port bond0 interface eth3 other_config:lacp-actor-key=7"],
    ),
    (RemoveInterface(port="bond0", name="eth3"), ["remove interface eth3 from port bond0"]),
    (
        SetColumns(
            table="Port",
            record="bond0",
            columns={
                "tag": ["set", []],
                "trunks": ["set", [1, 2]],
                "fake_bridge": True,
                "lacp": "",
                "qos": ["uuid", "x"],
            },
        ),
        ['set Port bond0 fake_bridge=true lacp="" qos=["uuid", "x"] tag=[] trunks=[1,2]'],
    ),
    (
        SetKeys(table="Interface", record="vif1.0", column="external_ids", keys={"name": "a b", "eq": "x=y"}),
        ['set Interface vif1.0 external_ids:eq="x=y" external_ids:name="a b"'],
    ),
    (
        SetMirror(
            bridge="xenbr0",
            columns={"name": "m", "select_all": True, "select_vlan": 5, "output_port": {"table": "Port", "name": "p"}},
        ),
        ['add to bridge xenbr0 mirror m output_port={"table": "Port", "name": "p"} select_all=true select_vlan=5'],
    ),
    (SetMirror(bridge="xenbr0", columns={"name": "m"}, present=False), ["remove mirror m from bridge xenbr0"]),
    (
        MoveMirror(mirror={"table": "Mirror", "uuid": "u", "row": {"name": "m"}}, source="xenbr0", target="xapi0"),
        ["move mirror m from bridge xenbr0 to bridge xapi0"],
    ),
    (
        AddPort(bridge="xenbr0", port=Port(name="vlan5", tag=5, fake_bridge=True, interfaces={}, extra={"qos": "q"})),
        ["add to bridge xenbr0 port vlan5 tag=5 fake_bridge=true qos=q"],
    ),
]


@pytest.mark.parametrize(("operation", "lines"), _OPERATIONS, ids=[lines[0] for _, lines in _OPERATIONS])
def test_an_operation_is_written_as_ovs_vsctl_would(operation: OvsdbOperation, lines: list[str]) -> None:
    """Every column that it sets is named; what has blanks or brackets is quoted."""
    assert describe_operation(operation) == lines


@pytest.mark.parametrize(
    ("relied", "text"),
    [
        (Relied(table="Port", record="eth0", column="name", value=True), "Port eth0 being there"),
        (Relied(table="Port", record="eth0", column="name", value=False), "Port eth0 being absent"),
        (
            Relied(table="Bridge", record="xenbr0", column="ports", value=["eth0", "vif1.0"]),
            "Bridge xenbr0 having ports eth0 vif1.0",
        ),
        (Relied(table="Port", record="eth0", column="tag", value=["set", []]), "Port eth0 tag=[]"),
    ],
)
def test_what_a_transaction_relies_on_is_a_clause(relied: Relied, text: str) -> None:
    """A conflict report names what changed meanwhile."""
    assert describe_relied(relied) == text


def test_every_step_and_every_operation_has_words() -> None:
    """A new kind of step without words here is a failing test, not a traceback in front of a user."""
    without_words = [kind for kind in get_args(Step) if describe_step.dispatch(kind) is describe_step.dispatch(object)]
    without_words += [
        kind
        for kind in get_args(OvsdbOperation)
        if describe_operation.dispatch(kind) is describe_operation.dispatch(object)
    ]

    assert without_words == []


def test_what_is_no_step_is_a_programming_error() -> None:
    """The two catch-alls name the type that lacks words."""

    @dataclass
    class Strange:
        """No step of ours."""

    with pytest.raises(TypeError, match="Strange"):
        describe_step(Strange())  # type: ignore[arg-type]  # the point of the test
    with pytest.raises(TypeError, match="Strange"):
        describe_operation(Strange())  # type: ignore[arg-type]  # the point of the test
