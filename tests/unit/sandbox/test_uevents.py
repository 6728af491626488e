"""Uevents of a vif's backend device, in the form of a real Xen (udev-xen.md)."""

from __future__ import annotations

import pytest

from xsagent.hotplug.event import Action, parse_uevent
from xsagent.model.vif import VifId
from xsagent.sandbox.uevents import render_uevent, xen_backend_uevent


@pytest.mark.parametrize("action", ["online", "bind", "offline"])
def test_some_events_name_the_netdev(action: str) -> None:
    """`vif`, `script` and DRIVER are there while a driver has the device."""
    assert xen_backend_uevent(action, VifId(5, 1)) | {} == {
        "ACTION": action,
        "DEVPATH": "/devices/vif-5-1",
        "SUBSYSTEM": "xen-backend",
        "XENBUS_TYPE": "vif",
        "XENBUS_PATH": "backend/vif/5/1",
        "XENBUS_BASE_PATH": "backend",
        "DRIVER": "vif",
        "vif": "vif5.1",
        "script": "/etc/xensource/scripts/vif",
    }


@pytest.mark.parametrize(("action", "modalias"), [("add", True), ("unbind", False), ("remove", True)])
def test_others_name_the_backend_alone(action: str, *, modalias: bool) -> None:
    """The device's name has to come from XENBUS_PATH then."""
    variables = xen_backend_uevent(action, VifId(5, 1))

    assert "vif" not in variables
    assert ("MODALIAS" in variables) == modalias


def test_the_payload_is_a_uevent_of_the_kernel() -> None:
    """Head and variables, each ending in NUL; read by udev's rules it is the event that is meant."""
    variables = xen_backend_uevent("online", VifId(5, 1))
    head, *rest = render_uevent(variables).split(b"\0")
    event = parse_uevent(variables)

    assert head == b"online@/devices/vif-5-1"
    assert rest[-1] == b""
    assert dict(part.decode().split("=", 1) for part in rest[:-1]) == variables
    assert event is not None
    assert (event.action, event.device) == (Action.ONLINE, "vif5.1")
