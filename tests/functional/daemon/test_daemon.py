"""xsagentd on real Open vSwitch, xenstored and udevd: events, requests, status, its end."""

from __future__ import annotations

from daemon_dom0 import DaemonDom0
from dom0 import KEYS

from xsagent.sandbox.daemons import wait_for


def await_connected(served: DaemonDom0) -> None:
    """Wait until netback is told to connect the guest."""
    wait_for(
        lambda: served.dom0.read(f"{KEYS.backend}/hotplug-status") == "connected",
        20,
        f"the vif was not connected: {served.log.read_text()[-3000:]}",
    )


def test_an_event_of_udev_is_handled_by_the_daemon(served: DaemonDom0) -> None:
    """From udev's monitor to the switch and to `connected`, with no process started."""
    served.online(1)
    await_connected(served)

    device = served.status()["daemon"]["devices"]["vif1.0"]
    assert served.dom0.bridge_of() == "xenbr0"
    assert (device["state"], device["placed"]) == ("done", "xenbr0")

    served.dom0.remove(KEYS.backend)
    served.online(1, action="remove")
    wait_for(lambda: not served.dom0.bridge_of(), 20, "the port stayed")


def test_a_call_is_handed_over_and_blocks_until_it_is_verified(served: DaemonDom0) -> None:
    """The script's word is the daemon's, with the daemon's batches counted; it ends when the vif is connected."""
    before = served.status()["daemon"]["requests"]["served"]

    done = served.dom0.vif("online", "vif", XENBUS_PATH="backend/vif/1/0")

    assert (done.returncode, done.stdout) == (0, "")
    assert served.dom0.read(f"{KEYS.backend}/hotplug-status") == "connected"
    assert served.status()["daemon"]["requests"]["served"] > before + 1


def test_the_ready_file_never_outlives_the_daemon_that_ends_in_order(served: DaemonDom0) -> None:
    """SIGTERM: exit status 0, neither ready file nor control socket left."""
    assert served.stop() == 0

    assert not (served.root / "run/xsagent/ready").exists()
    assert list((served.root / "run/openvswitch").glob("xsagentd*")) == []
    assert "does not run" in served.run("status").stdout


def test_ovs_appctl_flushes_and_ends_it(served: DaemonDom0) -> None:
    """The names of the peers' ovs-xapi-sync."""
    appctl = ["ovs-appctl", "--timeout=10", "-t", "xsagentd"]
    served.dom0.sandbox.run([*appctl, "flush-cache"])
    served.await_daemon(lambda one: "flush-cache" in one["resync"]["reason"], "nothing was read afresh")

    served.dom0.sandbox.run([*appctl, "exit"])

    assert served.process is not None
    assert served.process.wait(20) == 0
