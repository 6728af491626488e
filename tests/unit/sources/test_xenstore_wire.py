"""xenstored's messages as bytes."""

from __future__ import annotations

import struct

import pytest

from xsagent.errors import XenstoreError
from xsagent.sources.xenstore_wire import (
    MAX_ANSWER,
    MAX_PAYLOAD,
    Message,
    Operation,
    decode,
    encode,
    encode_path,
    split_strings,
)


def test_a_message_is_a_header_of_four_words_and_its_payload() -> None:
    """What goes out comes back, and what follows it is left."""
    message = Message(operation=Operation.READ, request=7, transaction=3, payload=b"/a\0")

    data = encode(message)

    assert data == struct.pack("=IIII", 2, 7, 3, 3) + b"/a\0"
    assert decode(data + b"rest") == (message, len(data))


@pytest.mark.parametrize("size", [0, 15, 16, 18])
def test_a_part_of_a_message_is_waited_for(size: int) -> None:
    """No message until its last byte came."""
    assert decode(encode(Message(operation=Operation.READ, payload=b"/a\0"))[:size]) is None


def test_no_message_of_ours_is_longer_than_the_protocol_allows() -> None:
    """Xenstored drops a client that sends more."""
    assert encode(Message(operation=Operation.WRITE, payload=b"x" * MAX_PAYLOAD))
    with pytest.raises(XenstoreError, match="4097"):
        encode(Message(operation=Operation.WRITE, payload=b"x" * (MAX_PAYLOAD + 1)))


def test_an_answer_may_be_longer_than_a_request() -> None:
    """Oxenstored lists a directory of any length in one message; only what no directory has is refused."""
    header = struct.pack("=IIII", 1, 0, 0, MAX_ANSWER)

    assert decode(header + b"x" * MAX_ANSWER) == (
        Message(operation=Operation.DIRECTORY, payload=b"x" * MAX_ANSWER),
        len(header) + MAX_ANSWER,
    )
    with pytest.raises(XenstoreError, match=str(MAX_ANSWER + 1)):
        decode(struct.pack("=IIII", 1, 0, 0, MAX_ANSWER + 1))


@pytest.mark.parametrize("path", ["/", "/local/domain/5/vm", "@releaseDomain", "/xapi/e5b24593-770e/private/vif/0"])
def test_paths_end_with_a_nul(path: str) -> None:
    """Absolute ones and the special watches."""
    assert encode_path(path) == path.encode() + b"\0"


@pytest.mark.parametrize("path", ["", "a", "/a\0/b", "/a//b", "/../b", "/a b", "/a\n", "/\u00e4", "/" + "x" * 3072])
def test_a_path_that_xenstored_could_read_otherwise_is_refused(path: str) -> None:
    """Before it is sent."""
    with pytest.raises(XenstoreError, match="is not a xenstore path"):
        encode_path(path)


def test_strings_of_an_answer() -> None:
    """NUL-terminated; an empty answer has none; odd bytes do not raise."""
    assert split_strings(b"a\0b\0") == ("a", "b")
    assert split_strings(b"") == ()
    assert split_strings(b"\xff\0") == ("\\xff",)
