"""A sandbox's dom0 with xsagentd running in it, driven from outside."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from xsagent.model.vif import VifId
from xsagent.sandbox.daemons import wait_for
from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.guest_vif import GuestVif
from xsagent.sandbox.spec import SandboxSpec
from xsagent.sandbox.xenopsd import guest_services
from xsagent.sources.xenstore_wire import Operation, encode_path

FLOWS = 12 + 2
"""Locking flows of a locked VIF with one IPv4 address (features.md section 16)."""
LOCKED = GuestVif(id=VifId(7, 0), locking="Locked", allowed=("192.0.2.77",), address="192.0.2.77/24")


@dataclass
class ServedDom0:
    """The dom0 and its daemon.

    Attributes:
        process: the daemon; None before its first start.
        environment: of the daemon.
    """

    sandbox: Sandbox
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def root(self) -> Path:
        """The root prefix."""
        return self.sandbox.root

    # -- the daemon ------------------------------------------------------------------------------------------

    @property
    def log(self) -> str:
        """The daemon's standard error so far."""
        return (self.sandbox.log / "xsagentd.log").read_text()

    @property
    def pid(self) -> str:
        """Process id of the daemon inside."""
        return (self.root / "run/xsagent/xsagentd.pid").read_text().strip()

    def start(self, *through: str, ready: bool = True, **environment: str) -> None:
        """Start the daemon; returns when it is ready, or with `ready` false when it takes requests.

        Args:
            through: a program with its arguments that executes it.
            ready: wait until it is.
            environment: of the daemon, beside its own.
        """
        argv = [*through, sys.executable, "-m", "xsagent.cli.xsagentd", f"--root-prefix={self.root}", "--no-syslog"]
        with (self.sandbox.log / "xsagentd.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.sandbox.command(argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.sandbox.environment | self.environment | environment,
            )
        awaited = self.root / "run/xsagent" / ("ready" if ready else "xsagentd.sock")
        wait_for(awaited.exists, 30, lambda: f"the daemon made no {awaited.name}: {self.log[-2000:]}")

    def end(self, name: str = "TERM") -> int:
        """End the daemon by a signal; its exit status."""
        assert self.process is not None
        self.sandbox.run(["kill", f"-{name}", self.pid])
        return self.process.wait(30)

    def status(self) -> dict[str, Any]:
        """What ``xsagent status --json`` says of the daemon."""
        found: dict[str, Any] = json.loads(self.xsagent("status", "--json").stdout)["daemon"]
        return found

    def await_status(self, condition: Callable[[dict[str, Any]], bool], sentence: str) -> None:
        """Wait until the daemon's status is so."""
        wait_for(lambda: condition(self.status()), 30, lambda: f"{sentence}: {self.log[-3000:]}")

    # -- commands --------------------------------------------------------------------------------------------

    def command(self, module: str, *words: str) -> list[str]:
        """Argument list of one of our commands inside."""
        return [sys.executable, "-m", f"xsagent.cli.{module}", *words, f"--root-prefix={self.root}"]

    def xsagent(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a verb of xsagent."""
        return self.sandbox.run(self.command("main", *words), check=check)

    def call(self, module: str, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        """Run a command as the toolstack does, whatever its exit status."""
        return self.sandbox.run(self.command(module, *words), check=False, env=env)

    def send(self, data: bytes) -> bytes:
        """Send bytes to the daemon's socket, end our side, and read until it closes; empty when it resets."""
        program = (
            "import socket, sys; s = socket.socket(socket.AF_UNIX); s.settimeout(30); s.connect(sys.argv[1]);"
            "s.sendall(bytes.fromhex(sys.stdin.read())); s.shutdown(socket.SHUT_WR);"
            "print(b''.join(iter(lambda: s.recv(65536), b'')).decode())"
        )
        words = [sys.executable, "-c", program, str(self.root / "run/xsagent/xsagentd.sock")]
        return self.sandbox.run(words, check=False, input_text=data.hex()).stdout.strip().encode()

    # -- the switch and xenstore -----------------------------------------------------------------------------

    def vsctl(self, *words: str) -> str:
        """Output of ovs-vsctl."""
        return self.sandbox.run(["ovs-vsctl", *words]).stdout.strip()

    def ports(self, bridge: str = "xenbr0") -> set[str]:
        """Ports of a bridge that are guests'."""
        return {name for name in self.vsctl("list-ports", bridge).split() if name.startswith(("vif", "tap"))}

    def flows(self, bridge: str = "xenbr0") -> int:
        """Number of locking flows."""
        dumped = self.sandbox.run(["ovs-ofctl", "dump-flows", bridge, "cookie=1/-1"], check=False).stdout
        return dumped.count("actions=")

    def configuration(self) -> int:
        """Number of the switch's configuration: each write of ours raises it."""
        return int(self.vsctl("get", "Open_vSwitch", ".", "next_cfg"))

    def read(self, path: str) -> str | None:
        """Value of a xenstore path."""
        with self.sandbox.xenopsd.open_store() as store:
            raw = store.read(path)
        return None if raw is None else raw.decode()

    def remove(self, path: str) -> None:
        """Remove a xenstore node with all below it."""
        with self.sandbox.xenopsd.open_store() as store:
            store.request(Operation.RM, encode_path(path))

    def write_hook(self) -> Path:
        """Put a vif-hotplug hook in place that writes its arguments down; returns where."""
        hook, record = self.root / "etc/xapi.d/vif-hotplug", self.root / "hook.log"
        hook.parent.mkdir(parents=True, exist_ok=True)
        hook.write_text(f'#!/bin/sh\necho "$@" >>{record}\n')
        hook.chmod(0o755)
        return record

    def let_toolstack_call(self) -> None:
        """Write that the toolstack calls for each vif itself, as libxl does: relative to dom0's directory."""
        socket = self.root / "run/xenstored/socket"
        self.sandbox.run(["xenstore-write", "libxl/disable_udev", "1"], env={"XENSTORED_PATH": str(socket)})

    # -- guests ----------------------------------------------------------------------------------------------

    def plug(self, *vifs: GuestVif) -> None:
        """Plug VIFs in as xenopsd does, and wait for the report of each."""
        self.sandbox.xenopsd.plug(*vifs)

    def prepare(self, *vifs: GuestVif) -> None:
        """Everything of a plug up to the event, with bare devices: the guests of a burst need no namespaces."""
        self.sandbox.xenopsd.write(*vifs)
        links = (f"link add {vif.device} type veth peer name peer{vif.id.domid}\n" for vif in vifs)
        self.sandbox.run(["ip", "-batch", "-"], input_text="".join(links))

    def online(self, *vifs: GuestVif) -> None:
        """Raise the event of each."""
        self.sandbox.xenopsd.raise_uevents("online", *vifs)

    def await_reports(self, *vifs: GuestVif) -> list[str]:
        """Wait until each is reported as connected or failed; the errors."""
        paths = [f"{vif.backend}/{name}" for vif in vifs for name in ("hotplug-status", "hotplug-error")]
        with self.sandbox.xenopsd.open_store() as store:

            def read() -> list[tuple[bytes | None, bytes | None]]:
                found = store.read_all(paths)
                return list(zip(found[::2], found[1::2], strict=True))

            wait_for(
                lambda: all(any(one) for one in read()), 120, lambda: f"a vif was not reported: {self.log[-3000:]}"
            )
            return [error.decode() for _, error in read() if error is not None]


def burst(count: int) -> list[GuestVif]:
    """VIFs of as many domains, every fourth of them locked."""
    locked: dict[str, Any] = {"locking": "Locked", "allowed": ("192.0.2.9",)}
    return [GuestVif(id=VifId(10 + n, 0), **(locked if n % 4 == 0 else {})) for n in range(count)]


@contextmanager
def running_dom0(*, start: bool = True, dbcache: str | None = None, **environment: str) -> Iterator[ServedDom0]:
    """A dom0 with everything that guests need, bridge xenbr0 on eth0, and the daemon."""
    told = {"XSAGENT_LOG_LEVEL": "debug", "XSAGENT_HOTPLUG_S": "20", **environment}
    spec = SandboxSpec(services=guest_services(), environment={"XSAGENT_HOTPLUG_S": "20"}, dbcache=dbcache)
    with Sandbox(spec) as sandbox:
        sandbox.build_bridge("xenbr0", "eth0")
        served = ServedDom0(sandbox, told)
        if start:
            served.start()
        yield served


def alive(pid: int) -> bool:
    """Whether a process of this machine still runs."""
    try:
        os.kill(pid, signal.SIG_DFL)
    except ProcessLookupError:
        return False
    return True
