"""desired/, plan/ and the executor over generated hosts: plans lead where they must, and touch nothing else."""

from __future__ import annotations

from dataclasses import replace

from host_model import HostModel
from hypothesis import example, given
from others import FOREIGN_BRIDGE, FOREIGN_PORTS
from pinned import (
    BOND_THAT_KEEPS_ONE_MEMBER,
    MEMBER_THAT_VANISHES,
    NETWORK_THAT_CHANGES_ITS_NIC,
    SECURE_BOND_TAKEN_APART,
    SECURE_BOND_TAKES_MANAGEMENT,
    SECURE_VLAN_BESIDE_MANAGEMENT,
    VLAN_DOWN_BY_HAND,
)
from strategies import SCENARIOS, Scenario
from tally import TALLY
from walk import Attempt, hosts, run_plan, walk

from xsagent.apply.executor import Executed
from xsagent.plan.diff import build_plan
from xsagent.plan.follow_up import steps_to_follow
from xsagent.plan.steps import DeleteBridge, OvsdbStep, Plan
from xsagent.topology.codec import from_json, to_json
from xsagent.topology.ownership import is_vlan_bridge, ports_of_vlan_bridge
from xsagent.topology.values import ObjectKind, Port


@hosts()
@example(VLAN_DOWN_BY_HAND)
@given(SCENARIOS)
def test_a_plan_leads_to_what_was_wanted_and_a_second_one_is_empty(scenario: Scenario) -> None:
    """Convergence and idempotence: verify finds nothing required, and once DHCP answered nothing at all."""
    for attempt in walk(scenario):
        after = attempt.start.copy()
        executed = run_plan(attempt.plan, after)

        assert isinstance(executed, Executed), executed
        follow_up(attempt, after)
        left = [step for step in attempt.plan_for(after).steps if step.required]
        assert after.dhcp_answers is False or not left, left
        after.answer_dhcp()
        follow_up(attempt, after)
        # a client of the initscripts' own asks on by itself, unseen by the model
        is_seen = after.dhcp_answers or scenario.ip_backend == "netlink"
        assert not is_seen or attempt.plan_for(after).steps == ()


def follow_up(attempt: Attempt, after: HostModel) -> None:
    """What only the leases tell, as `carry_out` does it: here every client is given the same address."""
    run_plan(steps_to_follow(attempt.plan_for(after), attempt.desired.topology.ip_devices), after)


@hosts()
@given(SCENARIOS)
def test_all_ovsdb_changes_of_an_operation_are_one_transaction(scenario: Scenario) -> None:
    """Rule 3."""
    for attempt in walk(scenario):
        assert sum(isinstance(step, OvsdbStep) for step in attempt.plan.steps) <= 1


@hosts()
@example(BOND_THAT_KEEPS_ONE_MEMBER)
@example(NETWORK_THAT_CHANGES_ITS_NIC)
@given(SCENARIOS)
def test_no_bridge_has_a_second_uplink_of_ours(scenario: Scenario) -> None:
    """Frames would go round through both: a bond that keeps one member, a network that another NIC had before."""
    for attempt in walk(scenario):
        after = attempt.start.copy()
        run_plan(attempt.plan, after)
        pifs = attempt.world.snapshot.pifs.values()
        ours = {pif.device for pif in pifs if pif.vlan_record is None and not pif.tunnel_access_of}

        for name, bridge in attempt.desired.topology.bridges.items():
            wanted = ours & bridge.ports.keys()
            assert len(wanted) <= 1
            assert not wanted or ours & after.bridges[name].ports.keys() == wanted


@hosts()
@example(MEMBER_THAT_VANISHES)
@given(SCENARIOS)
def test_a_recorded_member_is_in_its_bond_whether_it_is_there_or_not(scenario: Scenario) -> None:
    """The switch takes a NIC in that appears; a row that is not there it cannot."""
    for attempt in walk(scenario):
        after = attempt.start.copy()
        run_plan(attempt.plan, after)

        for name, bridge in attempt.desired.topology.bridges.items():
            for port in bridge.ports.values():
                assert port.interfaces.keys() == after.bridges[name].ports[port.name].interfaces.keys()


@hosts()
@example(SECURE_VLAN_BESIDE_MANAGEMENT)
@example(SECURE_BOND_TAKES_MANAGEMENT)
@example(SECURE_BOND_TAKEN_APART)
@given(SCENARIOS)
def test_a_secure_bridge_carries_management_after_every_operation(scenario: Scenario) -> None:
    """Also where management only moves along, or stands by, while another PIF comes up."""
    for attempt in walk(scenario):
        after = attempt.start.copy()
        run_plan(attempt.plan, after)
        device = management_device(attempt)
        wanted = attempt.desired.management

        assert wanted is None or after.lets_through(wanted.device), attempt.event
        if device is not None and attempt.start.lets_through(device):
            TALLY["management kept reachable"] += 1
            assert after.lets_through(device), attempt.event


def management_device(attempt: Attempt) -> str | None:
    """The device of the management PIF as the records have it, where it is on a bridge before and after."""
    pif = attempt.world.snapshot.management_pif()
    return None if pif is None else attempt.world.snapshot.bridge_of(pif)


@hosts()
@given(SCENARIOS)
def test_what_others_put_there_survives_every_operation(scenario: Scenario) -> None:
    """Rule 4: foreign bridges, ports, controllers, QoS and keys; ports of others move when their bridge goes."""
    for attempt in walk(scenario):
        after = attempt.start.copy()
        run_plan(attempt.plan, after)

        _assert_foreign_bridge_same(attempt, after)
        _assert_foreign_ports_there(attempt, after)
        _assert_foreign_keys_there(attempt, after)
        assert _link_states(after, "vif") == _link_states(attempt.start, "vif")
        assert after.addresses.get("eth8") == attempt.start.addresses.get("eth8")
        assert after.links["eth8"] == attempt.start.links["eth8"]


@hosts()
@given(SCENARIOS)
def test_the_same_input_gives_the_same_plan(scenario: Scenario) -> None:
    """Determinism, whatever the order in which tables list their rows."""
    for attempt in walk(scenario):
        world, event = attempt.world, attempt.event
        again = world.desired(event)
        assert again == attempt.desired
        turned = attempt.start.copy()
        for name in ("bridges", "links", "addresses", "clients"):
            setattr(turned, name, dict(reversed(getattr(turned, name).items())))
        observed = turned.observe(frozenset(again.topology.files))
        assert build_plan(again, observed, world.plan_options(event, turned)) == attempt.plan


@hosts()
@given(SCENARIOS)
def test_a_plan_comes_back_from_the_journal_as_it_was(scenario: Scenario) -> None:
    """Nothing is lost in JSON, neither of the steps with their undo nor of what was wanted."""
    for attempt in walk(scenario):
        assert from_json(Plan, to_json(attempt.plan)) == attempt.plan
        assert from_json(type(attempt.desired), to_json(attempt.desired)) == attempt.desired


def _assert_foreign_bridge_same(attempt: Attempt, after: HostModel) -> None:
    before = attempt.start.bridges.get(FOREIGN_BRIDGE)
    if before is None:
        return
    present = after.bridges[FOREIGN_BRIDGE]
    taken = set(before.ports) - set(present.ports)
    # a NIC of a PIF is ours, wherever it is
    assert taken <= attempt.desired.ownership.devices, taken
    assert {**present.ports, **{name: before.ports[name] for name in taken}} == before.ports
    assert (present.external_ids, present.controllers, present.fail_mode, present.extra, present.other_config) == (
        before.external_ids,
        before.controllers,
        before.fail_mode,
        before.extra,
        before.other_config,
    )
    assert after.addresses.get(FOREIGN_BRIDGE) == attempt.start.addresses.get(FOREIGN_BRIDGE)
    assert after.links[FOREIGN_BRIDGE] == attempt.start.links[FOREIGN_BRIDGE]


def _assert_foreign_ports_there(attempt: Attempt, after: HostModel) -> None:
    lost_with = _ports_that_may_go(attempt)
    present = _foreign_ports(after)
    for name, port in _foreign_ports(attempt.start).items():
        if name in lost_with:
            continue
        assert name in present, f"{name} is gone"
        place, now = port_place(attempt.start, name), port_place(after, name)
        below = _vlan_bridge(attempt.start, place, port)
        if place in after.bridges and below in {None, _vlan_bridge(after, place, port)}:
            TALLY["foreign ports kept"] += 1
            assert (now, present[name]) == (place, port)
        else:
            TALLY["foreign ports moved along"] += 1
            moves = attempt.desired.moves
            targets = _port_names(after) & {below, moves.get(place), moves.get(below or "")}
            assert now in {port_place(after, target) for target in targets}, f"{name} went from {place} to {now}"
            assert replace(present[name], tag=port.tag) == port
        if name.startswith("sdn"):
            assert _ip(attempt.start, name) == _ip(after, name), f"{name} lost its configuration"


def port_place(model: HostModel, name: str) -> str:
    """The real bridge that a port is on; a bridge has a port of its name."""
    (place,) = (bridge.name for bridge in model.bridges.values() if name in bridge.ports)
    return place


def _port_names(model: HostModel) -> set[str]:
    return {name for bridge in model.bridges.values() for name in bridge.ports}


def _vlan_bridge(model: HostModel, place: str, port: Port) -> str | None:
    """The VLAN bridge on a bridge that a port with a tag belongs to."""
    ports = model.bridges[place].ports.values()
    names = [other.name for other in ports if is_vlan_bridge(other) and other.tag == port.tag is not None]
    return names[0] if names else None


def _ports_that_may_go(attempt: Attempt) -> set[str]:
    """Ports on a bridge that this operation takes down without a successor."""
    gone: set[str] = set()
    for key in attempt.desired.topology.absent:
        if key.kind is not ObjectKind.BRIDGE or key.name in attempt.desired.moves:
            continue
        for bridge in attempt.start.bridges.values():
            port = bridge.ports.get(key.name)
            if bridge.name == key.name:
                gone |= set(bridge.ports)
            elif port is not None and is_vlan_bridge(port):
                gone |= {rider.name for rider in ports_of_vlan_bridge(bridge, port)}
    return gone


def _assert_foreign_keys_there(attempt: Attempt, after: HostModel) -> None:
    deleted = {
        operation.name
        for step in attempt.plan.steps
        if isinstance(step, OvsdbStep)
        for operation in step.operations
        if isinstance(operation, DeleteBridge)
    }
    for name, bridge in attempt.start.bridges.items():
        if name in deleted:
            continue
        present = after.bridges[name]
        assert present.controllers == bridge.controllers
        assert present.extra == bridge.extra
        for column in ("external_ids", "other_config"):
            for key in ("admin-note", "datapath-id"):
                assert getattr(present, column).get(key) == getattr(bridge, column).get(key)


def _foreign_ports(model: HostModel) -> dict[str, Port]:
    return {
        name: port
        for bridge in model.bridges.values()
        for name, port in bridge.ports.items()
        if name.startswith(FOREIGN_PORTS)
    }


def _link_states(model: HostModel, prefix: str) -> dict[str, object]:
    return {name: link for name, link in model.links.items() if name.startswith(prefix)}


def _ip(model: HostModel, name: str) -> tuple[object, ...]:
    link = model.links.get(name)
    return (link.up if link else None, model.addresses.get(name), model.routes.get(name))
