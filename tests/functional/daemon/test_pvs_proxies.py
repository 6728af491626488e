"""The helper for PVS proxies beside the daemon's hotplug."""

from __future__ import annotations

from pathlib import Path

from served_dom0 import ServedDom0
from xenstore_keys import write_key

from xsagent.model.vif import VifId
from xsagent.sandbox.daemons import wait_for
from xsagent.sandbox.guest_vif import GuestVif

PROXIED, PLAIN, COMING = (GuestVif(id=VifId(20 + number, 0)) for number in range(3))


def name_helper(served: ServedDom0, script: str = ":") -> Path:
    """Give a VIF a proxy, and put a helper in place that notes its calls and then does this; returns the notes."""
    program, record = served.root / "usr/libexec/pvs", served.root / "pvs.log"
    program.parent.mkdir(parents=True, exist_ok=True)
    program.write_text(f'#!/bin/sh\necho "$1 $3" >>{record}\n{script}\n')
    program.chmod(0o755)
    with served.sandbox.xenopsd.open_store() as store:
        write_key(store, f"{PROXIED.private}/pvs-interface", "pvs1")
        write_key(store, f"{PROXIED.private}/setup-pvs-proxy-rules", "/usr/libexec/pvs")
    return record


def calls(record: Path) -> list[str]:
    """The calls so far."""
    return record.read_text().splitlines() if record.exists() else []


def test_one_that_hangs_holds_its_own_device_alone(served: ServedDom0) -> None:
    """Another VIF of the same batch goes and a third one comes meanwhile; its own port goes when it has ended."""
    released = served.root / "released"
    served.prepare(PROXIED, PLAIN, COMING)
    record = name_helper(served, f"[ $1 = add ] || while [ ! -e {released} ]; do sleep 0.1; done")
    served.online(PROXIED, PLAIN)
    assert served.await_reports(PROXIED, PLAIN) == []
    wait_for(lambda: calls(record) != [], 30, "the rules were not put in")

    for vif in (PROXIED, PLAIN):
        served.sandbox.run(["ip", "link", "del", vif.device])
    served.sandbox.xenopsd.raise_uevents("remove", PROXIED, PLAIN)
    served.online(COMING)

    assert served.await_reports(COMING) == []
    wait_for(lambda: served.read(f"{PLAIN.hotplug}/hotplug") is None, 30, "the other vif's key stayed")
    assert served.ports() == {PROXIED.device, COMING.device}
    assert served.read(f"{PROXIED.hotplug}/hotplug") == "online"
    released.touch()
    wait_for(lambda: served.read(f"{PROXIED.hotplug}/hotplug") is None, 30, "its own key stayed")
    assert served.ports() == {COMING.device}
    assert calls(record)[-2:] == [f"add {PROXIED.device}", f"remove {PROXIED.device}"]


def test_rules_that_a_restarted_switch_forgot_are_put_in_again(served: ServedDom0) -> None:
    """And by no resync while it runs."""
    served.await_status(lambda one: one["resync"] is not None, "the first look was not made")
    served.prepare(PROXIED)
    record, once = name_helper(served), [f"add {PROXIED.device}"]
    served.online(PROXIED)
    wait_for(lambda: calls(record) == once, 30, "the rules were not put in")
    before = served.status()["resync"]["at"]
    served.xsagent("resync")
    served.await_status(lambda one: one["resync"]["at"] > before and not one["counts"]["pending"], "no resync")
    assert calls(record) == once

    served.sandbox.vswitchd.kill()
    served.sandbox.vswitchd.start()

    wait_for(lambda: calls(record) == 2 * once, 30, "the rules were not put in again")
