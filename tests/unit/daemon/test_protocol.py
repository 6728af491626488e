"""Lines on the socket: what is a request, and that nothing else is ever taken for one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xsagent.cli import ask_daemon
from xsagent.daemon.protocol import Answer, Request, parse_request, render_answer, render_begun, render_request
from xsagent.errors import InputError

GOOD = {"version": 1, "command": "vif", "arguments": ["online"], "environment": {"PATH": "/bin"}}


def test_a_request_survives_its_line() -> None:
    """One line, whatever is in it."""
    request = Request(command="vif", arguments=("a\nb", "é"), environment={"XSAGENT_X": "=1\n"})
    line = render_request(request)

    assert (line.count(b"\n"), line[-1:]) == (1, b"\n")
    assert parse_request(line) == request


@given(
    st.lists(st.text(st.characters(exclude_characters="\0")), max_size=5),
    st.dictionaries(st.just("XSAGENT_X"), st.text(st.characters(exclude_characters="\0"))),
)
def test_the_thin_client_writes_what_the_daemon_reads(words: list[str], environment: dict[str, str]) -> None:
    """It composes its line without the json library where no text needs an escape."""
    line = ask_daemon.render_request("interface-reconfigure", words, environment)

    assert parse_request(line) == Request(
        command="interface-reconfigure", arguments=tuple(words), environment=environment
    )


def test_the_thin_client_knows_the_usual_lines_by_sight() -> None:
    """A run that ends well and prints nothing is understood without a parser."""
    assert render_begun() == ask_daemon.BEGUN
    assert render_answer(Answer(status=0)) == ask_daemon.DONE


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2}, {"version": None}, {"version": "1"}, {"command": 1}, {"command": None}, {"arguments": "x"},
        {"arguments": [1]}, {"arguments": ["a\0b"]}, {"arguments": ["x"] * 65}, {"environment": []},
        {"environment": {"A": 1}}, {"environment": {"A=B": "x"}}, {"environment": {"": "x"}},
        {"environment": {"A": "x\0"}},
    ],
)  # fmt: skip
def test_a_malformed_request_is_refused(change: dict[str, object]) -> None:
    """Each member has its form."""
    with pytest.raises(InputError, match="nothing was done"):
        parse_request(json.dumps(GOOD | change).encode())


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.binary(max_size=200) | st.builds(lambda value: json.dumps(value).encode(), _JSON))
def test_any_line_is_a_request_or_an_input_error(line: bytes) -> None:
    """Nothing a client sends is an error of another kind."""
    try:
        request = parse_request(line)
    except InputError:
        return
    assert isinstance(request, Request)


def test_deep_nesting_is_an_input_error() -> None:
    """The parser's own limit is no fault of ours."""
    with pytest.raises(InputError):
        parse_request(b"[" * 100_000)


def test_answers_have_the_members_that_clients_look_for() -> None:
    """The hook and the thin client read them without this module."""
    assert json.loads(render_answer(Answer(status=1, stderr="vif: no\n"))) == {
        "version": 1,
        "status": 1,
        "stdout": "",
        "stderr": "vif: no\n",
    }
    assert json.loads(render_begun()) == {"version": 1, "begun": True}
