"""NetdevPrep -> the netdev of a guest's device: down, quiet, with its MAC and MTU; and up at last. Effects.

`hotplug/handle` calls it around the OVSDB transaction. It speaks rtnetlink itself: a device is one batch of four
messages, and importing pyroute2 costs more (111 ms) than everything else that a hotplug event does.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Self

from xsagent.apply.packet_socket import require_device
from xsagent.errors import DeviceAbsentError, NetlinkError
from xsagent.hotplug.decide import NetdevPrep
from xsagent.observed.rtnetlink import attribute, open_rtnetlink

DEADLINE_S: Final = 5.0
"""The kernel answers at once unless it holds the RTNL lock for somebody else."""

_HEADER = struct.Struct("=IHHII")
_IFINFO = struct.Struct("=BxHiII")
_IFADDR = struct.Struct("=BBBBI")
# linux/netlink.h, linux/rtnetlink.h, linux/if_link.h, linux/if.h
_ERROR, _DONE = 2, 3
_RTM_NEWLINK, _RTM_NEWADDR, _RTM_DELADDR, _RTM_GETADDR = 16, 20, 21, 22
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_IFLA_ADDRESS, _IFLA_MTU, _IFLA_AF_SPEC, _ADDR_GEN_MODE, _NESTED = 1, 4, 26, 8, 0x8000
_GEN_NONE = 1
_UP, _NOARP, _MULTICAST = 0x1, 0x80, 0x1000
_BUFFER = 1 << 18


@dataclass(frozen=True, slots=True)
class _Request:
    """One message of a batch; `optional`: a refusal is no error."""

    kind: int
    body: bytes
    what: str
    optional: bool = False


def prepare_netdev(prep: NetdevPrep, *, bounce: bool) -> None:
    """Make the netdev ready for its port; idempotent.

    With `bounce`: down, no ARP, no multicast, no IPv6 address of its own, no addresses, then MAC and MTU. Without
    it the link stays up and only MAC and MTU are set (features.md section 15).

    Raises:
        DeviceAbsentError: there is no such netdev.
        NetlinkError: the kernel refused MAC or MTU; the rest was done.
    """
    index = require_device(prep.device)
    mac = attribute(_IFLA_ADDRESS, bytes.fromhex(prep.mac.replace(":", "")))
    identity = [
        _Request(_RTM_NEWLINK, _link(index, mac), f"MAC {prep.mac}"),
        _Request(_RTM_NEWLINK, _link(index, attribute(_IFLA_MTU, struct.pack("=I", prep.mtu))), f"MTU {prep.mtu}"),
    ]
    quiet = _link(index, b"", flags=_NOARP, change=_UP | _NOARP | _MULTICAST)
    with _Rtnetlink(prep.device) as kernel:
        if bounce:
            kernel.send([_Request(_RTM_NEWLINK, quiet, "down, without ARP"), _without_identifier(index)])
            kernel.send(list(_flush(kernel, index)))
        kernel.send(identity)


def set_netdev_up(device: str, *, up: bool = True) -> None:
    """Set IFF_UP, or clear it. Errors as `prepare_netdev`; a netdev that is to go down may be gone."""
    try:
        index = require_device(device)
    except DeviceAbsentError:
        if up:
            raise
        return
    flags = _UP if up else 0
    with _Rtnetlink(device) as kernel:
        kernel.send([_Request(_RTM_NEWLINK, _link(index, b"", flags=flags, change=_UP), "up" if up else "down")])


def _link(index: int, attributes: bytes, *, flags: int = 0, change: int = 0) -> bytes:
    return _IFINFO.pack(socket.AF_UNSPEC, 0, index, flags, change) + attributes


def _without_identifier(index: int) -> _Request:
    """No fe80:: address when the link comes up (addrgenmode none). Refused where the kernel has no IPv6."""
    mode = attribute(_ADDR_GEN_MODE, bytes([_GEN_NONE]))
    family = attribute(_IFLA_AF_SPEC | _NESTED, attribute(socket.AF_INET6 | _NESTED, mode))
    return _Request(_RTM_NEWLINK, _link(index, family), "addrgenmode none", optional=True)


def _flush(kernel: _Rtnetlink, index: int) -> Iterator[_Request]:
    """A removal of each address that the netdev has."""
    for body in kernel.dump(_RTM_GETADDR, _IFADDR.pack(0, 0, 0, 0, index)):
        if _IFADDR.unpack_from(body)[4] == index:
            yield _Request(_RTM_DELADDR, body, "without addresses", optional=True)


class _Rtnetlink:
    """A socket for the requests about one device."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._sequence = 0

    def __enter__(self) -> Self:
        with self._bounded():
            self._socket = open_rtnetlink()
        self._socket.settimeout(DEADLINE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, requests: Sequence[_Request]) -> None:
        """Send all as one batch and wait for each answer.

        Raises:
            NetlinkError: the first that is not optional and was refused; all were tried.
        """
        pending: dict[int, _Request] = {}
        batch = b""
        for request in requests:
            self._sequence += 1
            pending[self._sequence] = request
            batch += _message(request.kind, _REQUEST | _ACK, self._sequence, request.body)
        refused: list[tuple[_Request, int]] = []
        with self._bounded():
            if batch:
                self._socket.send(batch)
            while pending:
                for kind, sequence, body in _split(self._socket.recv(_BUFFER)):
                    if kind == _ERROR and sequence in pending:
                        refused.append((pending.pop(sequence), -struct.unpack_from("=i", body)[0]))
        self._raise_first([(request, code) for request, code in refused if code and not request.optional])

    def _raise_first(self, refused: Sequence[tuple[_Request, int]]) -> None:
        for request, code in refused:
            if code == errno.ENODEV:
                raise DeviceAbsentError(f"network device {self._device} vanished while it was being prepared")
            raise NetlinkError(f"the kernel refused {request.what} for {self._device}: {os.strerror(code)}")

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        """Bodies of the answers to a dump; none where the kernel refuses it."""
        self._sequence += 1
        found: list[bytes] = []
        with self._bounded():
            self._socket.send(_message(kind, _REQUEST | _DUMP, self._sequence, body))
            while True:
                for answer, sequence, content in _split(self._socket.recv(_BUFFER)):
                    if answer in {_DONE, _ERROR} and sequence == self._sequence:
                        return found
                    if answer == _RTM_NEWADDR:
                        found.append(content)

    @contextlib.contextmanager
    def _bounded(self) -> Iterator[None]:
        """Turn a socket that fails or stays silent into our error."""
        try:
            yield
        except OSError as error:
            raise NetlinkError(f"the kernel does not answer about {self._device}: {error}") from error


def _message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    size = _HEADER.size + len(body)
    return _HEADER.pack(size, kind, flags, sequence, 0) + body + bytes(-size % 4)


def _split(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Type, sequence number and body of each message."""
    while len(data) >= _HEADER.size:
        size, kind, _flags, sequence, _port = _HEADER.unpack_from(data)
        if size < _HEADER.size:
            return
        yield kind, sequence, data[_HEADER.size : size]
        data = data[size + -size % 4 :]
