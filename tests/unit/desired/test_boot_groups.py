"""desired/boot_groups.py: who is at fault is found in few tries, and costs nobody else."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xsagent.desired.boot_groups import BootGroups
from xsagent.model.records import Ref

MEMBERS = [Ref(f"pif {number}") for number in range(90)]


def bring_up(members: list[Ref], faulty: set[Ref]) -> tuple[set[Ref], set[Ref], int]:
    """As `up_all` does where no failure names anybody: who is up, who was found at fault, after how many tries."""
    groups, up, left_out, tries = BootGroups([members[:1], members[1:]]), set[Ref](), set[Ref](), 0
    while groups.take(left_out):
        tries += 1
        assert not set(groups.tried) & set(groups.postponed)
        if not faulty & set(groups.tried):
            up |= set(groups.tried)
            groups.came_up()
        elif len(groups.tried) > 1:
            groups.failed()
        else:
            left_out |= set(groups.tried)
            groups.found()
    return up, left_out, tries


@pytest.mark.parametrize("faulty", [1, 2, 45, 88, 89])
def test_one_at_fault_is_found_in_a_try_for_each_halving_and_few_more(faulty: int) -> None:
    """Management, all others, the halves, itself, and once the rest."""
    one = {MEMBERS[faulty]}

    up, left_out, tries = bring_up(MEMBERS, one)

    assert (up, left_out) == (set(MEMBERS) - one, one)
    assert tries <= math.ceil(math.log2(len(MEMBERS))) + 4


@given(st.integers(1, 60).flatmap(lambda count: st.tuples(st.just(count), st.sets(st.integers(0, count - 1)))))
def test_all_come_up_but_those_at_fault(case: tuple[int, set[int]]) -> None:
    """However many these are, management too."""
    members = MEMBERS[: case[0]]
    faulty = {MEMBERS[number] for number in case[1]}

    up, left_out, _ = bring_up(members, faulty)

    assert (up, left_out) == (set(members) - faulty, faulty)


def test_a_fault_that_is_gone_when_looked_for_costs_nobody() -> None:
    """A failure that comes once: in the end all are up."""
    groups = BootGroups([MEMBERS[:1], MEMBERS[1:]])
    groups.take(())
    groups.came_up()
    groups.take(())
    groups.failed()
    up = set(MEMBERS[:1])

    while groups.take(()):
        up |= set(groups.tried)
        groups.came_up()

    assert up == set(MEMBERS)
