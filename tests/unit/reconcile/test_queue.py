"""The keyed queue: one device at a time, folded while busy, repeated until its deadline, nobody forgotten."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xsagent.hotplug.event import Action, Event, Want
from xsagent.model.vif import DeviceType, VifId
from xsagent.reconcile.queue import FIRST_PAUSE_S, HINT_S, LONGEST_PAUSE_S, KeyedQueue, State


def event(action: Action = Action.ONLINE, domid: int = 1, *, udev: bool = False) -> Event:
    """An event of VIF 0 of a domain."""
    return Event(vif=VifId(domid, 0), kind=DeviceType.VIF, action=action, from_udev=udev)


def put(
    queue: KeyedQueue, one: Event, *, now: float = 0.0, ticket: int | None = None, background: bool = False
) -> None:
    """Put an event with a patience of 10 s."""
    queue.put(one, now=now, at=now, patience_s=10.0, ticket=ticket, background=background)


def taken(queue: KeyedQueue, now: float = 0.0, most: int = 100) -> list[Action]:
    """Actions of the events taken."""
    return [pending.event.action for pending in queue.take(now, most)]


def test_a_device_is_in_one_batch_at_a_time_and_what_comes_meanwhile_follows() -> None:
    """While busy it is not taken again; what came is folded into one."""
    queue = KeyedQueue()
    put(queue, event(), ticket=1)
    assert taken(queue) == [Action.ONLINE]

    put(queue, event(Action.REMOVE), ticket=2)
    put(queue, event(), ticket=3)
    assert taken(queue) == []
    assert queue.next_due() is None
    assert queue.settle("vif1.0", now=1.0, at=1.0, placed="xenbr0") == [1]

    assert taken(queue, 1.0) == [Action.ONLINE]
    assert queue.settle("vif1.0", now=2.0, at=2.0, placed="xenbr0") == [2, 3]
    assert queue.status()["vif1.0"].state is State.DONE


def test_a_first_attach_keeps_its_name_when_a_move_follows() -> None:
    """It has a hook to run, a move has not."""
    queue = KeyedQueue()
    put(queue, event())
    put(queue, event(Action.MOVE))

    assert taken(queue) == [Action.ONLINE]


def test_words_that_count_differently_are_not_folded() -> None:
    """Udev's may not count at all, and setup-vif-rules reports nothing: each is done, in its order."""
    queue = KeyedQueue()
    order = [event(), event(udev=True), event(Action.FILTER)]
    for one in order:
        put(queue, one)

    for one in order:
        assert [pending.event for pending in queue.take(0.0, 9)] == [one]
        queue.settle("vif1.0", now=0.0, at=0.0)


def test_a_try_that_failed_comes_again_after_growing_pauses_until_it_is_late() -> None:
    """Pauses double up to a limit; no try begins beyond the deadline."""
    queue, now, pauses = KeyedQueue(), 0.0, []
    put(queue, event())
    while True:
        assert taken(queue, now) == [Action.ONLINE]
        if queue.is_late("vif1.0", now):
            break
        queue.retry("vif1.0", now=now, at=now, text="there is no bridge")
        due = queue.next_due()
        assert due is not None
        pauses.append(due - now)
        now = due

    assert pauses[0] == FIRST_PAUSE_S
    assert all(later > earlier - 1e-9 for earlier, later in pairwise(pauses))
    assert max(pauses) == pytest.approx(LONGEST_PAUSE_S)
    assert 10.0 - LONGEST_PAUSE_S <= now <= 10.0


def test_what_waits_is_tried_at_once_when_something_changed() -> None:
    """`hurry`: the bridge for which it waits may be there."""
    queue = KeyedQueue()
    put(queue, event())
    taken(queue)
    queue.retry("vif1.0", now=0.0, at=0.0, text="there is no bridge")
    assert taken(queue, 0.0) == []

    queue.hurry(0.0)

    assert taken(queue, 0.0) == [Action.ONLINE]


def test_a_newer_word_replaces_a_try_that_failed() -> None:
    """It is due at once, with its own deadline, and answers for both."""
    queue = KeyedQueue()
    put(queue, event(), ticket=1)
    taken(queue)
    put(queue, event(Action.REMOVE), now=5.0, ticket=2)

    queue.retry("vif1.0", now=5.0, at=5.0, text="there is no bridge")

    assert taken(queue, 5.0) == [Action.REMOVE]
    assert not queue.is_late("vif1.0", 14.0)
    assert queue.settle("vif1.0", now=5.0, at=5.0) == [1, 2]


def test_a_resync_gives_way() -> None:
    """It is taken last, dropped beside anything else, and does not bring back what somebody had taken away."""
    queue = KeyedQueue()
    put(queue, event(Action.REPAIR, 1), background=True)
    put(queue, event(Action.ONLINE, 2))
    assert taken(queue, most=1) == [Action.ONLINE]
    put(queue, event(Action.REPAIR, 2), background=True)
    queue.settle("vif2.0", now=0.0, at=0.0)
    assert taken(queue) == [Action.REPAIR]
    queue.settle("vif1.0", now=0.0, at=0.0, placed="xenbr0")

    put(queue, event(Action.CLEAR))
    taken(queue)
    queue.settle("vif1.0", now=0.0, at=0.0)
    put(queue, event(Action.REPAIR), background=True)
    assert taken(queue) == []
    put(queue, event(Action.ONLINE))
    assert taken(queue) == [Action.ONLINE]


def test_the_bridge_is_remembered_while_the_port_is_there() -> None:
    """A resync compares with it; a failed try keeps it, a remove forgets the device."""
    queue = KeyedQueue()
    put(queue, event())
    taken(queue)
    queue.settle("vif1.0", now=0.0, at=0.0, placed="xenbr0")
    put(queue, event(Action.MOVE))
    taken(queue)
    queue.settle("vif1.0", now=0.0, at=0.0, text="no", error=True)
    assert (queue.placed("vif1.0"), queue.status()["vif1.0"].state) == ("xenbr0", State.ERROR)

    put(queue, event(Action.REMOVE))
    taken(queue)
    queue.settle("vif1.0", now=0.0, at=0.0)

    assert (queue.placed("vif1.0"), queue.status()) == (None, {})


def test_devices_of_which_nothing_is_left_are_forgotten_when_idle() -> None:
    """What is pending stays."""
    queue = KeyedQueue()
    for domid in (1, 2, 3):
        put(queue, event(domid=domid))
    taken(queue, most=2)
    queue.settle("vif1.0", now=0.0, at=0.0)
    queue.settle("vif2.0", now=0.0, at=0.0)

    queue.forget_others({"vif2.0"})

    assert set(queue.status()) == {"vif2.0", "vif3.0"}


_STEPS = st.lists(
    st.tuples(st.sampled_from(["put", "resync", "take", "done", "retry", "error", "hurry"]), st.integers(1, 3),
              st.sampled_from([Action.ONLINE, Action.REMOVE, Action.MOVE, Action.FILTER, Action.CLEAR])),
    max_size=60,
)  # fmt: skip


class Player:
    """Plays steps on a queue, as a caller would, and keeps book of what it was told."""

    def __init__(self) -> None:
        self.queue = KeyedQueue()
        self.now = 0.0
        self.tickets = 0
        self.answered: list[int] = []
        self.wanted: dict[str, Want] = {}
        self.reached: dict[str, Want] = {}
        self.busy: dict[str, Want] = {}

    def play(self, verb: str, domid: int, action: Action) -> None:
        """One step; one that does not fit is passed over."""
        self.now += 0.01
        device = f"vif{domid}.0"
        match verb:
            case "put":
                self.tickets += 1
                put(self.queue, event(action, domid), now=self.now, ticket=self.tickets)
                self.wanted[device] = event(action, domid).want
            case "resync":
                # what was removed may have come back without an event: then a resync has the last word
                if device not in self.queue.status():
                    self.wanted.pop(device, None)
                put(self.queue, event(Action.REPAIR, domid), now=self.now, background=True)
            case "hurry":
                self.queue.hurry(self.now)
            case "take":
                self.busy |= {one.event.device: one.event.want for one in self.queue.take(self.now, 2)}
            case "retry" if device in self.busy:
                self.queue.retry(device, now=self.now, at=self.now, text="later")
                del self.busy[device]
            case "done" | "error" if device in self.busy:
                self.settle(device, self.busy.pop(device), error=verb == "error")

    def settle(self, device: str, want: Want, *, error: bool = False) -> None:
        """An event came to its end."""
        self.reached[device] = want
        self.answered += self.queue.settle(device, now=self.now, at=self.now, error=error)

    def finish(self) -> None:
        """Do all that is left."""
        for device, want in self.busy.items():
            self.settle(device, want)
        while self.queue.next_due() is not None:
            self.now += LONGEST_PAUSE_S
            for one in self.queue.take(self.now, 100):
                self.settle(one.event.device, one.event.want)


@given(_STEPS)
def test_whoever_waits_is_answered_once_and_the_last_word_is_done(steps: list[tuple[str, int, Action]]) -> None:
    """Whatever comes in whatever order: no ticket is lost or answered twice, and each device's last word is obeyed."""
    player = Player()
    for step in steps:
        player.play(*step)
    player.finish()

    assert sorted(player.answered) == list(range(1, player.tickets + 1))
    assert {device: player.reached[device] for device in player.wanted} == player.wanted


def pass_over(queue: KeyedQueue, *, now: float = 0.0) -> list[int]:
    """End a busy event of vif1.0 that does not count."""
    return queue.pass_over("vif1.0", now=now, at=now, text="it does not count")


def test_an_event_that_does_not_count_takes_nothing_from_what_is_known() -> None:
    """Who waits is told; the bridge, the text and the state stay, and a resync still has its say."""
    queue = KeyedQueue()
    put(queue, event())
    taken(queue)
    queue.settle("vif1.0", now=1.0, at=1.0, text="a warning", placed="xenbr0")
    before = queue.status()["vif1.0"]
    put(queue, event(Action.REMOVE, udev=True), now=2.0, ticket=5)
    taken(queue, 2.0)

    assert pass_over(queue, now=2.0) == [5]

    assert queue.status()["vif1.0"] == before
    assert queue.placed("vif1.0") == "xenbr0"
    put(queue, event(Action.REPAIR), now=3.0, background=True)
    assert taken(queue, 3.0) == [Action.REPAIR]


def test_what_the_status_said_is_known_while_the_next_event_is_under_way() -> None:
    """So that the same warning is news once; its status says by then that it waits."""
    queue = KeyedQueue()
    assert queue.told("vif1.0") == ""
    put(queue, event())
    taken(queue)
    queue.settle("vif1.0", now=1.0, at=1.0, text="a warning", placed="xenbr0")
    put(queue, event(Action.REPAIR), now=2.0, background=True)
    taken(queue, 2.0)

    assert (queue.told("vif1.0"), queue.status()["vif1.0"].text) == ("a warning", "")


def test_a_device_of_which_something_was_heard_is_looked_at_soon_and_once() -> None:
    """After a pause, which each such event begins anew."""
    queue = KeyedQueue()
    put(queue, event())
    taken(queue)
    queue.settle("vif1.0", now=0.0, at=0.0, placed="xenbr0")
    for now in (1.0, 2.0):
        put(queue, event(udev=True), now=now)
        taken(queue, now)
        pass_over(queue, now=now)

    assert queue.next_due() == 2.0 + HINT_S
    assert queue.take_hints(1.0 + HINT_S) == []
    assert queue.take_hints(2.0 + HINT_S) == ["vif1.0"]
    assert (queue.take_hints(100.0), queue.next_due()) == ([], None)
    assert "vif1.0" in queue.status()


@pytest.mark.parametrize("settled", [True, False])
def test_a_device_for_which_the_toolstack_calls_meanwhile_is_not_looked_at(*, settled: bool) -> None:
    """A VM's start costs nothing more: its call, ended or under way, reads everything."""
    queue = KeyedQueue()
    put(queue, event(udev=True))
    taken(queue)
    pass_over(queue)
    put(queue, event(), now=1.0)
    taken(queue, 1.0)
    if settled:
        queue.settle("vif1.0", now=1.1, at=1.1, placed="xenbr0")

    assert queue.take_hints(HINT_S) == []


def test_a_device_of_which_nothing_else_is_known_is_looked_at_and_forgotten() -> None:
    """Or one that the toolstack has had taken away: the status names what is there."""
    queue = KeyedQueue()
    put(queue, event(udev=True))
    taken(queue)
    pass_over(queue)
    assert "does not count" in queue.status()["vif1.0"].text

    assert queue.take_hints(HINT_S) == ["vif1.0"]
    assert queue.status() == {}


def test_a_device_whose_number_changed_is_taken_once() -> None:
    """Its flows are for the number that was verified. The same one, and what is known of nothing, are no news."""
    queue = KeyedQueue()
    put(queue, event())
    queue.take(0.0, 1)
    queue.settle("vif1.0", now=0.0, at=0.0, placed="xenbr0", ofport=3)

    assert not queue.hear_numbers([("vif1.0", 3), ("vif2.0", 4)])
    assert queue.hear_numbers([("vif1.0", 4)])
    assert queue.take_renumbered() == ["vif1.0"]
    assert queue.take_renumbered() == []


@pytest.mark.parametrize("together", [False, True])
def test_a_number_that_comes_back_is_news(*, together: bool) -> None:
    """While no port had it its flows may have been taken out, whether somebody looked in between or not."""
    queue = KeyedQueue()
    put(queue, event())
    queue.take(0.0, 1)
    queue.settle("vif1.0", now=0.0, at=0.0, placed="xenbr0", ofport=3)

    assert not queue.hear_numbers([("vif1.0", 0)])
    assert together or queue.take_renumbered() == []
    assert queue.hear_numbers([("vif1.0", 3)])
    assert queue.take_renumbered() == ["vif1.0"]


@pytest.mark.parametrize("counts", [True, False])
def test_a_number_that_comes_back_while_its_device_is_busy_is_news(*, counts: bool) -> None:
    """Nobody knows whether it was verified before it went or afterwards. One that went before is no reason."""
    queue = KeyedQueue()
    put(queue, event())
    queue.take(0.0, 1)
    queue.settle("vif1.0", now=0.0, at=0.0, placed="xenbr0", ofport=3)

    for lost, renumbered in (([("vif1.0", 0)], ["vif1.0"]), ([], [])):
        put(queue, event(Action.REPAIR))
        queue.take(0.0, 1)
        queue.hear_numbers([*lost, ("vif1.0", 3)])
        if counts or not lost:
            queue.settle("vif1.0", now=0.0, at=0.0, placed="xenbr0", ofport=3)
        else:
            queue.pass_over("vif1.0", now=0.0, at=0.0, text="")

        assert queue.take_renumbered() == renumbered


@pytest.mark.parametrize(("heard", "renumbered"), [(3, []), (4, ["vif1.0"])])
def test_a_number_that_a_busy_device_gets_is_compared_when_it_is_done(heard: int, renumbered: list[str]) -> None:
    """Each attach brings one, which is then verified; it may have changed since it was read."""
    queue = KeyedQueue()
    put(queue, event())
    queue.take(0.0, 1)

    queue.hear_numbers([("vif1.0", heard)])
    assert queue.take_renumbered() == []
    queue.settle("vif1.0", now=0.0, at=0.0, placed="xenbr0", ofport=3)

    assert queue.take_renumbered() == renumbered


def test_a_number_of_a_device_that_waits_or_went_asks_for_nothing() -> None:
    """The next try reads it afresh."""
    queue = KeyedQueue()
    put(queue, event())
    put(queue, event(domid=2))
    queue.take(0.0, 2)
    queue.hear_numbers([("vif1.0", 3), ("vif2.0", 4)])
    queue.retry("vif1.0", now=0.0, at=0.0, text="not yet")
    queue.settle("vif2.0", now=0.0, at=0.0, ofport=4)
    put(queue, event(Action.REMOVE, domid=2))
    queue.take(0.0, 1)
    queue.hear_numbers([("vif2.0", 0)])
    queue.settle("vif2.0", now=0.0, at=0.0)

    assert queue.take_renumbered() == []
    assert set(queue.status()) == {"vif1.0"}
