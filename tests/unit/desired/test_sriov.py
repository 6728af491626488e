"""SR-IOV logical PIFs and VLANs on them."""

from __future__ import annotations

import pytest
from records_builder import Records, management, static

from xsagent.errors import InputError
from xsagent.topology.values import Topology


def test_a_logical_pif_wants_virtual_functions_and_nothing_else() -> None:
    """No bridge, no IP."""
    records = Records()
    desired = records.up(records.sriov(records.nic(2, currently_attached=True)))
    assert desired.virtual_functions == {"eth2"}
    assert desired.topology == Topology()


def test_virtual_functions_of_managements_nic_are_made_under_the_deadman() -> None:
    """Some drivers reset the NIC for them; another NIC's are nobody's risk."""
    for number, path in ((0, ("xenbr0", "eth0")), (2, None)):
        records = Records()
        nics = {0: records.nic(0, **management(**static())), 2: records.nic(2, currently_attached=True)}
        found = records.up(records.sriov(nics[number])).management

        assert (found and found.ports) == path


def test_a_logical_pif_goes_down_without_taking_virtual_functions() -> None:
    """VMs may hold them."""
    records = Records()
    desired = records.down(records.sriov(records.nic(2), currently_attached=True))
    assert (desired.virtual_functions, desired.topology) == (frozenset(), Topology())
    assert desired.reasons[-1].event == "leave_virtual_functions"


def test_a_vlan_on_a_logical_pif_needs_nothing() -> None:
    """Exit 0 with a reason, both ways."""
    records = Records()
    vlan = records.vlan(records.sriov(records.nic(2)), 5, bridge="")
    for act in (records.up, records.down):
        desired = act(vlan)
        assert desired.topology == Topology()
        assert desired.reasons[-1].event == "pass_over_sriov_vlan"


def test_a_logical_pif_without_its_record_is_refused() -> None:
    """The record says which NIC it is."""
    records = Records()
    logical = records.sriov(records.nic(2))
    records.sriovs.clear()
    with pytest.raises(InputError, match="its SR-IOV record"):
        records.up(logical)
