"""xsagentd follows XAPI beside hotplug: ids, the manager and its state, PIFs that are not as they should be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from served_dom0 import FLOWS, ServedDom0

from xsagent.model.vif import VifId
from xsagent.sandbox.daemons import wait_for
from xsagent.sandbox.guest_vif import GuestVif
from xsagent.sandbox.root_prefix import record_ref
from xsagent.sandbox.xapi_host import build_host
from xsagent.sandbox.xapi_standin import XapiStandin

VIF = GuestVif(id=VifId(7, 0), other_config=(("nicira-iface-id", "lport-of-old"),))
CONTROLLER = "192.0.2.1"
TARGET = f"ssl:{CONTROLLER}:6640"


@pytest.fixture
def xapi(served: ServedDom0) -> Iterator[XapiStandin]:
    """XAPI's records of the dom0, which come after the daemon is up, as at a boot."""
    with XapiStandin(build_host(served.sandbox.spec), served.root / "var/lib/xcp/xapi") as running:
        yield running


def flush(served: ServedDom0) -> None:
    """Have everything read afresh, as the peers' command does."""
    served.sandbox.run(["ovs-appctl", "--timeout=10", "-t", "xsagentd", "flush-cache"])


def ids(served: ServedDom0) -> dict[str, str]:
    """external_ids of the VIF's interface."""
    form = json.loads(served.vsctl("-f", "json", "--columns=external_ids", "list", "Interface", VIF.device))
    return dict(form["data"][0][0][1])


def test_ids_of_the_controllers_come_to_a_guest(served: ServedDom0, xapi: XapiStandin) -> None:
    """Hotplug has xenstore's word, which is as old as the plug; XAPI's counts, and a resync leaves it alone."""
    vif = {"uuid": VIF.uuid, "VM": record_ref("vm"), "other_config": {"nicira-iface-id": "lport-17"}}
    vm = {"uuid": VIF.vm_uuid, "VIFs": [record_ref("vif")], "other_config": {"nicira-vm-id": "vm-17"}}
    xapi.control("put", name="VIF", ref=record_ref("vif"), fields=vif)
    xapi.control("put", name="VM", ref=record_ref("vm"), fields=vm)

    served.plug(VIF)

    wait_for(lambda: ids(served).get("iface-id") == "lport-17", 60, "the id did not come")
    assert ids(served)["vm-id"] == "vm-17"
    before = served.configuration()
    flush(served)
    served.await_status(lambda one: "flush-cache" in one["resync"]["reason"], "nothing was read afresh")
    served.plug()
    assert ids(served)["iface-id"] == "lport-17"
    assert served.configuration() == before


def test_the_managers_state_is_shown(served: ServedDom0, xapi: XapiStandin) -> None:
    """Whom the switch obeys, whether it reaches him, and why not."""
    set_controller(served, xapi)

    served.await_status(lambda one: _is_told(one["services"]["xapi"]), "its state was not read")
    text = served.xsagent("status").stdout
    assert f"manager {TARGET}: not connected, state BACKOFF" in text
    assert "XAPI names no manager" not in text


def set_controller(served: ServedDom0, xapi: XapiStandin) -> None:
    """Give the pool a controller, and wait until the switch has it as its manager."""
    served.await_status(lambda one: one["services"]["xapi"]["connected"], "XAPI was not found")
    pem = served.root / "etc/xensource/xapi-ssl.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=host", "-days", "30"]
    served.sandbox.run([*make, "-keyout", str(pem), "-out", f"{pem}.crt"])
    with pem.open("a") as file:
        file.write((served.root / "etc/xensource/xapi-ssl.pem.crt").read_text())
    xapi.control("put", name="pool", ref=record_ref("pool"), fields={"vswitch_controller": CONTROLLER})
    wait_for(lambda: served.vsctl("get-manager") == TARGET, 60, "the manager was not set")


def test_locked_guests_stay_locked_whoever_resets_the_switch(served: ServedDom0, xapi: XapiStandin) -> None:
    """A change of manager flushes a bridge's flows, and so does an admin's emer-reset: they are there again."""
    locked = GuestVif(id=VifId(9, 0), locking="Locked", allowed=("192.0.2.77",), address="192.0.2.77/24")
    served.plug(locked)
    assert served.flows() == FLOWS
    served.vsctl("set-controller", "xenbr0", "tcp:127.0.0.1:6653", "--", "set-fail-mode", "xenbr0", "secure")
    wait_for(lambda: served.flows() == FLOWS, 30, "the flows did not come back after a change of fail mode")

    set_controller(served, xapi)

    assert served.vsctl("get-controller", "xenbr0") == ""
    wait_for(lambda: served.flows() == FLOWS, 30, "the flows did not come back after a change of manager")
    served.vsctl("set-fail-mode", "xenbr0", "secure", "--", "emer-reset")
    wait_for(lambda: served.flows() == FLOWS, 30, "the flows did not come back after an emer-reset")
    assert served.vsctl("get-manager") == ""


def _is_told(service: dict[str, Any]) -> bool:
    return any("state" in manager["status"] for manager in service["managers"])


@pytest.mark.parametrize("how", ["TERM", "KILL"])
def test_a_daemon_that_ends_leaves_nobody_waiting_for_xapi(served: ServedDom0, xapi: XapiStandin, how: str) -> None:
    """XAPI has 30 s to answer the process that reads its records; with the daemon that ends at once."""
    served.await_status(lambda one: one["services"]["xapi"]["connected"], "XAPI was not found")
    xapi.control("fault", kind="hang", method="PIF.get_all_records*")
    flush(served)
    wait_for(lambda: "xsagent.cli.pool_reader" in running(served), 30, "nobody reads XAPI's records")

    served.end(how)

    wait_for(lambda: "xsagent.cli.pool_reader" not in running(served), 15, "the process that reads was left")


def running(served: ServedDom0) -> str:
    """Command lines of all processes inside."""
    return served.sandbox.run(["ps", "-eo", "args"]).stdout


@pytest.mark.usefixtures("xapi")
def test_a_pif_that_is_not_as_xapi_wants_it_is_said_and_left(served: ServedDom0) -> None:
    """Somebody takes a mark away: the daemon says which PIF that is and what there is to do, and does nothing of it."""
    bring_up = ("interface_reconfigure", "--force", "xenbr0", "up")
    assert served.call(*bring_up).returncode == 0
    served.await_status(lambda one: one["services"]["pif-drift"]["at"] is not None, "nothing was compared")
    await_drift(served, said=False)

    served.vsctl("remove", "Bridge", "xenbr0", "external_ids", "xs-network-uuids")
    await_drift(served, said=True)

    (sentence,) = served.status()["services"]["pif-drift"]["drift"]
    assert "(eth0)" in sentence
    assert "xs-network-uuids" in sentence
    assert sentence in served.xsagent("status").stdout
    assert "xs-network-uuids" not in served.vsctl("get", "Bridge", "xenbr0", "external_ids")
    assert served.call(*bring_up).returncode == 0
    await_drift(served, said=False)


def await_drift(served: ServedDom0, *, said: bool) -> None:
    """Wait until the daemon says that some PIF is not as it should be, or that none is; hurry it."""

    def is_so(status: dict[str, Any]) -> bool:
        is_said = bool(status["services"]["pif-drift"]["drift"])
        if is_said is not said:
            flush(served)
        return is_said is said

    served.await_status(is_so, f"drift was not {said}")
