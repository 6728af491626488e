"""topology/codec.py: what `show --json` writes, `plan --observed` reads back as the same value."""

import ipaddress
import json

import pytest

from xsagent.errors import InputError
from xsagent.plan.steps import CreateBridge, FileStep, LinkStep, OvsdbStep, Plan, Relied
from xsagent.topology.codec import from_json, to_json
from xsagent.topology.values import (
    KEEP,
    Address,
    Bridge,
    Interface,
    IpDevice,
    ObjectKey,
    ObjectKind,
    Port,
    Route,
    Topology,
)

ADDRESS = ipaddress.ip_interface("192.0.2.10/24")


def example_topology() -> Topology:
    """A topology that uses every kind of field: KEEP, None in a map, addresses, sets, nested records."""
    port = Port(name="eth0", interfaces={"eth0": Interface(name="eth0", extra={"qos": ["uuid", "x"]})}, tag=None)
    return Topology(
        bridges={"xenbr0": Bridge(name="xenbr0", ports={"eth0": port}, other_config={"disable-in-band": None})},
        ip_devices={
            "xenbr0": IpDevice(
                device="xenbr0",
                addresses=(Address(interface=ADDRESS),),
                routes=(Route(destination=ipaddress.ip_network("::/0"), gateway=ipaddress.ip_address("fe80::1")),),
            )
        },
        files={"/etc/sysconfig/network": None},
        absent=frozenset({ObjectKey(kind=ObjectKind.PORT, name="eth1")}),
    )


def test_topology_survives_the_round_trip() -> None:
    """A topology written as JSON text is read back as an equal value."""
    text = json.dumps(to_json(example_topology()))

    assert from_json(Topology, json.loads(text)) == example_topology()


def test_plan_with_undo_survives_the_round_trip() -> None:
    """A plan with nested undo steps of several kinds is read back as an equal value."""
    undo = (FileStep(path="/etc/x", text="old\n"),)
    plan = Plan(
        steps=(
            OvsdbStep(
                operations=(CreateBridge(bridge=Bridge(name="xenbr0", fail_mode="standalone")),),
                relied=(Relied(table="Bridge", record="xenbr0", column="name", value=False),),
                undo=undo,
            ),
            LinkStep(device="eth0", mtu=1500, up=True),
        )
    )

    assert from_json(Plan, json.loads(json.dumps(to_json(plan)))) == plan


def test_a_list_that_a_transaction_relied_on_survives_the_round_trip() -> None:
    """Otherwise the journal of a deletion cannot be read, and nobody takes it back after a crash."""
    relied = Relied(table="Bridge", record="xenbr0", column="ports", value=["eth0", "xenbr0"])

    assert from_json(Relied, json.loads(json.dumps(to_json(relied)))) == relied


def test_keep_and_none_stay_apart() -> None:
    """A scalar that is not spoken about is not the same as one that must be empty."""
    kept = from_json(Port, to_json(Port(name="p", interfaces={}, tag=KEEP)))
    empty = from_json(Port, to_json(Port(name="p", interfaces={}, tag=None)))

    assert kept.tag is KEEP
    assert empty.tag is None


@pytest.mark.parametrize(
    "form",
    [
        None,
        [],
        {"is": "Bridge", "name": "x"},
        {"is": "Topology", "bridges": []},
        {"is": "Topology", "links": {"eth0": {"is": "Link", "name": "eth0", "mtu": "1500"}}},
        {"is": "Topology", "links": {"eth0": {"is": "Link", "name": "eth0", "up": 1}}},
        {"is": "Topology", "unknown": 1},
        {"is": "Topology", "ip_devices": {"d": {"device": "d", "addresses": [{"interface": "999.1.1.1/24"}]}}},
    ],
)
def test_foreign_json_is_refused_with_a_sentence(form: object) -> None:
    """A file that xsagent did not write is an InputError, whatever is wrong with it."""
    with pytest.raises(InputError, match="no Topology as xsagent writes it"):
        from_json(Topology, form)  # type: ignore[arg-type]  # hostile on purpose
