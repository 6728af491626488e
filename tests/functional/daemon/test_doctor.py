"""What `xsagent doctor` says of a daemon that runs, that cannot get a device right, and that was killed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from xsagent.model.vif import VifId
from xsagent.sandbox.guest_vif import GuestVif

if TYPE_CHECKING:
    from served_dom0 import ServedDom0


def _findings(served: ServedDom0) -> dict[str, dict[str, Any]]:
    """Findings by kind."""
    found = json.loads(served.xsagent("doctor", "--json", check=False).stdout)["findings"]
    return {one["id"]: one for one in found}


def test_the_daemon_is_asked_and_its_devices_in_error_are_named(served: ServedDom0) -> None:
    """A device that stays in error is the daemon's word; the device's own fault is named beside it."""
    lost = GuestVif(id=VifId(8, 0), bridge="xapi8")
    before = _findings(served)
    served.prepare(lost)
    served.call("vif", "online", "vif", XENBUS_PATH="backend/vif/8/0", XSAGENT_HOTPLUG_S="1")

    after = _findings(served)

    assert not {"daemon-absent", "daemon-down", "ready-without-daemon", "daemon-key-failing"} & before.keys()
    assert after["daemon-key-failing"]["subject"] == "vif8.0"
    assert after["vif-bridge-missing"]["subject"] == "vif8.0"


def test_a_daemon_that_was_killed_leaves_a_ready_file_that_must_go(served: ServedDom0) -> None:
    """While it is there udev's rules start nothing; the command that the doctor names takes it away."""
    served.end("KILL")

    finding = _findings(served)["ready-without-daemon"]
    served.sandbox.run(["sh", "-c", finding["mend"][0]])

    assert "ready-without-daemon" not in _findings(served)
