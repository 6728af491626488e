"""The survey of all guests' devices on real xenstored, kernel and switch."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from dom0 import KEYS, Dom0

from xsagent.config import Paths, Settings
from xsagent.daemon.hotplug import HotplugThread
from xsagent.errors import XenstoreUnavailableError
from xsagent.hotplug.event import Action, Event
from xsagent.hotplug.resync import build_resync_events
from xsagent.hotplug.survey import read_survey
from xsagent.hotplug.work import Outcome, Result
from xsagent.model.vif import DeviceType, VifId
from xsagent.observed.ovsdb import read_ovsdb
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.reconcile.queue import Pending
from xsagent.sandbox.daemons import wait_for

VIF = VifId(1, 0)


def test_a_survey_finds_devices_in_all_three_places(dom0: Dom0) -> None:
    """Backends of both layouts, ports with our marks, and what is going."""
    dom0.vif("vif", "1", "0", "online")
    for devid, online in (("2", "1"), ("3", "0")):
        dom0.write(f"/local/domain/0/backend/vif/7/{devid}/state", "6")
        dom0.write(f"/local/domain/0/backend/vif/7/{devid}/online", online)
    dom0.write("/local/domain/0/backend/vif/not-a-number/0/state", "2")
    dom0.write("/xapi/9/hotplug/vif/3/hotplug", "online")
    # The kernel's netdevs are those of the sandbox's namespace: its sysfs is seen from inside alone.
    names = dom0.sandbox.run(["ls", "/sys/class/net"]).stdout.split()
    sysfs = dom0.sandbox.directory / "sysfs"
    for name in names:
        (sysfs / "class/net" / name).mkdir(parents=True)

    with OvsdbConnection.open(dom0.rundir / "db.sock", 0) as database:
        survey = read_survey(dom0.store, sysfs, read_ovsdb(database).bridges.values())

    assert survey.backends == {VIF, VifId(7, 2), VifId(7, 3)}
    assert survey.closing == {VifId(7, 2), VifId(7, 3)}
    assert survey.closed == {VifId(7, 3)}
    assert survey.online == {VIF, VifId(9, 3)}
    assert survey.netdevs == {(DeviceType.VIF, VIF), (DeviceType.VIF, VifId(2, 0))}
    assert (DeviceType.VIF, VIF) in survey.ports
    assert {event.device: str(event.action) for event in build_resync_events(survey)} == {
        "vif1.0": "repair",
        "vif9.3": "remove",
    }


def test_a_survey_without_xenstored_removes_nothing(dom0: Dom0) -> None:
    """Ports are known, backends are not: there is no survey, and so nothing that looks gone."""
    dom0.vif("vif", "1", "0", "online")
    dom0.remove(KEYS.backend)
    dom0.store.close()

    with OvsdbConnection.open(dom0.rundir / "db.sock", 0) as database:
        bridges = read_ovsdb(database).bridges.values()

    with pytest.raises(XenstoreUnavailableError, match="closed"):
        read_survey(dom0.store, dom0.sandbox.directory, bridges)


def test_a_look_that_fails_in_an_unforeseen_way_does_not_end_the_daemons_thread(dom0: Dom0) -> None:
    """It is made again later, and events are answered. Below a name of 300 characters nothing can be looked for."""
    socket = dom0.sandbox.root / "run/xenstored/socket"
    paths = Paths(Path("/" + 300 * "x"), ovs_rundir_override=dom0.rundir, xenstored_override=socket)
    hotplug = HotplugThread(paths, Settings())
    hotplug.start()
    wait_for(lambda: hotplug._clock._put_off_s > 1.0 or not hotplug.thread.is_alive(), 30, "no look was made")
    ended: list[Outcome] = []

    hotplug.submit(Event(vif=VifId(9, 0), kind=DeviceType.VIF, action=Action.CLEAR), done=ended.append)
    wait_for(lambda: bool(ended) or not hotplug.thread.is_alive(), 30, "nothing came of it")
    hotplug.stop(10)

    assert (len(ended), hotplug.last_resync) == (1, None)


def test_a_fault_in_settling_one_device_is_not_the_others_of_its_batch(dom0: Dom0) -> None:
    """Here in whoever waits for the first that is settled; the others come to their own end."""
    hotplug = HotplugThread(Paths(root=dom0.sandbox.root), Settings())
    ended: list[Outcome] = []

    def end(outcome: Outcome) -> None:
        ended.append(outcome)
        if len(ended) == 1:
            raise ValueError("whoever waited for it is in trouble")

    for domain in range(20, 24):
        hotplug.submit(Event(vif=VifId(domain, 0), kind=DeviceType.VIF, action=Action.CLEAR), done=end)
    hotplug.start()
    wait_for(lambda: len(ended) == 4 or not hotplug.thread.is_alive(), 30, "nothing came of it")
    hotplug.stop(10)

    assert {outcome.result for outcome in ended} == {Result.DONE}


def test_a_batch_that_meets_a_fault_ends_for_each_though_all_who_wait_are_in_trouble(dom0: Dom0) -> None:
    """The thread lives on, and no device stays busy. Below a name of 300 characters no backend can be looked for."""
    hotplug = HotplugThread(Paths(Path("/" + 300 * "x"), ovs_rundir_override=dom0.rundir), Settings())
    ended: list[Outcome] = []

    def end(outcome: Outcome) -> None:
        ended.append(outcome)
        raise ValueError("whoever waited for it is in trouble")

    for domain in range(20, 24):
        hotplug.submit(Event(vif=VifId(domain, 0), kind=DeviceType.VIF, action=Action.CLEAR), done=end)
    hotplug.start()
    wait_for(lambda: len(ended) == 4 or not hotplug.thread.is_alive(), 30, "nothing came of it")
    is_alive = hotplug.thread.is_alive()
    hotplug.stop(10)

    assert (is_alive, {outcome.result for outcome in ended}) == (True, {Result.FAILED})
    assert not hotplug._queue.busy()


@pytest.mark.parametrize(("events", "times"), [(100, 1), (20, 0)])
def test_memory_is_given_back_once_many_devices_are_done(
    dom0: Dom0, monkeypatch: pytest.MonkeyPatch, events: int, times: int
) -> None:
    """When nothing more is to be done, and not after a few: it takes some milliseconds."""
    given_back: list[bool] = []
    monkeypatch.setattr("xsagent.daemon.hotplug.give_back_memory", lambda: given_back.append(True))
    hotplug = HotplugThread(Paths(root=dom0.sandbox.root), Settings())
    for domain in range(20, 20 + events):
        hotplug.submit(Event(vif=VifId(domain, 0), kind=DeviceType.VIF, action=Action.CLEAR))

    hotplug.start()
    done = hotplug.wait_idle(60)
    if times:
        wait_for(lambda: given_back, 10, "nothing was given back")
    hotplug.stop(10)

    assert (done, len(given_back)) == (True, times)


def test_events_that_come_without_a_pause_leave_nothing_behind(dom0: Dom0, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one batch is settled another is under way and the next one waits: what is settled is forgotten."""
    monkeypatch.setattr("xsagent.daemon.hotplug.MOST_AT_ONCE", 1)
    hotplug = HotplugThread(Paths(root=dom0.sandbox.root), Settings())
    kept: list[int] = []

    def clear(domain: int) -> None:
        hotplug.submit(Event(vif=VifId(domain, 0), kind=DeviceType.VIF, action=Action.CLEAR), done=go_on)

    def go_on(outcome: Outcome) -> None:
        kept.append(sum(isinstance(one, Pending) for one in gc.get_objects()))
        if len(kept) < 100:
            clear(outcome.event.vif.domid + 4)

    for domain in range(20, 24):
        clear(domain)
    hotplug.start()
    wait_for(lambda: len(kept) > 100 or not hotplug.thread.is_alive(), 60, "events were not settled")
    hotplug.stop(10)

    assert len(kept) > 100
    assert max(kept) < 10
