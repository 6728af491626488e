"""After an emergency reset by the plugin guests are locked as xenstore and xenopsd say, whatever was there before."""

from __future__ import annotations

import sys
import xmlrpc.client
from pathlib import Path
from typing import TYPE_CHECKING

import xsagent
from xsagent.apply.flows import delete_flows, read_flows

if TYPE_CHECKING:
    from dom0 import Dom0

PLUGIN = Path(xsagent.__file__).parents[1] / "plugins/openvswitch-cfg-update"


def test_an_emergency_reset_locks_guests_again(dom0: Dom0) -> None:
    """Flows that were lost before, and those that the reset itself makes the switch drop; the port stays put."""
    dom0.plug()
    dom0.lock(["Locked", {"ipv4": ["192.0.2.7"], "ipv6": []}])
    dom0.vif("online", "vif", XENBUS_PATH="backend/vif/1/0", XENBUS_TYPE="vif")
    port = int(dom0.vsctl("get", "Interface", "vif1.0", "ofport"))
    wanted = read_flows(dom0.rundir, "xenbr0")[port]
    delete_flows(dom0.rundir, "xenbr0", [port])
    dom0.vsctl("set-fail-mode", "xenbr0", "secure")
    call = xmlrpc.client.dumps(("OpaqueRef:none", {}), "emergency_reset")
    words = [sys.executable, str(PLUGIN), f"--root-prefix={dom0.sandbox.root}", call]

    done = dom0.sandbox.run(words, env={"PYTHONPATH": str(PLUGIN.parents[1]), "XSAGENT_XAPI_DEADLINE_S": "1"})

    assert "Successfully reset configuration" in done.stdout
    assert read_flows(dom0.rundir, "xenbr0") == {port: wanted}
    assert int(dom0.vsctl("get", "Interface", "vif1.0", "ofport")) == port
