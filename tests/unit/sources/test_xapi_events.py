"""sources/xapi_events.py: an answer that is none is a named error, never a traceback in a thread of the daemon."""

from __future__ import annotations

import pytest

from xsagent.errors import XapiError
from xsagent.sources.xapi_events import parse_batch


@pytest.mark.parametrize(
    "answer",
    [
        "text",
        {"valid_ref_counts": []},
        {"valid_ref_counts": {"pif": "many"}},
        {"valid_ref_counts": {"pif": {}}},
        {"events": ["text"]},
    ],
)
def test_an_answer_without_the_form_of_one_is_refused(answer: object) -> None:
    """In one sentence that names the call."""
    with pytest.raises(XapiError, match=r"answer to event\.from has not the form of one"):
        parse_batch({"token": "7", **answer} if isinstance(answer, dict) else answer)


def test_numbers_come_as_text_or_as_integers() -> None:
    """XML-RPC has int and i4 as numbers, XAPI's 64-bit integers as text (wire.md section 4)."""
    batch = parse_batch({"token": "7", "valid_ref_counts": {"PIF": "3", "network": 4}})

    assert (batch.token, batch.counts) == ("7", {"pif": 3, "network": 4})
