"""NetdevPreps -> the netdevs of guests' devices: down, quiet, with their MAC and MTU; and up at last. Effects.

`hotplug/attempt` calls it around the OVSDB transaction. It speaks rtnetlink itself: a burst's requests go to the kernel
together, and importing pyroute2 costs more (111 ms) than everything else that a hotplug event does.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from xsagent.errors import DeviceAbsentError, NetlinkError, XsagentError
from xsagent.hotplug.decision import NetdevPrep
from xsagent.observed.rtnetlink import Message, attribute, dump, open_rtnetlink

DEADLINE_S: Final = 5.0
"""The kernel answers at once unless it holds the RTNL lock for somebody else."""

_HEADER: Final = struct.Struct("=IHHII")
_IFINFO: Final = struct.Struct("=BxHiII")
_IFADDR: Final = struct.Struct("=BBBBI")
# linux/netlink.h, linux/rtnetlink.h, linux/if_link.h, linux/if.h
_ERROR: Final = 2
_RTM_NEWLINK, _RTM_DELADDR, _RTM_GETADDR = 16, 21, 22
_REQUEST, _ACK = 0x1, 0x4
_IFA_ADDRESS, _IFA_LOCAL = 1, 2
_IFLA_ADDRESS, _IFLA_MTU, _IFLA_AF_SPEC, _ADDR_GEN_MODE, _NESTED = 1, 4, 26, 8, 0x8000
_GEN_NONE: Final = 1
_UP, _NOARP, _MULTICAST = 0x1, 0x80, 0x1000
_BUFFER: Final = 1 << 18
_AT_ONCE: Final = 64
"""Requests sent together: the kernel drops answers that the socket has no room for."""


@dataclass(frozen=True, slots=True)
class _Request:
    """One message about a device; `optional`: a refusal is no error."""

    device: str
    kind: int
    body: bytes
    what: str
    optional: bool = False


def prepare_netdevs(preps: Sequence[tuple[NetdevPrep, bool]]) -> dict[str, XsagentError]:
    """Make netdevs ready for their ports; idempotent. Returns what was wrong, by device; the others are ready.

    Where a link may bounce: down, no ARP, no multicast, no IPv6 address of its own, no addresses, then MAC and MTU.
    Elsewhere it stays up and only MAC and MTU are set (features.md section 15).

    Args:
        preps: with whether the link may bounce.

    Errors that are returned:
        DeviceAbsentError: the netdev that was looked at is gone; one that came in its place was left alone.
        NetlinkError: the kernel refused MAC or MTU; the rest was done.

    Raises:
        NetlinkError: the kernel does not answer.
    """
    wrong: dict[str, XsagentError] = {}
    bounced = {prep.ifindex: prep.device for prep, bounce in preps if bounce}
    with _Rtnetlink() as kernel:
        if bounced:
            wrong = kernel.send([request for index, device in bounced.items() for request in _quiet(device, index)])
            there = {index: device for index, device in bounced.items() if device not in wrong}
            kernel.send(list(_flush(kernel, there)) if there else [])
        refused = kernel.send([request for prep, _ in preps for request in _identity(prep)])
    return refused | wrong


def set_netdevs_up(devices: Mapping[str, int], *, up: bool = True) -> dict[str, XsagentError]:
    """Set IFF_UP, or clear it. Errors as `prepare_netdevs`; a netdev that is to go down may be gone.

    One that comes up is made quiet once more: while the switch takes a port over it writes flags back that it read
    before (Open vSwitch, netdev_turn_flags_on), so that those of `prepare_netdevs` may be lost.

    Args:
        devices: the ifindex of each.
    """
    flags, change, what = (_UP | _NOARP, _UP | _NOARP | _MULTICAST, "up") if up else (0, _UP, "down")
    with _Rtnetlink() as kernel:
        refused = kernel.send(
            [
                _Request(device, _RTM_NEWLINK, _link(index, b"", flags=flags, change=change), what)
                for device, index in devices.items()
            ]
        )
    return {device: error for device, error in refused.items() if up or not isinstance(error, DeviceAbsentError)}


def _quiet(device: str, index: int) -> Iterator[_Request]:
    """Down and silent; and no fe80:: address when it comes up, which is refused where the kernel has no IPv6."""
    body = _link(index, b"", flags=_NOARP, change=_UP | _NOARP | _MULTICAST)
    yield _Request(device, _RTM_NEWLINK, body, "down, without ARP")
    mode = attribute(_ADDR_GEN_MODE, bytes([_GEN_NONE]))
    family = attribute(_IFLA_AF_SPEC | _NESTED, attribute(socket.AF_INET6 | _NESTED, mode))
    yield _Request(device, _RTM_NEWLINK, _link(index, family), "addrgenmode none", optional=True)


def _identity(prep: NetdevPrep) -> Iterator[_Request]:
    mac = attribute(_IFLA_ADDRESS, bytes.fromhex(prep.mac.replace(":", "")))
    mtu = attribute(_IFLA_MTU, struct.pack("=I", prep.mtu))
    yield _Request(prep.device, _RTM_NEWLINK, _link(prep.ifindex, mac), f"MAC {prep.mac}")
    yield _Request(prep.device, _RTM_NEWLINK, _link(prep.ifindex, mtu), f"MTU {prep.mtu}")


def _link(index: int, attributes: bytes, *, flags: int = 0, change: int = 0) -> bytes:
    return _IFINFO.pack(socket.AF_UNSPEC, 0, index, flags, change) + attributes


def _flush(kernel: _Rtnetlink, devices: Mapping[int, str]) -> Iterator[_Request]:
    """A removal of each address that the netdevs have; they are given by ifindex."""
    for found in kernel.addresses(next(iter(devices)) if len(devices) == 1 else 0):
        index = _IFADDR.unpack(found.header)[4]
        if index in devices:
            body = found.header + b"".join(attribute(kind, value) for kind, value in found.attributes.items())
            yield _Request(devices[index], _RTM_DELADDR, body, "without addresses", optional=True)


class _Rtnetlink:
    """A socket for some requests."""

    def __init__(self) -> None:
        self._sequence = 0

    def __enter__(self) -> Self:
        with self._bounded():
            self._socket = open_rtnetlink()
        self._socket.settimeout(DEADLINE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, requests: Sequence[_Request]) -> dict[str, XsagentError]:
        """Send all and wait for each answer; all are tried.

        Returns, by device, the first refusal of what is not optional.
        """
        refused: dict[str, XsagentError] = {}
        for start in range(0, len(requests), _AT_ONCE):
            for request, code in self._send_some(requests[start : start + _AT_ONCE]):
                if code and not request.optional:
                    refused.setdefault(request.device, _refusal(request, code))
        return refused

    def _send_some(self, requests: Sequence[_Request]) -> list[tuple[_Request, int]]:
        """The kernel's error number for each, 0 for success."""
        pending: dict[int, _Request] = {}
        batch = bytearray()
        for request in requests:
            self._sequence += 1
            pending[self._sequence] = request
            batch += _message(request.kind, _REQUEST | _ACK, self._sequence, request.body)
        answered: list[tuple[_Request, int]] = []
        with self._bounded():
            self._socket.send(batch)
            while pending:
                for kind, sequence, body in _split(self._socket.recv(_BUFFER)):
                    if kind == _ERROR and sequence in pending:
                        answered.append((pending.pop(sequence), -struct.unpack_from("=i", body)[0]))
        return answered

    def addresses(self, index: int) -> list[Message]:
        """The addresses of a netdev; of all where `index` is 0."""
        with self._bounded():
            header = _IFADDR.pack(0, 0, 0, 0, index)
            return dump(self._socket, _RTM_GETADDR, header, wanted={_IFA_ADDRESS, _IFA_LOCAL})

    @contextlib.contextmanager
    def _bounded(self) -> Iterator[None]:
        """Turn a socket that fails or stays silent into our error."""
        try:
            yield
        except OSError as error:
            raise NetlinkError(f"the kernel does not answer about guests' devices: {error}") from error


def _refusal(request: _Request, code: int) -> XsagentError:
    if code == errno.ENODEV:
        return DeviceAbsentError(f"network device {request.device} vanished while it was being attached")
    return NetlinkError(f"the kernel refused {request.what} for {request.device}: {os.strerror(code)}")


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
