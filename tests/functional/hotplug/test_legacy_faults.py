"""Faults of the legacy vif script (legacy-faults.md), by their numbers: each is shown to be none of ours."""

from __future__ import annotations

import pytest
from dom0 import KEYS, Dom0, write_hook
from guest_traffic import MAC

FRONTEND = "/local/domain/1/device/vif/0"
HOSTILE = (
    "x -- del-br xenbr1",
    "00:16:3e:00:00:01 -- set-controller xenbr0 tcp:192.0.2.250",
    '00:16:3e:00:00:01" -- emer-reset',
    "$(touch /run/pwned)",
    "`touch /run/pwned`;touch /run/pwned",
    "a" * 2000,
)


@pytest.mark.parametrize("mac", HOSTILE)
def test_f01_what_a_guest_writes_reaches_no_command(dom0: Dom0, mac: str) -> None:
    """The frontend's keys are the guest's; the port's marks come from the toolstack's, and nothing else happens."""
    for key in ("mac", "bridge", "script", "handle", "backend"):
        dom0.write(f"{FRONTEND}/{key}", mac)

    dom0.vif("online", "vif", XENBUS_PATH="backend/vif/1/0")

    assert dom0.ids()["attached-mac"] == MAC
    assert dom0.vsctl("list-br").split() == ["xenbr0", "xenbr1"]
    assert dom0.vsctl("get-controller", "xenbr0") == ""
    assert dom0.bridge_of() == "xenbr0"
    assert not (dom0.sandbox.root / "run/pwned").exists()


@pytest.mark.parametrize("missing", ["bridge", "device", "key"])
def test_f16_without_bridge_or_device_nothing_is_connected(dom0: Dom0, missing: str) -> None:
    """Exit 1 and a hotplug-error that names what is missing; the peers' script says `connected`."""
    if missing == "bridge":
        dom0.vsctl("del-br", "xenbr0")
    elif missing == "device":
        dom0.sandbox.run(["ip", "link", "del", "vif1.0"])
    else:
        dom0.remove(f"{KEYS.private}/bridge")

    failed = dom0.vif("online", "vif", XENBUS_PATH="backend/vif/1/0", check=False)

    said = {"bridge": "bridge xenbr0 does not exist", "device": "no network device vif1.0", "key": "names no bridge"}
    assert failed.returncode == 1
    assert said[missing] in (dom0.read(f"{KEYS.backend}/hotplug-error") or "")
    assert dom0.read(f"{KEYS.backend}/hotplug-status") is None
    assert dom0.read(f"{KEYS.hotplug}/hotplug") is None


def test_f16_an_unknown_action_does_not_succeed(dom0: Dom0) -> None:
    """Exit 2 with the usage."""
    failed = dom0.vif("explode", "vif", XENBUS_PATH="backend/vif/1/0", check=False)

    assert failed.returncode == 2
    assert "'explode' is not an action" in failed.stderr


def test_f23_removing_an_absent_port_is_no_failure(dom0: Dom0) -> None:
    """Neither for a vif that never was nor for a tap, and the hook is told all the same."""
    hook = write_hook(dom0)

    for words in (["remove", "vif"], ["remove", "tap"]):
        done = dom0.vif(*words, XENBUS_PATH="backend/vif/1/0", INTERFACE="tap1.0" if "tap" in words else "")
        assert (done.returncode, done.stdout) == (0, "")

    assert len(hook.read_text().splitlines()) == 1


def test_f29_a_remove_takes_back_what_was_reported(dom0: Dom0) -> None:
    """Neither hotplug-status nor any key below HOTPLUG is left."""
    dom0.vif("online", "vif", XENBUS_PATH="backend/vif/1/0")
    assert dom0.read(f"{KEYS.backend}/hotplug-status") == "connected"

    dom0.vif("remove", "vif", XENBUS_PATH="backend/vif/1/0")

    assert dom0.read(f"{KEYS.backend}/hotplug-status") is None
    assert dom0.store.directory(KEYS.hotplug) == ()
