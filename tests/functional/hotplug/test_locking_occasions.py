"""A locked guest stays locked through all that makes a switch forget: shown with frames, with xsagentd and without.

Each occasion is followed by what a host then does: the daemon notices by itself; without one an operator's or boot's
resync looks at each device. Then every frame of `guest_traffic` is sent: its own arrive, spoofed ones never.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import openflow_controller
import pytest
from dom0 import KEYS, VM, Dom0, running_dom0
from guest_traffic import IPV4, IPV6, MAC, arrived, own_frames, spoofed_frames

from xsagent.apply.flows import delete_flows, read_flows
from xsagent.sandbox.daemons import wait_for
from xsagent.sandbox.spec import Service
from xsagent.sandbox.udevd import udevd_service

LOCKED = ["Locked", {"ipv4": [IPV4], "ipv6": [IPV6]}]
FLOWS = 12 + 2 + 5
EVERY = own_frames() | spoofed_frames()
_PORT = 6653
_FAIL_OPEN_S = 5
"""After a controller with an inactivity probe of 1 s went: three of them, and one more."""


@dataclass(frozen=True)
class Host:
    """A dom0 whose guest is plugged in and locked."""

    dom0: Dom0
    daemon: bool

    @property
    def flows(self) -> int:
        """How many locking flows the switch holds of the guest's port."""
        return len(read_flows(self.dom0.rundir, "xenbr0").get(self.ofport, ()))

    @property
    def ofport(self) -> int:
        """The port's number."""
        return int(self.dom0.vsctl("get", "Interface", "vif1.0", "ofport"))

    @property
    def identity(self) -> tuple[int, int, int]:
        """Number in the switch, number in the kernel, and how often the link changed."""
        return self.ofport, int(self.dom0.link()["ifindex"]), self.dom0.bounces()

    def settle(self) -> None:
        """Let the host do what it does after something happened to its switch."""
        self.dom0.vsctl("--timeout=20", "wait-until", "Interface", "vif1.0", "ofport>0")
        if not self.daemon:
            self.dom0.resync()
        wait_for(lambda: self.flows == FLOWS, 30, "the flows did not come back")
        # what the datapath remembers of the time without flows goes a moment after they are in: revalidators work aside
        self.dom0.sandbox.run(["ovs-appctl", "revalidator/wait"])

    @contextmanager
    def nobody_mends(self) -> Iterator[None]:
        """The daemon stands still while the block runs: it would put back what the block takes away."""
        self._signal_daemon("STOP")
        try:
            yield
        finally:
            self._signal_daemon("CONT")

    def _signal_daemon(self, name: str) -> None:
        self.dom0.sandbox.run(["pkill", f"-{name}", "-f", "xsagent.cli.xsagentd"], check=self.daemon)

    def told(self) -> str:
        """What is said of the guest's device: the daemon's status, or what an attach logs."""
        if not self.daemon:
            return self.dom0.vif("vif", "1", "0", "online").stderr
        words = ["status", "--json", f"--root-prefix={self.dom0.sandbox.root}"]
        status = json.loads(self.dom0.sandbox.run([sys.executable, "-m", "xsagent.cli.main", *words]).stdout)
        return str(status["daemon"]["devices"]["vif1.0"]["text"])

    def check_locked(self) -> None:
        """Own frames arrive, and no other."""
        assert arrived(self.dom0.sandbox, self.dom0.guest, self.dom0.watcher, EVERY) == own_frames().keys()


@pytest.fixture(scope="module", params=["one-shot", "daemon"])
def host(request: pytest.FixtureRequest) -> Iterator[Host]:
    """The host, with xsagentd or without."""
    daemon = request.param == "daemon"
    with running_dom0() as dom0:
        if daemon:
            argv = (sys.executable, "-m", "xsagent.cli.xsagentd", "--root-prefix={root}", "--no-syslog")
            dom0.sandbox.start_service(udevd_service())
            dom0.sandbox.start_service(Service(name="xsagentd", argv=argv, ready="run/xsagent/ready", deadline_s=30))
        dom0.lock(LOCKED)
        dom0.vif("vif", "1", "0", "online")
        yield Host(dom0, daemon)


def restart_switch(host: Host) -> None:
    """A new process knows no flow."""
    host.dom0.sandbox.vswitchd.kill()
    host.dom0.sandbox.vswitchd.start()


def lose_flows(host: Host) -> None:
    """Somebody deletes our flows; the daemon is told to look, as it does by itself every few minutes."""
    host.dom0.sandbox.run(["ovs-ofctl", "del-flows", "xenbr0", "cookie=1/-1"])
    if host.daemon:
        host.dom0.sandbox.run(["ovs-appctl", "-t", "xsagentd", "flush-cache"])


def add_foreign_flow(host: Host) -> None:
    """A flow with our cookie that lets everything through, above ours."""
    flow = f"cookie=1,priority=9999,in_port={host.ofport},actions=NORMAL"
    host.dom0.sandbox.run(["ovs-ofctl", "add-flow", "xenbr0", flow])
    if host.daemon:
        host.dom0.sandbox.run(["ovs-appctl", "-t", "xsagentd", "flush-cache"])


def vsctl(*words: str) -> Callable[[Host], object]:
    """An occasion that is one call of ovs-vsctl."""
    return lambda host: host.dom0.vsctl(*words)


def plug_by_hand(host: Host) -> None:
    """Somebody takes the port out and puts it in again, which brings it another number, and tells nobody."""
    for words in (("del-port", "vif1.0"), ("add-port", "xenbr0", "vif1.0")):
        host.dom0.vsctl(*words)


OCCASIONS: dict[str, Callable[[Host], object]] = {
    "the attach": lambda _host: None,
    "a restart of vswitchd": restart_switch,
    "fail_mode secure": vsctl("set-fail-mode", "xenbr0", "secure"),
    "fail_mode standalone": vsctl("set-fail-mode", "xenbr0", "standalone"),
    "a controller": vsctl("set-controller", "xenbr0", "tcp:192.0.2.250:6653"),
    "no controller": vsctl("del-controller", "xenbr0"),
    "a manager": vsctl("set-manager", "tcp:192.0.2.250:6640"),
    "no manager": vsctl("del-manager"),
    "an emergency reset": vsctl("emer-reset"),
    "flows that somebody deleted": lose_flows,
    "a flow that somebody added": add_foreign_flow,
    "a port that is another": plug_by_hand,
    "a number that somebody asks for": vsctl("set", "Interface", "vif1.0", "ofport_request=77"),
}


@pytest.mark.parametrize("occasion", OCCASIONS)
def test_a_locked_guest_is_locked_after(host: Host, occasion: str) -> None:
    """Nothing spoofed gets through, its own does, and the port was not touched for it."""
    before = host.identity

    OCCASIONS[occasion](host)
    host.settle()

    host.check_locked()
    assert host.identity[1:] == before[1:]


@pytest.mark.parametrize("state", ["5", "6"])
def test_a_guest_that_closes_its_device_for_a_while_is_locked_when_it_comes_back(host: Host, state: str) -> None:
    """Netback keeps the netdev, and nobody is told of either: the switch may forget its flows in between."""
    dom0 = host.dom0
    dom0.write(f"{KEYS.backend}/online", "1")
    dom0.write(f"{KEYS.backend}/state", state)
    try:
        restart_switch(host)
        host.settle()
    finally:
        dom0.write(f"{KEYS.backend}/state", "4")

    host.check_locked()


@contextmanager
def controller(host: Host, fail_mode: str) -> Iterator[Callable[[], None]]:
    """A bridge with a controller that takes it in; the value lets it go away, and the switch fails open 3 s later."""
    dom0, address = host.dom0, f"tcp:127.0.0.1:{_PORT}"
    dom0.vsctl("set-fail-mode", "xenbr0", fail_mode, "--", "set-controller", "xenbr0", address)
    dom0.vsctl("set", "Controller", "xenbr0", "inactivity_probe=1000")
    try:
        start_controller(host)
        yield partial(lose_controller, host)
    finally:
        dom0.sandbox.run(["pkill", "-f", "openflow_controller"], check=False)
        dom0.vsctl("del-controller", "xenbr0", "--", "del-fail-mode", "xenbr0")


def start_controller(host: Host) -> None:
    """It answers, and the database says so."""
    argv = (sys.executable, str(openflow_controller.__file__), str(_PORT))
    host.dom0.sandbox.start_service(Service(name="controller", argv=argv))
    host.dom0.vsctl("--timeout=30", "wait-until", "Controller", "xenbr0", "is_connected=true")


def lose_controller(host: Host) -> None:
    """It is gone, and the database says so."""
    host.dom0.sandbox.run(["pkill", "-f", "openflow_controller"])
    host.dom0.vsctl("--timeout=30", "wait-until", "Controller", "xenbr0", "is_connected=false")


def test_a_locked_guest_stays_locked_when_the_controller_of_a_secure_bridge_goes(host: Host) -> None:
    """Its frames still pass, others' never do, and nobody says otherwise."""
    with controller(host, "secure") as lose:
        host.settle()
        lose()
        time.sleep(_FAIL_OPEN_S)

        assert "NOT locked" not in host.told()
        host.settle()
        host.check_locked()


def test_a_locked_guest_is_told_to_be_free_when_the_controller_of_a_standalone_bridge_goes(host: Host) -> None:
    """The switch lets everything through, over all flows; that is said, and the flows that it took out are back."""
    with controller(host, "standalone") as lose:
        host.settle()
        locked = host.told()
        lose()
        time.sleep(_FAIL_OPEN_S)
        host.settle()

        assert "NOT locked" not in locked
        assert arrived(host.dom0.sandbox, host.dom0.guest, host.dom0.watcher, EVERY) == EVERY.keys()
        wait_for(lambda: "it is NOT locked while bridge xenbr0" in host.told(), 30, host.told)
        assert "vswitch-controller-fail-mode" in host.told()


def test_a_locked_guest_is_locked_as_soon_as_a_controller_comes_back(host: Host) -> None:
    """The flows were put back beneath the switch's own, which goes; the daemon waits for no periodic resync."""
    with controller(host, "standalone") as lose:
        host.settle()
        lose()
        time.sleep(_FAIL_OPEN_S)
        host.settle()
        start_controller(host)

        assert host.flows == FLOWS
        host.dom0.sandbox.run(["ovs-appctl", "revalidator/wait"])
        host.check_locked()
        wait_for(lambda: "NOT locked" not in host.told(), 30, host.told)


def test_a_device_that_goes_and_comes_again_is_locked_again(host: Host) -> None:
    """Windows' PV drivers do that, and xenopsd at a replug: the port is a new one."""
    dom0 = host.dom0
    dom0.sandbox.run(["ip", "link", "del", "vif1.0"])
    dom0.vif("remove", "vif", XENBUS_PATH="backend/vif/1/0")
    assert read_flows(dom0.rundir, "xenbr0") == {}
    dom0.sandbox.run(
        ["ip", "-batch", "-"],
        input_text=f"link add vif1.0 type veth peer name eth0 netns guest address {MAC}\nlink set vif1.0 up\n",
    )
    dom0.guest.run(["ip", "link", "set", "eth0", "up"])
    dom0.guest.run(["ethtool", "-K", "eth0", "tx", "off"])

    dom0.vif("vif", "1", "0", "online")

    assert host.flows == FLOWS
    host.check_locked()


def test_the_mode_changes_live(host: Host) -> None:
    """Locked, unlocked and back: neither link nor port is touched; an unknown mode is refused and changes nothing."""
    dom0, before = host.dom0, (*host.identity, host.dom0.configuration())

    dom0.lock("Unlocked")
    dom0.rules("filter")
    unlocked = arrived(dom0.sandbox, dom0.guest, dom0.watcher, EVERY)
    dom0.lock("Quarantined")
    refused = dom0.run("setup_vif_rules", "xenlight", "vif1.0", VM, "0", "filter", check=False)
    dom0.lock(LOCKED)
    dom0.rules("filter")

    assert unlocked == EVERY.keys()
    assert (refused.returncode, "'Quarantined' is not a locking mode" in refused.stderr) == (1, True)
    host.check_locked()
    assert (*host.identity, dom0.configuration()) == before


def test_without_its_flows_the_frames_do_get_through(host: Host) -> None:
    """The control run: what the others show is the flows' doing."""
    with host.nobody_mends():
        delete_flows(host.dom0.rundir, "xenbr0", [host.ofport])
        got = arrived(host.dom0.sandbox, host.dom0.guest, host.dom0.watcher, EVERY)

    assert got == EVERY.keys()
