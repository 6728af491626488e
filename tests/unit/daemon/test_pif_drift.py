"""daemon/pif_drift.py: when PIFs are compared, and what of it is said."""

from __future__ import annotations

from xsagent.daemon.pif_drift import AFTER_CHANGE_S, AGAIN_S, LEAST_S, PERIOD_S, SHARE, DriftClock


def test_what_is_found_twice_is_said() -> None:
    """A moment between XAPI's record and the host's change is no drift; what ends is said no more."""
    clock = DriftClock()
    clock.find(("a", "b"), 100.0, 0.1)
    assert (clock.said, clock.due) == ((), 100.0 + AGAIN_S)

    clock.find(("b",), 115.0, 0.1)
    assert (clock.said, clock.due) == (("b",), 115.0 + PERIOD_S)

    clock.find(("b", "c"), 415.0, 0.1)
    assert (clock.said, clock.due) == (("b",), 415.0 + AGAIN_S)
    clock.find((), 430.0, 0.1)
    assert clock.said == ()


def test_a_change_brings_a_look_soon_and_many_bring_few() -> None:
    """Not in the midst of it, and not for each of a hundred VIFs."""
    clock = DriftClock(due=1000.0)
    clock.hear(100.0)
    assert clock.due == 100.0 + AFTER_CHANGE_S

    clock.find((), 110.0, 0.1)
    clock.hear(111.0)
    assert clock.due == 110.0 + LEAST_S


def test_a_costly_comparison_is_made_rarely() -> None:
    """A host of 800 VLANs spends no more of its time on it than one of two."""
    clock = DriftClock()
    clock.find((), 0.0, 1.0)

    assert clock.due == 1.0 / SHARE


def test_a_failure_leaves_what_was_said() -> None:
    """It is tried again later."""
    clock = DriftClock(said=("a",))
    clock.fail(100.0)

    assert (clock.said, clock.due) == (("a",), 100.0 + PERIOD_S)
