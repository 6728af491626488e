"""Shell assignments are read as a shell would read them, and nothing is run."""

from __future__ import annotations

import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xsagent.sources.shell_assignments import parse_assignments


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=word", "word"),
        ("A='two words'", "two words"),
        ('A="two words"', "two words"),
        ("A=''", ""),
        ("A=", ""),
        ("  export A=word", "word"),
        ("A='it'\\''s'", "it's"),
        ('A="a \\"b\\" \\$c \\d"', 'a "b" $c \\d'),
        ("A=one two", "one"),
        ("A=word # comment", "word"),
        ("A=a#b", "a#b"),
        ("A='$(reboot) `reboot` $HOME'", "$(reboot) `reboot` $HOME"),
        ('A="$(reboot)"', "$(reboot)"),
        ("A=$HOME", "$HOME"),
        ("A='open", ""),
        ("A=word\r", "word"),
    ],
)
def test_a_value_is_unquoted_and_never_expanded(line: str, value: str) -> None:
    """Single quotes, double quotes, escapes, bare words, comments."""
    assert parse_assignments(line) == {"A": value}


def test_other_lines_are_passed_over_and_the_last_assignment_counts() -> None:
    """Comments, blank lines, commands, names that are none."""
    assert parse_assignments("#A=0\n\nA=1\nreboot\n1B=2\nC-D=3\nA=4\n") == {"A": "4"}


@given(st.text(st.characters(codec="ascii", exclude_characters="\0'\n\r\v\f\x1c\x1d\x1e"), max_size=30))
def test_what_xapi_quotes_comes_back(text: str) -> None:
    """Any text between single quotes."""
    assert parse_assignments(f"A='{text}'\nB='x'\n") == {"A": text, "B": "x"}


@pytest.mark.skipif(shutil.which("sh") is None, reason="no shell to compare with")
def test_a_real_shell_reads_the_same() -> None:
    """Compared with sh, for values that it would not expand."""
    lines = ["A=word", "A='two words'", 'A="two words"', "A='it'\\''s'", 'A="a \\"b\\" \\d"', "A=a#b", "A=a\\ b"]
    for line in lines:
        command = ["sh", "-c", f'{line}\nprintf %s "$A"']
        shell = subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout
        assert parse_assignments(line) == {"A": shell}
