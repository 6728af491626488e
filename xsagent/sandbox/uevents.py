"""Uevents of xen-backend devices for a sandbox's udevd and monitors. Effects.

xen-netback's devices cannot be had without Xen, and a veth raises events of its own netdev alone. But the kernel
takes whole uevents from root of a network namespace, numbers them and broadcasts them there as its own
(lib/kobject_uevent.c, uevent_net_rcv_skb), so that whoever listens gets them on the usual path.
`xenopsd` runs this inside, as ``python -m xsagent.sandbox.uevents``, with one JSON object of variables a line.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
from collections.abc import Iterable, Mapping

from xsagent.model.vif import DeviceType, VifId

NETLINK_KOBJECT_UEVENT = 15
_TYPE = 0x10
"""NLMSG_MIN_TYPE of linux/netlink.h: any type that is not one of netlink's own."""
_REQUEST_ACK = 0x5
_HEADER = struct.Struct("=IHHII")
_ERROR = struct.Struct("=i")
SCRIPT = "/etc/xensource/scripts/vif"
_WITH_DEVICE = frozenset({"online", "bind", "offline"})
"""Actions whose event tells netdev, script and driver too; add, unbind and remove do not (udev-xen.md)."""


def xen_backend_uevent(action: str, vif: VifId) -> dict[str, str]:
    """Variables of the event that the kernel sends for a vif's xen-backend device, as seen on a real Xen."""
    variables = {
        "ACTION": action,
        "DEVPATH": f"/devices/vif-{vif.domid}-{vif.devid}",
        "SUBSYSTEM": "xen-backend",
        "XENBUS_TYPE": "vif",
        "XENBUS_PATH": f"backend/vif/{vif.domid}/{vif.devid}",
        "XENBUS_BASE_PATH": "backend",
    }
    if action in _WITH_DEVICE:
        return variables | {"DRIVER": "vif", "vif": vif.device(DeviceType.VIF), "script": SCRIPT}
    return variables if action == "unbind" else variables | {"MODALIAS": "xen-backend:vif"}


def render_uevent(variables: Mapping[str, str]) -> bytes:
    """The payload of one event: ``ACTION@DEVPATH`` and the variables, each ending in NUL."""
    head = f"{variables['ACTION']}@{variables['DEVPATH']}"
    return b"".join(f"{text}\0".encode() for text in (head, *(f"{name}={text}" for name, text in variables.items())))


def send_uevents(events: Iterable[Mapping[str, str]]) -> None:
    """Have the kernel broadcast events in this network namespace, in their order.

    Raises:
        OSError: it refused: this process is not root of the namespace, or an event is longer than 2 KiB.
    """
    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT) as kernel:
        kernel.bind((0, 0))
        for number, variables in enumerate(events, 1):
            payload = render_uevent(variables)
            kernel.send(_HEADER.pack(_HEADER.size + len(payload), _TYPE, _REQUEST_ACK, number, 0) + payload)
            (refusal,) = _ERROR.unpack_from(kernel.recv(4096), _HEADER.size)
            if refusal:
                raise OSError(-refusal, f"the kernel took no uevent: {os.strerror(-refusal)}")


def main() -> None:
    """Send the events on stdin."""
    send_uevents(json.loads(line) for line in sys.stdin if line.strip())


if __name__ == "__main__":
    main()
