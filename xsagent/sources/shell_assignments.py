"""Files of shell assignments (inventory, management.conf) to a mapping, without a shell. Pure.

Nothing is expanded or executed: ``$(reboot)`` is seven characters and an admin's mistake.
"""

from __future__ import annotations

import re
from typing import Final

_ASSIGNMENT: Final = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)", re.ASCII)
_PIECE: Final = re.compile(
    r"""'(?P<single>[^']*)'|"(?P<double>(?:[^"\\]|\\.)*)"|\\(?P<escaped>.)|(?P<bare>[^\s'"\\;]+)"""
)
_DOUBLE_ESCAPE: Final = re.compile(r'\\(["\\$`])')


def parse_assignments(text: str) -> dict[str, str]:
    """Values by name; the last assignment of a name counts, lines that assign nothing are passed over.

    Quotes are taken as the shell takes them: single ones hold anything, double ones escapes, neither ends a word.
    A value with a quote that is never closed is taken up to that quote.
    """
    values: dict[str, str] = {}
    for line in text.splitlines():
        if found := _ASSIGNMENT.fullmatch(line):
            values[found[1]] = _unquoted(found[2])
    return values


def _unquoted(text: str) -> str:
    word, position = "", 0
    while piece := _PIECE.match(text, position):
        position = piece.end()
        match piece.lastgroup:
            case "double":
                word += _DOUBLE_ESCAPE.sub(r"\1", piece["double"])
            case None:
                break
            case group:
                word += piece[group]
    return word
