"""apply/outcome.py: a person is told what came back, and what did not."""

from __future__ import annotations

from xsagent.apply.outcome import RolledBack, Stuck
from xsagent.plan.steps import LinkStep

LOST = ("vif1.0 may not be locked", "a route is gone")


def test_what_was_wholly_taken_back_is_as_it_was() -> None:
    """Cause first."""
    assert RolledBack(cause="no gateway").tell("the host") == "no gateway; the host is as it was before"


def test_what_did_not_come_back_is_named_and_nothing_is_said_to_be_as_it_was() -> None:
    """Each thing that is lost has its clause."""
    said = RolledBack(cause="no gateway", lost=LOST).tell("the switch")

    assert said == "no gateway; all was taken back but for this: vif1.0 may not be locked; a route is gone"


def test_a_way_back_that_failed_says_what_to_do() -> None:
    """And what is lost besides."""
    stuck = Stuck(
        cause="no gateway", left=(LinkStep(device="eth0", up=True),), problems=("eth0 is gone",), lost=LOST[:1]
    )

    assert stuck.tell() == (
        "no gateway; and 1 steps of the way back failed: eth0 is gone; run the command again; vif1.0 may not be locked"
    )
