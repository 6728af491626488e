"""A bridge that is left over stands where a network's must be (features.md section 3).

A VLAN bridge of another name on its carrier and tag, a real bridge in a VLAN bridge's place, and the reverse.
"""

from __future__ import annotations

from host_records import HostRecords, static
from host_state import addresses, bridges, our_transactions, ports_of, refuse, spec_for, state, succeed, vsctl

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


def test_a_real_bridge_gives_its_place_to_the_vlan_bridge_and_its_guest_stays() -> None:
    """The guest's row moves, and has the tag, in the transaction that deletes the bridge."""
    with Sandbox(spec_for(records())) as sandbox:
        succeed(sandbox, "--force", "xenbr1", "up")
        sandbox.build_bridge("xapi5")
        sandbox.add_guest("guest", "xapi5", "198.51.100.77/24")
        row, before = vsctl(sandbox, "get", "Port", "vif1.0", "_uuid"), our_transactions(sandbox)

        succeed(sandbox, "--force", "xapi5", "up")

        assert our_transactions(sandbox) == before + 1
        assert (vsctl(sandbox, "br-to-parent", "xapi5"), vsctl(sandbox, "br-to-vlan", "xapi5")) == ("xenbr1", "5")
        assert (ports_of(sandbox, "xapi5"), vsctl(sandbox, "get", "Port", "vif1.0", "_uuid")) == (["vif1.0"], row)
        assert vsctl(sandbox, "get", "Port", "vif1.0", "tag") == "5"
        assert sandbox.run(["ping", "-c3", "-i0.3", "-W2", "198.51.100.77"], check=False).returncode == 0


def test_a_vlan_bridge_gives_its_place_to_the_real_bridge_and_its_guest_stays() -> None:
    """The guest is untagged there, beside the NIC, and reaches the far host."""
    with Sandbox(spec_for(records())) as sandbox:
        succeed(sandbox, "--force", "xenbr0", "up")
        vsctl(sandbox, "add-br", "xenbr1", "xenbr0", "7")
        guest = sandbox.add_guest("guest", "xenbr1", "198.51.100.77/24")
        row, before = vsctl(sandbox, "get", "Port", "vif1.0", "_uuid"), our_transactions(sandbox)

        succeed(sandbox, "--force", "xenbr1", "up")

        assert our_transactions(sandbox) == before + 1
        assert vsctl(sandbox, "br-to-parent", "xenbr1") == "xenbr1"
        assert (ports_of(sandbox, "xenbr1"), ports_of(sandbox, "xenbr0")) == (["eth1", "vif1.0"], ["eth0"])
        assert vsctl(sandbox, "get", "Port", "vif1.0", "_uuid") == row
        assert vsctl(sandbox, "get", "Port", "vif1.0", "tag") == "[]"
        assert guest.run(["ping", "-c3", "-i0.3", "-W2", "198.51.100.1"], check=False).returncode == 0
