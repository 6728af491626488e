"""What a step takes away its undo brings back: compared by ovsdb-client dump, on real ovsdb-server and ovs-vswitchd."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from host_state import configuration
from switch_values import bridge, nic

from xsagent.apply.ovsdb import OvsdbResult
from xsagent.observed.ovsdb import read_ovsdb
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.plan.ovsdb_model import invert_operations
from xsagent.plan.steps import (
    AddPort,
    CreateBridge,
    DeleteBridge,
    DeletePort,
    MovePort,
    OvsdbOperation,
    RemoveInterface,
    SetColumns,
    SetKeys,
)
from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.spec import SandboxSpec, default_segments
from xsagent.topology.values import Interface, Port

Runner = Callable[..., OvsdbResult]


FURNISH = """
    --id=@q0 create Queue other_config:max-rate=1000 -- --id=@qos create QoS type=linux-htb queues:0=@q0
        other_config:max-rate=5000 -- set Port eth0 qos=@qos -- set Port eth0 external_ids:admin=yes
    -- set Interface eth0 ingress_policing_rate=1000 ingress_policing_burst=100 lldp:enable=true
    -- set Port eth0 vlan_mode=native-untagged cvlans=5,6
    -- --id=@eth1 get Port eth1 -- --id=@own get Port xenbr0 -- --id=@eth0 get Port eth0
    -- --id=@m create Mirror name=span select_src_port=@eth0,@own select_dst_port=@eth0 output_port=@eth1
    -- --id=@m2 create Mirror name=all select_all=true output_vlan=9
    -- set Bridge xenbr0 mirrors=@m,@m2 protocols=OpenFlow10,OpenFlow13 flood_vlans=7 rstp_enable=true
    -- --id=@nf create NetFlow targets="192.0.2.9:99" active_timeout=30 -- set Bridge xenbr0 netflow=@nf
    -- --id=@sf create sFlow targets="192.0.2.9:98" sampling=64 -- set Bridge xenbr0 sflow=@sf
    -- --id=@ip create IPFIX targets="192.0.2.9:97" obs_domain_id=4 -- set Bridge xenbr0 ipfix=@ip
    -- --id=@ft create Flow_Table name=first flow_limit=100 -- set Bridge xenbr0 flow_tables:0=@ft
    -- --id=@aa create AutoAttach system_name=sys system_description=text mappings:1=2
    -- set Bridge xenbr0 auto_attach=@aa
    -- --id=@c1 create Controller target="tcp:192.0.2.9:6653" max_backoff=1000 external_ids:who=sdn
    -- --id=@c2 create Controller target="tcp:192.0.2.8:6653" connection_mode=out-of-band
    -- set Bridge xenbr0 controller=@c1,@c2 fail_mode=secure
    -- --id=@ip2 create IPFIX targets="192.0.2.9:96" -- --id=@b get Bridge xenbr0
    -- create Flow_Sample_Collector_Set id=1 bridge=@b ipfix=@ip2 external_ids:who=sdn
    -- create Flow_Sample_Collector_Set id=2 bridge=@b
"""
"""ovs-vsctl's words for everything of others that a bridge and its ports can carry."""


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """A sandbox with four NICs, in place of the usual one with two."""
    with Sandbox(SandboxSpec(segments=default_segments(nics=4, dhcp=False))) as running:
        yield running


@pytest.fixture
def furnished(sandbox: Sandbox, run_step: Runner) -> Sandbox:
    """A bridge xenbr0 with two NICs, a VLAN bridge, a bond, and all that others may hang onto them."""
    vlan_bridge = Port(
        name="xapi1",
        interfaces={"xapi1": Interface(name="xapi1", type="internal", mac="00:16:3e:00:00:99")},
        fake_bridge=True,
        tag=25,
        external_ids={"fake-bridge-xs-network-uuids": "one;two"},
    )
    bond = Port(
        name="bond0",
        interfaces={name: Interface(name=name) for name in ("eth2", "eth3")},
        bond_mode="balance-slb",
        bond_updelay=31000,
        bond_downdelay=200,
        lacp="off",
        other_config={"bond-rebalance-interval": "1800000"},
    )
    plain = bridge("xenbr0", nic("eth0"), nic("eth1", trunks=(3, 4)), vlan_bridge, bond)
    made = replace(plain, external_ids={"xs-network-uuids": "one"})
    run_step(CreateBridge(bridge=made), ports=("eth0", "eth1", "eth2", "eth3"))
    sandbox.run(["ovs-vsctl", "--", *FURNISH.split()])
    return sandbox


@pytest.mark.parametrize(
    "operations",
    [
        (DeleteBridge(name="xenbr0"),),
        (DeletePort(bridge="xenbr0", name="eth0"), DeletePort(bridge="xenbr0", name="eth1")),
        (DeletePort(bridge="xenbr0", name="xapi1"),),
        (DeletePort(bridge="xenbr0", name="bond0"),),
        (RemoveInterface(port="bond0", name="eth3"),),
        (
            CreateBridge(bridge=bridge("xapi9")),
            MovePort(name="eth0", source="xenbr0", target="xapi9"),
            MovePort(name="bond0", source="xenbr0", target="xapi9"),
        ),
        (
            SetColumns(table="Port", record="eth1", columns={"tag": 5, "trunks": ["set", []]}),
            SetColumns(table="Bridge", record="xenbr0", columns={"fail_mode": "standalone"}),
            SetKeys(table="Bridge", record="xenbr0", column="other_config", keys={"hwaddr": "00:16:3e:00:00:02"}),
            SetKeys(table="Port", record="eth0", column="external_ids", keys={"admin": None, "mine": "1"}),
        ),
        (
            DeletePort(bridge="xenbr0", name="bond0"),
            CreateBridge(bridge=bridge("xenbr3", nic("eth3"))),
            DeletePort(bridge="xenbr0", name="eth0"),
            AddPort(bridge="xenbr3", port=nic("eth0")),
        ),
    ],
    ids=["bridge", "ports", "vlan-bridge", "bond", "member", "move", "set", "mixed"],
)
def test_undo_brings_back_the_same_configuration(
    furnished: Sandbox, connection: OvsdbConnection, run_step: Runner, operations: tuple[OvsdbOperation, ...]
) -> None:
    """Whatever a step takes away, its undo restores all rows and references, others' included, but for UUIDs."""
    before = configuration(furnished)
    undo = invert_operations(operations, read_ovsdb(connection).bridges)

    run_step(*operations)
    between = configuration(furnished)
    run_step(*undo)

    assert between != before
    assert configuration(furnished) == before


@pytest.mark.parametrize("done", [False, True], ids=["not-done", "undone-before"])
def test_undo_of_a_step_that_was_not_done_changes_nothing(
    furnished: Sandbox, connection: OvsdbConnection, run_step: Runner, done: bool
) -> None:
    """After a crash that left open whether a step was done, its undo may run once more than the step."""
    operations = (
        CreateBridge(bridge=bridge("xapi9")),
        MovePort(name="eth0", source="xenbr0", target="xapi9"),
        DeletePort(bridge="xenbr0", name="eth1"),
        RemoveInterface(port="bond0", name="eth3"),
        AddPort(bridge="xapi9", port=nic("eth3")),
        SetKeys(table="Port", record="eth0", column="external_ids", keys={"mine": "1"}),
    )
    before = configuration(furnished)
    undo = invert_operations(operations, read_ovsdb(connection).bridges)
    if done:
        run_step(*operations)
        run_step(*undo)

    run_step(*undo)

    assert configuration(furnished) == before


def test_port_keeps_its_openflow_number_through_removal_and_undo(
    furnished: Sandbox, connection: OvsdbConnection, run_step: Runner
) -> None:
    """A port that comes back has the number that others' flows know it by, though a lower one is free."""
    observed = read_ovsdb(connection).bridges
    number = observed["xenbr0"].ports["eth1"].interfaces["eth1"].ofport
    operations = (DeletePort(bridge="xenbr0", name="eth0"), DeletePort(bridge="xenbr0", name="eth1"))

    run_step(*operations)
    run_step(AddPort(bridge="xenbr0", port=observed["xenbr0"].ports["eth1"]))

    assert furnished.run(["ovs-vsctl", "get", "Interface", "eth1", "ofport"]).stdout == f"{number}\n"
