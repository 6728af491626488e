"""Which port of a VIF is the live one."""

from __future__ import annotations

import pytest

from xsagent.hotplug.iface_status import decide_iface_status
from xsagent.model.vif import DeviceType


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        ({DeviceType.VIF}, {"vif": "active"}),
        ({DeviceType.TAP}, {"tap": "active"}),
        ({DeviceType.VIF, DeviceType.TAP}, {"vif": "inactive", "tap": "active"}),
        (set(), {}),
    ],
)
def test_the_tap_is_active_while_it_is_there(present: set[DeviceType], expected: dict[str, str]) -> None:
    """features.md section 12, row iface-status."""
    assert decide_iface_status(present) == expected
