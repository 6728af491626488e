"""A management bridge that XAPI wants secure forwards nothing by itself: flows of ours keep the host reachable."""

from __future__ import annotations

from host_records import HostRecords, static
from host_state import spec_for, succeed, transactions, vsctl

from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.spec import nic_mac

SECURE = {"vswitch-controller-fail-mode": "secure"}
TRUNK, TAG = "eth9", 7


def is_reachable(sandbox: Sandbox) -> bool:
    """Whether gateway and host reach each other, both from an empty neighbour table."""
    sandbox.far().run(["ip", "neigh", "flush", "all"])
    sandbox.run(["ip", "neigh", "flush", "all"])
    to_host = sandbox.far().run(["ping", "-c2", "-W2", "192.0.2.10"], check=False)
    to_gateway = sandbox.run(["ping", "-c2", "-W2", "192.0.2.1"], check=False)
    return to_host.returncode == 0 and to_gateway.returncode == 0


def put_behind_vlan_switch(sandbox: Sandbox) -> None:
    """The far host is on VLAN 7 of a switch of its own, to which the host has a trunk."""
    sandbox.run(["ip", "link", "add", TRUNK, "address", nic_mac(TRUNK), "type", "veth", "peer", "name", "wall0"])
    for device in (TRUNK, "wall0"):
        sandbox.leave_to_switch(device)
    sandbox.run(["ip", "link", "set", "wall0", "up"])
    vsctl(
        sandbox,
        *("--", "add-br", "wall", "--", "set", "Bridge", "wall", "datapath_type=netdev"),
        *("--", "add-port", "wall", "eth0", f"tag={TAG}", "--", "add-port", "wall", "wall0"),
    )
    sandbox.run(["ip", "link", "set", "eth0", "up"])


def test_f09_management_on_a_vlan_of_a_secure_pool_stays_reachable() -> None:
    """The flows are on the carrier's bridge, for the VLAN's own port and tag; a second run changes nothing."""
    records = HostRecords()
    records.pool["other_config"].update(SECURE)
    records.nic(TRUNK)
    records.vlan(TRUNK, TAG, "xapi7", management=True, **static("192.0.2.10"))
    with Sandbox(spec_for(records)) as sandbox:
        put_behind_vlan_switch(sandbox)

        succeed(sandbox, "--force", "xapi7", "up")

        assert vsctl(sandbox, "get-fail-mode", "xenbr9") == "secure"
        assert is_reachable(sandbox)
        before = transactions(sandbox)
        succeed(sandbox, "--force", "xapi7", "up")
        assert transactions(sandbox) == before
        assert is_reachable(sandbox)
        sandbox.delete_flows("xenbr9")
        assert not is_reachable(sandbox), "something else than the flows carries the traffic"
        succeed(sandbox, "--force", "xapi7", "up")
        assert is_reachable(sandbox)


def test_f09_a_flow_that_the_switch_refuses_is_no_success() -> None:
    """The legacy scripts ignored it: a secure bridge with no flow, exit 0."""
    records = HostRecords()
    records.pool["other_config"].update(SECURE)
    records.nic("eth0", management=True, **static("192.0.2.10"))
    with Sandbox(spec_for(records)) as sandbox:
        program = sandbox.bin / "ovs-ofctl"
        program.write_text(
            '#!/bin/sh\ncase "$*" in *flows*) echo refused >&2; exit 1;; esac\nexec /usr/bin/ovs-ofctl "$@"\n'
        )
        program.chmod(0o755)
        done = sandbox.run(
            ["interface-reconfigure", f"--root-prefix={sandbox.root}", "--force", "xenbr0", "up"], check=False
        )

        assert done.returncode == 1
        assert "refused" in done.stderr
        assert vsctl(sandbox, "list-br") == ""
