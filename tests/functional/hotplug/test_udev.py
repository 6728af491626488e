"""A private udevd with our rules: which events start the hook, and what the hook does."""

from __future__ import annotations

import json
import socket
import sys
import threading
from pathlib import Path

import pytest
from dom0 import KEYS, Dom0

from xsagent.sandbox.daemons import wait_for
from xsagent.sandbox.udevd import udevd_service

PROJECT = Path(__file__).parents[3]
HOOK = PROJECT / "udev/hotplug-hook"


@pytest.fixture
def udevd(dom0: Dom0) -> Dom0:
    """A udevd with no rules but ours, whose RUN is our hook."""
    dom0.sandbox.start_service(udevd_service())
    return dom0


def test_a_tap_that_appears_is_attached_and_one_that_goes_is_detached(udevd: Dom0) -> None:
    """From the kernel's event through rules, hook and handler to the switch."""
    udevd.sandbox.run(["ip", "tuntap", "add", "tap1.0", "mode", "tap"])
    wait_for(lambda: udevd.bridge_of("tap1.0") == "xenbr0", 20, "the tap was not attached")

    udevd.sandbox.run(["ip", "link", "del", "tap1.0"])

    wait_for(lambda: not udevd.bridge_of("tap1.0"), 20, "the port of the tap that went stayed")


def test_while_the_daemon_is_ready_udev_starts_nothing(udevd: Dom0) -> None:
    """With /run/xsagent/ready in place the rules leave the event to the daemon's own monitor, and only then."""
    ready = udevd.sandbox.root / "run/xsagent/ready"
    ready.parent.mkdir()
    ready.touch()
    again = ["udevadm", "trigger", "--settle", "--action=add", "/sys/class/net/tap1.0"]
    udevd.sandbox.run(["ip", "tuntap", "add", "tap1.0", "mode", "tap"])

    udevd.sandbox.run(again)
    while_ready = udevd.bridge_of("tap1.0")
    ready.unlink()
    udevd.sandbox.run(again)

    assert (while_ready, udevd.bridge_of("tap1.0")) == ("", "xenbr0")


def answering(path: Path, answer: bytes) -> tuple[threading.Thread, list[bytes]]:
    """A daemon's stand-in on its socket that takes one request and gives this answer."""
    path.parent.mkdir(parents=True, exist_ok=True)
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()
    requests: list[bytes] = []

    def serve() -> None:
        with server, server.accept()[0] as peer:
            requests.append(peer.recv(65536))
            peer.sendall(answer)

    thread = threading.Thread(target=serve)
    thread.start()
    return thread, requests


def run_hook(dom0: Dom0, *words: str, name: str = "vif") -> tuple[int, str, str]:
    """Run the hook under a name of the toolstack's, as the toolstack does."""
    place = dom0.sandbox.directory / name
    place.write_text(HOOK.read_text())
    env = {"XENBUS_PATH": "backend/vif/1/0", "XSAGENT_HOTPLUG_S": "1", "SECRET": "x"}
    done = dom0.sandbox.run([sys.executable, "-I", str(place), *words], check=False, env=env)
    return done.returncode, done.stdout, done.stderr


def test_the_hook_prints_the_daemons_answer(dom0: Dom0) -> None:
    """Same output and exit status as the command itself; only known variables are passed on, and no root prefix."""
    answer = {"status": 1, "stdout": "", "stderr": "vif: bridge xapi7 does not exist\n"}
    thread, requests = answering(dom0.sandbox.root / "run/xsagent/xsagentd.sock", json.dumps(answer).encode() + b"\n")

    result = run_hook(dom0, f"--root-prefix={dom0.sandbox.root}", "online", "vif")
    thread.join()

    request = json.loads(requests[0])
    assert result == (1, "", "vif: bridge xapi7 does not exist\n")
    assert (request["command"], request["arguments"]) == ("vif", ["online", "vif"])
    assert request["environment"]["XENBUS_PATH"] == "backend/vif/1/0"
    assert "SECRET" not in request["environment"]


def test_the_hook_does_it_itself_when_the_daemon_dies_over_it(dom0: Dom0) -> None:
    """No daemon, one that closes, or one that answers nonsense: the event is handled all the same."""
    thread, _ = answering(dom0.sandbox.root / "run/xsagent/xsagentd.sock", b'{"status": "none"}\n')

    # The handler is given the root prefix by nobody here: what it says proves that it ran.
    status, _, errors = run_hook(dom0, "destroy", "vif")
    thread.join()
    again = run_hook(dom0, "destroy", "vif")

    assert (status, "'destroy' is not an action" in errors) == (2, True)
    assert again[0] == 2
    assert dom0.read(f"{KEYS.backend}/hotplug-status") is None


def test_the_hook_knows_its_other_name(dom0: Dom0) -> None:
    """As setup-vif-rules it takes xenopsd's five words."""
    status, output, _ = run_hook(dom0, "xenlight", name="setup-vif-rules")

    assert (status, output.startswith("usage: setup-vif-rules")) == (1, True)
