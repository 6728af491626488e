"""The host's vif-hotplug hook beside the one-shot handler."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

from dom0 import KEYS, VIF_UUID, VM, Dom0, write_hook

from xsagent.sandbox.daemons import wait_for

IMPATIENT = """
import sys
from xsagent.hotplug import hook
hook.DEADLINE_S = 1.0
from xsagent.cli.vif import main
sys.exit(main(sys.argv[1:]))
"""
"""The vif script with a hook's limit of a second."""


def rewrite(dom0: Dom0, line: str) -> None:
    """Have the hook do this before it ends."""
    hook = dom0.sandbox.root / "etc/xapi.d/vif-hotplug"
    hook.write_text(hook.read_text().replace("exit 3", f"{line}\nexit 3"))


def test_a_hook_finds_its_vif_connected(dom0: Dom0) -> None:
    """It asks xenstore, as the hooks of others do; by then all is written."""
    seen = write_hook(dom0).with_name("seen")
    socket = dom0.sandbox.root / "run/xenstored/socket"
    rewrite(
        dom0,
        f"XENSTORED_PATH={socket} xenstore-read {KEYS.backend}/hotplug-status {KEYS.hotplug}/hotplug "
        f"{KEYS.hotplug}/vif-ofport >{seen} 2>&1",
    )

    dom0.vif("vif", "1", "0", "online")

    assert seen.read_text().split() == ["connected", "online", dom0.vsctl("get", "Interface", "vif1.0", "ofport")]


def test_a_hook_that_never_ends_is_killed_and_the_removal_reported(dom0: Dom0) -> None:
    """Xenopsd waits no longer than for the hook's limit, and nothing of the hook goes on."""
    dom0.vif("vif", "1", "0", "online")
    record = write_hook(dom0)
    process = record.with_name("process")
    rewrite(dom0, f"sleep 600 &\necho $! >{process}\nwait")

    words = [f"--root-prefix={dom0.sandbox.root}", "--no-syslog", "vif", "1", "0", "remove"]
    done = dom0.sandbox.run([sys.executable, "-c", IMPATIENT, *words])

    assert record.read_text() == f"-action remove -vifuuid {VIF_UUID} -vmuuid {VM}\n"
    assert "ignore_hook" in done.stderr
    assert dom0.read(f"{KEYS.hotplug}/hotplug") is None
    assert dom0.sandbox.run(["kill", "-0", process.read_text().strip()], check=False).returncode != 0


def test_xenopsd_learns_of_a_removal_when_its_hook_has_ended(dom0: Dom0) -> None:
    """The `hotplug` key goes last: the hook may still ask for what xenopsd takes away then."""
    dom0.vif("vif", "1", "0", "online")
    record = write_hook(dom0)
    released = record.with_name("released")
    rewrite(dom0, f"while [ ! -e {released} ]; do sleep 0.1; done")

    with ThreadPoolExecutor() as pool:
        done = pool.submit(dom0.vif, "vif", "1", "0", "remove")
        wait_for(record.exists, 30, "the hook was not started")
        assert dom0.bridge_of() == ""
        assert dom0.read(f"{KEYS.hotplug}/hotplug") == "online"
        released.touch()

    assert done.result().returncode == 0
    assert dom0.read(f"{KEYS.hotplug}/hotplug") is None
