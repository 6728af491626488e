"""reconcile/agenda.py: tasks asked for in bursts are done once, and not too often."""

from __future__ import annotations

from xsagent.reconcile.agenda import Agenda, BackOff


def test_a_task_is_done_once_however_often_it_was_asked_for() -> None:
    """At the earliest time that somebody asked for; the first time at once."""
    agenda = Agenda({"read": 10.0})
    agenda.ask("read", 100.0, 5.0)
    agenda.ask("read", 101.0)

    assert agenda.next_due() == 101.0
    assert agenda.take(100.9) is None
    assert agenda.take(101.0) == "read"
    assert agenda.take(200.0) is None


def test_a_pause_lies_between_two_runs() -> None:
    """Unless somebody is in a hurry."""
    agenda = Agenda({"read": 10.0})
    agenda.end("read", 100.0)
    agenda.ask("read", 101.0)

    assert agenda.next_due() == 110.0
    agenda.hurry("read", 102.0)
    assert agenda.take(102.0) == "read"


def test_the_longest_due_comes_first_and_one_can_be_dropped() -> None:
    """So that no task starves."""
    agenda = Agenda({"a": 0.0, "b": 0.0, "c": 0.0})
    agenda.ask("a", 2.0)
    agenda.ask("b", 1.0)
    agenda.ask("c", 0.0)
    agenda.drop("c")

    assert [agenda.take(5.0), agenda.take(5.0), agenda.take(5.0)] == ["b", "a", None]


def test_pauses_double_until_it_goes_well() -> None:
    """And no further than the longest."""
    back_off = BackOff(1.0, 5.0)

    assert [back_off.next_s() for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    back_off.reset()
    assert back_off.next_s() == 1.0
