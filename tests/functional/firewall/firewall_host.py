"""A dom0 whose firewall blocks what comes in, by each of the programs that hosts use; packets show what it lets in."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from subprocess import CompletedProcess

from packets import CONTROL_PORT

from xsagent.sandbox import daemons
from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.namespaces import search_path
from xsagent.sandbox.spec import nic_mac

BACKENDS = ("nftables", "iptables-nft", "iptables-legacy", "firewalld")
ADDRESS, ADDRESS6 = "198.51.100.10", "2001:db8:1::10"
_TUNNEL_CACHE = Path(__file__).parents[2] / "golden/tunnel-vxlan/snapshot.dbcache"
_PACKETS = Path(__file__).parent / "packets.py"
_NFT = f"""
table inet host {{
  set friends {{ type ipv4_addr; elements = {{ 192.0.2.77 }} }}
  chain input {{
    type filter hook input priority 0; policy drop;
    ct state established accept
    icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert }} accept comment "theirs"
    udp dport {CONTROL_PORT} accept
    ip saddr @friends accept
  }}
}}
"""
_BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*"/><allow own="*"/><allow user="*"/><allow receive_type="signal"/>
    <allow send_type="method_call"/><allow eavesdrop="true"/>
  </policy>
</busconfig>
"""
"""A private bus without policies of the system's and without services that it starts."""


class FirewallHost:
    """A sandbox with an address on eth1 that Open vSwitch has nothing to do with, so that packets meet the kernel.

    A tunnel port on the userspace datapath takes its packets before the kernel sees them; the firewall's rules are the
    same whichever way they come.
    """

    def __init__(self, sandbox: Sandbox, backend: str) -> None:
        self.sandbox = sandbox
        self.backend = backend
        sandbox.leave_to_kernel("eth1")
        words = f"link set eth1 up\naddress add {ADDRESS}/24 dev eth1\naddress add {ADDRESS6}/64 dev eth1 nodad\n"
        sandbox.run(["ip", "-batch", "-"], input_text=words)
        sandbox.build_bridge("xenbr0", "eth0", address="192.0.2.10/24")
        getattr(self, "_block_by_" + backend.replace("-", "_"))()

    # -- blocking --------------------------------------------------------------------------------------------

    def _block_by_nftables(self) -> None:
        self.sandbox.run(["nft", "-f", "-"], input_text=_NFT)

    def _block_by_iptables_nft(self) -> None:
        self._choose_iptables("nft")

    def _block_by_iptables_legacy(self) -> None:
        self._choose_iptables("legacy")

    def _choose_iptables(self, variant: str) -> None:
        """Make a variant the one that this host calls iptables, and block by it."""
        for name in ("iptables", "ip6tables"):
            program = shutil.which(f"{name}-{variant}", path=search_path())
            assert program is not None
            (self.sandbox.bin / name).symlink_to(program)
            icmp = "ipv6-icmp" if name == "ip6tables" else "icmp"
            for words in (
                ["-N", "HOST"],
                ["-A", "HOST", "-p", "udp", "-m", "udp", "--dport", str(CONTROL_PORT), "-j", "ACCEPT"],
                ["-A", "INPUT", "-p", icmp, "-m", "comment", "--comment", "theirs, not ours", "-j", "ACCEPT"],
                ["-A", "INPUT", "-j", "HOST"],
                ["-P", "INPUT", "DROP"],
            ):
                self.sandbox.run([name, *words])

    def _block_by_firewalld(self) -> None:
        run = self.sandbox.root / "run"
        (run / "dbus").mkdir()
        (run / "bus.conf").write_text(_BUS)
        self.sandbox.run(["ip", "link", "set", "lo", "up"])
        self.sandbox.run(["dbus-daemon", "--config-file=/run/bus.conf", "--fork", "--nopidfile"])
        self.sandbox.spawn(["firewalld", "--nofork", "--nopid", f"--log-file={self.sandbox.log}/firewalld"])
        state = ["firewall-cmd", "--state"]
        daemons.wait_for(lambda: self.sandbox.run(state, check=False).returncode == 0, 60, "firewalld did not start")
        self.sandbox.run(["firewall-cmd", f"--add-port={CONTROL_PORT}/udp"])

    def reload(self) -> None:
        """Bring the host's own rules back as they were before ours."""
        match self.backend:
            case "nftables":
                self.sandbox.run(["nft", "-f", "-"], input_text="delete table inet host\n" + _NFT)
            case "firewalld":
                self.sandbox.run(["firewall-cmd", "--reload"])
                self.sandbox.run(["firewall-cmd", f"--add-port={CONTROL_PORT}/udp"])
            case _:
                self.sandbox.run(["iptables", "-D", "INPUT", "1"])

    # -- asking ----------------------------------------------------------------------------------------------

    def rules(self) -> str:
        """All that stands in the host's firewall, as its own program prints it; numbers of packets left out."""
        match self.backend:
            case "nftables":
                return self.sandbox.run(["nft", "-s", "list", "table", "inet", "host"]).stdout
            case "firewalld":
                return self.sandbox.run(["firewall-cmd", "--list-all"]).stdout
            case _:
                return "".join(self.sandbox.run([name, "-S"]).stdout for name in ("iptables", "ip6tables"))

    def foreign_rules(self) -> list[str]:
        """What of that is not ours, by the mark that a person would look for."""
        return [line for line in self.rules().splitlines() if "xsagent: " not in line and '"-9797"' not in line]

    def lets_in(self, protocol: str, port: int = 0, address: str = ADDRESS) -> bool:
        """Whether a packet from the far host comes through dom0's firewall."""
        family = "6" if ":" in address else "4"
        catcher = self.sandbox.spawn([sys.executable, "-I", str(_PACKETS), "catch", protocol, str(port), family])
        assert catcher.stdout is not None
        assert catcher.stdout.readline().strip() == "listening"
        self.sandbox.far("far1").run([sys.executable, "-I", str(_PACKETS), "send", protocol, str(port), address])
        out, err = catcher.communicate(timeout=30)
        assert out.strip() in {"through", "blocked"}, err
        return bool(out.strip() == "through")

    # -- acting ----------------------------------------------------------------------------------------------

    def reconcile(self, *words: str, check: bool = True, **settings: str) -> CompletedProcess[str]:
        """Run `xsagent firewall`; settings by name, as XSAGENT_NAME."""
        env = {f"XSAGENT_{key.upper()}": value for key, value in settings.items()}
        command = ["xsagent", "firewall", f"--root-prefix={self.sandbox.root}", *words]
        return self.sandbox.run(command, check=check, env=env)

    def reconfigure(self, bridge: str, action: str) -> None:
        """Run `interface-reconfigure --force BRIDGE up|down`."""
        self.sandbox.run(["interface-reconfigure", f"--root-prefix={self.sandbox.root}", "--force", bridge, action])

    def write_tunnel_cache(self) -> None:
        """A cache with a VXLAN tunnel whose access PIF is on xapi5, transported by management's xenbr0."""
        text = _TUNNEL_CACHE.read_text().replace("00:16:3e:00:00:00", nic_mac("eth0"))
        (self.sandbox.root / "var/xapi/network.dbcache").write_text(text)

    def add_tunnel(self, name: str, kind: str, **options: str) -> None:
        """Add a tunnel port, as an SDN controller does."""
        words = [f"options:{key}={value}" for key, value in {"remote_ip": "203.0.113.9", **options}.items()]
        interface = ["--", "set", "Interface", name, f"type={kind}", *words]
        self.sandbox.run(["ovs-vsctl", "--no-wait", "add-port", "xenbr0", name, *interface])

    def delete_tunnel(self, name: str) -> None:
        """Delete it again."""
        self.sandbox.run(["ovs-vsctl", "--no-wait", "del-port", "xenbr0", name])
