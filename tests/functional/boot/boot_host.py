"""A dom0 that boots by its init scripts, from a disk that outlives power cuts; what it came to, by others' programs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from host_records import DHCP, HostRecords

import xsagent
from xsagent.sandbox import daemons
from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.root_prefix import record_uuid
from xsagent.sandbox.spec import SandboxSpec, default_segments
from xsagent.sandbox.xapi_standin import XapiStandin

INITSCRIPTS = Path(xsagent.__file__).parents[1] / "initscripts"
BOOT = ("openvswitch", "management-interface", "openvswitch-xapi-update")
"""What init runs, in its order; XAPI comes up before the last."""
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
STALE = {"xenbr7": "marked by us", "admin0": "an admin's", "holder0": "holds a PIF's device"}
_STALE_WORDS = (
    "--if-exists del-br xenbr1 -- add-br xenbr7 -- set Bridge xenbr7 external_ids:xs-network-uuids=x "
    "-- add-port xenbr7 vif3.0 -- add-br xapi7 xenbr7 7 "
    "-- add-br admin0 -- add-port admin0 patch0 -- set Interface patch0 type=patch "
    "-- add-br holder0 -- add-port holder0 eth1 -- set-manager tcp:127.0.0.1:6699"
)


def records() -> HostRecords:
    """Management on eth0 by DHCP, eth1 without IP."""
    made = HostRecords()
    made.nic("eth0", management=True, **DHCP)
    made.nic("eth1")
    return made


class BootHost:
    """The host; powered off at first, its disk as an earlier boot left it."""

    def __init__(self) -> None:
        self.records = records()
        spec = SandboxSpec(segments=default_segments(), dbcache=self.records.as_dbcache(), ovsdb=False, vswitchd=False)
        self.sandbox = Sandbox(spec)
        self.root = self.sandbox.root
        self.xapi: XapiStandin | None = None

    def __enter__(self) -> Self:
        self.sandbox.__enter__()
        shutil.rmtree(self.root / "run/openvswitch")
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_xapi()
        self.sandbox.__exit__(None, None, None)

    # -- the disk --------------------------------------------------------------------------------------------

    @property
    def database(self) -> Path:
        """conf.db on the disk."""
        return self.root / "etc/openvswitch/conf.db"

    def leave_stale_bridges(self) -> None:
        """Put into the database what an earlier boot left: bridges, a VIF's port, a VLAN bridge, a manager."""
        self.database.parent.mkdir(exist_ok=True)
        (self.root / "run/openvswitch").mkdir(exist_ok=True)
        if not self.database.exists():
            self.sandbox.run(["ovsdb-tool", "create", str(self.database), SCHEMA])
        socket, pid_file = self.root / "run/old.sock", self.root / "run/old.pid"
        server = ["ovsdb-server", str(self.database), f"--remote=punix:{socket}", f"--pidfile={pid_file}"]
        self.sandbox.run([*server, "--detach", "--no-chdir", "-vconsole:emer"])
        vsctl = ["ovs-vsctl", f"--db=unix:{socket}", "--no-wait", "--timeout=10"]
        self.sandbox.run([*vsctl, *_STALE_WORDS.split()])
        self.sandbox.run(["kill", "-9", pid_file.read_text().strip()])
        daemons.wait_for(lambda: not self._pids_of("ovsdb-server"), 10, "the old ovsdb-server lives on")
        self._empty_run()

    # -- power -----------------------------------------------------------------------------------------------

    def power_cut(self) -> None:
        """SIGKILL to every process at once; then what a reboot leaves: an empty /run, NICs as the kernel finds them."""
        self.stop_xapi()
        self.sandbox.run(["sh", "-c", "kill -9 -1"], check=False)
        dhcp = self.sandbox.far().dhcp
        daemons.wait_for(lambda: dhcp.pid is None, 10, "the DHCP server lives on")
        dhcp.start()
        self._empty_run()
        words = "".join(
            f"link set {nic} down promisc off mtu 1500\naddress flush dev {nic}\n" for nic in ("eth0", "eth1")
        )
        self.sandbox.run(["ip", "-batch", "-"], input_text=words)
        self.sandbox.run(["ip", "link", "set", "lo", "down"])

    def _empty_run(self) -> None:
        for path in (self.root / "run").iterdir():
            if path.is_dir() and path.name != "netns":
                shutil.rmtree(path)
            elif path.name != "netns":
                path.unlink()

    # -- init ------------------------------------------------------------------------------------------------

    def script(self, name: str, *words: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run an init script as init does, whatever its exit status."""
        command = [str(INITSCRIPTS / name), *words, f"--root-prefix={self.root}"]
        return self.sandbox.run(command, check=False, env=env, timeout=200)

    def start(self, name: str, **settings: str) -> subprocess.CompletedProcess[str]:
        """Start a service and require that it works; settings by name, as XSAGENT_NAME."""
        done = self.script(name, "start", env={f"XSAGENT_{key.upper()}": value for key, value in settings.items()})
        assert done.returncode == 0, done.stderr
        return done

    def boot(self) -> None:
        """All of a boot, in init's order, XAPI coming up before the last."""
        self.start("openvswitch")
        self.start("management-interface")
        self.start_xapi()
        self.start("openvswitch-xapi-update")

    def spawn_boot(self) -> subprocess.Popen[str]:
        """The same in the background, with XAPI there from the start."""
        self.start_xapi()
        lines = [f"{INITSCRIPTS / name} start --root-prefix={self.root}" for name in BOOT]
        daemon = f"{sys.executable} -m xsagent.cli.xsagentd --root-prefix={self.root} --no-syslog"
        return self.sandbox.spawn(["sh", "-c", "; ".join([*lines, "echo booted", f"exec {daemon}"])])

    def start_xapi(self) -> None:
        """Let XAPI come up, with what the cache holds, and say so."""
        socket = self.root / "var/lib/xcp/xapi"
        socket.unlink(missing_ok=True)
        self.xapi = XapiStandin(self.records.as_xapi(), socket)
        self.xapi.start()
        (self.root / "run/xapi_init_complete.cookie").touch()

    def stop_xapi(self) -> None:
        """Take XAPI away."""
        if self.xapi is not None:
            self.xapi.stop()
            self.xapi = None

    # -- asking ----------------------------------------------------------------------------------------------

    def vsctl(self, *words: str) -> str:
        """Output of ovs-vsctl."""
        return self.sandbox.run(["ovs-vsctl", "--timeout=10", *words]).stdout.strip()

    def bridges(self) -> set[str]:
        """Bridges of the switch, VLAN bridges too."""
        return set(self.vsctl("list-br").split())

    def switch_record(self) -> dict[str, Any]:
        """The Open_vSwitch record."""
        found = json.loads(self.vsctl("--format=json", "list", "Open_vSwitch", "."))
        row: dict[str, Any] = dict(zip(found["headings"], found["data"][0], strict=True))
        return {
            name: dict(cell[1]) if isinstance(cell, list) and cell[0] == "map" else cell for name, cell in row.items()
        }

    def switch_log(self) -> str:
        """All that ovs-vswitchd has written."""
        return (self.root / "var/log/openvswitch/ovs-vswitchd.log").read_text(errors="replace")

    def pid(self, daemon: str) -> str:
        """Process id of a daemon, by its pid file."""
        return (self.root / f"run/openvswitch/{daemon}.pid").read_text().strip()

    def management_address(self) -> str:
        """The management interface's IPv4 address; empty without one."""
        found = self.sandbox.run(["ip", "-j", "-4", "address", "show", "dev", "xenbr0"], check=False).stdout
        return next((one["local"] for link in json.loads(found or "[]") for one in link["addr_info"]), "")

    def is_reachable(self) -> bool:
        """Whether the far host reaches management: by ping, over the wire and the switch."""
        address = self.management_address()
        ping = ["ping", "-n", "-c", "5", "-i", "0.2", "-W", "2", address]
        return bool(address) and self.sandbox.far().run(ping, check=False).returncode == 0

    def _pids_of(self, name: str) -> list[str]:
        return self.sandbox.run(["pgrep", "-x", name], check=False).stdout.split()


HOST_UUID = record_uuid("host")
