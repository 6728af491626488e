"""The dom0 that the plugin's tests run on, the controller at its far end, and the switch's configuration as text."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import xmlrpc.client
from pathlib import Path
from typing import Self

import xsagent
from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.spec import SandboxSpec, Segment, nic_mac
from xsagent.sandbox.xapi_pool import PoolShape, build_pool, ref_for, uuid_for
from xsagent.sandbox.xapi_standin import XapiStandin

PACKAGE = Path(xsagent.__file__).parents[1]
PLUGIN = PACKAGE / "plugins/openvswitch-cfg-update"
SHAPE = PoolShape(hosts=1, nics=2, vlans=1, bonds=1, tunnels=0, sriovs=0)
CONTROLLER = "192.0.2.1"
TARGET = f"ssl:{CONTROLLER}:6640"
CACERT = "etc/openvswitch/vswitchd.cacert"
PEM = "etc/xensource/xapi-ssl.pem"
NO_CHANGE = "No change to configuration"


def spec() -> SandboxSpec:
    """Management on eth0, a spare eth1, and eth2 and eth3 on one segment for a bond."""
    segments = (
        Segment(name="gateway", nics=("eth0",), addresses=(f"{CONTROLLER}/24", "2001:db8::1/64")),
        Segment(name="far1", nics=("eth1",), addresses=("198.51.100.1/24",)),
        Segment(name="lag", nics=("eth2", "eth3"), addresses=("203.0.113.1/24",)),
    )
    return SandboxSpec(segments=segments, management_address="192.0.2.10/24")


def make_certificate(folder: Path, name: str) -> None:
    """A self-signed certificate as FOLDER/NAME.crt with its key in NAME.key."""
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    files = ["-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.crt"]
    subprocess.run([*command, "-subj", f"/CN={name}", "-days", "30", *files], check=True, capture_output=True)


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL to a process in the sandbox and its children, and wait."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(10)


class PluginHost:
    """A sandbox's dom0 with XAPI's records of one host.

    Attributes:
        sandbox, xapi: what runs.
        tls: folder of the certificates ``host``, ``one`` and ``two``.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.tls = sandbox.root / "etc/tls"
        self.xapi = XapiStandin(build_pool(SHAPE), sandbox.root / "var/lib/xcp/xapi")
        self._controllers: list[subprocess.Popen[str]] = []
        self._session = ""

    def __enter__(self) -> Self:
        self._write_files()
        self._build_bridges()
        self.xapi.start()
        self._session = self.xapi.control("open_session")
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._controllers:
            kill(process)
        self.xapi.stop()

    def _write_files(self) -> None:
        for folder in (self.tls, self.sandbox.root / "etc/openvswitch"):
            folder.mkdir()
        for name in ("host", "one", "two"):
            make_certificate(self.tls, name)
        self.path(PEM).write_text(self.pem("host.key") + self.pem("host.crt"))
        inventory = self.path("etc/xensource-inventory")
        inventory.write_text(inventory.read_text() + f"INSTALLATION_UUID='{uuid_for('host 0')}'\n")

    def _build_bridges(self) -> None:
        self.sandbox.build_bridge("xenbr0", "eth0", address="192.0.2.10/24")
        self.sandbox.run(["ip", "route", "add", "default", "via", CONTROLLER])
        self.vsctl(
            "add-br", "xapib0", "--", "set", "Bridge", "xapib0", "datapath_type=netdev", "fail_mode=standalone",
            f'other_config={{hwaddr="{nic_mac("eth2")}"}}',
            "--", "add-bond", "xapib0", "bond0", "eth2", "eth3", "bond_mode=active-backup",
            "--", "set", "Port", "bond0", "other_config:bond-miimon-interval=100",
        )  # fmt: skip

    def path(self, name: str) -> Path:
        """A file below the root prefix."""
        return self.sandbox.root / name

    def pem(self, name: str) -> str:
        """Text of one of the certificates' files."""
        return (self.tls / name).read_text()

    def vsctl(self, *words: str) -> str:
        """Output of ovs-vsctl."""
        return self.sandbox.run(["ovs-vsctl", "--timeout=20", *words]).stdout.strip()

    # -- XAPI ------------------------------------------------------------------------------------------------

    def set_pool(self, **fields: object) -> None:
        """Change fields of the pool record."""
        self.xapi.control("put", name="pool", ref=ref_for("pool"), fields=fields)

    def set_network(self, bridge: str, **other_config: str) -> None:
        """Set other_config of the network with this bridge."""
        kind = {"xenbr0": "network Pool-wide network associated with eth0", "xapib0": "network bond0"}[bridge]
        self.xapi.control("put", name="network", ref=ref_for(kind), fields={"other_config": other_config})

    def set_pif(self, name: str, **fields: object) -> None:
        """Change fields of a PIF's record: ``eth0``, or ``eth0.1`` for its VLAN."""
        self.xapi.control("put", name="PIF", ref=ref_for(f"PIF 0 {name}"), fields=fields)

    def introduce(self, protocol: str, address: str = "", port: str = "0") -> None:
        """Make the pool's SDN_controller record."""
        fields = {"uuid": uuid_for("sdn"), "protocol": protocol, "address": address, "port": port}
        self.xapi.control("put", name="SDN_controller", ref=ref_for("sdn"), fields=fields)

    # -- the plugin ------------------------------------------------------------------------------------------

    def command(self, function: str, session: str = "") -> list[str]:
        """Words that start the plugin."""
        call = xmlrpc.client.dumps((session or self._session, {}), function)
        return [sys.executable, str(PLUGIN), f"--root-prefix={self.sandbox.root}", call]

    def answer(self, function: str = "update", session: str = "", **settings: str) -> dict[str, object]:
        """The struct in the answer of one call.

        Args:
            function: the plugin's.
            session: another than the open one.
            settings: by name, as XSAGENT_NAME.
        """
        env = {"PYTHONPATH": str(PACKAGE)} | {f"XSAGENT_{key.upper()}": value for key, value in settings.items()}
        done = self.sandbox.run(self.command(function, session), check=False, env=env)
        assert done.returncode == 0, done.stderr
        ((struct,), _) = xmlrpc.client.loads(done.stdout)
        assert isinstance(struct, dict)
        return struct

    def update(self, **settings: str) -> str:
        """The Value that ``update`` answers."""
        struct = self.answer("update", **settings)
        assert struct["Status"] == "Success", struct
        return str(struct["Value"])

    def update_marks(self) -> None:
        """Let rewrite have its effect, so that a comparison of configurations is about the rest."""
        self.sandbox.run(["interface-reconfigure", f"--root-prefix={self.sandbox.root}", "rewrite"])

    def failure(self, function: str = "update", session: str = "", **settings: str) -> list[str]:
        """The ErrorDescription that a call answers."""
        struct = self.answer(function, session, **settings)
        assert struct["Status"] == "Failure", struct
        description = struct["ErrorDescription"]
        assert isinstance(description, list)
        return [str(word) for word in description]

    # -- the controller --------------------------------------------------------------------------------------

    def start_controller(self, name: str = "one", port: int = 6640) -> None:
        """A controller that waits for the host to connect, and trusts no other; reads the switch's database.

        It waits again after a connection ended: ovsdb-server ends the first one, from which it takes the CA.
        """
        files = ["-p", f"{self.tls}/{name}.key", "-c", f"{self.tls}/{name}.crt", "-C", f"{self.tls}/host.crt"]
        words = ["ovsdb-client", *files, "monitor", f"pssl:{port}:{CONTROLLER}", "Open_vSwitch", "Bridge", "name"]
        again = ["sh", "-c", 'while :; do "$@"; sleep 0.1; done', "sh", *words]
        self._controllers.append(self.sandbox.far().spawn(again))

    def controller_output(self) -> str:
        """What the last controller wrote until it was ended here."""
        process = self._controllers.pop()
        kill(process)
        return process.communicate()[0]

    def await_connected(self, target: str = TARGET) -> None:
        """Return once ovsdb-server reports that this manager is connected."""
        self.vsctl("wait-until", "Manager", target, "is_connected=true")


def mess(host: PluginHost) -> None:
    """What controllers and admins may have configured: all that an emer-reset takes away, and what it leaves."""
    host.vsctl(
        "--", "--id=@c", "create", "Controller", 'target="tcp:127.0.0.1:6653"',
        "--", "--id=@p", "get", "Port", "eth0",
        "--", "--id=@m", "create", "Mirror", "name=m0", "select-src-port=@p", "output-port=@p",
        "--", "--id=@n", "create", "NetFlow", 'targets="192.0.2.50:2055"',
        "--", "--id=@s", "create", "sFlow", 'targets="192.0.2.50:6343"', "agent=xenbr0",
        "--", "--id=@i", "create", "IPFIX", 'targets="192.0.2.50:4739"',
        "--", "--id=@x", "create", "IPFIX", 'targets="192.0.2.51:4739"',
        "--", "--id=@b", "get", "Bridge", "xapib0",
        "--", "create", "Flow_Sample_Collector_Set", "id=7", "bridge=@b", "ipfix=@x",
        "--", "set", "Bridge", "xenbr0", "controller=@c", "mirrors=@m", "netflow=@n", "sflow=@s", "ipfix=@i",
        "flood_vlans=3,4", "fail_mode=secure", "other_config:forward-bpdu=true", "protocols=OpenFlow10,OpenFlow13",
        "--", "set", "Port", "eth0", "other_config:junk=1", "--", "set", "Port", "bond0", "other_config:junk=2",
        "--", "set", "Interface", "eth0", "ingress_policing_rate=1000", "ingress_policing_burst=100",
        "other_config:mine=1",
        "--", "set", "Open_vSwitch", ".", "other_config:mine=2", "external_ids:mine=3",
        "--", "set-manager", "tcp:127.0.0.1:6699",
    )  # fmt: skip
