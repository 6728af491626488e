"""The switch's manager and the host's certificate, broken with ovs-vsctl(8) and files; mended as the doctor says."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "plugin"))

from patient import Patient
from plugin_host import CONTROLLER, PACKAGE, PEM, PLUGIN, TARGET, PluginHost, spec

from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.xapi_pool import ref_for

XE = """#!{python}
# Stand-in of xe(1) for the one call that the doctor names: XAPI starts the plugin with a session.
import subprocess, sys, xmlrpc.client
words = dict(word.split("=", 1) for word in sys.argv[2:])
assert sys.argv[1] == "host-call-plugin" and words["plugin"] == "openvswitch-cfg-update", sys.argv
call = xmlrpc.client.dumps(("{session}", {{}}), words["fn"])
done = subprocess.run([sys.executable, "{plugin}", "--root-prefix={root}", call], capture_output=True, text=True)
((answer,), _) = xmlrpc.client.loads(done.stdout)
print(answer)
sys.exit(answer["Status"] != "Success")
"""


class Controlled(Patient):
    """A host with a controller at its far end, and with xe(1)."""

    def __init__(self, host: PluginHost) -> None:
        self.plugin_host = host
        self.sandbox = host.sandbox
        self.last = []
        session = host.xapi.control("open_session")
        xe = self.sandbox.bin / "xe"
        xe.write_text(XE.format(python=sys.executable, session=session, plugin=PLUGIN, root=self.sandbox.root))
        xe.chmod(0o755)


@pytest.fixture(scope="module")
def controlled() -> Iterator[Controlled]:
    """XAPI wants the controller at 192.0.2.1, and the switch obeys it."""
    os.environ.setdefault("PYTHONPATH", str(PACKAGE))
    with Sandbox(spec()) as sandbox, PluginHost(sandbox) as host:
        host.start_controller()
        host.set_pool(vswitch_controller=CONTROLLER)
        host.update()
        host.await_connected()
        yield Controlled(host)


def test_a_manager_that_is_right_is_no_finding(controlled: Controlled) -> None:
    """Whom XAPI names, connected, with a good certificate."""
    kinds = {one["id"] for one in controlled.findings()}

    assert not {kind for kind in kinds if kind.startswith(("manager", "certificate", "fail-mode"))}


def test_another_manager_than_xapis(controlled: Controlled) -> None:
    """An admin's hand: the plugin sets XAPI's again."""
    controlled.vsctl("set-manager", "tcp:192.0.2.77:6640")

    finding = controlled.mends("manager-differs")

    assert finding["problem"] == f"the switch has tcp:192.0.2.77:6640, XAPI wants {TARGET}"
    assert controlled.vsctl("get-manager") == TARGET
    controlled.plugin_host.await_connected()


def test_a_manager_that_is_not_connected(controlled: Controlled) -> None:
    """Manager.status says why; a reconnect may help once the controller is there again."""
    controlled.plugin_host.controller_output()
    controlled.run("ovs-vsctl", "--timeout=20", "wait-until", "Manager", TARGET, "is_connected=false")

    finding = controlled.finding("manager-not-connected")
    controlled.plugin_host.start_controller()
    controlled.mend(finding)
    controlled.plugin_host.await_connected()

    assert (finding["severity"], finding["subject"]) == ("warning", TARGET)
    assert "state " in finding["problem"]
    assert not controlled.has("manager-not-connected")


def test_a_fail_mode_that_xapi_does_not_want(controlled: Controlled) -> None:
    """The plugin sets it back."""
    controlled.vsctl("set-fail-mode", "xapib0", "secure")

    assert controlled.mends("fail-mode-differs")["subject"] == "xapib0"


def test_a_certificate_with_another_key(controlled: Controlled) -> None:
    """The switch could not prove who it is."""
    pem = controlled.path(PEM)
    good = pem.read_text()
    pem.write_text(controlled.plugin_host.pem("one.key") + controlled.plugin_host.pem("host.crt"))

    finding = controlled.finding("certificate-unusable")
    pem.write_text(good)

    assert finding["severity"] == "error"
    assert "is not that of the certificate" in finding["problem"]
    assert not controlled.has("certificate-unusable")


def test_a_certificate_that_is_gone(controlled: Controlled) -> None:
    """Named by its path."""
    pem = controlled.path(PEM)
    pem.rename(pem.with_suffix(".away"))

    finding = controlled.finding("certificate-unusable")
    pem.with_suffix(".away").rename(pem)

    assert finding["subject"] == str(pem)


def test_a_certificate_that_has_expired(controlled: Controlled) -> None:
    """It still works with peers that do not look, so it is a warning."""
    pem = controlled.path(PEM)
    good = pem.read_text()
    tls = controlled.plugin_host.tls
    again = ["openssl", "x509", "-in", f"{tls}/host.crt", "-signkey", f"{tls}/host.key", "-days", "-1"]
    subprocess.run([*again, "-out", f"{tls}/old.crt"], check=True, capture_output=True)
    pem.write_text(controlled.plugin_host.pem("host.key") + controlled.plugin_host.pem("old.crt"))

    finding = controlled.finding("certificate-expired")
    pem.write_text(good)

    assert finding["severity"] == "warning"
    assert finding["mend"] == ["xe host-emergency-reset-server-certificate"]


def test_a_certificate_that_is_weak(controlled: Controlled) -> None:
    """A key that today's OpenSSL refuses at its default strength."""
    pem, tls = controlled.path(PEM), controlled.plugin_host.tls
    good = pem.read_text()
    weak = ["openssl", "req", "-x509", "-newkey", "rsa:1024", "-nodes", "-subj", "/CN=weak", "-days", "30"]
    files = ["-keyout", f"{tls}/weak.key", "-out", f"{tls}/weak.crt"]
    subprocess.run([*weak, *files], check=True, capture_output=True)
    pem.write_text(controlled.plugin_host.pem("weak.key") + controlled.plugin_host.pem("weak.crt"))

    finding = controlled.finding("certificate-weak")
    pem.write_text(good)

    assert (finding["severity"], finding["subject"]) == ("warning", str(pem))
    assert not controlled.has("certificate-weak")


def test_a_controllers_record_that_cannot_be_followed(controlled: Controlled) -> None:
    """The switch keeps its manager; the record is named, and where to look."""
    controlled.plugin_host.introduce("tcp", CONTROLLER)

    finding = controlled.finding("controller-record-unusable")
    controlled.plugin_host.xapi.control("delete", name="SDN_controller", ref=ref_for("sdn"))

    assert "SDN_controller" in finding["problem"]
    assert "xe sdn-controller-list" in finding["by_hand"]
    assert not controlled.has("controller-record-unusable")
