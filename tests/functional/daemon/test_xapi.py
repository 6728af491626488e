"""xsagentd follows XAPI beside hotplug: ids, the manager and its state, as people see them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from daemon_dom0 import DaemonDom0
from dom0 import VIF_UUID, VM

from xsagent.sandbox.daemons import wait_for
from xsagent.sandbox.root_prefix import record_ref
from xsagent.sandbox.xapi_host import build_host
from xsagent.sandbox.xapi_standin import XapiStandin

CONTROLLER = "192.0.2.1"
TARGET = f"ssl:{CONTROLLER}:6640"


@pytest.fixture
def xapi(served: DaemonDom0) -> Iterator[XapiStandin]:
    """XAPI's records of the dom0, which come after the daemon is up, as at a boot."""
    records = build_host(served.dom0.sandbox.spec)
    with XapiStandin(records, served.root / "var/lib/xcp/xapi") as running:
        yield running


def test_ids_of_the_controllers_come_to_a_guest_that_was_plugged_before(served: DaemonDom0, xapi: XapiStandin) -> None:
    """Hotplug knows no XAPI: it sets the plain ids, and XAPI's come when it does."""
    vif = {"uuid": VIF_UUID, "VM": record_ref("vm"), "other_config": {"nicira-iface-id": "lport-17"}}
    vm = {"uuid": VM, "VIFs": [record_ref("vif")], "other_config": {"nicira-vm-id": "vm-17"}}
    xapi.control("put", name="VIF", ref=record_ref("vif"), fields=vif)
    xapi.control("put", name="VM", ref=record_ref("vm"), fields=vm)

    served.online(1)

    wait_for(lambda: served.dom0.bridge_of() == "xenbr0", 20, "the vif was not plugged")
    wait_for(lambda: served.dom0.ids().get("iface-id") == "lport-17", 60, "the id did not come")
    assert served.dom0.ids()["vm-id"] == "vm-17"
    assert "transactions" in served.status()["daemon"]["services"]["xapi"]

    # a resync takes xenstore's word for the vif, and leaves alone what XAPI said
    served.dom0.sandbox.run(["ovs-appctl", "--timeout=10", "-t", "xsagentd", "flush-cache"])
    served.await_daemon(lambda one: "flush-cache" in one["resync"]["reason"], "nothing was read afresh")
    assert served.dom0.ids()["iface-id"] == "lport-17"


def test_the_managers_state_is_shown(served: DaemonDom0, xapi: XapiStandin) -> None:
    """Whom the switch obeys, whether it reaches him, and why not."""
    served.await_daemon(lambda one: one["services"]["xapi"]["connected"], "XAPI was not found", 60)
    pem = served.root / "etc/xensource/xapi-ssl.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=host", "-days", "30"]
    served.dom0.sandbox.run([*make, "-keyout", str(pem), "-out", f"{pem}.crt"])
    with pem.open("a") as file:
        file.write((served.root / "etc/xensource/xapi-ssl.pem.crt").read_text())

    xapi.control("put", name="pool", ref=record_ref("pool"), fields={"vswitch_controller": CONTROLLER})

    wait_for(lambda: served.dom0.vsctl("get-manager") == TARGET, 60, "the manager was not set")
    served.await_daemon(lambda one: _is_told(one["services"]["xapi"]), "its state was not read")
    text = served.run("status").stdout
    assert f"manager {TARGET}: not connected, state BACKOFF" in text
    assert "XAPI names no manager" not in text


def _is_told(service: dict[str, Any]) -> bool:
    return any("state" in manager["status"] for manager in service["managers"])
