"""What the planner is told beside the two topologies. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

MTU_SETTING: Final = "mtu"
"""The word under which a refused MTU is remembered beside refused link settings; ethtool has none like it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """How careful to be, and what this host has refused before.

    Attributes:
        keep_ports: refuse to delete a bridge that carries a VIF's port whose netdev exists, or a port of others
            (features.md section 14: ``--pif-uuid`` and ``--force``; XAPI itself moves such VIFs afterwards).
        refused_features: by device, offloads that its driver refused, with the value refused.
        refused_settings: by device, link settings that its driver refused, with the value refused; its MTU as
            MTU_SETTING.
        shared: devices that share an address with one of this plan until the next plan retires it there.
        at_boot: files that help, and without which a device is up all the same, are best effort: resolv.conf, and the
            one of the network scripts that names the devices with the default gateway and DNS.
        carrier_wait_s: seconds to wait for the carrier of NICs that have just come up below a bond.
    """

    keep_ports: bool = True
    refused_features: Mapping[str, Mapping[str, bool]] = field(default_factory=dict)
    refused_settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    shared: frozenset[str] = frozenset()
    at_boot: bool = False
    carrier_wait_s: float = 5.0

    def refuses_mtu(self, device: str, mtu: int) -> bool:
        """Whether the device's driver refused this MTU, bytes, before."""
        return self.refused_settings.get(device, {}).get(MTU_SETTING) == str(mtu)
