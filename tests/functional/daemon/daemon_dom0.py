"""The dom0 of the hotplug tests with a udevd of its own, and xsagentd running in it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dom0 import Dom0, running_dom0

from xsagent.sandbox.daemons import wait_for

UDEVD = "/lib/systemd/systemd-udevd"
SEND = Path(__file__).with_name("send_uevent.py")


@dataclass
class DaemonDom0:
    """A dom0 with a daemon, driven from outside."""

    dom0: Dom0
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[str] | None = None

    @property
    def root(self) -> Path:
        """The root prefix."""
        return self.dom0.sandbox.root

    @property
    def log(self) -> Path:
        """The daemon's standard error."""
        return self.dom0.sandbox.log / "xsagentd.log"

    def start(self, *, ready: bool = True, **environment: str) -> None:
        """Start the daemon and wait for its socket, or until it is ready."""
        argv = [sys.executable, "-m", "xsagent.cli.xsagentd", f"--root-prefix={self.root}", "--no-syslog"]
        sandbox = self.dom0.sandbox
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                sandbox.command(argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=sandbox.environment | self.environment | environment,
                text=True,
            )
        awaited = self.root / ("run/xsagent/ready" if ready else "run/xsagent/xsagentd.sock")
        wait_for(awaited.exists, 30, f"the daemon made no {awaited.name}: {self.log.read_text()[-2000:]}")

    @property
    def pid(self) -> str:
        """Process id of the daemon inside."""
        return (self.root / "run/xsagent/xsagentd.pid").read_text().strip()

    def signal(self, name: str) -> None:
        """Send the daemon a signal."""
        self.dom0.sandbox.run(["kill", f"-{name}", self.pid])

    def stop(self) -> int:
        """End the daemon in order; its exit status."""
        assert self.process is not None
        self.signal("TERM")
        return self.process.wait(30)

    def kill(self) -> None:
        """End the daemon with SIGKILL."""
        assert self.process is not None
        self.signal("KILL")
        self.process.wait(30)

    def uevent(self, *events: dict[str, str]) -> None:
        """Tell udev's listeners of events, as udevd does after its rules."""
        self.dom0.sandbox.run([sys.executable, str(SEND)], input_text=json.dumps(events))

    def online(self, *domids: int, action: str = "online") -> None:
        """Tell of VIF 0 of these domains, as the kernel and udevd do on real Xen (udev-xen.md)."""
        self.uevent(*(vif_event(domid, action) for domid in domids))

    def status(self) -> dict[str, Any]:
        """What ``xsagent status --json`` says of the daemon."""
        done = self.run("status", "--json")
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def run(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a verb of xsagent."""
        argv = [sys.executable, "-m", "xsagent.cli.main", words[0], f"--root-prefix={self.root}", *words[1:]]
        return self.dom0.sandbox.run(argv, check=check)

    def await_daemon(self, condition: Callable[[dict[str, Any]], bool], sentence: str, deadline_s: float = 30) -> None:
        """Wait until the daemon's status is so."""
        wait_for(lambda: condition(self.status()["daemon"]), deadline_s, sentence)

    def logged(self, text: str) -> bool:
        """Whether the daemon's log has a text."""
        return text in self.log.read_text()


def vif_event(domid: int, action: str, devid: int = 0) -> dict[str, str]:
    """The properties of a xen-backend uevent."""
    return {
        "ACTION": action,
        "SUBSYSTEM": "xen-backend",
        "DEVPATH": f"/devices/vif-{domid}-{devid}",
        "XENBUS_TYPE": "vif",
        "XENBUS_PATH": f"backend/vif/{domid}/{devid}",
        "XENBUS_BASE_PATH": "backend",
    }


@contextmanager
def running_daemon_dom0(*, udevd: bool = True, start: bool = True, **environment: str) -> Iterator[DaemonDom0]:
    """A dom0 with a udevd that has no rules, and the daemon."""
    with running_dom0() as dom0:
        if udevd:
            start_udevd(dom0)
        served = DaemonDom0(dom0, {"XSAGENT_LOG_LEVEL": "debug", "XSAGENT_HOTPLUG_S": "2", **environment})
        if start:
            served.start(ready=udevd)
        yield served


def start_udevd(dom0: Dom0) -> None:
    """Start a udevd without rules in the sandbox's namespaces."""
    sandbox, none = dom0.sandbox, dom0.sandbox.directory / "none"
    none.mkdir()
    sandbox.run(["mkdir", "-p", "/run/udev/rules.d"])
    for place in filter(Path.is_dir, (Path("/usr/lib/udev/rules.d"), Path("/etc/udev/rules.d"))):
        sandbox.run(["mount", "--bind", str(none), str(place)])
    sandbox.spawn([UDEVD, "--resolve-names=never"])
    wait_for((sandbox.root / "run/udev/control").exists, 10, "udevd made no control socket")
