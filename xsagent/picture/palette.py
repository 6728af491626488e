"""Colours of states and the escaping of other people's names for markup. Pure.

The colours are Okabe and Ito's, told apart with every common colour blindness; shape and line say the same again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from xsagent.picture.values import State
from xsagent.topology.text import printable

COLOURS: Final[Mapping[State, str]] = {
    State.GOOD: "#007a5a",
    State.IDLE: "#6b6b6b",
    State.DEGRADED: "#b97900",
    State.BROKEN: "#c24500",
}
"""Of lines and badges."""
TINTS: Final[Mapping[State, str]] = {
    State.GOOD: "#e6f4ef",
    State.IDLE: "#f2f2f2",
    State.DEGRADED: "#fff1d6",
    State.BROKEN: "#fbe2d5",
}
"""Of surfaces; text on them is nearly black."""


def escape_markup(text: str) -> str:
    """Text for XML and for dot's HTML labels; what is no printable character is escaped as everywhere."""
    text = printable(text)
    for char, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;"), ("'", "&#39;")):
        text = text.replace(char, entity)
    return text
