"""Which of a VIF's two ports is the live one: external_ids:iface-status of vif and tap as a pair. Pure.

A controller attaches a logical port to the interface that is ``active`` (features.md section 12). Both rows change
in one transaction (`decide`), so that there is no moment with two active ones, or with none.
"""

from __future__ import annotations

import enum
from collections.abc import Set as AbstractSet

from xsagent.model.vif import DeviceType

KEY = "iface-status"


class IfaceStatus(enum.StrEnum):
    """Values of the key."""

    ACTIVE = "active"
    INACTIVE = "inactive"


def decide_iface_status(present: AbstractSet[DeviceType]) -> dict[DeviceType, IfaceStatus]:
    """The status of each port of one VIF, of those that are in the switch.

    While a tap is there the guest uses it, so the vif beside it is inactive; without a tap the vif is active.
    """
    active = DeviceType.TAP if DeviceType.TAP in present else DeviceType.VIF
    return {
        kind: IfaceStatus.ACTIVE if kind is active else IfaceStatus.INACTIVE for kind in DeviceType if kind in present
    }
