"""SR-IOV logical PIFs and VLANs on them."""

from __future__ import annotations

import dataclasses

import pytest
from records_builder import HOST, Records, management, static

from xsagent.errors import InputError
from xsagent.topology.values import ObjectKey, ObjectKind, Topology


def test_a_logical_pif_wants_virtual_functions_and_nothing_else() -> None:
    """No bridge, no IP."""
    records = Records()
    desired = records.up(records.sriov(records.nic(2, currently_attached=True)))
    assert desired.virtual_functions == {"eth2"}
    assert desired.topology == Topology()


def test_virtual_functions_of_managements_nic_come_and_go_under_the_deadman() -> None:
    """Some drivers reset the NIC for them; another NIC's are nobody's risk."""
    for number, path in ((0, ("xenbr0", "eth0")), (2, None)):
        records = Records()
        nics = {0: records.nic(0, **management(**static())), 2: records.nic(2, currently_attached=True)}
        logical = records.sriov(nics[number])
        for found in (records.up(logical).management, records.down(logical).management):
            assert (found and found.ports) == path


def test_a_logical_pif_releases_its_virtual_functions_when_it_goes_down() -> None:
    """Whether they can go the host says: VMs may hold them."""
    records = Records()
    desired = records.down(records.sriov(records.nic(2), currently_attached=True))
    assert (desired.released_functions, desired.topology) == (frozenset({"eth2"}), Topology())


def test_virtual_functions_of_the_nic_that_the_host_runs_from_stay() -> None:
    """Some drivers reset the NIC for them; nor does a missing record keep a PIF from going down."""
    records = Records()
    logical = records.sriov(records.nic(2), currently_attached=True)
    host = dataclasses.replace(HOST, root_macs=frozenset({"00:16:3e:00:00:02"}))
    assert records.down(logical, host).released_functions == frozenset()
    records.sriovs.clear()
    desired = records.down(logical)
    assert desired.released_functions == frozenset()
    assert desired.reasons[-1].event == "leave_virtual_functions"


@pytest.mark.parametrize("attached", [True, False])
@pytest.mark.parametrize("source", ["xapi", "cache"])
@pytest.mark.parametrize("asked", ["down the NIC", "down its last VLAN", "down its bond", "up the other member"])
def test_the_link_of_a_nic_stays_as_long_as_an_sriov_network_on_it_is_up(
    asked: str, source: str, *, attached: bool
) -> None:
    """Guests' virtual functions have their wire by it. In the cache, too, XAPI's word counts, not a missing bridge."""
    records = Records(source=source)
    other, nic = records.nic(1), records.nic(2)
    records.change_network(records.sriov(nic, currently_attached=attached), bridge="xapi9")
    host = dataclasses.replace(HOST, present_bridges=frozenset({"xapi0", "xapi5"}))
    match asked:
        case "down the NIC":
            desired = records.down(nic, host)
        case "down its last VLAN":
            desired = records.down(records.vlan(nic, 5, currently_attached=True), host)
        case "down its bond":
            desired = records.down(records.bond(other, nic, currently_attached=True), host)
        case _:
            records.bond(other, nic, currently_attached=True)
            desired = records.up(other, host)

    assert (ObjectKey(kind=ObjectKind.LINK, name="eth2") in desired.topology.absent) is not attached
    assert ("keep_link" in {reason.event for reason in desired.reasons}) is attached


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
