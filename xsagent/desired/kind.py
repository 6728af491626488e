"""PIF -> what kind it is, so that the right builder takes it (features.md section 3). Pure.

What no builder can take is refused here, with a sentence: stacked VLANs, VLANs on tunnels, missing records.
"""

from __future__ import annotations

import enum

from xsagent.errors import InputError
from xsagent.model.records import UNTAGGED, Pif
from xsagent.model.snapshot import Snapshot
from xsagent.model.values import shown


class PifKind(enum.Enum):
    """Kinds of PIFs."""

    NIC = "NIC"
    BOND = "bond"
    VLAN = "VLAN"
    TUNNEL = "tunnel"
    SRIOV = "SR-IOV"
    SRIOV_VLAN = "VLAN on SR-IOV"


def label(pif: Pif) -> str:
    """How messages name a PIF."""
    device = pif.device if pif.vlan == UNTAGGED else f"{pif.device}.{pif.vlan}"
    return f"PIF {_on_one_line(pif.uuid)} ({_on_one_line(device)})"


def refusal(pif: Pif, cause: object) -> InputError:
    """The error for a PIF that cannot be used as it is."""
    return InputError(f"{label(pif)}: {cause}; nothing was changed")


def _on_one_line(text: str) -> str:
    """The text itself where it is an ordinary name; a record can hold anything."""
    return text if text.isprintable() else shown(text)


def is_tagged(pif: Pif) -> bool:
    """Whether the PIF is a VLAN's, by its tag or its record."""
    return pif.vlan_record is not None or pif.vlan != UNTAGGED


def kind_of(snapshot: Snapshot, pif: Pif) -> PifKind:
    """The PIF's kind.

    Raises:
        InputError: a record that it needs is missing, or it is a combination that cannot work.
    """
    if snapshot.is_sriov_logical(pif):
        return PifKind.SRIOV
    if is_tagged(pif):
        return _kind_of_vlan(snapshot, pif)
    if pif.bond is not None:
        if snapshot.bond_of(pif) is None:
            raise refusal(pif, f"its Bond {shown(pif.bond)} is in no record")
        return PifKind.BOND
    return PifKind.TUNNEL if snapshot.is_tunnel_access(pif) else PifKind.NIC


def _kind_of_vlan(snapshot: Snapshot, pif: Pif) -> PifKind:
    carrier = snapshot.carrier_of(pif)
    if carrier is None:
        raise refusal(pif, "its VLAN record, or the PIF that the VLAN rides on, is missing or unusable")
    if snapshot.is_sriov_logical(carrier):
        return PifKind.SRIOV_VLAN
    if is_tagged(carrier):
        raise refusal(pif, f"it rides on {label(carrier)}, which is a VLAN itself: stacked VLANs do not work")
    if snapshot.is_tunnel_access(carrier):
        raise refusal(pif, f"it rides on {label(carrier)}, which is a tunnel: VLANs on tunnels do not work")
    return PifKind.VLAN
