"""reconcile/xapi_report.py: the manager's state, and how it differs from XAPI's word."""

from __future__ import annotations

import pytest

from xsagent.reconcile.xapi_report import XapiReport
from xsagent.topology.control import ManagerState

STATE = ManagerState(target="ssl:192.0.2.1", is_connected=True, status={"state": "ACTIVE", "sec_since_connect": "7"})


@pytest.mark.parametrize(
    ("decided", "wanted", "managers", "drift"),
    [
        (True, "ssl:192.0.2.1:6640", (STATE,), ""),
        (True, "", (), ""),
        (False, "", (STATE,), ""),
        (True, "", (STATE,), "XAPI names no manager, the switch has ssl:192.0.2.1"),
        (True, "ssl:192.0.2.2:6640", (STATE,), "XAPI wants manager ssl:192.0.2.2:6640, the switch has ssl:192.0.2.1"),
        (True, "pssl:6640", (), "XAPI wants manager pssl:6640, the switch has none"),
    ],
)
def test_the_drift_is_a_sentence(
    *,
    decided: bool,
    wanted: str,
    managers: tuple[ManagerState, ...],
    drift: str,
) -> None:
    """Only where XAPI says whom it wants; OVS's default port is the same port."""
    report = XapiReport(decided=decided, wanted=wanted, managers=managers)

    assert report.drift() == drift
    assert report.lacks_manager is drift.startswith("XAPI wants")


def test_seconds_of_the_last_look_are_not_shown() -> None:
    """They would be read as seconds from now."""
    form = XapiReport(managers=(STATE,)).as_json()

    assert form["managers"] == [{"target": "ssl:192.0.2.1", "is_connected": True, "status": {"state": "ACTIVE"}}]
