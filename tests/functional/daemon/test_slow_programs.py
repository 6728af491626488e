"""Programs of others that take their time, or never end: the vif-hotplug hook and the helper for PVS proxies."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from served_dom0 import LOCKED, ServedDom0, burst, running_dom0
from xenstore_keys import write_key

from xsagent.hotplug.chains import AWAITED, UNAWAITED
from xsagent.model.vif import VifId
from xsagent.sandbox.daemons import wait_for
from xsagent.sandbox.guest_vif import GuestVif

MANY = UNAWAITED + 4
"""More than run at once of what nobody waits for."""


def put_program(served: ServedDom0, name: str, script: str) -> Path:
    """Put a program in place that notes its arguments, then runs this; returns the notes. `released` is its root's."""
    program, record = served.root / name, served.root / "called"
    program.parent.mkdir(parents=True, exist_ok=True)
    hang = f"hang() {{ while [ ! -e {served.root}/released ]; do sleep 0.2; done; }}"
    program.write_text(f'#!/bin/sh\necho "$@" >>{record}\n{hang}\n{script}\n')
    program.chmod(0o755)
    return record


def unplug(served: ServedDom0, *vifs: GuestVif) -> None:
    """Take the devices away and tell of it, as the kernel does."""
    served.sandbox.run(["ip", "-batch", "-"], input_text="".join(f"link del {vif.device}\n" for vif in vifs))
    served.sandbox.xenopsd.raise_uevents("remove", *vifs)


def await_gone(served: ServedDom0, *vifs: GuestVif) -> None:
    """Wait until xenopsd is told that each of them is gone."""
    paths = [f"{vif.hotplug}/hotplug" for vif in vifs]
    wait_for(lambda: all(served.read(path) is None for path in paths), 25, f"not all of {paths} went")


def await_first_look(served: ServedDom0) -> None:
    """Wait until the daemon has looked at everything once: what comes from here on is told by events alone."""
    served.await_status(lambda one: one["resync"] is not None, "the first look was not made")


def plug_many(served: ServedDom0, count: int = MANY) -> list[GuestVif]:
    """Plug so many VIFs in."""
    await_first_look(served)
    vifs = burst(count)
    served.prepare(*vifs)
    served.online(*vifs)
    assert served.await_reports(*vifs) == []
    return vifs


def test_a_hook_that_hangs_keeps_no_guest_from_its_network(served: ServedDom0) -> None:
    """The vif-hotplug hook runs beside hotplug; the next guest does not wait for it."""
    hook = served.root / "etc/xapi.d/vif-hotplug"
    hook.parent.mkdir(parents=True)
    hook.write_text(f"#!/bin/sh\necho $@ >>{hook}.calls\nsleep 25\n")
    hook.chmod(0o755)
    vifs = burst(12)
    served.prepare(*vifs)
    served.online(*vifs)
    began = time.monotonic()

    assert served.await_reports(*vifs) == []
    served.plug(LOCKED)

    assert len(Path(f"{hook}.calls").read_text().splitlines()) <= 8
    sys.stdout.write(f"13 guests while hooks hung: {time.monotonic() - began:.1f} s\n")


def test_a_hook_that_hangs_at_remove_holds_its_own_vif_alone(served: ServedDom0) -> None:
    """Another vif of the same batch goes and a third one comes meanwhile; its own report goes when the hook ended."""
    hanging, leaving, coming = (GuestVif(id=VifId(20 + n, 0)) for n in range(3))
    served.plug(hanging, leaving)
    served.prepare(coming)
    hook = served.root / "etc/xapi.d/vif-hotplug"
    hook.parent.mkdir(parents=True)
    released = hook.with_name("released")
    waits = f"while [ ! -e {released} ]; do sleep 0.1; done"
    hook.write_text(f"#!/bin/sh\ncase $* in *remove*{hanging.uuid}*) {waits};; esac\n")
    hook.chmod(0o755)
    served.sandbox.run(["ip", "link", "del", hanging.device])
    served.sandbox.run(["ip", "link", "del", leaving.device])

    served.sandbox.xenopsd.raise_uevents("remove", hanging, leaving)
    served.online(coming)

    assert served.await_reports(coming) == []
    wait_for(lambda: served.read(f"{leaving.hotplug}/hotplug") is None, 30, "the other vif's key stayed")
    assert served.ports() == {coming.device}
    assert served.read(f"{hanging.hotplug}/hotplug") == "online"
    released.touch()
    wait_for(lambda: served.read(f"{hanging.hotplug}/hotplug") is None, 30, "its own key stayed")
    served.await_status(lambda one: one["counts"]["pending"] == 0, "it has not come to rest")


def test_hooks_that_hang_at_remove_hold_no_other_removal(served: ServedDom0) -> None:
    """However many: the one that leaves last, whose own hook ends at once, goes before them."""
    *hanging, quick = plug_many(served)
    put_program(served, "etc/xapi.d/vif-hotplug", f"case $* in *remove*{quick.uuid}*) ;; *remove*) hang;; esac")

    unplug(served, *hanging)
    unplug(served, quick)

    await_gone(served, quick)
    assert all(served.read(f"{vif.hotplug}/hotplug") == "online" for vif in hanging)
    (served.root / "released").touch()
    await_gone(served, *hanging)


def test_more_hooks_that_hang_at_remove_than_may_run_hold_no_other_vif(served: ServedDom0) -> None:
    """Who has no place does not wait for one: it is gone, and its hook is called later. Others come meanwhile."""
    vifs = plug_many(served, AWAITED + 3)
    slow = "case $* in *remove*) while [ ! -e $(dirname $0)/released ]; do sleep 1; done;; esac"
    record = put_program(served, "etc/xapi.d/vif-hotplug", slow)
    *hanging, last = vifs

    unplug(served, *hanging)
    wait_for(lambda: record.exists() and record.read_text().count("remove") == AWAITED, 20, "not all hooks began")
    unplug(served, last)
    coming = GuestVif(id=VifId(900, 0))
    served.plug(coming)

    await_gone(served, last)
    assert served.ports() == {coming.device}
    called = record.read_text()
    assert called.count("remove") == AWAITED, "hooks were killed before, which shows nothing"
    assert last.uuid not in called
    assert all(served.read(f"{vif.hotplug}/hotplug") == "online" for vif in hanging if vif.uuid in called)
    (served.root / "etc/xapi.d/released").touch()
    await_gone(served, *hanging)
    wait_for(lambda: record.read_text().count("remove") == len(vifs), 20, "not each hook was called")


def test_hooks_that_hang_at_online_hold_no_removal(served: ServedDom0) -> None:
    """A VIF that leaves before the turn of its first hook has both, one after the other, and is gone."""
    record = put_program(served, "etc/xapi.d/vif-hotplug", "case $* in *online*) hang;; esac")
    vifs = plug_many(served)
    wait_for(lambda: record.exists() and record.read_text().count("online") == UNAWAITED, 30, "they were not called")
    queued = next(vif for vif in vifs if vif.uuid not in record.read_text())
    hook = served.root / "etc/xapi.d/vif-hotplug"
    hook.with_name("quick").write_text(hook.read_text().replace("*online*", f"*{queued.uuid}*) ;; *online*"))
    hook.with_name("quick").chmod(0o755)
    hook.with_name("quick").rename(hook)

    unplug(served, queued)

    await_gone(served, queued)
    called = [line.split()[1] for line in record.read_text().splitlines() if queued.uuid in line]
    assert called == ["online", "remove"]
    (served.root / "released").touch()


def name_helper(served: ServedDom0, *vifs: GuestVif) -> None:
    """Give VIFs a PVS proxy with the helper /pvs."""
    with served.sandbox.xenopsd.open_store() as store:
        for vif in vifs:
            write_key(store, f"{vif.private}/pvs-interface", "pvs1")
            write_key(store, f"{vif.private}/setup-pvs-proxy-rules", "/pvs")


def test_helpers_that_hang_at_add_hold_no_other_vif() -> None:
    """The one that came last and whose helper is quick has its rules put in, is told of, has them taken out, and goes.

    Of the others nobody is told before their helpers have ended, however they do.
    """
    with running_dom0(XSAGENT_HOTPLUG_S="120") as served:
        await_first_look(served)
        vifs = burst(MANY)
        served.prepare(*vifs)
        name_helper(served, *vifs)
        record = put_program(served, "pvs", f'[ "$1$3" = "add{vifs[-1].device}" ] || [ "$1" = remove ] || hang')
        served.online(*vifs[:-1])
        wait_for(lambda: record.exists() and record.read_text().count("add") == MANY - 1, 30, "not all were called")
        served.online(vifs[-1])
        assert served.await_reports(vifs[-1]) == []

        unplug(served, vifs[-1])

        await_gone(served, vifs[-1])
        called = [line.split()[0] for line in record.read_text().splitlines() if vifs[-1].device in line.split()]
        assert called == ["add", "remove"]
        assert [served.read(f"{vif.backend}/hotplug-status") for vif in vifs[:-1]] == [None] * (MANY - 1)
        assert "ignore_pvs_helper" not in served.log, "the others were killed before, which shows nothing"
        (served.root / "released").touch()
        assert served.await_reports(*vifs[:-1]) == []


def test_a_removal_waits_for_its_helper_past_its_deadline() -> None:
    """Each call of a helper is bounded, so it ends; given up, the port would stay and xenopsd wait for nothing."""
    (vif,) = burst(1)
    with running_dom0(XSAGENT_HOTPLUG_S="4") as served:
        await_first_look(served)
        served.prepare(vif)
        name_helper(served, vif)
        put_program(served, "pvs", "sleep 600")
        for _ in range(3):
            assert served.call("vif", "vif", str(vif.id.domid), "0", "online").returncode == 0

        unplug(served, vif)

        await_gone(served, vif)
        assert served.log.count("ignore_pvs_helper") == 4
        assert served.ports() == set()
        assert "fail_hotplug" not in served.log
