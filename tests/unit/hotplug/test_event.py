"""Calls and uevents as events, in the forms that udev, xenopsd and libxl use."""

from __future__ import annotations

import pytest

from xsagent.errors import UsageError
from xsagent.hotplug.event import Action, Event, Want, merge_events, parse_call, parse_rules_call, parse_uevent
from xsagent.model.vif import DeviceType, VifId

ONLINE = Event(vif=VifId(5, 1), kind=DeviceType.VIF, action=Action.ONLINE)
TAP = Event(vif=VifId(5, 1), kind=DeviceType.TAP, action=Action.ADD)
BOTH = {"vif": DeviceType.VIF, "tap": DeviceType.TAP}


def xenopsd(kind: str) -> dict[str, str]:
    """What xenopsd sets for a call of its own (``run_hotplug_script``): a tap's XENBUS_PATH is of no directory."""
    return {
        "script": "/etc/xensource/scripts/vif",
        "XENBUS_TYPE": kind,
        "XENBUS_PATH": f"backend/{kind}/5/1",
        "XENBUS_BASE_PATH": "backend",
        "INTERFACE": f"{kind}5.1",
    }


@pytest.mark.parametrize(
    ("words", "environment", "expected"),
    [
        ("online vif", {"XENBUS_PATH": "backend/vif/5/1"}, ONLINE),
        ("online", {"XENBUS_PATH": "backend/vif/5/1"}, ONLINE),
        ("online type_if=vif", {"XENBUS_PATH": "/local/domain/0/backend/vif/5/1", "vif": "vif5.1"}, ONLINE),
        ("online vif 5 1", {}, ONLINE),
        ("online 5 1", {}, ONLINE),
        ("vif 5 1 online", {}, ONLINE),
        ("vif 5 1 online dummy", {}, ONLINE),
        ("add tap", {"INTERFACE": "tap5.1"}, TAP),
        ("add type_if=tap", {"XENBUS_PATH": "backend/vif/5/1"}, TAP),
        ("add", {"XENBUS_TYPE": "tap", "XENBUS_PATH": "backend/vif/5/1"}, TAP),
        ("tap 5 1 add", {"XENBUS_TYPE": "vif"}, TAP),
    ],
)
def test_every_form_of_call_is_understood(words: str, environment: dict[str, str], expected: Event) -> None:
    """Old arguments, udev's, vif-real's and those that leave the type to XENBUS_TYPE (features.md section 15)."""
    assert parse_call(words.split(), environment) == expected


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("action", ["online", "add", "move", "remove"])
def test_xenopsds_own_calls_are_understood(action: str, kind: str) -> None:
    """With its whole environment, with the type as a word and without, and by a xenopsd that names no INTERFACE."""
    environment = xenopsd(kind)
    without = {name: value for name, value in environment.items() if name != "INTERFACE"}
    expected = Event(vif=VifId(5, 1), kind=BOTH[kind], action=Action(action))

    assert parse_call([action, f"type_if={kind}"], environment) == expected
    assert parse_call([action], environment) == expected
    assert parse_call([action, f"type_if={kind}"], without) == expected


@pytest.mark.parametrize("environment", [{"UDEV_CALL": "1"}, {"ACTION": "online", "SEQNUM": "42"}])
def test_udevs_calls_are_told_apart(environment: dict[str, str]) -> None:
    """New rules say UDEV_CALL; of old ones udev's own variables remain."""
    assert parse_call(["online"], environment | {"XENBUS_PATH": "backend/vif/5/1"}).from_udev
    assert not parse_call(["online"], {"XENBUS_PATH": "backend/vif/5/1", "ACTION": "online"}).from_udev


@pytest.mark.parametrize(
    ("words", "environment"),
    [
        ("", {}),
        ("online", {}),
        ("destroy vif 5 1", {}),
        ("filter vif 5 1", {}),
        ("online vbd", {"XENBUS_PATH": "backend/vif/5/1"}),
        ("online", {"XENBUS_TYPE": "vbd", "XENBUS_PATH": "backend/vif/5/1"}),
        ("online vif 5", {}),
        ("vif 5 online", {}),
        ("vif 5 1 online dummy more", {}),
        ("vif 5 01 online", {}),
        ("vif 40000 1 online", {}),
        ("vif 5 70000 online", {}),
        ("online vif 5 1", {"XENBUS_PATH": "backend/vif/5/2"}),
        ("online", {"XENBUS_PATH": "backend/vif/5/1/../2"}),
        ("online", {"XENBUS_PATH": "backend/vbd/5/1"}),
        ("move vif", {"XENBUS_PATH": "backend/tap/5/1"}),
        ("move type_if=tap", {"XENBUS_PATH": "backend/tap/5/1", "INTERFACE": "tap5.2"}),
        ("move type_if=tap", {"XENBUS_PATH": "backend/vbd/5/1", "INTERFACE": "tap5.1"}),
        ("add tap", {"INTERFACE": "tap5.1;reboot"}),
        ("add tap", {"INTERFACE": "eth0"}),
    ],
)
def test_any_other_call_is_a_usage_error(words: str, environment: dict[str, str]) -> None:
    """Unknown words do not succeed (F16), and two sources that disagree are no device."""
    with pytest.raises(UsageError, match=r"."):
        parse_call(words.split(), environment)


def test_setup_vif_rules_arguments_name_device_and_file() -> None:
    """Five words (wire.md section 3); the backend and uuid say where xenopsd's file lies."""
    event = parse_rules_call(["xenlight", "tap5.1", "some-uuid", "1", "filter"])

    assert (event.device, event.want, event.reports) == ("tap5.1", Want.ATTACHED, False)
    assert (event.backend, event.vm_uuid) == ("xenlight", "some-uuid")
    for words in (
        "xenlight vif5.1 u 1",
        "xenlight vif5.1 u 2 filter",
        "xenlight eth0 u 0 filter",
        "b vif5.1 u 1 online",
    ):
        with pytest.raises(UsageError):
            parse_rules_call(words.split())


@pytest.mark.parametrize(
    ("properties", "expected"),
    [
        ({"SUBSYSTEM": "xen-backend", "ACTION": "online", "XENBUS_PATH": "backend/vif/5/1"}, ("vif5.1", Want.ATTACHED)),
        ({"SUBSYSTEM": "xen-backend", "ACTION": "add", "XENBUS_PATH": "backend/vif/5/1"}, ("vif5.1", Want.NOTHING)),
        ({"SUBSYSTEM": "xen-backend", "ACTION": "bind", "XENBUS_PATH": "backend/vif/5/1"}, ("vif5.1", Want.NOTHING)),
        ({"SUBSYSTEM": "xen-backend", "ACTION": "remove", "DEVPATH": "/devices/vif-5-1"}, ("vif5.1", Want.DETACHED)),
        ({"SUBSYSTEM": "net", "ACTION": "add", "INTERFACE": "tap5.1"}, ("tap5.1", Want.ATTACHED)),
        ({"SUBSYSTEM": "net", "ACTION": "remove", "INTERFACE": "tap5.1"}, ("tap5.1", Want.DETACHED)),
    ],
)
def test_uevents_of_guests_devices_are_events(properties: dict[str, str], expected: tuple[str, Want]) -> None:
    """As a real Xen dom0 sends them (udev-xen.md)."""
    event = parse_uevent(properties)

    assert event is not None
    assert ((event.device, event.want), event.from_udev) == (expected, True)


@pytest.mark.parametrize(
    "properties",
    [
        {"SUBSYSTEM": "xen-backend", "ACTION": "add", "DEVPATH": "/devices/console-5-0"},
        {"SUBSYSTEM": "xen-backend", "ACTION": "online", "XENBUS_PATH": "backend/vbd/5/1"},
        {"SUBSYSTEM": "xen-backend", "ACTION": "online", "XENBUS_PATH": "backend/tap/5/1"},
        {"SUBSYSTEM": "net", "ACTION": "add", "INTERFACE": "vif5.1"},
        {"SUBSYSTEM": "net", "ACTION": "add", "INTERFACE": "eth0"},
        {"SUBSYSTEM": "net", "ACTION": "filter", "INTERFACE": "tap5.1"},
        {"SUBSYSTEM": "block", "ACTION": "add", "INTERFACE": "tap5.1"},
        {},
    ],
)
def test_other_uevents_are_none_of_ours(properties: dict[str, str]) -> None:
    """Consoles, disks, NICs and our own words are passed over."""
    assert parse_uevent(properties) is None


def test_of_two_events_the_last_that_asks_for_something_stands() -> None:
    """A device that vanished and came again (Windows PV drivers) is attached, however the events are folded."""
    bind, gone = (Event(vif=VifId(5, 1), kind=DeviceType.VIF, action=a) for a in (Action.BIND, Action.REMOVE))

    assert merge_events(ONLINE, bind) == ONLINE
    assert merge_events(gone, ONLINE) == ONLINE
    assert merge_events(ONLINE, gone) == gone
    assert merge_events(bind, ONLINE) == ONLINE
