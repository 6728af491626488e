"""A boot on generated hosts: whatever one PIF's fault, management comes up, and so do all that are not at fault."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from others import internal_link, make_port
from strategies import SCENARIOS, Event, Scenario
from tally import TALLY
from walk import REFUSALS, hosts, run_plan, walk
from world import World

from xsagent.apply.executor import Executed
from xsagent.desired.boot import BootDesired, build_boot_desired
from xsagent.model.records import Ref
from xsagent.plan.diff import build_plan
from xsagent.plan.options import PlanOptions
from xsagent.plan.steps import OvsdbStep, Plan
from xsagent.topology.desired import Desired
from xsagent.up_all import find_refused


@hosts()
@given(SCENARIOS, st.sets(st.integers(0, 3), max_size=2), st.none() | st.integers(0, 9))
def test_whatever_one_pifs_fault_all_others_come_up(scenario: Scenario, gone: set[int], in_the_way: int | None) -> None:
    """Absent NICs, bridges of others in the way, bad records: each costs only what rides on it."""
    world = _host_at_boot(scenario, gone, in_the_way)

    boot, plan = _plan_boot(world)

    TALLY["left out of a boot"] += len(boot.left_out)
    assert sum(isinstance(step, OvsdbStep) for step in plan.steps) <= 1
    after = world.model.copy()
    assert isinstance(run_plan(plan, after), Executed)
    management = world.snapshot.management_pif()
    if management is None:
        return
    if management.ref in boot.left_out:
        TALLY["management not up after a boot"] += 1
        assert _is_refused_by_itself(world, management.ref), boot.left_out[management.ref]
        return
    TALLY["management up after a boot"] += 1
    assert all(after.links[device].up is True for device in boot.part(management).topology.ip_devices)


def _host_at_boot(scenario: Scenario, gone: Collection[int], in_the_way: int | None) -> World:
    """The host after all that happened to it, with NICs away and a VLAN bridge of somebody else on a wanted tag."""
    world = World(scenario)
    for attempt in walk(scenario):
        world = attempt.world
    for number in gone:
        if f"eth{number}" in world.model.links:
            world.edit(Event(what="nic vanishes", first=number))
    vlans = [pif for pif in world.snapshot.pifs.values() if pif.vlan_record is not None]
    if in_the_way is not None and vlans:
        wanted = vlans[in_the_way % len(vlans)]
        carrier = world.snapshot.carrier_of(wanted)
        bridge = world.model.bridges.get(world.snapshot.bridge_of(carrier)) if carrier is not None else None
        if bridge is not None:
            _put_vlan_bridge(world, bridge.name, wanted.vlan)
    return world


def _put_vlan_bridge(world: World, bridge: str, tag: int) -> None:
    """A VLAN bridge that somebody made by hand."""
    hand = replace(make_port("hand", "internal"), tag=tag, fake_bridge=True)
    present = world.model.bridges[bridge]
    world.model.bridges[bridge] = replace(present, ports={**present.ports, "hand": hand})
    world.model.links["hand"] = internal_link("hand")


def _plan_boot(world: World) -> tuple[BootDesired, Plan]:
    """As `up_all` plans it."""
    left_out: dict[Ref, str] = {}
    while True:
        boot = _build(world, left_out)
        try:
            return boot, _plan(world, boot.desired)
        except REFUSALS:
            refused = find_refused(boot, lambda part: _plan(world, part))
            assert refused, "the planner refuses the whole, and no part of it"
            left_out = {**boot.left_out, **refused}


def _is_refused_by_itself(world: World, ref: Ref) -> bool:
    """Whether a boot that is to bring up nothing else cannot either."""
    if ref in _build(world, {}).left_out:
        return True  # by the records, which may contradict each other
    boot = _build(world, {}, postponed=world.snapshot.pifs.keys() - {ref})
    try:
        _plan(world, boot.desired)
    except REFUSALS:
        return True
    return False


def _build(world: World, left_out: Mapping[Ref, str], postponed: Collection[Ref] = ()) -> BootDesired:
    return build_boot_desired(world.snapshot, world.facts_now(), world.options, left_out, postponed)


def _plan(world: World, desired: Desired) -> Plan:
    model = world.model
    options = PlanOptions(refused_features=model.refused, refused_settings=model.refused_settings)
    return build_plan(desired, model.observe(frozenset(desired.topology.files)), options)
