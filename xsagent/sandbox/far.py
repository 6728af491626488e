"""Hosts beside dom0 in a sandbox, each in a network namespace of its own: far hosts on wires, guests on vifs. Effects.

Made by `dom0.Sandbox`; a test reaches them by `Sandbox.far(NAME)` and `Sandbox.add_guest(...)`.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from xsagent.sandbox import dhcp_server, wiring
from xsagent.sandbox.daemons import Daemon
from xsagent.sandbox.inside import RUN_DEADLINE_S, Inside
from xsagent.sandbox.spec import Segment
from xsagent.sandbox.traffic import PingStream


class Host:
    """A host beside dom0.

    Attributes:
        name: of its network namespace inside the sandbox.
        interface: the device that bears its addresses.
    """

    def __init__(self, inside: Inside, name: str, interface: str) -> None:
        self.name = name
        self.interface = interface
        self._inside = inside

    def run(
        self,
        argv: Sequence[str],
        *,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        timeout: float = RUN_DEADLINE_S,
        input_text: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command on this host; see `Sandbox.run`."""
        return self._inside.run_in(self.name, argv, check=check, env=env, timeout=timeout, input_text=input_text)

    def spawn(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start a command on this host; see `Sandbox.spawn`."""
        return self._inside.spawn_in(self.name, argv, env=env)

    def set_addresses(self, *addresses: str) -> None:
        """Make these (CIDR) the host's only addresses; none: it no longer answers for any."""
        self.run(["ip", "address", "flush", "dev", self.interface])
        self.run(["ip", "-batch", "-"], input_text=wiring.render_addresses(self.interface, addresses))

    def ping_stream(self, target: str, *, interval_ms: float = 5.0) -> PingStream:
        """Start pings from this host to an address; see `Sandbox.ping_stream`."""
        return PingStream(self.spawn, target, interval_ms)


class FarHost(Host):
    """The host at the far end of a segment: answers ARP, ND and ping; serves DHCP while `dhcp` runs.

    Attributes:
        dhcp: the DHCP server; ``start()``, ``stop()``, ``kill()``.
    """

    def __init__(self, inside: Inside, segment: Segment, directory: Path) -> None:
        super().__init__(inside, segment.name, wiring.far_interface(segment))
        self.segment = segment
        self._directory = directory
        pid_file = directory / f"{segment.name}-dnsmasq.pid"
        self.dhcp = Daemon(f"dnsmasq of {segment.name}", [], pid_file, self.run)
        if segment.addresses:
            command = dhcp_server.render_command(segment, self.interface, directory)
            self.dhcp = Daemon(f"dnsmasq of {segment.name}", command, pid_file, self.run)

    def leases(self) -> list[str]:
        """Lines of the server's lease file: expiry, MAC, address, host name, client id."""
        path = self._directory / f"{self.name}.leases"
        return path.read_text(encoding="utf-8").splitlines() if path.exists() else []

    def set_carrier(self, nic: str, *, up: bool) -> None:
        """Pull or plug the cable of one of dom0's NICs on this segment."""
        self.run(["ip", "link", "set", wiring.wire_name(nic), "up" if up else "down"])


class Guest(Host):
    """A guest behind a vif-like port.

    Attributes:
        vif: name of dom0's end, the port in the bridge.
        address: the guest's address in CIDR form.
    """

    def __init__(self, inside: Inside, name: str, vif: str, address: str) -> None:
        super().__init__(inside, name, "eth0")
        self.vif = vif
        self.address = address
