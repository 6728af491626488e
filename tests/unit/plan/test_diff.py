"""plan/diff.py: what the planner's one entry adds to its parts."""

from __future__ import annotations

from collections.abc import Mapping

from xsagent.plan.diff import build_plan
from xsagent.plan.options import PlanOptions
from xsagent.plan.steps import FileStep, IgmpQueryStep, ResolverStep, VirtualFunctionsStep
from xsagent.topology.desired import Desired
from xsagent.topology.network_scripts import SYSCONFIG_NETWORK, ifcfg_path
from xsagent.topology.values import Bridge, Link, Resolver, Topology


def test_virtual_functions_that_a_run_makes_go_with_it_where_nobody_holds_one() -> None:
    """Rule 5: every step has an undo; best effort, since a guest may have got one meanwhile."""
    desired = Desired(topology=Topology(), virtual_functions=frozenset({"eth2", "eth3"}))
    observed = Topology(
        links={name: Link(name=name, virtual_functions=int(name == "eth3")) for name in ("eth2", "eth3")}
    )

    (step,) = build_plan(desired, observed, PlanOptions()).steps

    assert step.undo == (VirtualFunctionsStep(device="eth2", remove=True, required=False),)


def test_virtual_functions_go_where_a_run_made_them_and_no_guest_may_have_one() -> None:
    """Those that stay are named; a NIC that is gone has none, and is no reason to refuse."""
    observed = Topology(
        links={
            "eth2": Link(name="eth2", virtual_functions=8, functions_are_spare=True),
            "eth3": Link(name="eth3", virtual_functions=8),
            "eth4": Link(name="eth4", virtual_functions=0),
            "eth5": Link(name="eth5", virtual_functions=8, functions_are_spare=True),
        }
    )
    released = frozenset({"eth2", "eth3", "eth4", "eth9"})

    plan = build_plan(Desired(topology=Topology(), released_functions=released), observed, PlanOptions())

    (step,) = plan.steps
    assert isinstance(step, VirtualFunctionsStep)
    assert (step.device, step.remove, step.undo) == ("eth2", True, (VirtualFunctionsStep(device="eth2"),))
    (warning,) = plan.warnings
    assert warning.startswith("the virtual functions of eth3 stay: ")


def test_guests_are_asked_for_their_groups_where_snooping_begins() -> None:
    """With the setting, or on a bridge that takes their ports over; not where it is on, nor on a bridge without any."""

    def queries(present: Mapping[str, bool], moves: Mapping[str, str]) -> list[str]:
        wanted = {
            name: Bridge(name=name, mcast_snooping=name != "off") for name in ("off", "xapi0", "xenbr0", "xenbr1")
        }
        bridges = {name: Bridge(name=name, mcast_snooping=snooping) for name, snooping in present.items()}
        desired = Desired(topology=Topology(bridges=wanted), moves=moves)
        steps = build_plan(desired, Topology(bridges=bridges), PlanOptions()).steps
        return [step.bridge for step in steps if isinstance(step, IgmpQueryStep) and not step.required]

    assert queries({"off": False, "xenbr0": False, "xenbr1": True}, {}) == ["xenbr0"]
    assert queries({"xenbr0": True}, {"xenbr2": "xapi0"}) == ["xapi0"]


def test_at_a_boot_files_that_only_help_keep_no_device_down() -> None:
    """resolv.conf, and what the network scripts keep of gateway and DNS; by its own file a device comes up."""
    files = dict.fromkeys((SYSCONFIG_NETWORK, ifcfg_path("xenbr0")), "KEY=value\n")
    desired = Desired(topology=Topology(files=files, resolver=Resolver(servers=("192.0.2.53",))))

    def required(*, at_boot: bool) -> list[bool]:
        steps = build_plan(desired, Topology(), PlanOptions(at_boot=at_boot)).steps
        assert [type(step) for step in steps[:3]] == [FileStep, FileStep, ResolverStep]
        return [step.required for step in steps[:3]]

    assert required(at_boot=False) == [True, True, True]
    assert required(at_boot=True) == [False, True, False]
