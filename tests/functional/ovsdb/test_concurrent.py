"""apply/ovsdb.py while others write too: what they plug stays, what the plan stood on is checked by the database."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from database_relay import Relay
from host_state import ports_of, vsctl
from switch_values import XENBR0, bridge, nic

from xsagent.apply.ovsdb import OvsdbResult
from xsagent.errors import ConflictError
from xsagent.plan.steps import (
    AddPort,
    CreateBridge,
    DeleteBridge,
    DeletePort,
    MovePort,
    OvsdbOperation,
    Relied,
    SetKeys,
)
from xsagent.sandbox.dom0 import Sandbox
from xsagent.topology.values import Interface, Port

Runner = Callable[..., OvsdbResult]
Records = Callable[[], int]


def test_port_plugged_between_reading_and_writing_stays(
    sandbox: Sandbox, run_step: Runner, run_relayed: Runner, relay: Relay
) -> None:
    """A port that appears in the bridge just before the transaction is still there after it."""
    run_step(XENBR0)
    relay.before_write = [lambda: vsctl(sandbox, "add-port", "xenbr0", "eth1")]

    run_relayed(
        AddPort(bridge="xenbr0", port=nic("vif1.0")),
        relied=(Relied(table="Bridge", record="xenbr0", column="ports", value=["eth0", "xenbr0"]),),
    )

    assert relay.writes == 1
    assert ports_of(sandbox, "xenbr0") == ["eth0", "eth1", "vif1.0"]


def test_row_that_was_replaced_before_the_transaction_is_looked_up_again(
    sandbox: Sandbox, run_step: Runner, run_relayed: Runner, relay: Relay
) -> None:
    """A port that is taken out and put back under our hands makes the step look again, and then succeed."""
    run_step(XENBR0)
    relay.before_write = [
        lambda: vsctl(sandbox, "del-port", "eth0", "--", "add-port", "xenbr0", "eth0"),
        lambda: vsctl(sandbox, "del-br", "xenbr0", "--", "add-br", "xenbr0", "--", "add-port", "xenbr0", "eth0"),
    ]

    run_relayed(SetKeys(table="Port", record="eth0", column="external_ids", keys={"mine": "1"}))

    assert relay.writes == 3
    assert vsctl(sandbox, "get", "Port", "eth0", "external_ids") == '{mine="1"}'


def test_name_taken_before_the_transaction_is_a_conflict(
    sandbox: Sandbox, run_step: Runner, run_relayed: Runner, relay: Relay
) -> None:
    """An interface that someone else plugs elsewhere at the last moment is not plugged twice; nothing is half done."""
    run_step(XENBR0, CreateBridge(bridge=bridge("xenbr1")))
    relay.before_write = [lambda: vsctl(sandbox, "add-port", "xenbr1", "eth1")]

    with pytest.raises(ConflictError, match="eth1"):
        run_relayed(
            SetKeys(table="Bridge", record="xenbr0", column="external_ids", keys={"mine": "1"}),
            AddPort(bridge="xenbr0", port=nic("eth1")),
        )

    assert ports_of(sandbox, "xenbr0") == ["eth0"]
    assert vsctl(sandbox, "get", "Bridge", "xenbr0", "external_ids") == "{}"


@pytest.mark.parametrize(
    ("operation", "relied"),
    [
        (AddPort(bridge="xenbr0", port=nic("eth1")), Relied(table="Port", record="eth0", column="tag", value=5)),
        (AddPort(bridge="xenbr0", port=nic("eth1")), Relied(table="Port", record="eth0", column="name", value=False)),
        (AddPort(bridge="xenbr0", port=nic("eth1")), Relied(table="Port", record="eth9", column="name", value=True)),
        (
            AddPort(bridge="xenbr0", port=nic("eth1")),
            Relied(table="Bridge", record="xenbr0", column="ports", value=["eth0", "eth9"]),
        ),
        (
            AddPort(bridge="xenbr0", port=nic("eth1")),
            Relied(table="Bridge", record="xenbr1", column="ports", value=["eth0"]),
        ),
        (AddPort(bridge="xenbr0", port=nic("eth0")), Relied(table="Port", record="eth0", column="name", value=False)),
        (DeleteBridge(name="xenbr0"), Relied(table="Bridge", record="xenbr0", column="ports", value=["xenbr0"])),
        (
            DeletePort(bridge="xenbr1", name="bond0"),
            Relied(table="Port", record="bond0", column="interfaces", value=["eth2"]),
        ),
        (
            AddPort(bridge="xenbr9", port=nic("eth1")),
            Relied(table="Bridge", record="xenbr0", column="name", value=True),
        ),
        (
            MovePort(name="eth0", source="xenbr1", target="xenbr2"),
            Relied(table="Bridge", record="xenbr0", column="name", value=True),
        ),
        (
            AddPort(bridge="xenbr0", port=nic("eth1")),
            Relied(table="Open_vSwitch", record=".", column="external_ids", value=["map", []]),
        ),
    ],
)
def test_what_is_no_longer_so_is_a_conflict_and_changes_nothing(
    run_step: Runner, records: Records, operation: OvsdbOperation, relied: Relied
) -> None:
    """A step whose ground is gone ends with ConflictError, and the database's log has no record of it."""
    bond = Port(name="bond0", interfaces={name: Interface(name=name) for name in ("eth2", "eth3")})
    run_step(XENBR0, CreateBridge(bridge=bridge("xenbr1", bond)), CreateBridge(bridge=bridge("xenbr2")))
    before = records()

    with pytest.raises(ConflictError, match="nothing was changed"):
        run_step(operation, relied=(relied,))

    assert records() == before


def test_bridge_into_which_a_guest_was_plugged_is_not_deleted(
    sandbox: Sandbox, run_step: Runner, run_relayed: Runner, relay: Relay
) -> None:
    """A bridge relied on with all its ports, some of which the step moves away, is deleted only if no other came."""
    run_step(XENBR0, CreateBridge(bridge=bridge("xenbr1")))
    operations = (MovePort(name="eth0", source="xenbr0", target="xenbr1"), DeleteBridge(name="xenbr0"))
    relied = (Relied(table="Bridge", record="xenbr0", column="ports", value=["xenbr0"]),)
    relay.before_write = [lambda: vsctl(sandbox, "add-port", "xenbr0", "eth1")]

    with pytest.raises(ConflictError, match="xenbr0"):
        run_relayed(*operations, relied=relied)
    plugged = ports_of(sandbox, "xenbr0")
    vsctl(sandbox, "del-port", "eth1")
    run_step(*operations, relied=relied)

    assert plugged == ["eth0", "eth1"]
    assert vsctl(sandbox, "list-br") == "xenbr1"
    assert ports_of(sandbox, "xenbr1") == ["eth0"]
