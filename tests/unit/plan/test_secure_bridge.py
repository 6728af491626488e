"""plan/secure_bridge.py: which safety flows a secure bridge is to have, and which come back."""

from __future__ import annotations

from dataclasses import replace

from xsagent.plan.secure_bridge import build_safety_flows, restore_safety_flows, safety_steps
from xsagent.plan.settle import settle_undo
from xsagent.plan.steps import DeletePort, OvsdbStep, SafetyFlowsStep
from xsagent.topology.desired import Desired, ManagementPath
from xsagent.topology.values import Bridge, Interface, IpDevice, Link, ObjectKey, ObjectKind, Port, Topology

MAC = "00:16:3e:00:00:01"


def port(name: str, kind: str = "", tag: int | None = None, ofport: int | None = 1) -> Port:
    """A port of one interface."""
    mac = MAC if tag is not None else None
    return Port(name=name, tag=tag, interfaces={name: Interface(name=name, type=kind, mac=mac, ofport=ofport)})


BRIDGE = Bridge(
    name="xenbr0",
    fail_mode="secure",
    hwaddr=MAC,
    ports={
        "xenbr0": port("xenbr0", "internal"),
        "xapi5": port("xapi5", "internal", 5),
        "eth0": port("eth0"),
        "vif1.0": port("vif1.0"),
    },
)
PATHS = {name: ManagementPath(device=name, ports=(name, "xenbr0", "eth0", "eth1")) for name in ("xenbr0", "xapi5")}


def lines_for(device: str) -> tuple[str, ...]:
    """The flows of management on this device."""
    flows = build_safety_flows(PATHS[device], {"xenbr0": BRIDGE})
    assert flows is not None
    return flows.lines


UNTAGGED, TAGGED = lines_for("xenbr0"), lines_for("xapi5")


def observed(*lines: str) -> Topology:
    """The bridge with these flows."""
    return Topology(bridges={"xenbr0": replace(BRIDGE, safety_flows=lines)}, links={"eth0": Link(name="eth0")})


def planned(desired: Desired, present: Topology) -> list[tuple[str, ...]]:
    """The lines of each step, where the transaction changes nothing."""
    return [step.lines for step in safety_steps(desired, present, present.bridges)]


def test_flows_come_from_the_bridge_as_it_will_be_not_from_what_the_operation_speaks_of() -> None:
    """Another PIF's `up` says nothing about management's port, and flushes its flows all the same."""
    desired = Desired(topology=Topology(), management=PATHS["xapi5"])

    assert planned(desired, observed()) == [TAGGED]
    assert planned(desired, observed(*TAGGED)) == []


def test_guests_ports_and_devices_that_are_not_there_are_no_way_to_management() -> None:
    """Only NICs of its path that the host has."""
    assert not any("vif" in line or "eth1" in line for line in (*UNTAGGED, *TAGGED))


def test_as_many_flows_of_another_path_are_not_the_wanted_ones() -> None:
    """An undo that put the wrong VLAN's in would otherwise never be mended."""
    wrong = tuple(line.replace("dl_vlan=5", "dl_vlan=6") for line in TAGGED)

    assert planned(Desired(topology=Topology(), management=PATHS["xapi5"]), observed(*wrong)) == [TAGGED]


def test_the_order_and_quotes_in_which_the_switch_shows_flows_are_no_difference() -> None:
    """As ovs-ofctl prints them: actions behind a space, names quoted where they need it."""
    shown = [line.replace(",actions", " actions").replace("xapi5", '"xapi5"') for line in reversed(TAGGED)]

    assert planned(Desired(topology=Topology(), management=PATHS["xapi5"]), observed(*shown)) == []


def test_flows_of_the_former_path_stay_until_its_device_gives_up_its_configuration() -> None:
    """Both paths are up while the new one is verified; the retirement, or a later operation, takes the old ones."""
    desired = Desired(topology=Topology(), management=PATHS["xapi5"])
    assert planned(desired, observed(*UNTAGGED)) == [(*TAGGED, *UNTAGGED)]
    assert planned(desired, observed(*TAGGED, *UNTAGGED)) == []

    bare = IpDevice(device="xenbr0", ipv4_mode="none", ipv6_mode="none")
    retired = Desired(topology=Topology(ip_devices={"xenbr0": bare}))
    absent = Desired(topology=Topology(absent=frozenset({ObjectKey(kind=ObjectKind.IP_DEVICE, name="xenbr0")})))
    for giving_up in (retired, absent):
        assert planned(giving_up, observed(*TAGGED, *UNTAGGED)) == [TAGGED]


def test_of_flows_that_the_switch_forgot_those_stay_kept_that_are_wanted() -> None:
    """They come back by themselves, where no controller speaks. The others do not, unless this is taken back."""
    kept = replace(BRIDGE, safety_flows=(), kept_flows=(*UNTAGGED, *TAGGED))
    present = Topology(bridges={"xenbr0": kept}, links={"eth0": Link(name="eth0")})
    bare = IpDevice(device="xenbr0", ipv4_mode="none", ipv6_mode="none")
    giving_up = Desired(topology=Topology(ip_devices={"xenbr0": bare}))

    assert planned(Desired(topology=Topology()), present) == []
    assert planned(giving_up, present) == [TAGGED]
    only = Topology(bridges={"xenbr0": replace(kept, kept_flows=UNTAGGED)})
    steps = safety_steps(giving_up, only, only.bridges)
    assert [step.lines for step in steps] == [()]
    assert restore_safety_flows(only.bridges, only.bridges, steps) == [SafetyFlowsStep(bridge="xenbr0", lines=UNTAGGED)]
    assert restore_safety_flows(only.bridges, {}, []) == [SafetyFlowsStep(bridge="xenbr0", lines=UNTAGGED)]
    assert restore_safety_flows(only.bridges, only.bridges, []) == []


def test_flows_through_a_port_that_is_gone_are_neither_kept_nor_brought_back() -> None:
    """The switch shows it by number, and would refuse the others along with one that names it."""
    dead = "priority=0,in_port=7,dl_dst=00:16:3e:00:00:01 actions=LOCAL"
    present = observed(*UNTAGGED, dead)

    desired = Desired(topology=Topology(), management=PATHS["xapi5"])
    steps = safety_steps(desired, present, present.bridges)

    assert [step.lines for step in steps] == [(*TAGGED, *UNTAGGED)]
    assert [step.lines for step in restore_safety_flows(present.bridges, present.bridges, steps)] == [UNTAGGED]


def test_a_bridge_that_goes_gets_its_flows_back() -> None:
    """A bridge that the undo makes anew has none."""
    present = observed(*UNTAGGED)

    restored = restore_safety_flows(present.bridges, {}, [])

    assert restored == [SafetyFlowsStep(bridge="xenbr0", lines=UNTAGGED)]


def test_a_way_back_leaves_out_flows_whose_port_or_bridge_somebody_took_away() -> None:
    """Otherwise no later run could ever finish it."""
    undo = (
        OvsdbStep(operations=(DeletePort(bridge="xenbr0", name="xapi5"),)),
        SafetyFlowsStep(bridge="xenbr0", lines=(*UNTAGGED, *TAGGED)),
        SafetyFlowsStep(bridge="xenbr1", lines=UNTAGGED),
    )

    assert settle_undo(undo, {"xenbr0": BRIDGE})[1:] == (SafetyFlowsStep(bridge="xenbr0", lines=UNTAGGED),)
    no_device = replace(BRIDGE, ports={**BRIDGE.ports, "eth0": port("eth0", ofport=-1)})
    (step,) = settle_undo((SafetyFlowsStep(bridge="xenbr0", lines=TAGGED),), {"xenbr0": no_device})
    assert step == SafetyFlowsStep(bridge="xenbr0", lines=TAGGED[:1])
