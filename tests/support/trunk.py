"""The physical switch at the far end of a wire: a real Open vSwitch that carries the VLANs it is told, no others.

A machine without 8021q can so have far hosts on a VLAN. Its processes are in the far host's namespace, its database
and sockets in a folder of their own: nothing of it is in the database of dom0's switch.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

from xsagent.sandbox import wiring
from xsagent.sandbox.daemons import ovs_vswitchd, ovsdb_server
from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.far import FarHost

UNTAGGED = 1
"""The VLAN of frames without a tag, as on most switches."""


class Trunk:
    """The switch between dom0's NICs on a segment and that segment's far host, whose addresses move behind it.

    Attributes:
        far: the host behind it, on an access port of the VLAN first named.
    """

    def __init__(self, sandbox: Sandbox, vlan: int = UNTAGGED) -> None:
        """Put it in place; frames of other VLANs than `vlan` (and those of later `carry`) are dropped."""
        self.far: FarHost = sandbox.far()
        self._wires = [wiring.wire_name(nic) for nic in self.far.segment.nics]
        self._rundir: Path = sandbox.directory / "trunk"
        self._rundir.mkdir()
        self.far.set_addresses()
        self.far.run(["nft", "-f", "-"], input_text=wiring.render_drop(self._wires))
        self._start()
        self._vsctl("add-br trunk -- set Bridge trunk datapath_type=netdev")
        for wire in self._wires:
            self.far.run(["ip", "link", "set", wire, "nomaster"])
            self._vsctl(f"add-port trunk {wire} -- set Port {wire} trunks={vlan}")
        self.far.interface = self.carry(vlan, *self.far.segment.addresses)

    def carry(self, vlan: int, *addresses: str) -> str:
        """Carry one VLAN more, with these addresses (CIDR) of the far host on it; the device that bears them."""
        device = f"access{vlan}"
        for wire in self._wires:
            self._vsctl(f"add Port {wire} trunks {vlan}")
            if vlan == UNTAGGED:
                self._vsctl(f"set Port {wire} tag={vlan} vlan_mode=native-untagged")
        self._vsctl(f"add-port trunk {device} tag={vlan} -- set Interface {device} type=internal")
        commands = f"link set {device} up\n" + wiring.render_addresses(device, addresses)
        self.far.run(["ip", "-batch", "-"], input_text=commands)
        return device

    def _start(self) -> None:
        self._run(["ovsdb-tool", "create", str(self._rundir / "conf.db")])
        ovsdb_server(self._rundir, self._rundir, self._run).start()
        self._vsctl("--no-wait init")
        ovs_vswitchd(self._rundir, self._rundir, self._run).start()

    def _vsctl(self, words: str) -> None:
        self._run(["ovs-vsctl", "--timeout=10", f"--db=unix:{self._rundir}/db.sock", *words.split()])

    def _run(self, argv: list[str], *, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.far.run(argv, check=check, env={"OVS_RUNDIR": str(self._rundir)})
