"""The host's vif-hotplug hook beside the one-shot handler."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from dom0 import KEYS, Dom0, write_hook

from xsagent.sandbox.daemons import wait_for


def test_xenopsd_learns_of_a_removal_when_its_hook_has_ended(dom0: Dom0) -> None:
    """The `hotplug` key goes last: the hook may still ask for what xenopsd takes away then."""
    dom0.vif("vif", "1", "0", "online")
    record = write_hook(dom0)
    hook, released = dom0.sandbox.root / "etc/xapi.d/vif-hotplug", record.with_name("released")
    hook.write_text(hook.read_text().replace("exit 3", f"while [ ! -e {released} ]; do sleep 0.1; done"))

    with ThreadPoolExecutor() as pool:
        done = pool.submit(dom0.vif, "vif", "1", "0", "remove")
        wait_for(record.exists, 30, "the hook was not started")
        assert dom0.bridge_of() == ""
        assert dom0.read(f"{KEYS.hotplug}/hotplug") == "online"
        released.touch()

    assert done.result().returncode == 0
    assert dom0.read(f"{KEYS.hotplug}/hotplug") is None
