"""Our reading of XML-RPC answers against xmlrpc.client's own, for any value and for what is no answer."""

from __future__ import annotations

import xmlrpc.client
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xsagent.sources.xmlrpc_answer import parse_answer

TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12)
VALUES = st.recursive(
    TEXT | st.booleans() | st.integers(-(2**31), 2**31 - 1) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=20,
)


def reference(body: bytes) -> Any:
    """What the standard library reads."""
    return xmlrpc.client.loads(body, use_builtin_types=False)[0]


@given(VALUES)
def test_any_value_is_read_as_by_the_standard_library(value: Any) -> None:
    """Structs, arrays, text in any script, numbers, flags, nested at will."""
    body = xmlrpc.client.dumps((value,), methodresponse=True).encode()

    assert parse_answer(body) == reference(body) == (value,)


def test_xapis_own_spelling_is_read() -> None:
    """XAPI writes no white space and no element around a string."""
    body = (
        b"<?xml version='1.0'?><methodResponse><params><param><value><struct><member><name>Status</name>"
        b"<value>Success</value></member><member><name>Value</name><value><struct><member><name>OpaqueRef:1</name>"
        b"<value><struct><member><name>IPv6</name><value><array><data><value/></data></array></value></member>"
        b"<member><name>DNS</name><value/></member><member><name>up</name><value><boolean>1</boolean></value></member>"
        b"<member><name>when</name><value><dateTime.iso8601>20260101T00:00:00Z</dateTime.iso8601></value></member>"
        b"<member><name>gone</name><value><array><data/></array></value></member></struct></value></member></struct>"
        b"</value></member></struct></value></param></params></methodResponse>"
    )

    (answer,) = parse_answer(body)

    assert (answer,) == reference(body)
    assert answer == {
        "Status": "Success",
        "Value": {
            "OpaqueRef:1": {
                "IPv6": [""],
                "DNS": "",
                "up": True,
                "when": xmlrpc.client.DateTime("20260101T00:00:00Z"),
                "gone": [],
            }
        },
    }


def test_a_fault_is_raised_as_one() -> None:
    """With its code and text."""
    body = xmlrpc.client.dumps(xmlrpc.client.Fault(401, "SESSION_INVALID")).encode()

    with pytest.raises(xmlrpc.client.Fault, match="SESSION_INVALID") as caught:
        parse_answer(body)

    assert caught.value.faultCode == 401


GOOD = xmlrpc.client.dumps(({"Status": "Success", "Value": ["a", True]},), methodresponse=True).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not XML",
        b"<html/>",
        b"<methodResponse/>",
        b"<methodResponse><fault><value>text</value></fault></methodResponse>",
        b"<methodResponse><params><param/></params></methodResponse>",
        b"<methodResponse><params><param><value><boolean>2</boolean></value></param></params></methodResponse>",
        b"<methodResponse><params><param><value><int>x</int></value></param></params></methodResponse>",
        b"<methodResponse><params><param><value><set/></value></param></params></methodResponse>",
        b"<methodResponse><params><param><value><array/></value></param></params></methodResponse>",
        b"<methodResponse><params><param>" + b"<value><array><data>" * 5000,
        *(GOOD[:end] for end in range(0, len(GOOD) - 20, 7)),
    ],
)
def test_what_is_no_answer_is_an_error_and_never_a_value(body: bytes) -> None:
    """Cut off anywhere, another document, a type that is unknown."""
    with pytest.raises(ValueError, match=r"."):
        parse_answer(body)
