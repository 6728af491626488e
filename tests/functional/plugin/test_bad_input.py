"""Bad input and absent peers: a failure in the protocol's own form, and nothing is changed."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator

import pytest
from host_state import configuration
from plugin_host import CACERT, CONTROLLER, PEM, SHAPE, TARGET, PluginHost, spec

from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.xapi_pool import build_pool, ref_for


@pytest.fixture(scope="module")
def settled_once() -> Iterator[PluginHost]:
    """One settled host for many bad addresses."""
    with Sandbox(spec()) as sandbox, PluginHost(sandbox) as running:
        running.set_pool(vswitch_controller=CONTROLLER)
        running.update()
        running.path(CACERT).write_text("x")
        yield running


@pytest.fixture
def settled(host: PluginHost) -> PluginHost:
    """A host with a manager, its CA taken over, and a change of manager waiting in XAPI."""
    host.set_pool(vswitch_controller=CONTROLLER)
    host.update()
    host.path(CACERT).write_text(host.pem("one.crt"))
    host.set_pool(vswitch_controller="192.0.2.77")
    return host


def state(host: PluginHost) -> object:
    """What must be as it was."""
    return configuration(host.sandbox), host.path(CACERT).read_text()


@pytest.mark.parametrize(
    "address",
    [
        " 192.0.2.9",
        "192.0.2.9 192.0.2.10",
        "192.0.2.9\n",
        "$(reboot)",
        "a;b",
        "`id`",
        "a'b",
        "192.0.2.9:0",
        "192.0.2.9:70000",
        "192.0.2.9:6640:x",
        "[2001:db8::9",
        "2001:db8::zz",
        "fe80::1%eth0",
        "999.0.2.9",
        "-oops",
        "ssl:192.0.2.9",
    ],
)
def test_an_address_that_is_none_is_refused(settled_once: PluginHost, address: str) -> None:
    """Blanks, a shell's characters, ports out of range, broken IPv6: named, and the old manager stays."""
    before = state(settled_once)
    settled_once.set_pool(vswitch_controller=address)

    code, exit_status, sentence = settled_once.failure()

    assert (code, exit_status) == ("VSWITCH_CONFIG_MOD_FAILURE", "1")
    assert "pool.vswitch_controller" in sentence
    assert "nothing was changed" in sentence
    assert state(settled_once) == before


@pytest.mark.parametrize(
    ("protocol", "address", "port"),
    [("tcp", "192.0.2.9", "0"), ("ssl", "", "0"), ("ssl", "192.0.2.9", "-1"), ("ssl", "192.0.2.9:1", "0")],
)
def test_a_record_that_names_no_controller_is_refused(
    settled_once: PluginHost, protocol: str, address: str, port: str
) -> None:
    """As the pool's field; the record is named."""
    before = state(settled_once)
    settled_once.introduce(protocol, address, port)
    try:
        code, _, sentence = settled_once.failure()
    finally:
        settled_once.xapi.control("delete", name="SDN_controller", ref=ref_for("sdn"))

    assert code == "VSWITCH_CONFIG_MOD_FAILURE"
    assert "SDN_controller" in sentence
    assert state(settled_once) == before


@pytest.mark.parametrize("what", ["missing", "folder", "empty", "other key"])
def test_tls_files_that_cannot_be_used_leave_the_old_manager(settled: PluginHost, what: str) -> None:
    """Missing, unreadable, empty, or with a key of another certificate."""
    before, pem = state(settled), settled.path(PEM)
    pem.unlink()
    match what:
        case "folder":
            pem.mkdir()
        case "empty":
            pem.write_text("")
        case "other key":
            pem.write_text(settled.pem("one.key") + settled.pem("host.crt"))

    code, _, sentence = settled.failure()

    assert code == "VSWITCH_CONFIG_MOD_FAILURE"
    assert "xapi-ssl.pem" in sentence
    assert state(settled) == before
    assert settled.vsctl("get-manager") == TARGET


def test_an_expired_certificate_does_not_stop_the_change(settled: PluginHost) -> None:
    """It is a warning in the log, with the day: the controller decides."""
    folder, log = settled.tls, listen_to_log(settled)
    command = ["openssl", "x509", "-in", f"{folder}/host.crt", "-signkey", f"{folder}/host.key", "-days", "-1"]
    done = settled.sandbox.run([*command, "-out", f"{folder}/old.crt"], check=False)
    if done.returncode:
        pytest.skip("this openssl makes no certificate that has ended")
    settled.path(PEM).write_text(settled.pem("host.key") + settled.pem("old.crt"))

    assert "Successfully set controller to 192.0.2.77.  " in settled.update()
    assert "expired on" in " ".join(line for line in log() if "check_tls_files" in line)


def test_a_weak_key_does_not_stop_the_change(settled: PluginHost) -> None:
    """A warning too."""
    log = listen_to_log(settled)
    make = ["openssl", "req", "-x509", "-newkey", "rsa:1024", "-nodes", "-subj", "/CN=weak", "-days", "30"]
    settled.sandbox.run([*make, "-keyout", f"{settled.tls}/weak.key", "-out", f"{settled.tls}/weak.crt"])
    settled.path(PEM).write_text(settled.pem("weak.key") + settled.pem("weak.crt"))

    assert "Successfully set controller to 192.0.2.77.  " in settled.update()
    assert [line for line in log() if "check_tls_files" in line and "level=warning" in line]


def listen_to_log(host: PluginHost) -> Callable[[], list[str]]:
    """Become the host's syslog; returns what gives the lines that came so far."""
    place = host.path("dev/log")
    place.parent.mkdir(exist_ok=True)
    place.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(str(place))
    listener.setblocking(False)

    def lines() -> list[str]:
        found: list[str] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                found.append(listener.recv(1 << 16).decode())
        return found

    return lines


def test_a_session_that_is_gone(settled: PluginHost) -> None:
    """XAPI's own failures come out as those of the function, without the session in them."""
    before = state(settled)

    code, function, kind, sentence = settled.failure(session="OpaqueRef:gone")

    assert (code, function, kind) == ("XENAPI_PLUGIN_FAILURE", "update", "XapiError")
    assert "SESSION_INVALID" in sentence
    assert "OpaqueRef:gone" not in sentence
    assert state(settled) == before


def test_xapi_hangs(settled: PluginHost) -> None:
    """The deadline is named."""
    before = state(settled)
    settled.xapi.fault("hang", "pool.*")

    code, _, kind, sentence = settled.failure(xapi_deadline_s="1")

    assert (code, kind) == ("XENAPI_PLUGIN_FAILURE", "XapiUnavailableError")
    assert "within 1 s" in sentence
    assert state(settled) == before


def test_no_pool_and_two_pools(settled: PluginHost) -> None:
    """Both are failures with codes of their own and no parameters."""
    before = state(settled)
    pool = build_pool(SHAPE)["pool"][ref_for("pool")]
    settled.xapi.control("put", name="pool", ref="OpaqueRef:second", fields=pool)
    assert settled.failure() == ["MORE_THAN_ONE_POOL_FOR_HOST"]

    for ref in ("OpaqueRef:second", ref_for("pool")):
        settled.xapi.control("delete", name="pool", ref=ref)
    assert settled.failure() == ["NO_POOL_FOR_HOST"]
    assert state(settled) == before


def test_an_xapi_that_knows_no_sdn_controllers_has_none(settled: PluginHost) -> None:
    """An older server: the pool's field counts."""
    settled.xapi.control("drop_class", name="SDN_controller")

    assert "Successfully set controller to 192.0.2.77.  " in settled.update()


def test_a_dead_switch(settled: PluginHost) -> None:
    """The database does not change under a switch that would not follow."""
    before = state(settled)
    settled.sandbox.vswitchd.kill()

    code, _, sentence = settled.failure(vswitchd_wait_s="0")

    assert code == "VSWITCH_CONFIG_MOD_FAILURE"
    assert "ovs-vswitchd does not answer" in sentence
    assert state(settled) == before
    assert settled.failure("emergency_reset", vswitchd_wait_s="0") == ["VSWITCH_EMER_RESET_FAILURE", "1"]
    assert state(settled) == before


def test_no_database(settled: PluginHost) -> None:
    """A bounded wait, then a failure."""
    settled.sandbox.ovsdb_server.stop()

    code, _, sentence = settled.failure(ovsdb_wait_s="0")

    assert code == "VSWITCH_CONFIG_MOD_FAILURE"
    assert "ovsdb-server does not answer" in sentence


def test_a_full_disk(settled: PluginHost) -> None:
    """Where the journal cannot be written nothing is begun."""
    before = state(settled)
    place = str(settled.path("var/lib/xsagent"))
    settled.sandbox.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", place])
    settled.sandbox.run(["dd", "if=/dev/zero", f"of={place}/filler", "bs=1k", "count=8"], check=False)

    code, _, sentence = settled.failure()

    assert code == "VSWITCH_CONFIG_MOD_FAILURE"
    assert "No space left on device" in sentence
    assert state(settled) == before


@pytest.mark.parametrize("folder", ["var/xapi", "etc/openvswitch", "run/xsagent"])
def test_a_full_disk_that_the_manager_does_not_need(settled: PluginHost, folder: str) -> None:
    """Neither the cache, nor the old controller's CA for the way back, nor the lock's owner's name stops the change."""
    place, trusted = str(settled.path(folder)), settled.path(CACERT).read_text()
    settled.path(folder).mkdir(parents=True, exist_ok=True)
    settled.sandbox.run(["mount", "-t", "tmpfs", "-o", "size=12k", "tmpfs", place])
    if folder == "etc/openvswitch":
        settled.sandbox.run(["tee", f"{place}/vswitchd.cacert"], input_text=trusted)
    settled.sandbox.run(["dd", "if=/dev/zero", f"of={place}/filler", "bs=1k", "count=64"], check=False)

    assert "Successfully set controller to 192.0.2.77.  " in settled.update()

    assert settled.vsctl("get-manager") == "ssl:192.0.2.77:6640"
    assert settled.sandbox.run(["ls", f"{settled.sandbox.root}/{CACERT}"], check=False).returncode != 0


def test_the_kernels_bridge_as_backend(settled: PluginHost) -> None:
    """Another backend is no switch of ours."""
    before = state(settled)
    settled.path("etc/xensource/network.conf").write_text("bridge\n")

    assert settled.failure()[:2] == ["VSWITCH_CONFIG_MOD_FAILURE", "1"]
    assert state(settled) == before


def test_an_unknown_function(settled: PluginHost) -> None:
    """Named."""
    assert settled.failure("reboot") == ["UNKNOWN_XENAPI_PLUGIN_FUNCTION", "reboot"]
