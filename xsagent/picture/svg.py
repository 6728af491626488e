"""Picture -> one self-contained SVG file: no script, no font file, nothing loaded from elsewhere. Pure.

`layout.py` says where things are; here they get their looks. A state is a colour, a line and a badge of its own shape:
disc, ring, triangle, cross.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from xsagent.picture.layout import LINE, MARGIN, WIDTH, Box, Drawing, Line, Words, lay_out
from xsagent.picture.palette import COLOURS, TINTS, escape_markup
from xsagent.picture.values import Picture, State

_INK: Final = "#1d1d1d"
_FAINT: Final = "#555555"
_DASHES: Final = {State.GOOD: "", State.IDLE: "2 3", State.DEGRADED: "7 4", State.BROKEN: ""}
_STROKES: Final = {State.GOOD: 1.3, State.IDLE: 1.3, State.DEGRADED: 2.0, State.BROKEN: 3.0}
_CORNERS: Final = {State.GOOD: 7, State.IDLE: 7, State.DEGRADED: 2, State.BROKEN: 0}
_EM: Final = 0.57
"""Width of an average letter beside its size, on the safe side for common sans-serif fonts."""
_FONTS: Final = "Helvetica, Arial, 'DejaVu Sans', sans-serif"
_HATCHING: Final = (
    '<pattern id="foreign" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)">'
    '<rect width="2" height="6" fill="#000000" fill-opacity="0.07"/></pattern>'
)
_LEGEND: Final = (
    (State.GOOD, "ok"),
    (State.IDLE, "idle: unused, or its guest is not connected"),
    (State.DEGRADED, "degraded: works with less than it has"),
    (State.BROKEN, "broken"),
)


def render_svg(picture: Picture, title: str = "Network of this host") -> str:
    """The file's text."""
    drawing = lay_out(picture, title)
    height = round(drawing.height + 40)
    view = f'width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<svg xmlns="http://www.w3.org/2000/svg" {view} font-family="{_FONTS}" role="img">',
        f"<title>{escape_markup(title)}</title>",
        f"<defs>{_HATCHING}</defs>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    lines += _body(drawing)
    lines += _legend(drawing.height + 8)
    return "\n".join([*lines, "</svg>"]) + "\n"


def _body(drawing: Drawing) -> Iterator[str]:
    for x, y, width, height in drawing.cards:
        yield (
            f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="10" fill="#fafafa" stroke="#d0d0d0"/>'
        )
    for line in drawing.lines:
        yield _line(line)
    for box in drawing.boxes:
        yield from _box(box)
    for words in drawing.words:
        yield _words(words)


def _line(line: Line) -> str:
    points = " ".join(f"{x:g},{y:g}" for x, y in line.points)
    return f'<polyline points="{points}" fill="none" {_stroke(line.state)}/>'


def _stroke(state: State) -> str:
    dashes = f' stroke-dasharray="{_DASHES[state]}"' if _DASHES[state] else ""
    return f'stroke="{COLOURS[state]}" stroke-width="{_STROKES[state]:g}"{dashes}'


def _words(words: Words) -> str:
    colour = COLOURS[State.BROKEN] if words.alarm else _INK
    weight = ' font-weight="bold"' if words.bold else ""
    return (
        f'<text x="{words.x:g}" y="{words.y:g}" font-size="{words.size}" fill="{colour}"{weight}>'
        f"{escape_markup(words.text)}</text>"
    )


def _box(box: Box) -> Iterator[str]:
    yield f"<g><title>{escape_markup(box.tip)}</title>"
    shape = f'x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}" rx="{_CORNERS[box.state]}"'
    yield f'<rect {shape} fill="{TINTS[box.state]}" {_stroke(box.state)}/>'
    if box.foreign:
        yield f'<rect {shape} fill="url(#foreign)"/>'
    if box.small:
        yield _badge(box.state, box.x + 13, box.y + box.height / 2)
        middle = box.y + box.height / 2 + 4
        yield _text(box.x + 24, middle, box.title, 11, box.width - 28 - 9 * len(box.count))
        if box.count:
            yield (
                f'<text x="{box.x + box.width - 6:g}" y="{middle:g}" font-size="11" fill="{_INK}" '
                f'text-anchor="end">{escape_markup(box.count)}</text>'
            )
    else:
        yield _text(box.x + 10, box.y + 14, box.kicker, 10, box.width - 40, colour=_FAINT)
        yield _text(box.x + 10, box.y + 30, box.title, 13, box.width - 20, bold=True)
        yield _badge(box.state, box.x + box.width - 14, box.y + 14)
        for number, line in enumerate(box.lines):
            bold = line == "management"
            yield _text(box.x + 10, box.y + 46 + number * LINE, line, 11, box.width - 16, bold=bold)
    yield "</g>"


def _text(x: float, y: float, text: str, size: int, room: float, *, bold: bool = False, colour: str = _INK) -> str:
    weight = ' font-weight="bold"' if bold else ""
    fitting = _fit(text, size * (1.06 if bold else 1), room)
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}"{weight}>{escape_markup(fitting)}</text>'


def _fit(text: str, size: float, room: float) -> str:
    """The text, cut where it would leave its box; the whole of it is in the box's title."""
    most = max(int(room / (size * _EM)), 4)
    return text if len(text) <= most else text[: most - 2].rstrip() + ".."


def _badge(state: State, x: float, y: float) -> str:
    colour = COLOURS[state]
    match state:
        case State.GOOD:
            return f'<circle cx="{x:g}" cy="{y:g}" r="5" fill="{colour}"/>'
        case State.IDLE:
            return f'<circle cx="{x:g}" cy="{y:g}" r="4.5" fill="#ffffff" stroke="{colour}" stroke-width="1.8"/>'
        case State.DEGRADED:
            corners = f"{x:g},{y - 6:g} {x + 6.5:g},{y + 5:g} {x - 6.5:g},{y + 5:g}"
            return f'<polygon points="{corners}" fill="{colour}"/>'
        case State.BROKEN:
            cross = f"M{x - 5:g},{y - 5:g} L{x + 5:g},{y + 5:g} M{x - 5:g},{y + 5:g} L{x + 5:g},{y - 5:g}"
            return f'<path d="{cross}" stroke="{colour}" stroke-width="3.2"/>'


def _legend(y: float) -> Iterator[str]:
    x: float = MARGIN + 6
    for state, words in _LEGEND:
        yield _badge(state, x, y)
        yield f'<rect x="{x + 12:g}" y="{y - 7:g}" width="24" height="14" fill="{TINTS[state]}" {_stroke(state)}/>'
        yield _words(Words(x=x + 42, y=y + 4, text=words, size=11))
        x += 62 + len(words) * 11 * 0.48
    yield f'<rect x="{x + 12:g}" y="{y - 7:g}" width="24" height="14" fill="#ffffff" stroke="#999999"/>'
    yield f'<rect x="{x + 12:g}" y="{y - 7:g}" width="24" height="14" fill="url(#foreign)"/>'
    yield _words(Words(x=x + 42, y=y + 4, text="hatched: foreign, not ours", size=11))
