"""This host's records are read out of a pool by few calls, and one odd record spoils no other."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from xsagent.errors import XapiError
from xsagent.model.records import Ref
from xsagent.model.snapshot import Snapshot
from xsagent.sandbox.xapi_pool import NULL, PoolShape, build_pool, network_record, ref_for, uuid_for
from xsagent.sandbox.xapi_standin import XapiStandin
from xsagent.sources.xapi import XapiSession, open_session, read_snapshot

Opener = Callable[..., AbstractContextManager[XapiSession]]
HOST_UUID = uuid_for("host 1")
LOGIN_AND_HOST = ["session.login_with_password", "host.get_by_uuid"]
LOGOUT = "session.logout"


def read(opened: Opener) -> Snapshot:
    """The Snapshot of this host."""
    with opened() as session:
        return read_snapshot(session, HOST_UUID)


def pif_ref(name: str, host: int = 1) -> Ref:
    """The reference of a PIF of the pool."""
    return Ref(ref_for(f"PIF {host} {name}"))


@pytest.mark.usefixtures("standin")
def test_the_snapshot_holds_exactly_this_hosts_records(opened: Opener, shape: PoolShape) -> None:
    """Every PIF of this host with all it refers to is there, and nothing of another host."""
    snapshot = read(opened)
    pool = build_pool(shape)
    this_host = ref_for("host 1")

    assert set(snapshot.pifs) == {ref for ref, pif in pool["PIF"].items() if pif["host"] == this_host}
    assert set(snapshot.vlans) == {pif.vlan_record for pif in snapshot.pifs.values() if pif.vlan_record}
    assert set(snapshot.networks) == {pif.network for pif in snapshot.pifs.values()}
    assert {network.pifs for network in snapshot.networks.values()} == {(ref,) for ref in snapshot.pifs}
    assert [bond.pif for bond in snapshot.bonds.values()] == [pif_ref("bond0")]
    assert [tunnel.transport_pif for tunnel in snapshot.tunnels.values()] == [pif_ref("eth0")]
    assert [sriov.physical_pif for sriov in snapshot.sriovs.values()] == [pif_ref("eth0")]
    assert snapshot.pool is not None
    assert snapshot.pool.other_config == {"vswitch-controller-fail-mode": "standalone"}
    assert (snapshot.source, snapshot.host_uuid, snapshot.complete) == ("xapi", HOST_UUID, True)
    assert (snapshot.unusable, snapshot.warnings) == ({}, ())


@pytest.mark.usefixtures("standin")
def test_relations_lead_from_a_vlan_to_its_carrier(opened: Opener) -> None:
    """The Snapshot's own look-ups work on what was read."""
    snapshot = read(opened)
    upper = snapshot.pif(pif_ref("eth1.2"))
    carrier = snapshot.carrier_of(upper)

    assert carrier is not None
    assert (upper.device, upper.vlan, carrier.device) == ("eth1", 2, "eth1")
    assert [pif.device for pif in snapshot.members_of(snapshot.bonds[Ref(ref_for("Bond 1 bond0"))])] == ["eth2", "eth3"]


def test_a_read_is_seven_bulk_calls(standin: XapiStandin, opened: Opener) -> None:
    """Beside login, host look-up and logout there is one call a class, filtered where the class is big."""
    read(opened)

    assert standin.methods() == [
        *LOGIN_AND_HOST,
        "PIF.get_all_records_where",
        "network.get_all_records",
        "VLAN.get_all_records_where",
        "Bond.get_all_records_where",
        "tunnel.get_all_records_where",
        "network_sriov.get_all_records_where",
        "pool.get_all_records",
        LOGOUT,
    ]
    assert standin.control("connections") == 1


def test_a_class_that_no_pif_mentions_is_not_asked_for(socket_path: Path, opened: Opener) -> None:
    """A host without VLANs, bonds, tunnels and SR-IOV costs three calls."""
    plain = build_pool(PoolShape(hosts=2, nics=2, vlans=0, bonds=0, tunnels=0, sriovs=0))
    with XapiStandin(plain, socket_path) as standin:
        read(opened)
        methods = standin.methods()

    assert methods[2:-1] == ["PIF.get_all_records_where", "network.get_all_records", "pool.get_all_records"]


def test_an_internal_network_is_kept_and_one_of_other_hosts_is_not(standin: XapiStandin, opened: Opener) -> None:
    """Guests may be on a network without PIFs; one whose PIFs are all elsewhere is none of this host's."""
    internal, elsewhere = Ref("OpaqueRef:internal"), Ref("OpaqueRef:elsewhere")
    standin.control("put", name="network", ref=internal, fields=network_record("internal", "xapi9"))
    foreign = network_record("elsewhere", "xenbr0") | {"PIFs": [pif_ref("eth0", host=2)]}
    standin.control("put", name="network", ref=elsewhere, fields=foreign)

    networks = read(opened).networks

    assert networks[internal].bridge == "xapi9"
    assert elsewhere not in networks


def test_an_unusable_record_is_named_and_the_others_are_read(standin: XapiStandin, opened: Opener) -> None:
    """A VLAN tag that is no number costs that PIF alone, and absence then does not mean absence."""
    standin.control("put", name="PIF", ref=pif_ref("eth1"), fields={"VLAN": "none"})
    standin.control(
        "put", name="VLAN", ref=ref_for("VLAN 1 eth0.1"), fields={"tagged_PIF": ref_for("PIF 1 eth0"), "tag": "x"}
    )

    snapshot = read(opened)

    assert set(snapshot.unusable) == {pif_ref("eth1"), ref_for("VLAN 1 eth0.1")}
    assert "VLAN: 'none' is not a decimal number" in snapshot.unusable[pif_ref("eth1")]
    assert pif_ref("eth0") in snapshot.pifs
    assert ref_for("VLAN 1 eth1.1") in snapshot.vlans, "the VLANs of an unusable carrier are read all the same"
    assert not snapshot.complete


def test_dangling_references_are_warnings(standin: XapiStandin, opened: Opener) -> None:
    """A PIF whose VLAN record is gone is read, and the Snapshot says what was missing."""
    gone = ref_for("VLAN 1 eth0.1")
    standin.control("delete", name="VLAN", ref=gone)

    snapshot = read(opened)

    assert pif_ref("eth0.1") in snapshot.pifs
    assert any(f"refers to VLAN {gone}, which is in no record" in warning for warning in snapshot.warnings)


def test_vlans_that_ride_on_each_other_are_set_aside(standin: XapiStandin, opened: Opener) -> None:
    """What follows records from PIF to PIF never comes to an end in a circle."""
    vlan = pif_ref("eth0.1")
    standin.control("put", name="VLAN", ref=ref_for("VLAN 1 eth0.1"), fields={"tagged_PIF": vlan, "untagged_PIF": vlan})
    standin.control("put", name="PIF", ref=vlan, fields={"VLAN_slave_of": [ref_for("VLAN 1 eth0.1")]})

    snapshot = read(opened)

    assert "in a circle" in snapshot.unusable[vlan]
    assert vlan not in snapshot.pifs
    assert pif_ref("eth0") in snapshot.pifs
    assert not snapshot.complete


def test_a_server_without_newer_fields_and_classes_is_read_with_defaults(standin: XapiStandin, opened: Opener) -> None:
    """What an old XAPI lacks has its default and is no error."""
    for name in ("managed", "properties", "capabilities", "igmp_snooping_status", "IPv6", "ipv6_configuration_mode"):
        standin.control("drop_field", name="PIF", field_name=name)
    standin.control("drop_field", name="Bond", field_name="mode")
    standin.control("drop_field", name="network", field_name="purpose")
    standin.control("drop_class", name="network_sriov")

    snapshot = read(opened)

    assert all(pif.managed and pif.igmp_snooping_status == "unknown" for pif in snapshot.pifs.values())
    assert [bond.mode for bond in snapshot.bonds.values()] == [""]
    assert snapshot.sriovs == {}
    assert any("network_sriov" in warning for warning in snapshot.warnings)
    assert snapshot.complete


def test_a_server_without_filters_gives_the_same_snapshot(standin: XapiStandin, opened: Opener) -> None:
    """Where get_all_records_where is unknown, the choice is made here."""
    filtered = read(opened)
    standin.fault("error", "*.get_all_records_where", error=["MESSAGE_METHOD_UNKNOWN", "get_all_records_where"])

    assert read(opened) == filtered


def test_numbers_and_null_references_come_in_both_spellings(standin: XapiStandin, opened: Opener) -> None:
    """Integers on the wire and references to nothing read as the usual spellings do."""
    standin.control("put", name="PIF", ref=pif_ref("eth0.1"), fields={"VLAN": 1, "MTU": 1500, "network": NULL})

    pif = read(opened).pif(pif_ref("eth0.1"))

    assert (pif.vlan, pif.mtu, pif.network) == (1, "1500", None)


@pytest.mark.usefixtures("standin")
def test_an_unknown_host_is_named(opened: Opener) -> None:
    """An inventory of another installation is an error that names the uuid."""
    with opened() as session, pytest.raises(XapiError, match="no host with uuid 0000-wrong") as caught:
        read_snapshot(session, "0000-wrong")

    assert caught.value.code == "UUID_INVALID"


def test_the_alias_of_the_socket_is_used_when_the_first_name_is_missing(standin: XapiStandin, tmp_path: Path) -> None:
    """XAPI listens under its old or its new name."""
    sockets = [tmp_path / "missing", standin.socket_path]
    with open_session(sockets, 10.0) as session:
        assert read_snapshot(session, HOST_UUID).pifs


def test_a_socket_path_may_be_longer_than_a_unix_address(tmp_path: Path, shape: PoolShape) -> None:
    """A deep root prefix does not run into the 107 bytes of a socket's address."""
    folder = tmp_path / ("deep_" * 20) / ("er_" * 20)
    folder.mkdir(parents=True)
    with XapiStandin(build_pool(shape), folder / "xapi"), open_session([folder / "xapi"], 10.0) as session:
        assert read_snapshot(session, HOST_UUID).pifs
