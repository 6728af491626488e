"""apply/recovery.py: a dead run is proved or taken back; what cannot be planned any more is no reason to give up."""

from __future__ import annotations

from xsagent.apply.journal import JournalEntries
from xsagent.apply.outcome import Applied, RolledBack, Stuck
from xsagent.apply.recovery import recover
from xsagent.errors import DeviceAbsentError, NetlinkError, XsagentError
from xsagent.plan.options import PlanOptions
from xsagent.plan.steps import FileStep, LinkStep, Step
from xsagent.topology.desired import Desired, Ownership
from xsagent.topology.values import Link, Topology

UP = LinkStep(device="eth0", up=True, undo=(LinkStep(device="eth0", up=False),))
FILE = FileStep(path="/etc/x", text="new", undo=(FileStep(path="/etc/x", text="old"),))
WANTED = Desired(topology=Topology(links={"eth0": Link(name="eth0", up=True)}), ownership=Ownership())


def run(entries: JournalEntries, observed: Topology, *, boot: str = "b", fail: XsagentError | None = None) -> object:
    """Recover; returns the outcome and the steps that were run."""
    ran: list[Step] = []

    def run_step(step: Step) -> None:
        if fail is not None:
            raise fail
        ran.append(step)

    ended = recover(
        entries,
        boot=boot,
        observe=lambda _: observed,
        run_step=run_step,
        report=lambda *_: None,
        reachable=lambda _: False,
        options=PlanOptions(keep_ports=False),
    )
    return ended, ran


def entries(*, answered: frozenset[int] = frozenset(), desired: Desired | None = WANTED) -> JournalEntries:
    """What a run left that raised a link and wrote a file."""
    return JournalEntries(boot="b", operation="up", answered=answered, begun=(UP, FILE), desired=desired)


def test_a_state_that_verifies_stays() -> None:
    """Nothing is run."""
    assert run(entries(), Topology(links={"eth0": Link(name="eth0", up=True)})) == (Applied(changed=False), [])


def test_under_the_deadman_it_stays_only_when_the_gateway_answers() -> None:
    """Here it does not."""
    ended, ran = run(entries(answered=frozenset({4})), Topology(links={"eth0": Link(name="eth0", up=True)}))

    assert isinstance(ended, RolledBack)
    assert ran == [*FILE.undo, *UP.undo]


def test_a_device_that_is_gone_does_not_keep_the_rest_from_being_taken_back() -> None:
    """The plan cannot be made, so the state does not verify; no run may be refused for ever because of it."""
    ended, ran = run(entries(), Topology())

    assert isinstance(ended, RolledBack)
    assert ran == [*FILE.undo, *UP.undo]


def test_an_undo_on_a_device_that_is_gone_is_done() -> None:
    """Nothing is left to bring back."""
    ended, _ = run(entries(), Topology(), fail=DeviceAbsentError("eth0 is gone"))

    assert isinstance(ended, RolledBack)


def test_an_undo_that_fails_is_stuck_and_named() -> None:
    """The journal then stays for the next run."""
    ended, _ = run(entries(), Topology(), fail=NetlinkError("no"))

    assert isinstance(ended, Stuck)
    assert ended.left == (*FILE.undo, *UP.undo)


def test_after_a_reboot_only_files_are_restored() -> None:
    """Also when the present state would verify: it is made afresh."""
    _, ran = run(entries(), Topology(links={"eth0": Link(name="eth0", up=True)}), boot="another")

    assert ran == [*FILE.undo]


def test_a_run_that_left_no_word_of_what_it_wanted_is_taken_back() -> None:
    """Nothing could prove it done."""
    _, ran = run(entries(desired=None), Topology())

    assert ran == [*FILE.undo, *UP.undo]
