"""The stand-in's filter language is XAPI's (wire.md section 8), odd precedence included."""

from __future__ import annotations

import pytest

from xsagent.sandbox.xapi_database import Table
from xsagent.sandbox.xapi_filter import FilterError, alternatives, database_text, holds, parse_filter

RECORD = {"a": "1", "b": "2", "flag": "true", "empty": ""}


def fits(text: str) -> bool:
    """Whether RECORD fits the filter."""
    return holds(parse_filter(text), lambda name: RECORD[name])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('field "a"="1"', True),
        ('field "a" = "2"', False),
        ('"1"=field "a"', True),
        ('field "a"=field "a"', True),
        ('"x"="X"', False),
        ('field "empty"=""', True),
        ('field "flag"="true"', True),
        ("true", True),
        ("false", False),
        ('true\n\tand ( field "a"="1" )', True),
        ("false and false or true", True),
        ("true or true and false", False),
        ("not false and false", True),
        ("(not false) and false", False),
        ("true and not true or true", False),
        ("not not true", True),
    ],
)
def test_filters_mean_what_they_mean_to_xapi(text: str, expected: bool) -> None:
    """`and` and `or` bind alike from the left; `not` takes the whole rest; text is compared exactly."""
    assert fits(text) is expected


@pytest.mark.parametrize(
    "text", ["", "true true", 'field "a"', 'field a="1"', '"a"=1', "TRUE", "(true", "true)", "not", 'field "a"=="1"']
)
def test_what_is_no_filter_is_refused(text: str) -> None:
    """A text that XAPI cannot parse is an error, never "all records"."""
    with pytest.raises(FilterError):
        parse_filter(text)


def test_a_filter_may_have_hundreds_of_terms() -> None:
    """Eight hundred terms are no deeper than one."""
    text = " or ".join(f'field "a"="x{number}"' for number in range(800))

    assert not fits(text)
    assert fits(f'{text} or field "a"="1"')


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, "true"),
        ("10", "10"),
        ([], "()"),
        (["a", "b"], "('a' 'b')"),
        ({"k": "v", "l": "w"}, "(('k' 'v') ('l' 'w'))"),
    ],
)
def test_fields_are_compared_as_the_database_writes_them(value: object, expected: str) -> None:
    """Sets and maps are S-expressions there, booleans words."""
    assert database_text(value) == expected


@pytest.mark.parametrize("text", ['field "a"="1"', 'field "a"="1" or field "b"="2"', 'field "_ref"="r2"'])
def test_the_index_answers_as_looking_at_each_record_does(text: str) -> None:
    """The quick way for plain alternatives gives what evaluation gives."""
    table = Table({f"r{number}": {"a": str(number % 2), "b": str(number % 3)} for number in range(12)})
    expression = parse_filter(text)
    assert alternatives(expression) is not None
    slow = table.matching(parse_filter(f"({text}) and true"))

    assert sorted(table.matching(expression)) == sorted(slow)
    assert slow


def test_a_field_that_the_class_lacks_is_an_error() -> None:
    """A misspelt field must not look like "no records"."""
    table = Table({"r": {"a": "1"}})
    for text in ('field "A"="1"', 'field "A"="1" and true'):
        with pytest.raises(FilterError, match="missing field A"):
            table.matching(parse_filter(text))
