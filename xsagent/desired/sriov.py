"""SR-IOV logical PIFs: no bridge, no IP; their NIC must have virtual functions (features.md sections 3, 27). Pure.

Used by build.py and down.py.
"""

from __future__ import annotations

from xsagent.desired.draft import Draft
from xsagent.desired.kind import label, refusal
from xsagent.desired.nic import nic_name
from xsagent.desired.scene import Scene
from xsagent.model.records import Pif


def build_sriov(scene: Scene, draft: Draft, pif: Pif) -> None:
    """Want virtual functions on the NIC; InputError when the records do not say which."""
    physical = _physical_pif(scene, pif)
    if physical is None:
        raise refusal(pif, "its SR-IOV record, or the NIC that it names, is in no record")
    draft.virtual_functions.add(nic_name(physical))


def pass_over_sriov_vlan(draft: Draft, pif: Pif) -> None:
    """Note that a VLAN on an SR-IOV PIF needs nothing: the VLAN is set on each virtual function at its VM's start."""
    draft.notes.decide("pass_over_sriov_vlan", label(pif), "VLANs on SR-IOV are set per virtual function by xenopsd")


def release_virtual_functions(scene: Scene, draft: Draft, pif: Pif) -> None:
    """Want the NIC's virtual functions gone, where a run of ours made them and no guest may have one.

    Those of the NIC that the host runs from stay: some drivers reset it for them.
    """
    physical = _physical_pif(scene, pif)
    if physical is None or physical.mac.lower() in scene.host.root_macs:
        draft.notes.decide("leave_virtual_functions", label(pif), "its NIC is in no record, or the host runs from it")
    else:
        draft.released_functions.add(nic_name(physical))


def _physical_pif(scene: Scene, pif: Pif) -> Pif | None:
    for ref in pif.sriov_logical_of:
        sriov = scene.snapshot.sriovs.get(ref)
        physical = scene.snapshot.pifs.get(sriov.physical_pif) if sriov else None
        if physical is not None:
            return physical
    return None
