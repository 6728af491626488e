"""Undo, failure and SIGKILL at every step of the plans of generated hosts: the host is as it was, or as wanted."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from host_model import HostModel, parts
from hypothesis import example, given
from pinned import SECURE_VLAN_BESIDE_MANAGEMENT
from strategies import SCENARIOS, Scenario
from tally import TALLY
from walk import Attempt, FaultyRun, Killed, assert_same, assert_undone, hosts, run_plan, settler, undo, walk

from xsagent.apply.executor import Executed, Failed, RunStep, execute, roll_back
from xsagent.apply.journal import NAME, Journal, JournalEntries, read_journal
from xsagent.apply.outcome import Applied, RolledBack
from xsagent.apply.recovery import recover
from xsagent.errors import NetlinkError
from xsagent.plan.options import PlanOptions
from xsagent.plan.steps import Plan, Step
from xsagent.topology.desired import Desired
from xsagent.topology.values import Topology

BOOT = "boot-1"


@hosts()
@example(SECURE_VLAN_BESIDE_MANAGEMENT)
@given(SCENARIOS)
def test_the_undo_of_any_prefix_brings_back_the_state(scenario: Scenario) -> None:
    """Rule 5: every step has an undo, and they are exact in every combination that can arise."""
    for attempt in walk(scenario):
        done = attempt.start.copy()
        for count, step in enumerate(attempt.plan.steps, 1):
            _run_quietly(done, step)
            back = done.copy()
            TALLY["undone prefixes"] += 1
            assert_undone(undo(attempt.plan.steps[:count], back), back, attempt.start, f"{attempt.event} after {count}")


@hosts()
@given(SCENARIOS)
def test_a_failure_at_any_step_takes_everything_back(scenario: Scenario) -> None:
    """A required step that fails, before its effect or in the middle of it, ends in RolledBack."""
    for attempt in walk(scenario):
        for number, done in _places(attempt):
            if not attempt.plan.steps[number].required:
                continue
            model = attempt.start.copy()
            faulty = FaultyRun(model=model, step=number, done=done, fault=NetlinkError)
            failed = execute(attempt.plan, faulty.run, _nothing, _quiet)
            assert isinstance(failed, Failed)
            ended = roll_back(failed, faulty.run, _quiet, settler(model))
            assert_undone(ended, model, attempt.start, f"{attempt.event} failing at {number}.{done}")


@hosts(0.25)
@given(SCENARIOS)
def test_a_kill_at_any_point_is_recovered(scenario: Scenario) -> None:
    """The next run brings the old state back, or finds the new one; also when it is killed itself and runs again."""
    with tempfile.TemporaryDirectory(dir=_memory()) as name:
        for attempt in walk(scenario):
            _kill_everywhere(attempt, Path(name))


@hosts(0.5)
@given(SCENARIOS)
def test_a_kill_while_a_failure_is_taken_back_is_recovered(scenario: Scenario) -> None:
    """The executor dies in its own undo, at each undo step in turn."""
    with tempfile.TemporaryDirectory(dir=_memory()) as name:
        for attempt in walk(scenario):
            lines = _journal_lines(attempt, Path(name))
            count = len(attempt.plan.steps)
            for position in range(len(_undo_of(attempt, count))):
                model = attempt.start.copy()
                for step in attempt.plan.steps:
                    _run_quietly(model, step)
                # where fewer undo steps are left than were planned, this is a kill after the last
                with contextlib.suppress(Killed):
                    undo(attempt.plan.steps, model, FaultyRun(model=model, step=position, done=1, fault=Killed).run)
                entries = _entries(Path(name), lines[: count + 1])
                _recover_to(attempt, entries, model, f"{attempt.event} killed in undo {position}")


@hosts(0.2)
@given(SCENARIOS)
def test_a_step_that_can_be_taken_back_is_on_disk_before_its_effect(scenario: Scenario) -> None:
    """Rule 5: journaled with fsync before the effect, and with it all that was begun before."""
    with tempfile.TemporaryDirectory(dir=_memory()) as name, pytest.MonkeyPatch.context() as patch:
        synced: list[int] = []
        patch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
        for attempt in walk(scenario):
            model, ran = attempt.start.copy(), 0
            journal = Journal(directory=Path(name), boot=BOOT, operation="op", desired=attempt.desired)

            def run(step: Step, model: HostModel = model) -> None:
                nonlocal ran
                ran += 1
                if step.undo:
                    on_disk = (Path(name) / NAME).read_bytes()[: synced[-1]].splitlines()
                    assert len(on_disk) == ran + 1, step
                    assert on_disk[-1].endswith(b"}"), step
                model.run(step)

            execute(attempt.plan, run, journal.begin, _quiet)
            journal.close()


def _kill_everywhere(attempt: Attempt, place: Path) -> None:
    lines = _journal_lines(attempt, place)
    # the journal as it was when each step had begun, and the next line cut off in the middle
    left = [_entries(place, [*lines[: number + 2], lines[-1][:20]]) for number in range(len(attempt.plan.steps))]
    for number, done in _places(attempt):
        model = attempt.start.copy()
        faulty = FaultyRun(model=model, step=number, done=done, fault=Killed)
        with pytest.raises(Killed):
            execute(attempt.plan, faulty.run, _nothing, _quiet)
        entries = left[number]
        what = f"{attempt.event} killed at {number}.{done} {attempt.plan.steps[number]}"
        for position in range(0, len(entries.undo_steps(BOOT)), 3):
            again = model.copy()
            _recover_killed(entries, again, position)
            _recover_to(attempt, entries, again, f"{what}, then in recovery {position}")
        _recover_to(attempt, entries, model, what)


def _recover_to(attempt: Attempt, entries: JournalEntries, model: HostModel, what: str) -> None:
    ended = _recover(entries, model, model.run)
    if isinstance(ended, Applied):
        TALLY["recovered forward"] += 1
        assert not any(step.required for step in attempt.plan_for(model).steps), what
        return
    TALLY["recovered back"] += 1
    assert isinstance(ended, RolledBack), f"{what}: {ended}"
    assert_same(model, attempt.start, what)


def _recover_killed(entries: JournalEntries, model: HostModel, position: int) -> None:
    faulty = FaultyRun(model=model, step=position, done=position % 2, fault=Killed)
    with contextlib.suppress(Killed):
        _recover(entries, model, faulty.run)


def _recover(entries: JournalEntries, model: HostModel, run: RunStep) -> object:
    def observe(desired: Desired) -> Topology:
        return model.observe(frozenset(desired.topology.files))

    options = PlanOptions(keep_ports=False, refused_features=model.refused, refused_settings=model.refused_settings)
    return recover(
        entries,
        boot=BOOT,
        observe=observe,
        run_step=run,
        report=_quiet,
        reachable=lambda _: True,
        options=options,
        settle=settler(model),
    )


def _places(attempt: Attempt) -> Iterator[tuple[int, int]]:
    """Each step with each number of its parts done."""
    for number, step in enumerate(attempt.plan.steps):
        for done in range(len(list(parts(step))) + 1):
            yield number, done


def _journal_lines(attempt: Attempt, place: Path) -> list[str]:
    """The journal of the whole run, line by line, by the real writer."""
    journal = Journal(directory=place, boot=BOOT, operation="op", desired=attempt.desired)
    for step in attempt.plan.steps:
        journal.begin(step)
    journal.close()
    return (place / NAME).read_text(encoding="utf-8").splitlines(keepends=True) if attempt.plan.steps else [""]


def _entries(place: Path, lines: list[str]) -> JournalEntries:
    (place / NAME).write_text("".join(lines), encoding="utf-8")
    entries = read_journal(place)
    assert entries is not None
    return entries


def _undo_of(attempt: Attempt, count: int) -> list[Step]:
    return [back for step in reversed(attempt.plan.steps[:count]) for back in step.undo]


def _run_quietly(model: HostModel, step: Step) -> None:
    """As the executor: what is refused is passed over where it is best effort."""
    assert isinstance(run_plan(Plan(steps=(step,)), model), Executed)


def _memory() -> str | None:
    """A directory in memory: thousands of fsyncs would be the disk's test."""
    memory = Path("/dev", "shm")
    return str(memory) if memory.is_dir() else None


def _nothing(_step: Step) -> None:
    """The journal is written beforehand."""


def _quiet(_event: str, _step: Step, _text: str) -> None:
    """The log is not what these tests are about."""
