"""The filter text of get_all_records_where -> an expression that says whether a record fits, as XAPI reads it. Pure.

The language (wire.md section 8): ``field "x"`` and ``"literal"`` compared by ``=``, ``and``, ``or``, ``not``,
``true``, ``false``, parentheses. `and` and `or` bind alike and from the left; `not` takes everything up to the closing
parenthesis. Comparison is of the database's text, exact and case-sensitive.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_TOKEN = re.compile(r'[ \t\n]*(?:(?P<word>field|and|or|not|true|false|=|\(|\))|"(?P<text>[^"]*)"|(?P<end>$))')


class FilterError(Exception):
    """The text is no filter, or it names a field that the class lacks."""


@dataclass(frozen=True)
class Value:
    """One side of a comparison: a field's name or a literal."""

    text: str
    is_field: bool


@dataclass(frozen=True)
class Equal:
    """A comparison."""

    left: Value
    right: Value


@dataclass(frozen=True)
class Constant:
    """``true`` or ``false``."""

    holds: bool


@dataclass(frozen=True)
class Not:
    """The opposite of an expression."""

    inner: Expression


@dataclass(frozen=True)
class Chain:
    """Expressions joined from the left; flat, since a filter may have hundreds of terms."""

    first: Expression
    rest: tuple[tuple[str, Expression], ...]


Expression = Equal | Constant | Not | Chain
Lookup = Callable[[str], str]
"""Gives the database's text of a field; raises FilterError for a field that the class lacks."""


def parse_filter(text: str) -> Expression:
    """The expression that `text` stands for; FilterError when it is none."""
    reader = _Reader(text)
    expression = reader.expression()
    if reader.take() != ("end", ""):
        raise FilterError(f"unexpected text in filter {text!r}")
    return expression


def holds(expression: Expression, lookup: Lookup) -> bool:
    """Whether the record behind `lookup` fits the expression."""
    match expression:
        case Equal(left, right):
            return _text(left, lookup) == _text(right, lookup)
        case Constant(value):
            return value
        case Not(inner):
            return not holds(inner, lookup)
        case Chain(first, rest):
            result = holds(first, lookup)
            for operator, term in rest:
                if result == (operator == "and"):
                    result = holds(term, lookup)
            return result


def alternatives(expression: Expression) -> list[tuple[str, str]] | None:
    """Field and literal of each term when the expression is a plain ``or`` of comparisons; None otherwise.

    Lets a server answer from an index instead of looking at every record.
    """
    terms = [("or", expression)]
    if isinstance(expression, Chain):
        terms = [("or", expression.first), *expression.rest]
    pairs = []
    for operator, term in terms:
        if operator != "or" or not isinstance(term, Equal) or not term.left.is_field or term.right.is_field:
            return None
        pairs.append((term.left.text, term.right.text))
    return pairs


def database_text(value: object) -> str:
    """A field's value as XAPI's database keeps it, which is what filters compare with."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "(" + " ".join(f"({_quoted(key)} {_quoted(item)})" for key, item in value.items()) + ")"
    if isinstance(value, list):
        return "(" + " ".join(_quoted(item) for item in value) + ")"
    return str(value)


def _quoted(value: object) -> str:
    text = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"


def _text(value: Value, lookup: Lookup) -> str:
    return lookup(value.text) if value.is_field else value.text


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0
        self._next = self._scan()

    def _scan(self) -> tuple[str, str]:
        found = _TOKEN.match(self._text, self._position)
        if found is None:
            raise FilterError(f"cannot read filter {self._text!r} at character {self._position}")
        self._position = found.end()
        kind = str(found.lastgroup)
        return kind, found.group(kind)

    def take(self) -> tuple[str, str]:
        token = self._next
        self._next = token if token[0] == "end" else self._scan()
        return token

    def expression(self) -> Expression:
        first = self._term()
        rest = []
        while self._next in {("word", "and"), ("word", "or")}:
            operator = self.take()[1]
            rest.append((operator, self._term()))
        return Chain(first, tuple(rest)) if rest else first

    def _term(self) -> Expression:
        match self._next:
            case ("word", "not"):
                self.take()
                return Not(self.expression())
            case ("word", "true" | "false" as word):
                self.take()
                return Constant(word == "true")
            case ("word", "("):
                self.take()
                inner = self.expression()
                self._expect(")")
                return inner
            case _:
                left = self._value()
                self._expect("=")
                return Equal(left, self._value())

    def _value(self) -> Value:
        kind, text = self.take()
        if (kind, text) == ("word", "field"):
            kind, text = self.take()
            if kind == "text":
                return Value(text, is_field=True)
        if kind != "text":
            raise FilterError(f"a value is missing in filter {self._text!r}")
        return Value(text, is_field=False)

    def _expect(self, word: str) -> None:
        if self.take() != ("word", word):
            raise FilterError(f"{word} is missing in filter {self._text!r}")
