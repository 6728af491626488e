"""How long an event may take: less than whoever raised it waits."""

from __future__ import annotations

from pathlib import Path
from runpy import run_path

import pytest

from xsagent.config import Settings
from xsagent.hotplug.event import Action, Event
from xsagent.hotplug.handle import patience_s
from xsagent.model.vif import DeviceType, VifId

HOOK = Path(__file__).parents[3] / "udev/hotplug-hook"
UDEVD_KILLS_S = 180
"""systemd-udevd.service(8): event timeout."""
XENOPSD_WAITS_S = 300


@pytest.mark.parametrize(("from_udev", "patience"), [(True, 80), (False, 200)])
def test_udevs_event_is_given_up_before_udev_kills_its_handler(*, from_udev: bool, patience: int) -> None:
    """A longer `hotplug_s` is kept for the toolstack's own calls."""
    event = Event(vif=VifId(5, 0), kind=DeviceType.VIF, action=Action.ONLINE, from_udev=from_udev)

    assert patience_s(event, Settings(hotplug_s=200)) == patience
    assert patience_s(event, Settings(hotplug_s=3)) == 3


@pytest.mark.parametrize(("environment", "limit"), [({"UDEV_CALL": "1"}, UDEVD_KILLS_S), ({}, XENOPSD_WAITS_S)])
def test_after_a_daemon_that_hangs_the_handler_still_has_its_time(environment: dict[str, str], limit: int) -> None:
    """The hook waits for the daemon's answer, then does it itself, both within the time of whoever called."""
    hook = run_path(str(HOOK), run_name="hotplug_hook")

    assert hook["answer_deadline_s"](environment) + Settings().hotplug_s < limit


def test_udevs_call_ends_in_time_whatever_hotplug_s_says_and_whoever_hangs() -> None:
    """The daemon gives up before the hook gives it up, and the handler after it before udev kills it."""
    event = Event(vif=VifId(5, 0), kind=DeviceType.VIF, action=Action.ONLINE, from_udev=True)
    patience, waited = patience_s(event, Settings(hotplug_s=250)), run_path(str(HOOK))["UDEVS_DEADLINE_S"]

    assert patience < waited
    assert waited + patience < UDEVD_KILLS_S
