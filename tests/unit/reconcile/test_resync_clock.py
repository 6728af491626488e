"""When everything is looked at: soon when asked, rarely when not, more rarely where it is costly."""

from __future__ import annotations

from xsagent.reconcile.resync_clock import ASKED_SHARE, SHARE, SOON_S, ResyncClock


def test_reasons_that_come_together_become_one_resync() -> None:
    """They are named together; the first sets the time."""
    clock = ResyncClock(period_s=300)
    assert clock.next_due() is None
    clock.ask("the switch came back", 10.0)
    clock.ask("Bridge changed", 10.0 + SOON_S / 2)

    assert not clock.is_due(10.0)
    assert clock.is_due(10.0 + SOON_S)
    assert clock.begin(10.2) == "the switch came back; Bridge changed"
    clock.end(99.0)

    assert clock.last == (99.0, "the switch came back; Bridge changed", 1)
    assert clock.next_due() == 310.2


def test_what_comes_during_a_resync_is_for_the_next() -> None:
    """It may have been looked at before it changed."""
    clock = ResyncClock(period_s=300)
    clock.ask("a", 0.0)
    clock.begin(1.0)
    clock.ask("b", 1.5)
    clock.end(2.0)

    assert clock.begin(1.5 + SOON_S) == "b"


def test_a_reason_that_is_yet_to_come_outlives_the_resyncs_before_it() -> None:
    """What it names happens only then, whatever was looked at earlier; told anew it is put off."""
    clock = ResyncClock(period_s=300)
    clock.ask("a controller went", 0.0)
    clock.ask_later("the switch fails open", 17.0)
    assert clock.begin(1.0) == "a controller went"
    clock.ask_later("the switch fails open", 20.0)

    assert (clock.is_due(17.0), clock.next_due()) == (False, 20.0)
    assert clock.begin(20.0) == "the switch fails open"
    assert clock.next_due() == 320.0


def test_a_costly_resync_is_made_more_rarely() -> None:
    """So that idle stays idle: a thousandth of a core at most."""
    clock = ResyncClock(period_s=300)
    clock.ask("a", 0.0)
    clock.begin(0.0)
    clock.end(1.0)
    clock.charge(0.2)
    assert clock.next_due() == 300.0

    clock.charge(0.8)

    assert clock.next_due() == 1.0 / SHARE


def test_one_that_could_not_be_made_comes_again_for_the_same_reason() -> None:
    """With growing pauses."""
    clock, dues = ResyncClock(period_s=3000), []
    clock.ask("the switch came back", 0.0)
    for number in range(8):
        assert clock.begin(0.0) == "the switch came back"
        clock.end_without(f"no answer {number}", 0.0, 100.0 + number)
        dues.append(clock.next_due())

    assert dues == [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_one_that_cannot_be_made_is_told_until_one_was() -> None:
    """Since when none is made, and what was in the way the last time."""
    clock = ResyncClock(period_s=300)
    clock.ask("the switch came back", 0.0)
    clock.begin(1.0)
    assert clock.put_off is None
    clock.end_without("no switch", 1.0, 101.0)
    clock.begin(2.0)
    clock.end_without("no xenstored", 2.0, 102.0)

    assert clock.put_off == (101.0, "no xenstored", 2)

    clock.begin(4.0)
    clock.end(104.0)
    assert clock.put_off is None


def test_who_asks_while_one_is_under_way_waits_for_the_next() -> None:
    """What it asks about may have changed after that one had looked."""
    clock = ResyncClock(period_s=300)
    assert clock.ask("somebody asked", 0.0) == 1
    clock.begin(1.0)

    assert clock.ask("somebody else asked", 1.0) == 2

    clock.end(101.0)
    assert clock.last == (101.0, "somebody asked", 1)


def test_reasons_that_are_not_urgent_do_not_follow_one_another_closely() -> None:
    """500 VLAN bridges in a row are no 500 resyncs of 1,000 guests; a switch that came back is looked at at once."""
    clock = ResyncClock(period_s=300)
    clock.ask("a", 0.0)
    clock.begin(0.0)
    clock.end(1.0)
    clock.charge(1.0)

    clock.ask("Port changed", 2.0, urgent=False)
    assert clock.next_due() == 1.0 / ASKED_SHARE
    clock.ask("the switch came back", 3.0)
    assert clock.next_due() == 3.0 + SOON_S
