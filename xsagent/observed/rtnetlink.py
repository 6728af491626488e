"""rtnetlink requests -> messages as header and attributes. Reads only, standard library alone.

A dump by pyroute2 costs 115 ms to import it and a quarter of a millisecond a link, which is a third of what a re-up
may take; dumps are the simple half of netlink, so they are read here. Changes are made by apply/netlink.py.
After it observed/netlink.py makes typed rows. Formats: netlink(7), rtnetlink(7), linux/netlink.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

_HEADER: Final = struct.Struct("=IHHII")
_ATTRIBUTE: Final = struct.Struct("=HH")
_ERROR: Final = struct.Struct("=i")

_REQUEST: Final = 0x1
_REQUEST_DUMP: Final = 0x301
"""NLM_F_REQUEST | NLM_F_DUMP."""

_INTERRUPTED: Final = 0x10
"""NLM_F_DUMP_INTR: something changed while the kernel listed it, so the list may lack or double entries."""

_NLMSG_ERROR: Final = 2
_NLMSG_DONE: Final = 3
_SOL_NETLINK: Final = 270
_NETLINK_GET_STRICT_CHK: Final = 12
_TYPE_MASK: Final = 0x3FFF
_RECEIVE: Final = 1 << 18
_TIMEOUT_S: Final = 10.0
_TRIES: Final = 10

Attributes = dict[int, bytes]


@dataclass(frozen=True, slots=True)
class Message:
    """One message of an answer: the family's own header, raw, and the attributes asked for (the last of equal ones)."""

    header: bytes
    attributes: Attributes


def open_rtnetlink() -> socket.socket:
    """Open a socket to this network namespace's kernel; OSError when it refuses."""
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
    kernel.settimeout(_TIMEOUT_S)
    try:
        # The kernel then filters routes by table itself; before 4.20 it lists every table.
        kernel.setsockopt(_SOL_NETLINK, _NETLINK_GET_STRICT_CHK, 1)
    except OSError as error:
        if error.errno != errno.ENOPROTOOPT:
            kernel.close()
            raise
    return kernel


def dump(
    kernel: socket.socket, kind: int, header: bytes, attributes: bytes = b"", *, wanted: Collection[int]
) -> list[Message]:
    """Return every message of one dump, asked for again when the kernel says that it changed meanwhile.

    Args:
        kind: the request, for example RTM_GETLINK.
        header: the family's header that the request carries; the answers' headers have the same length.
        attributes: in wire form (`attribute`).
        wanted: numbers of the answers' attributes to keep; a link has forty, of which few matter.

    Raises:
        OSError: the kernel's error, or TimeoutError when it does not answer within ten seconds.
    """
    for _ in range(_TRIES):
        messages = _dump_once(kernel, kind, header, attributes, wanted)
        if messages is not None:
            return messages
    raise OSError(errno.EINTR, "the kernel's list changed each time it was read")


def get(
    kernel: socket.socket, kind: int, header: bytes, attributes: bytes = b"", *, wanted: Collection[int]
) -> Message | None:
    """Return the message about one object; None where there is no such device.

    Arguments and errors as `dump`.
    """
    body = header + attributes
    kernel.send(_HEADER.pack(_HEADER.size + len(body), kind, _REQUEST, 0, 0) + body)
    data = kernel.recv(_RECEIVE)
    length, answer, _flags, _sequence, _port = _HEADER.unpack_from(data)
    if answer == _NLMSG_ERROR:
        try:
            _raise_for(data, _HEADER.size, length)
        except OSError as error:
            if error.errno != errno.ENODEV:
                raise
        return None
    start = _HEADER.size + len(header)
    return Message(data[_HEADER.size : start], parse_attributes(data[start:length], wanted))


def _dump_once(
    kernel: socket.socket, kind: int, header: bytes, attributes: bytes, wanted: Collection[int]
) -> list[Message] | None:
    body = header + attributes
    kernel.send(_HEADER.pack(_HEADER.size + len(body), kind, _REQUEST_DUMP, 0, 0) + body)
    messages: list[Message] = []
    interrupted = False
    while True:
        data = kernel.recv(_RECEIVE)
        place = 0
        while place < len(data):
            length, answer, flags, _sequence, _port = _HEADER.unpack_from(data, place)
            end = place + length
            interrupted = interrupted or bool(flags & _INTERRUPTED)
            start = place + _HEADER.size
            if answer in {_NLMSG_DONE, _NLMSG_ERROR}:
                _raise_for(data, start, end)
                return None if interrupted else messages
            body_start = start + len(header)
            messages.append(Message(data[start:body_start], parse_attributes(data[body_start:end], wanted)))
            place += (length + 3) & ~3


def _raise_for(data: bytes, start: int, end: int) -> None:
    """Both ends of a dump carry a negative error number; 0 is success."""
    code = _ERROR.unpack_from(data, start)[0] if end - start >= _ERROR.size else 0
    if code < 0:
        raise OSError(-code, os.strerror(-code))


def parse_attributes(data: bytes, wanted: Collection[int] | None = None) -> Attributes:
    """Return attributes by number; nested ones are parsed by another call, what is cut off at the end is dropped.

    Args:
        wanted: numbers to keep; None: all.
    """
    found: Attributes = {}
    place, size = 0, len(data)
    # the innermost loop of every dump: some twenty thousand turns beside 500 VLANs
    unpack, smallest = _ATTRIBUTE.unpack_from, _ATTRIBUTE.size
    while place + smallest <= size:
        length, kind = unpack(data, place)
        if length < smallest or place + length > size:
            break
        kind &= _TYPE_MASK
        if wanted is None or kind in wanted:
            found[kind] = data[place + smallest : place + length]
        place += (length + 3) & ~3
    return found


def attribute(kind: int, value: bytes) -> bytes:
    """Return an attribute in wire form."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)
