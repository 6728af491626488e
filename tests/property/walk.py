"""Walks through a scenario: yields each operation that can be planned, with host and plan as they were before it.

Between two operations the plan is run whole, as the flow does it, so that later operations start from states that
earlier ones made.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from host_model import HostModel, parts
from hypothesis import settings
from strategies import Event, Scenario
from tally import TALLY
from world import World

from xsagent.apply.executor import Executed, Failed, execute, roll_back
from xsagent.apply.outcome import RolledBack
from xsagent.errors import (
    DeviceAbsentError,
    ForeignObjectError,
    InputError,
    InUseError,
    NetlinkError,
    NotFoundError,
    XsagentError,
)
from xsagent.plan.diff import build_plan
from xsagent.plan.settle import settle_undo
from xsagent.plan.steps import Plan, Step
from xsagent.topology.desired import Desired

REFUSALS = (DeviceAbsentError, ForeignObjectError, InputError, InUseError, NotFoundError)
_SHORT = 100
"""Examples of the short profile (tests/conftest.py)."""


def hosts(share: float = 1.0) -> settings:
    """How many hosts a test generates: 50, or 1,100 in the long profile, so that all tests together see over 10,000.

    Args:
        share: less for a test that does very much with each.
    """
    is_long = settings().max_examples > _SHORT
    return settings(max_examples=int((1100 if is_long else 50) * share))


@dataclass(frozen=True)
class Attempt:
    """One operation about to be done.

    Attributes:
        start: the host before; never changed, take a copy.
    """

    world: World
    event: Event
    desired: Desired
    plan: Plan
    start: HostModel

    def plan_for(self, model: HostModel) -> Plan:
        """A fresh plan for the same operation, as verify makes it."""
        options = replace(self.world.plan_options(self.event, model), keep_ports=False)
        return build_plan(self.desired, model.observe(frozenset(self.desired.topology.files)), options)


def walk(scenario: Scenario) -> Iterator[Attempt]:
    """Each operation in turn; refused ones change nothing and are passed over."""
    world = World(scenario)
    TALLY["hosts"] += 1
    for event in scenario.events:
        if event.what not in {"up", "down"}:
            world.edit(event)
            continue
        try:
            desired = world.desired(event)
            observed = world.model.observe(frozenset(desired.topology.files))
            plan = build_plan(desired, observed, world.plan_options(event, world.model))
        except REFUSALS:
            TALLY["refused"] += 1
            continue
        TALLY["operations"] += 1
        TALLY["steps"] += len(plan.steps)
        yield Attempt(world=world, event=event, desired=desired, plan=plan, start=world.model)
        after = world.model.copy()
        executed = run_plan(plan, after)
        assert isinstance(executed, Executed), f"{event}: {executed}"
        world.take_over(event, after)


def run_plan(plan: Plan, model: HostModel, begin: Callable[[Step], None] = lambda _: None) -> object:
    """Run a plan on a model by the real executor."""
    return execute(plan, model.run, begin, _quiet)


def undo(begun: Sequence[Step], model: HostModel, run: Callable[[Step], None] | None = None) -> object:
    """Take steps back by the real executor."""
    model.strict = False
    failed = Failed(begun=tuple(begun), cause="the test asks for it")
    return roll_back(failed, run or model.run, _quiet, settler(model))


def assert_undone(ended: object, model: HostModel, start: HostModel, what: str) -> None:
    """Rolled back, and every fact of the host as it was."""
    assert isinstance(ended, RolledBack), f"{what}: {ended}"
    assert_same(model, start, what)


def assert_same(model: HostModel, start: HostModel, what: str) -> None:
    """The same state; the message names what differs.

    A client that asked all the time may have got its lease; an ifup that undid an ifdown has set what the old file
    says, also where somebody had taken that away by hand.
    """
    answered = start.copy()
    answered.answer_dhcp()
    before, after = start.state(), model.state()
    if after == answered.state():
        return
    filed = start.as_filed().state()
    for name, present in after.items():
        if present != before[name]:
            assert isinstance(present, dict), f"{what}: {name} is {present}, was {before[name]}"
            was = before[name]
            assert isinstance(was, dict)
            good = {key: (was.get(key), filed[name].get(key)) for key in {*present, *was}}
            different = [key for key in good if present.get(key) not in good[key]]
            if not different:
                continue
            shown = "\n".join(f"  {key}: is {present.get(key)}\n    was {was.get(key)}" for key in different)
            raise AssertionError(f"{what}: {name} differ:\n{shown}")


class Killed(BaseException):
    """SIGKILL: nobody catches it, nothing is cleaned up."""


@dataclass
class FaultyRun:
    """Runs steps on a model until a fault: at step number `step`, after `done` of its parts.

    Attributes:
        fault: raised then; NetlinkError is a refusal, Killed the end of the process.
    """

    model: HostModel
    step: int
    done: int
    fault: type[BaseException]
    seen: int = 0

    def run(self, step: Step) -> None:
        """Have the effect of one step, or of a part of it."""
        if self.seen != self.step:
            self.seen += 1
            self.model.run(step)
            return
        self.seen += 1
        self.model.strict = False
        with contextlib.suppress(XsagentError):  # a part that is refused ends the step as well
            for part in list(parts(step))[: self.done]:
                self.model.run(part)
        TALLY["faults"] += 1
        raise NetlinkError("the test makes it fail") if self.fault is NetlinkError else self.fault


def settler(model: HostModel) -> Callable[[Sequence[Step]], Sequence[Step]]:
    """What the flow gives the executor: undo steps without what the switch shows as done."""
    return lambda steps: settle_undo(steps, model.bridges)


def _quiet(_event: str, _step: Step, _text: str) -> None:
    """The log is not what these tests are about."""
