"""A generated pool is consistent: each relation has both of its ends."""

from __future__ import annotations

from xsagent.sandbox.xapi_pool import NULL, PoolShape, build_pool, ref_for

SHAPE = PoolShape(hosts=3, nics=2, vlans=4, bonds=1, tunnels=1, sriovs=1)


def test_the_default_shape_has_the_pifs_of_the_measured_pool() -> None:
    """64 hosts of 809 PIFs: 4 NICs with 200 VLANs each, a bond of two more, a tunnel and an SR-IOV PIF."""
    one = build_pool(PoolShape(hosts=1))

    assert len(one["PIF"]) * PoolShape().hosts == 51_776


def test_networks_are_shared_and_list_a_pif_of_each_host() -> None:
    """The pool's networks are not multiplied by its hosts."""
    pool = build_pool(SHAPE)

    assert len(pool["network"]) * SHAPE.hosts == len(pool["PIF"])
    for ref, network in pool["network"].items():
        assert network["PIFs"] == [pif for pif, record in pool["PIF"].items() if record["network"] == ref]


def test_vlans_bonds_and_tunnels_point_back_at_their_pifs() -> None:
    """What a PIF says of its relations, the related record says of the PIF."""
    pool = build_pool(SHAPE)

    for ref, pif in pool["PIF"].items():
        if pif["VLAN_master_of"] != NULL:
            assert pool["VLAN"][str(pif["VLAN_master_of"])]["untagged_PIF"] == ref
        for kind, field, relation in (
            ("VLAN", "tagged_PIF", "VLAN_slave_of"),
            ("Bond", "master", "bond_master_of"),
            ("tunnel", "access_PIF", "tunnel_access_PIF_of"),
            ("tunnel", "transport_PIF", "tunnel_transport_PIF_of"),
            ("network_sriov", "physical_PIF", "sriov_physical_PIF_of"),
            ("network_sriov", "logical_PIF", "sriov_logical_PIF_of"),
        ):
            assert pif[relation] == [key for key, record in pool[kind].items() if record[field] == ref]


def test_the_same_shape_gives_the_same_pool() -> None:
    """References can be computed by a test without asking the pool."""
    assert build_pool(SHAPE) == build_pool(SHAPE)
    assert ref_for("host 2") in build_pool(SHAPE)["host"]
