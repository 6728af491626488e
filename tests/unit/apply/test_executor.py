"""apply/executor.py: each step is journaled before its effect; the first failure says what goes, the last first."""

from __future__ import annotations

from xsagent.apply.executor import Executed, Failed, execute, roll_back, subject_of
from xsagent.apply.outcome import RolledBack, Stuck, Subject
from xsagent.errors import (
    ApplyError,
    ConflictError,
    DhcpSilentError,
    NetlinkError,
    RouteLostError,
    UnlockedError,
)
from xsagent.plan.steps import AddressStep, FileStep, IfupStep, LinkStep, OvsdbStep, Plan, StartDhcpStep, Step
from xsagent.topology.values import DhcpClient


class Recorder:
    """Runs steps by writing down their devices; fails where it is told to."""

    def __init__(self, failures: dict[str, Exception] | None = None) -> None:
        self.events: list[str] = []
        self.failures = failures or {}

    def begin(self, step: Step) -> None:
        """Note that a step was journaled."""
        self.events.append(f"begin {name(step)}")

    def run(self, step: Step) -> None:
        """Note the effect, or fail."""
        if name(step) in self.failures:
            raise self.failures[name(step)]
        self.events.append(name(step))

    def report(self, _event: str, _step: Step, _text: str) -> None:
        """The log is not what these tests are about."""


def name(step: Step) -> str:
    """A word for a step."""
    return getattr(step, "device", "") or getattr(step, "path", "")


def step(device: str, *, required: bool = True) -> LinkStep:
    """A step whose undo is named after it."""
    return LinkStep(device=device, up=True, required=required, undo=(LinkStep(device=f"un{device}", up=False),))


def test_each_step_is_journaled_before_its_effect() -> None:
    """The journal knows of an effect before it happens (DESIGN.md rule 5)."""
    recorder = Recorder()

    execute(Plan(steps=(step("a"), step("b"))), recorder.run, recorder.begin, recorder.report)

    assert recorder.events == ["begin a", "a", "begin b", "b"]


def test_a_failed_step_ends_the_run_and_everything_begun_goes_last_first() -> None:
    """The failed step's own undo runs too: its effect may have happened in part. Each runs once, told by the flow."""
    recorder = Recorder({"c": NetlinkError("no")})
    plan = Plan(steps=(step("a"), step("b"), step("c"), step("d")))

    failed = execute(plan, recorder.run, recorder.begin, recorder.report)

    about = Subject(things=frozenset({"c"}))
    assert failed == Failed(begun=plan.steps[:3], cause="no", subject=about)
    assert recorder.events[-1] == "begin c"
    assert roll_back(failed, recorder.run, recorder.report) == RolledBack(cause="no", subject=about)
    assert recorder.events[-4:] == ["begin c", "unc", "unb", "una"]


def test_what_steps_are_about_tells_a_device_from_its_addresses() -> None:
    """What rides on a bridge needs the bridge, and not its addresses; a file is one of somebody's."""
    steps = (
        LinkStep(device="eth0", up=True),
        IfupStep(device="xenbr0"),
        AddressStep(device="xenbr1"),
        FileStep(path="/etc/x", text="new"),
        OvsdbStep(operations=(), ports=("eth1",)),
    )

    assert subject_of(steps) == Subject(
        things=frozenset({"eth0", "/etc/x"}), ip_devices=frozenset({"xenbr0", "xenbr1"})
    )


def test_a_best_effort_step_that_fails_stops_nothing() -> None:
    """An offload that the driver refuses is no reason to go back."""
    recorder = Recorder({"b": NetlinkError("no")})
    plan = Plan(steps=(step("a"), step("b", required=False), step("c")))

    assert isinstance(execute(plan, recorder.run, recorder.begin, recorder.report), Executed)
    assert recorder.events[-1] == "c"


def test_being_told_to_end_stops_even_at_a_best_effort_step() -> None:
    """SIGTERM in the middle of a best-effort step still takes everything back."""
    recorder = Recorder({"b": ApplyError("told to end")})
    plan = Plan(steps=(step("a"), step("b", required=False)))

    ended = execute(plan, recorder.run, recorder.begin, recorder.report)

    assert isinstance(ended, Failed)
    assert (ended.begun, ended.cause) == (plan.steps, "told to end")


def test_a_silent_dhcp_server_is_reported_and_nothing_is_taken_back() -> None:
    """The client keeps trying; the caller decides what silence means."""
    recorder = Recorder({"a": DhcpSilentError("no server")})
    start = StartDhcpStep(device="a", client=DhcpClient(family=4, configuration=""))

    ended = execute(Plan(steps=(start, step("b"))), recorder.run, recorder.begin, recorder.report)

    assert ended == Executed(begun=(start, step("b")), silent_dhcp="no server")


def test_a_conflict_that_was_taken_back_says_that_a_fresh_plan_may_work() -> None:
    """What the plan relied on changed: nothing is wrong with the operation itself."""
    recorder = Recorder({"b": ConflictError("a port came")})

    failed = execute(Plan(steps=(step("a"), step("b"))), recorder.run, recorder.begin, recorder.report)

    assert isinstance(failed, Failed)
    ended = roll_back(failed, recorder.run, recorder.report)
    assert isinstance(ended, RolledBack)
    assert (ended.cause, ended.conflict) == ("a port came", True)


def test_an_undo_that_fails_is_named_and_the_others_still_run() -> None:
    """Stuck says what is left, and leaves no more than it must."""
    recorder = Recorder({"unb": NetlinkError("no")})

    ended = roll_back(Failed(begun=(step("a"), step("b")), cause="cause"), recorder.run, recorder.report)

    assert ended == Stuck(cause="cause", left=(LinkStep(device="unb", up=False),), problems=("no",))
    assert recorder.events == ["una"]


def test_a_route_that_nothing_can_bring_back_is_told_and_does_not_hold_later_runs_up() -> None:
    """Somebody deleted its device meanwhile: rolled back all the same, once named."""
    gone = RouteLostError("the route to 10.0.0.0/8 cannot come back: b is gone")
    recorder = Recorder({"unb": gone})

    ended = roll_back(Failed(begun=(step("a"), step("b"), step("b")), cause="cause"), recorder.run, recorder.report)

    assert ended == RolledBack(cause="cause", lost=(str(gone),))
    assert recorder.events == ["una"]


def test_guests_that_an_undo_leaves_unlocked_do_not_hold_later_runs_up() -> None:
    """The switch is as it was; who has the guests' flows in hand says what became of them."""
    recorder = Recorder({"unb": UnlockedError("the locking flows of vif1.0 could not be put right: no")})

    ended = roll_back(Failed(begun=(step("a"), step("b")), cause="cause"), recorder.run, recorder.report)

    assert ended == RolledBack(cause="cause")
    assert recorder.events == ["una"]


def test_what_is_lost_is_told_beside_an_undo_that_fails() -> None:
    """Stuck or not, a route that is gone is gone."""
    gone = RouteLostError("the route to 10.0.0.0/8 cannot come back: b is gone")
    recorder = Recorder({"una": NetlinkError("no"), "unb": gone})

    ended = roll_back(Failed(begun=(step("a"), step("b")), cause="cause"), recorder.run, recorder.report)

    assert isinstance(ended, Stuck)
    assert ended.lost == (str(gone),)


def test_a_journal_that_cannot_be_written_prevents_the_effect() -> None:
    """A full disk stops the run before the step, and what was begun before it is to be taken back."""
    recorder = Recorder()

    def begin(journaled: Step) -> None:
        if isinstance(journaled, FileStep):
            raise OSError(28, "No space left on device")
        recorder.begin(journaled)

    plan = Plan(steps=(step("a"), FileStep(path="/etc/x", text="")))

    failed = execute(plan, recorder.run, begin, recorder.report)

    assert isinstance(failed, Failed)
    assert failed.begun == (step("a"),)
    assert recorder.events == ["begin a", "a"]
