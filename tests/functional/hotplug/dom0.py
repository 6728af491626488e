"""A sandbox with xenstored and one guest, driven as the toolstack drives a dom0."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from guest_traffic import IPV4, IPV6, MAC, arrived, own_frames, spoofed_frames
from xenstore_keys import write_key

from xsagent.config import Paths
from xsagent.model.vif import Layout, VifId
from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.far import Guest
from xsagent.sandbox.spec import SandboxSpec
from xsagent.sandbox.xenstored import Daemon, xenstored_service
from xsagent.sources.vif import build_paths
from xsagent.sources.xenstore import Xenstore, open_xenstore
from xsagent.sources.xenstore_wire import Operation, encode_path

VM = "e5b24593-770e-5865-b077-5f56bdead3c7"
VIF_UUID = "ad183578-73d1-5ace-8bdc-9e32c65a5032"
NETWORK = "e65a64e7-d3e1-5188-9362-812424459b12"
VIF = VifId(1, 0)
KEYS = build_paths(VIF, Layout.UUID, VM)
LOCKED = ["Locked", {"ipv4": [IPV4], "ipv6": [IPV6]}]
FLOWS = 12 + 2 + 5
"""Of a locked VIF, and for each of its IPv4 and IPv6 addresses."""
EVERY = own_frames() | spoofed_frames()
ALL_IDS = {
    "xs-vif-uuid": VIF_UUID,
    "xs-vm-uuid": VM,
    "xs-network-uuid": NETWORK,
    "attached-mac": MAC,
    "iface-id": VIF_UUID,
    "vm-id": VM,
    "iface-status": "active",
}


@dataclass
class Dom0:
    """The dom0 of one guest with VIF 1/0, which is a veth pair named vif1.0.

    Attributes:
        watcher: another guest on xenbr0, whose port was put there by hand.
    """

    sandbox: Sandbox
    store: Xenstore
    guest: Guest
    watcher: Guest

    @property
    def rundir(self) -> Path:
        """Directory of Open vSwitch's sockets."""
        return self.sandbox.root / "run/openvswitch"

    def write(self, path: str, value: str) -> None:
        """Write an absolute xenstore path, or a private key of the VIF."""
        write_key(self.store, path if path.startswith("/") else f"{KEYS.private}/{path}", value)

    def read(self, path: str) -> str | None:
        """Value of an absolute xenstore path; None when it is absent."""
        raw = self.store.read(path)
        return None if raw is None else raw.decode()

    def remove(self, path: str) -> None:
        """Remove a node with all below it."""
        self.store.request(Operation.RM, encode_path(path))

    def plug(self, **private: str) -> None:
        """Write what xenopsd writes before a VIF's device appears."""
        self.write("/local/domain/1/vm", f"/vm/{VM}")
        self.write(f"/vm/{VM}/uuid", VM)
        self.write(f"{KEYS.backend}/frontend", "/local/domain/1/device/vif/0")
        keys = {"bridge": "xenbr0", "bridge-MAC": "fe:ff:ff:ff:ff:ff", "mac": MAC, "MTU": "1400"}
        keys |= {"vif-uuid": VIF_UUID, "network-uuid": NETWORK, "xenopsd-backend": "xenlight"}
        for name, value in (keys | private).items():
            self.write(name, value)
        self.lock("Unlocked")

    def lock(self, mode: object) -> None:
        """Write xenopsd's file with this locking mode."""
        file = self.sandbox.root / f"run/nonpersistent/xenopsd/xenlight/VM/{VM}/vif.0"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"id": [VM, "0"], "mac": MAC, "locking_mode": mode}))

    def run(self, module: str, *words: str, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        """Run one of our commands inside."""
        argv = [sys.executable, "-m", f"xsagent.cli.{module}", f"--root-prefix={self.sandbox.root}", "--no-syslog"]
        return self.sandbox.run([*argv, *words], check=check, env={"XSAGENT_HOTPLUG_S": "1", **env})

    def vif(self, *words: str, check: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        """Call the vif script."""
        return self.run("vif", *words, check=check, **env)

    def vif_at_once(self, *calls: tuple[str, ...]) -> None:
        """Call the vif script so often, beside one another; each is to end well."""
        argv = [sys.executable, "-m", "xsagent.cli.vif", f"--root-prefix={self.sandbox.root}", "--no-syslog"]
        environment = self.sandbox.environment | {"XSAGENT_HOTPLUG_S": "10"}
        started = [
            subprocess.Popen(
                self.sandbox.command([*argv, *words]), env=environment, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL
            )
            for words in calls
        ]
        for process in started:
            _, errors = process.communicate(timeout=60)
            assert process.returncode == 0, errors

    def rules(self, action: str, device: str = "vif1.0") -> subprocess.CompletedProcess[str]:
        """Call setup-vif-rules as xenopsd does."""
        return self.run("setup_vif_rules", "xenlight", device, VM, "0", action)

    def resync(self) -> None:
        """Have everything looked at: by the daemon that runs, else by the command itself."""
        root = self.sandbox.root
        self.sandbox.run([sys.executable, "-m", "xsagent.cli.main", "resync", f"--root-prefix={root}"])

    def vsctl(self, *words: str) -> str:
        """Output of ovs-vsctl."""
        return self.sandbox.run(["ovs-vsctl", *words]).stdout.strip()

    def bridge_of(self, device: str = "vif1.0") -> str:
        """Bridge that a port is on; empty for none."""
        return self.sandbox.run(["ovs-vsctl", "port-to-br", device], check=False).stdout.strip()

    def ids(self, device: str = "vif1.0") -> dict[str, str]:
        """external_ids of an interface."""
        form = json.loads(self.vsctl("-f", "json", "--columns=external_ids", "list", "Interface", device))
        return dict(form["data"][0][0][1])

    def link(self, device: str = "vif1.0") -> dict[str, Any]:
        """The netdev as ip(8) shows it."""
        found: dict[str, Any] = json.loads(self.sandbox.run(["ip", "-j", "-d", "addr", "show", "dev", device]).stdout)[
            0
        ]
        return found

    def bounces(self, device: str = "vif1.0") -> int:
        """How often the link changed its carrier, as each down and up does."""
        return int(self.sandbox.run(["cat", f"/sys/class/net/{device}/carrier_changes"]).stdout)

    def configuration(self) -> int:
        """Number of the switch's configuration: each write to the database by us raises it."""
        return int(self.vsctl("get", "Open_vSwitch", ".", "next_cfg"))

    def add_bridge(self, name: str, *words: str) -> None:
        """Add a bridge, or with `words` (parent and tag) a VLAN bridge."""
        self.vsctl("add-br", name, *words)
        if not words:
            self.vsctl("set", "Bridge", name, "datapath_type=netdev")


@contextmanager
def running_dom0(daemon: Daemon = "xenstored") -> Iterator[Dom0]:
    """A dom0 with bridges xenbr0 and xenbr1 whose guest is not plugged in; its xenstore is kept by that daemon."""
    spec = SandboxSpec(services=(xenstored_service(daemon),))
    with Sandbox(spec) as sandbox, open_xenstore(Paths(root=sandbox.root)) as store:
        for bridge in ("xenbr0", "xenbr1"):
            sandbox.run(["ovs-vsctl", "add-br", bridge, "--", "set", "Bridge", bridge, "datapath_type=netdev"])
        guest = sandbox.add_guest("guest", "xenbr0", plug=False)
        watcher = sandbox.add_guest("watcher", "xenbr0")
        dom0 = Dom0(sandbox=sandbox, store=store, guest=guest, watcher=watcher)
        dom0.plug()
        yield dom0


def write_hook(dom0: Dom0) -> Path:
    """Put a vif-hotplug hook in place that writes its arguments down; returns where."""
    record = dom0.sandbox.root / "hook.log"
    hook = dom0.sandbox.root / "etc/xapi.d/vif-hotplug"
    hook.parent.mkdir(parents=True, exist_ok=True)
    shell = shutil.which("sh")
    hook.write_text(f'#!{shell}\necho "$@" >>{record}\nexit 3\n')
    hook.chmod(0o755)
    return record


def sent(dom0: Dom0) -> set[str]:
    """Names of the guest's frames that arrive at the watcher."""
    return arrived(dom0.sandbox, dom0.guest, dom0.watcher, EVERY)
