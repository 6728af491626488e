"""Who has left the switch waits for a hook that runs, and not for ever for one that does not."""

from __future__ import annotations

from concurrent.futures import Future

from xsagent.hotplug.event import Action, Event
from xsagent.hotplug.leaving import PATIENCE_S, Leaving
from xsagent.hotplug.work import Outcome, Result
from xsagent.model.vif import DeviceType, VifId


def leaving(domid: int, hook: Future[None]) -> Outcome:
    """A VIF whose removal waits for this hook."""
    event = Event(vif=VifId(domid, 0), kind=DeviceType.VIF, action=Action.REMOVE)
    return Outcome(event=event, result=Result.LEAVING, hook=hook)


def test_one_whose_hook_has_ended_is_ready_at_once_and_one_whose_hook_runs_is_not() -> None:
    """However long that takes: each hook is killed when it is late."""
    waiting, ended, running = Leaving(), Future[None](), Future[None]()
    ended.set_result(None)
    running.set_running_or_notify_cancel()
    first, second = leaving(1, ended), leaving(2, running)
    waiting.add(first, 0.0)
    waiting.add(second, 0.0)

    assert waiting.ready(100 * PATIENCE_S) == [first]
    assert waiting.next_due() is None
    running.set_result(None)
    assert waiting.ready(0.0) == [first, second]


def test_one_whose_hook_has_not_begun_is_ready_after_a_while() -> None:
    """The caller learns when to ask again."""
    waiting, queued = Leaving(), leaving(1, Future[None]())
    waiting.add(queued, 10.0)

    assert waiting.ready(10.0) == []
    assert waiting.next_due() == 10.0 + PATIENCE_S
    assert waiting.ready(10.0 + PATIENCE_S) == [queued]
    assert "vif1.0" in waiting
    waiting.remove("vif1.0")
    assert (waiting.next_due(), "vif1.0" in waiting) == (None, False)
