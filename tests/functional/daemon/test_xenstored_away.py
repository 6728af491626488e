"""A switch that forgets locked guests while nobody can ask xenstored what they may."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from served_dom0 import FLOWS, LOCKED, ServedDom0
from xenstore_keys import write_key

from xsagent.model.vif import VifId
from xsagent.sandbox.daemons import wait_for
from xsagent.sandbox.guest_vif import GuestVif


def signal_xenstored(served: ServedDom0, name: str) -> None:
    """Send xenstored a signal."""
    process = (served.root / "run/xenstored/xenstored.pid").read_text().strip()
    served.sandbox.run(["kill", f"-{name}", process])


def end_xenstored(served: ServedDom0) -> None:
    """No xenstored runs any more, and the daemon has noticed."""
    signal_xenstored(served, "KILL")
    served.await_status(lambda one: not one["services"]["xenstored"]["connected"], "it was not missed")


def hang_xenstored(served: ServedDom0) -> None:
    """It answers nobody; its connections stay."""
    signal_xenstored(served, "STOP")


def restart_switch(served: ServedDom0) -> None:
    """A new process knows no flow."""
    served.sandbox.vswitchd.kill()
    served.sandbox.vswitchd.start()


def plug_by_keys(served: ServedDom0, *vifs: GuestVif) -> None:
    """Plug VIFs in whose locking mode stands in xenstore alone: there is no file of xenopsd about them."""
    served.prepare(*vifs)
    with served.sandbox.xenopsd.open_store() as store:
        for vif in vifs:
            (served.root / vif.file).unlink()
            write_key(store, f"{vif.private}/locking-mode", vif.locking.lower())
            write_key(store, f"{vif.private}/ipv4-allowed", ",".join(vif.allowed))
    served.online(*vifs)
    assert served.await_reports(*vifs) == []


def await_locked(served: ServedDom0, flows: int = FLOWS) -> None:
    """Wait until the switch has so many locking flows."""
    wait_for(lambda: served.flows() == flows, 30, lambda: f"a guest is free: {served.log[-3000:]}")


def test_xenopsds_file_locks_a_guest(served: ServedDom0) -> None:
    """The mode is in xenopsd's file; a VIF that is not locked gets none. All else waits, and it is said so.

    The daemon was started anew, and remembers nothing.
    """
    served.plug(LOCKED, GuestVif(id=VifId(8, 0)))
    served.end()
    signal_xenstored(served, "KILL")
    served.start()

    restart_switch(served)

    await_locked(served)
    served.await_status(lambda one: one["resync_put_off"] is not None, "it is not said that all else waits")


@pytest.mark.parametrize("away", [end_xenstored, hang_xenstored])
def test_a_guest_of_which_xenstore_alone_tells_is_locked_again(
    served: ServedDom0, away: Callable[[ServedDom0], None]
) -> None:
    """The daemon remembers what it has verified; one that was unlocked since, or was never locked, gets no flows."""
    freed = GuestVif(id=VifId(8, 0), locking="Locked", allowed=("192.0.2.78",))
    plug_by_keys(served, LOCKED, freed, GuestVif(id=VifId(9, 0)))
    with served.sandbox.xenopsd.open_store() as store:
        write_key(store, f"{freed.private}/locking-mode", "unlocked")
    done = served.call("setup_vif_rules", "xenlight", freed.device, freed.vm_uuid, "0", "filter")
    assert (done.returncode, served.flows()) == (0, FLOWS)
    away(served)

    restart_switch(served)

    await_locked(served)
    wait_for(lambda: "lock_again" in served.log, 10, "somebody else locked it")


def test_a_guest_is_locked_by_what_xenstore_says_when_it_is_back(served: ServedDom0) -> None:
    """What was remembered counts until then."""
    plug_by_keys(served, LOCKED)
    hang_xenstored(served)
    restart_switch(served)
    await_locked(served)

    signal_xenstored(served, "CONT")
    with served.sandbox.xenopsd.open_store() as store:
        write_key(store, f"{LOCKED.private}/ipv4-allowed", "192.0.2.77,192.0.2.79")
    served.xsagent("resync")

    await_locked(served, FLOWS + 2)
