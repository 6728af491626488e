"""One change of a netdev -> one rtnetlink request. Effects; standard library alone.

Called by apply/netlink.py for every link step. pyroute2 would cost 111 ms to import and some 7 ms a request, which is
most of what a VLAN's up takes, and at a boot with 500 VLANs takes longer than the switch does.
Formats: rtnetlink(7), linux/rtnetlink.h, linux/if_link.h.
"""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path
from typing import Final

from xsagent.observed.rtnetlink import attribute, open_rtnetlink

_HEADER: Final = struct.Struct("=IHHII")
_IFINFOMSG: Final = struct.Struct("=BxHiII")
_ERROR: Final = struct.Struct("=i")
_RTM_NEWLINK: Final = 16
_REQUEST_ACK: Final = 0x5
"""NLM_F_REQUEST | NLM_F_ACK; without NLM_F_CREATE an absent device is ENODEV."""
_NLMSG_ERROR: Final = 2
_IFF_UP: Final = 0x1
_IFLA_ADDRESS: Final = 1
_IFLA_MTU: Final = 4
_IFLA_IFALIAS: Final = 20
_RECEIVE: Final = 1 << 16


def set_link_state(index: int, *, up: bool) -> None:
    """Set or clear IFF_UP of the netdev with this ifindex; idempotent. Raises OSError with the kernel's error."""
    _request(_IFINFOMSG.pack(socket.AF_UNSPEC, 0, index, _IFF_UP if up else 0, _IFF_UP))


def set_link_mac(index: int, mac: str) -> None:
    """Set the hardware address, written with colons. Raises OSError with the kernel's error."""
    _request(_header(index) + attribute(_IFLA_ADDRESS, bytes.fromhex(mac.replace(":", ""))))


def set_link_mtu(index: int, mtu: int) -> None:
    """Set the MTU in bytes. Raises OSError with the kernel's error: EINVAL beyond the driver's range."""
    _request(_header(index) + attribute(_IFLA_MTU, struct.pack("=I", mtu)))


def repeat_link(index: int) -> None:
    """Have the kernel tell all who listen about this netdev, which stays as it is.

    Its alias is set to what it is: of all attributes the one whose setting is always told.

    Raises:
        OSError: with the kernel's error.
    """
    alias = Path(f"/sys/class/net/{socket.if_indextoname(index)}/ifalias").read_bytes().removesuffix(b"\n")
    _request(_header(index) + attribute(_IFLA_IFALIAS, alias))


def _header(index: int) -> bytes:
    return _IFINFOMSG.pack(socket.AF_UNSPEC, 0, index, 0, 0)


def _request(body: bytes) -> None:
    """Send one request and wait for the kernel's answer."""
    with open_rtnetlink() as kernel:
        kernel.send(_HEADER.pack(_HEADER.size + len(body), _RTM_NEWLINK, _REQUEST_ACK, 1, 0) + body)
        while True:
            data = kernel.recv(_RECEIVE)
            _length, kind, _flags, _sequence, _port = _HEADER.unpack_from(data)
            if kind == _NLMSG_ERROR:
                code = -_ERROR.unpack_from(data, _HEADER.size)[0]
                if code:
                    raise OSError(code, os.strerror(code))
                return
