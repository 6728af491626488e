"""A running guest's VIF, made of a veth pair: one end in a namespace, the other a port with a VIF's marks. Effects."""

from __future__ import annotations

from records import record_uuid
from shell import run

NAMESPACE = "guest"
PORT = "vif1.0"
_MAC = "00:16:3e:00:00:01"


def plug_guest(bridge: str, address: str) -> None:
    """Start a guest with this address on a bridge, as hotplug leaves it."""
    run(["ip", "netns", "add", NAMESPACE])
    run(["ip", "link", "add", PORT, "type", "veth", "peer", "name", "eth0", "netns", NAMESPACE])
    run(["ip", "-n", NAMESPACE, "link", "set", "eth0", "address", _MAC, "up"])
    run(["ip", "-n", NAMESPACE, "address", "add", address, "dev", "eth0"])
    run(["ip", "link", "set", PORT, "up"])
    marks = {"xs-vif-uuid": record_uuid("vif"), "xs-vm-uuid": record_uuid("vm"), "attached-mac": _MAC}
    settings = [f'external_ids:{key}="{value}"' for key, value in marks.items()]
    run(["ovs-vsctl", "add-port", bridge, PORT, "--", "set", "Interface", PORT, *settings])
