"""The sandbox: a throw-away dom0 with real Open vSwitch, veth NICs and hosts at their far ends. Effects.

`Sandbox` turns a `SandboxSpec` into running namespaces and is what tests, the demo and ``xsagent sandbox`` use.
Nothing of it touches the machine's own network or /etc, and nothing survives it.
"""

from __future__ import annotations

import ipaddress
import json
import os
import shutil
import subprocess
import sys
from types import TracebackType
from typing import Self

from xsagent.errors import NotFoundError
from xsagent.sandbox import daemons, wiring
from xsagent.sandbox.far import FarHost, Guest
from xsagent.sandbox.inside import Inside
from xsagent.sandbox.namespaces import Namespaces, SandboxError, search_path
from xsagent.sandbox.root_prefix import record_uuid, write_root_prefix
from xsagent.sandbox.spec import SandboxSpec, Service, nic_mac
from xsagent.sandbox.traffic import PingStream
from xsagent.sandbox.xenopsd import Xenopsd

TOOLS = ("unshare", "nsenter", "mount", "ip", "nft", "ethtool", "ovsdb-tool", "ovsdb-server", "ovs-vswitchd")
OPTIONAL_TOOLS = ("dnsmasq", "dhclient", "ping")
_SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"


def missing_tools() -> list[str]:
    """Programs that a sandbox needs and this machine lacks."""
    return [tool for tool in (*TOOLS, *OPTIONAL_TOOLS) if shutil.which(tool, path=search_path()) is None]


class Sandbox(Inside):
    """A running sandbox, as a context manager.

    Attributes:
        ovsdb_server: the daemon; ``start()``, ``stop()``, ``kill()``, ``pause()``, ``resume()``, ``pid``.
        vswitchd: likewise.
        keep: left up at the end (KEEP_SANDBOX=1).
    """

    def __init__(self, spec: SandboxSpec | None = None) -> None:
        super().__init__(spec or SandboxSpec())
        self.keep = os.environ.get("KEEP_SANDBOX", "") not in ("", "0")
        rundir = self.root / "run/openvswitch"
        self.ovsdb_server = daemons.ovsdb_server(rundir, self.log, self.run)
        self.vswitchd = daemons.ovs_vswitchd(rundir, self.log, self.run)
        self._far = {segment.name: FarHost(self, segment, self.log) for segment in self.spec.segments}
        self._guests: list[Guest] = []

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.keep:
            sys.stderr.write(self.describe_entry())
        else:
            self.close()

    # -- what is in it ---------------------------------------------------------------------------------------

    def far(self, name: str = "gateway") -> FarHost:
        """The far host of this name; NotFoundError where the spec has none."""
        if name not in self._far:
            raise NotFoundError(f"the sandbox has no far host {name}: {', '.join(self._far)}")
        return self._far[name]

    def build_bridge(self, bridge: str, *nics: str, address: str = "") -> None:
        """Build a bridge by hand with the peers' own tools, links up: a host's state that is none of our making.

        Args:
            bridge: its name; its hardware address is that of the first NIC.
            nics: its ports.
            address: CIDR for the bridge device; empty: none.
        """
        settings = [f"datapath_type={self.spec.datapath_type}", "fail_mode=standalone"]
        settings += [f"other_config:hwaddr={nic_mac(nic)}" for nic in nics[:1]]
        ports = [word for nic in nics for word in ("--", "add-port", bridge, nic)]
        self.run(["ovs-vsctl", "add-br", bridge, "--", "set", "Bridge", bridge, *settings, *ports])
        for device in (*nics, bridge):
            self.run(["ip", "link", "set", device, "up"])
        if address:
            self.run(["ip", "-batch", "-"], input_text=wiring.render_addresses(bridge, [address]))

    def add_guest(self, name: str, bridge: str, address: str = "", *, plug: bool = True) -> Guest:
        """Add a guest with a vif-like port: a veth pair whose other end is in the guest's own namespace.

        Args:
            name: of the guest's namespace.
            bridge: where its port goes.
            address: CIDR; default the next free of 192.0.2.200/24 onwards.
            plug: add the port, with the external_ids that a vif has; otherwise only the devices are made.
        """
        number = len(self._guests) + 1
        guest = Guest(self, name, f"vif{number}.0", address or f"192.0.2.{199 + number}/24")
        mac = f"00:16:3e:00:00:{number:02x}"
        self.run(
            ["ip", "-batch", "-"],
            input_text=f"netns add {name}\nlink add {guest.vif} type veth "
            f"peer name eth0 netns {name} address {mac}\nlink set {guest.vif} up\n",
        )
        guest.run(
            ["ip", "-batch", "-"],
            input_text="link set lo up\nlink set eth0 up\n" + wiring.render_addresses("eth0", [guest.address]),
        )
        guest.run(["ethtool", "-K", "eth0", "tx", "off"])
        self.leave_to_switch(guest.vif)
        if plug:
            ids = {"xs-vif-uuid": record_uuid(f"vif {guest.vif}"), "attached-mac": mac}
            ids["xs-vm-uuid"] = record_uuid(f"vm {name}")
            settings = [f'external_ids:{key}="{value}"' for key, value in ids.items()]
            add = ["--may-exist", "add-port", bridge, guest.vif]
            self.run(["ovs-vsctl", *add, "--", "set", "Interface", guest.vif, *settings])
        self._guests.append(guest)
        return guest

    def ping_stream(self, target: str = "", *, interval_ms: float = 5.0) -> PingStream:
        """Start pings from dom0; counts every packet.

        Args:
            target: address, IPv4 or IPv6; default the first far host's.
            interval_ms: time between packets.
        """
        return PingStream(self.spawn, target or self.gateway_address, interval_ms)

    @property
    def xenopsd(self) -> Xenopsd:
        """The toolstack's side of guests' VIFs; needs the services xenstored and udevd."""
        return Xenopsd(self.root, self.run)

    @property
    def gateway_address(self) -> str:
        """IPv4 address of the first segment's far host."""
        return str(ipaddress.IPv4Address(self.spec.segments[0].gateway.ip))

    def delete_flows(self, bridge: str) -> None:
        """Delete all flows of a bridge: the control run, after which nothing may get through."""
        self.run(["ovs-ofctl", "del-flows", bridge])

    def leave_to_switch(self, device: str) -> None:
        """Drop what arrives at a device before dom0's own stack sees it; the switch still gets it."""
        self.run(["nft", "-f", "-"], input_text=wiring.render_drop([device]))

    def leave_to_kernel(self, device: str) -> None:
        """Undo `leave_to_switch`, for a NIC that is in no bridge (a bridgeless network)."""
        self.run(["nft", "delete", "chain", "netdev", wiring.TABLE, wiring.chain_name(device)])

    # -- start and end ---------------------------------------------------------------------------------------

    def _start(self) -> None:
        missing = [tool for tool in TOOLS if shutil.which(tool, path=search_path()) is None]
        if missing:
            raise SandboxError(f"a sandbox needs {', '.join(missing)}, which this machine lacks")
        for path in (self.root, self.bin, self.log):
            path.mkdir()
        write_root_prefix(self.root, self.spec)
        self._copy_dhclient()
        self.namespaces = Namespaces.start(self.directory, keep=self.keep)
        self._write_entry()
        self._lay_wires()
        self._start_switch()
        for service in self.spec.services:
            self.start_service(service)

    def _write_entry(self) -> None:
        """How another process gets inside: ``xsagent sandbox vif --in`` reads it."""
        entry = {"enter": self.command([]), "environment": self.environment}
        file = self.directory / "running.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(entry), encoding="utf-8")

    def _copy_dhclient(self) -> None:
        """Debian's AppArmor profile confines /sbin/dhclient by its path, and with it the files it may write."""
        dhclient = shutil.which("dhclient", path=search_path())
        if dhclient:
            shutil.copy(dhclient, self.bin / "dhclient")

    def _lay_wires(self) -> None:
        self.run(["ip", "-batch", "-"], input_text=wiring.render_wires(self.spec.segments))
        self.run(["nft", "-f", "-"], input_text=wiring.render_drop(self.spec.nics))
        for segment in self.spec.segments:
            far = self.far(segment.name)
            far.run(["ip", "-batch", "-"], input_text=wiring.render_far(segment))
            for nic in segment.nics:
                # The userspace datapath does not fill in a checksum that the sender left to its hardware.
                far.run(["ethtool", "-K", wiring.wire_name(nic), "tx", "off"])
            if segment.ipv6:
                # A host that does not forward says so in its neighbour advertisements, and whoever took it for a
                # router drops its default route (RFC 4861 section 7.2.5).
                far.run(["tee", "/proc/sys/net/ipv6/conf/all/forwarding"], input_text="1\n")
            if segment.dhcp:
                far.dhcp.start()

    def _start_switch(self) -> None:
        database = str(self.root / "run/openvswitch/conf.db")
        self.run(["ovsdb-tool", "create", database, _SCHEMA])
        if not self.spec.ovsdb:
            return
        self.ovsdb_server.start()
        system_id = f"external_ids:system-id={record_uuid('host')}"
        self.run(["ovs-vsctl", "--no-wait", "init", "--", "set", "Open_vSwitch", ".", system_id])
        if self.spec.vswitchd:
            self.vswitchd.start()

    def start_service(self, service: Service) -> subprocess.Popen[bytes]:
        """Start a further process of dom0 and wait until it is ready; its output goes to ``log/NAME.log``."""
        argv = [word.replace("{root}", str(self.root)) for word in service.argv]
        with (self.log / f"{service.name}.log").open("wb") as log:
            process = subprocess.Popen(
                self.command(argv),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self.environment | dict(service.environment),
                start_new_session=True,
            )
        if service.ready:
            ready = self.root / service.ready
            daemons.wait_for(ready.exists, service.deadline_s, f"service {service.name} made no {service.ready}")
        return process

    def close(self) -> None:
        """End every process inside and remove the directory; idempotent."""
        if self.namespaces:
            self.namespaces.stop()
            self.namespaces = None
        shutil.rmtree(self.directory, ignore_errors=True)
