"""A VLAN bridge left over under another name stands on the carrier and tag that a network needs (features.md 3)."""

from __future__ import annotations

from host_records import HostRecords, static
from host_state import addresses, bridges, our_transactions, refuse, spec_for, state, succeed, vsctl

from xsagent.sandbox.dom0 import Sandbox

QUICK = {"XSAGENT_XAPI_DEADLINE_S": "1"}


def records() -> HostRecords:
    """Management on eth0, a VLAN with an address on eth1."""
    made = HostRecords()
    made.nic("eth0", management=True, **static("192.0.2.10"))
    made.nic("eth1")
    made.vlan("eth1", 5, "xapi5", **static("198.51.100.10", gateway=""))
    return made


def with_vlan_bridge(sandbox: Sandbox, name: str) -> None:
    """Have eth1's bridge with this VLAN bridge of tag 5 and a port on it."""
    succeed(sandbox, "--force", "xenbr0", "up")
    succeed(sandbox, "--force", "xenbr1", "up")
    vsctl(sandbox, "add-br", name, "xenbr1", "5")
    sandbox.add_guest("vif1.0", name, "198.51.100.77/24")


def test_ours_goes_in_the_same_transaction_and_its_guest_stays() -> None:
    """The guest's row is the same one, on the wanted VLAN bridge now, and reaches the host."""
    with Sandbox(spec_for(records())) as sandbox:
        with_vlan_bridge(sandbox, "xapi9")
        vsctl(sandbox, "br-set-external-id", "xapi9", "xs-network-uuids", "some-network")
        row, before = vsctl(sandbox, "get", "Port", "vif1.0", "_uuid"), our_transactions(sandbox)

        succeed(sandbox, "--force", "xapi5", "up")

        assert bridges(sandbox) == ["xapi5", "xenbr0", "xenbr1"]
        assert our_transactions(sandbox) == before + 1
        assert (vsctl(sandbox, "port-to-br", "vif1.0"), vsctl(sandbox, "get", "Port", "vif1.0", "_uuid")) == (
            "xapi5",
            row,
        )
        assert addresses(sandbox, "xapi5") == ["198.51.100.10/24"]
        assert sandbox.run(["ping", "-c3", "-i0.3", "-W2", "198.51.100.77"], check=False).returncode == 0


def test_a_foreign_one_is_refused_by_name() -> None:
    """It has no mark of ours and no network names it."""
    with Sandbox(spec_for(records())) as sandbox:
        with_vlan_bridge(sandbox, "br-admin")
        before = state(sandbox)

        assert "br-admin" in refuse(sandbox, "--force", "xapi5", "up", env=QUICK)
        assert state(sandbox) == before
