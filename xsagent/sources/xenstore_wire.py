"""xenstored's wire format (docs/misc/xenstore.txt of Xen): requests and answers as bytes. Pure.

`xenstore` sends and receives what this builds and splits. Header: four native 32-bit words (type, request id,
transaction id, length of the payload), then the payload; strings in it end with NUL, a written value does not.
"""

from __future__ import annotations

import enum
import struct
from dataclasses import dataclass
from typing import Final

from xsagent.errors import XenstoreError
from xsagent.model.values import shown

_HEADER: Final = struct.Struct("=IIII")
HEADER_BYTES: Final = _HEADER.size
MAX_PAYLOAD: Final = 4096
"""XENSTORE_PAYLOAD_MAX of xen/include/public/io/xs_wire.h; xenstored drops a client that sends more."""
MAX_ANSWER: Final = 1024 * 1024
"""Longest payload that we take. oxenstored keeps to MAX_PAYLOAD on guests' rings alone: over its socket a directory's
names come in one message, however many (packet_of of its connection.ml). /xapi has 37 bytes for each VM."""
MAX_PATH: Final = 3072
"""XENSTORE_ABS_PATH_MAX of the same file."""


class Operation(enum.IntEnum):
    """Message types that we send or receive (enum xsd_sockmsg_type)."""

    DIRECTORY = 1
    READ = 2
    WATCH = 4
    TRANSACTION_START = 6
    TRANSACTION_END = 7
    WRITE = 11
    RM = 13
    WATCH_EVENT = 15
    ERROR = 16
    DIRECTORY_PART = 22


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message, either way. `operation` is a number: a newer xenstored may send one that we do not know."""

    operation: int
    request: int = 0
    transaction: int = 0
    payload: bytes = b""


def encode(message: Message) -> bytes:
    """The message's bytes.

    Raises:
        XenstoreError: the payload is longer than xenstored takes (code ``E2BIG``); nothing was sent.
    """
    size = len(message.payload)
    if size > MAX_PAYLOAD:
        raise XenstoreError(f"a xenstore request of {size} bytes is too long; nothing was sent", "E2BIG")
    return _HEADER.pack(message.operation, message.request, message.transaction, size) + message.payload


def decode(buffer: bytes | bytearray) -> tuple[Message, int] | None:
    """The first whole message of the buffer and its length; None when more bytes are needed.

    Raises:
        XenstoreError: the header announces more than any xenstored sends.
    """
    if len(buffer) < HEADER_BYTES:
        return None
    operation, request, transaction, size = _HEADER.unpack_from(buffer)
    if size > MAX_ANSWER:
        raise XenstoreError(f"xenstored announced an answer of {size} bytes, more than the {MAX_ANSWER} that we take")
    end = HEADER_BYTES + size
    if len(buffer) < end:
        return None
    payload = bytes(buffer[HEADER_BYTES:end])
    return Message(operation=operation, request=request, transaction=transaction, payload=payload), end


def encode_path(path: str) -> bytes:
    """An absolute path (or a special watch such as ``@introduceDomain``) with its NUL.

    Raises:
        XenstoreError: it could mean something else to xenstored than to us (code ``EINVAL``); nothing was sent.
    """
    special = path.startswith("@")
    wrong = not path.isascii() or not path.isprintable() or " " in path or "//" in path or ".." in path.split("/")
    if wrong or len(path) > MAX_PATH or not (special or path.startswith("/")):
        raise XenstoreError(f"{shown(path)} is not a xenstore path; nothing was sent", "EINVAL")
    return path.encode("ascii") + b"\0"


def split_strings(payload: bytes) -> tuple[str, ...]:
    """The NUL-terminated strings of an answer."""
    text = payload.removesuffix(b"\0")
    return tuple(part.decode("utf-8", "backslashreplace") for part in text.split(b"\0")) if text else ()
