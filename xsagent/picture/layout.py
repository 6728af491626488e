"""Picture -> boxes, lines and words with coordinates, in pixels from the top left. Pure.

One card a bridge: NICs and bonds on the left, the bridge in the middle, ports on the right, VLANs in a grid below, so
that 200 VLANs are a field of cells and not a strip. `svg.py` gives the result its looks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from xsagent.picture.values import BridgePicture, Kind, LooseThing, Picture, State, Thing, Vlan, Wire, worst

WIDTH: Final = 1180
MARGIN: Final = 20
_PAD: Final = 16
_GAP: Final = 10
LINE: Final = 16
_INNER: Final = WIDTH - 2 * MARGIN - 2 * _PAD
_HEAD: Final = 26

_WIRE_WIDTH: Final = 168
_BOND_X: Final = _WIRE_WIDTH + 44
_BRIDGE_X: Final = 2 * _WIRE_WIDTH + 88
_BRIDGE_WIDTH: Final = 250
_PORT_WIDTH: Final = 124
_TUNNEL_WIDTH: Final = 258
_PORT_KINDS: Final = (
    (Kind.VIF, _PORT_WIDTH),
    (Kind.TUNNEL, _TUNNEL_WIDTH),
    (Kind.PATCH, _TUNNEL_WIDTH),
    (Kind.PORT, _TUNNEL_WIDTH),
)
"""What a bridge's ports may be, in the order drawn, with the width of a chip."""
_FEW_VLANS: Final = 24
_VLAN_COLUMNS: Final = 4
_CELL_COLUMNS: Final = 9
_CHIP: Final = 26
_FEW_PORTS: Final = 6
_MOST_PORTS: Final = 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A thing drawn.

    Attributes:
        title: first line, bold; `kicker` stands small above it; `lines` below, smaller.
        small: a chip: title alone, in one line.
        count: stands at a chip's right edge.
        tip: everything, for the pointer.
    """

    x: float
    y: float
    width: float
    height: float
    state: State
    title: str
    kicker: str = ""
    lines: tuple[str, ...] = ()
    foreign: bool = False
    small: bool = False
    count: str = ""
    tip: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A connection from the right edge of one box to the left edge of another (or down to a grid)."""

    points: tuple[tuple[float, float], ...]
    state: State


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """A heading."""

    x: float
    y: float
    text: str
    size: int = 12
    bold: bool = False
    alarm: bool = False


@dataclass(slots=True)
class Drawing:
    """Everything to be drawn; cards (x, y, width, height) lie below all."""

    height: float = 0
    cards: list[tuple[float, float, float, float]] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    boxes: list[Box] = field(default_factory=list)
    words: list[Words] = field(default_factory=list)


def lay_out(picture: Picture, title: str) -> Drawing:
    """Everything in its place; grows downwards, never wider than WIDTH."""
    drawing = Drawing()
    drawing.words.append(Words(x=MARGIN, y=MARGIN + 14, text=title, size=17, bold=True))
    y: float = MARGIN + 30
    for complaint in picture.complaints:
        drawing.words.append(Words(x=MARGIN, y=y + 12, text=complaint, bold=True, alarm=True))
        y += LINE + 4
    for bridge in picture.bridges:
        y = _card(drawing, y, bridge)
    if picture.loose:
        y = _loose_card(drawing, y, picture.loose)
    if not picture.bridges and not picture.loose:
        drawing.words.append(Words(x=MARGIN, y=y + 12, text="no bridges and no network devices"))
        y += LINE
    drawing.height = y
    return drawing


# --- boxes -----------------------------------------------------------------------------------------------------------


def _box(thing: Thing, x: float, y: float, width: float, *more: str, kicker: str = "", least: float = 0) -> Box:
    lines = (*more, *thing.notes, *(("foreign",) if thing.foreign else ()))
    height = max(40 + LINE * len(lines) + (2 if lines else 0), least)
    return Box(
        x=x,
        y=y,
        width=width,
        height=height,
        state=thing.state,
        title=thing.name,
        kicker=kicker or str(thing.kind),
        lines=lines,
        foreign=thing.foreign,
        tip=_tip(thing, *more),
    )


def _chip(thing: Thing, x: float, y: float, width: float, *, text: str, count: str = "") -> Box:
    return Box(
        x=x,
        y=y,
        width=width,
        height=_CHIP,
        state=thing.state,
        title=text,
        foreign=thing.foreign,
        small=True,
        count=count,
        tip=_tip(thing),
    )


def _tip(thing: Thing, *more: str) -> str:
    return ", ".join([f"{thing.kind} {thing.name}: {thing.state}", *more, *thing.notes, *(["foreign"] * thing.foreign)])


def _own_addresses(item: BridgePicture | Vlan | LooseThing) -> tuple[str, ...]:
    """What dom0 has on it."""
    return (*(("management",) if item.management else ()), *item.addresses)


# --- one bridge ------------------------------------------------------------------------------------------------------


def _card(drawing: Drawing, top: float, bridge: BridgePicture) -> float:
    """One bridge; returns where the next card begins."""
    x, y = MARGIN + _PAD, top + _PAD
    card = len(drawing.cards)
    drawing.cards.append((0, 0, 0, 0))
    wires_end, anchors = _wires(drawing, x, y, bridge.wires)
    # a bridge stands level with its NICs, however many guests it has; one without any stands in their place
    left = x + (_BRIDGE_X if bridge.wires else 0)
    box = _box(bridge.thing, left, y, _BRIDGE_WIDTH, *_own_addresses(bridge))
    if box.height < wires_end - y:
        box = _box(bridge.thing, left, (y + wires_end - box.height) / 2, _BRIDGE_WIDTH, *_own_addresses(bridge))
    drawing.boxes.append(box)
    for anchor_x, anchor_y, state in anchors:
        drawing.lines.append(_connect(anchor_x, anchor_y, box.x, _clamp(anchor_y, box), state))
    ports_end = _ports(drawing, box.x + box.width + 44, y, bridge.ports, box)
    bottom = max(wires_end, box.y + box.height, ports_end)
    if bridge.vlans:
        bottom = _vlans(drawing, x, bottom + 14, bridge.vlans, box)
    drawing.cards[card] = (MARGIN, top, WIDTH - 2 * MARGIN, bottom + _PAD - top)
    return bottom + _PAD + 14


def _clamp(y: float, box: Box) -> float:
    return min(max(y, box.y + 10), box.y + box.height - 10)


def _connect(x1: float, y1: float, x2: float, y2: float, state: State) -> Line:
    bend = (x1 + x2) / 2
    return Line(points=((x1, y1), (bend, y1), (bend, y2), (x2, y2)), state=state)


def _wires(
    drawing: Drawing, x: float, y: float, wires: Sequence[Wire]
) -> tuple[float, list[tuple[float, float, State]]]:
    """NICs and bonds; returns where they end and the points from which lines go to the bridge."""
    anchors: list[tuple[float, float, State]] = []
    for wire in wires:
        if not wire.members:
            box = _box(wire.thing, x, y, _WIRE_WIDTH)
            drawing.boxes.append(box)
            anchors.append((box.x + box.width, box.y + box.height / 2, wire.thing.state))
            y += box.height + _GAP
            continue
        top = y
        members = []
        for member in wire.members:
            members.append(_box(member, x, y, _WIRE_WIDTH))
            y += members[-1].height + _GAP
        drawing.boxes += members
        bond = _box(wire.thing, x + _BOND_X, 0, _WIRE_WIDTH)
        bond = _box(wire.thing, x + _BOND_X, max(top, (top + y - _GAP - bond.height) / 2), _WIRE_WIDTH)
        drawing.boxes.append(bond)
        for box in members:
            middle = box.y + box.height / 2
            drawing.lines.append(_connect(box.x + box.width, middle, bond.x, _clamp(middle, bond), box.state))
        anchors.append((bond.x + bond.width, bond.y + bond.height / 2, wire.thing.state))
        y = max(y, bond.y + bond.height + _GAP)
    return (y - _GAP if wires else y), anchors


def _ports(drawing: Drawing, x: float, y: float, ports: Sequence[Thing], bridge: Box) -> float:
    """Guests' ports as chips, then tunnels and others with what they lead to; returns where they end."""
    if not ports:
        return y
    width = MARGIN + _PAD + _INNER - x
    drawing.lines.append(_connect(bridge.x + bridge.width, bridge.y + bridge.height / 2, x - 6, y + 8, State.GOOD))
    for kind, chip in _PORT_KINDS:
        chosen = [port for port in ports if port.kind is kind]
        if chosen:
            plural = {Kind.PATCH: "patches"}.get(kind, f"{kind}s")
            drawing.words.append(Words(x=x, y=y + 12, text=f"{len(chosen)} {plural if len(chosen) > 1 else kind}"))
            y = _chips(drawing, x, y + 20, _folded(chosen, _MOST_PORTS), width=width, chip=chip)
    return y


def _folded(things: Sequence[Thing], most: int) -> Sequence[Thing]:
    """The things, those in trouble first and a count for the rest, where there are too many to look at."""
    if len(things) <= most:
        return things
    shown = sorted(things, key=lambda one: one.state in {State.GOOD, State.IDLE})[: most - 1]
    rest = [one.state for one in things if one not in shown]
    return (*shown, Thing(kind=things[0].kind, name=f"and {len(rest)} more", state=worst(*rest)))


def _chips(drawing: Drawing, x: float, y: float, things: Sequence[Thing], *, width: float, chip: float) -> float:
    """Rows of chips, each `chip` wide; returns where they end."""
    columns = max(1, int((width + 6) // (chip + 6)))
    for index, thing in enumerate(things):
        row, column = divmod(index, columns)
        text = thing.name if thing.kind is Kind.VIF else " ".join([thing.name, *thing.notes])
        drawing.boxes.append(_chip(thing, x + column * (chip + 6), y + row * (_CHIP + 6), chip, text=text))
    return y + math.ceil(len(things) / columns) * (_CHIP + 6) + 4


# --- VLANs -----------------------------------------------------------------------------------------------------------


def _vlans(drawing: Drawing, x: float, y: float, vlans: Sequence[Vlan], bridge: Box) -> float:
    """The grid below a bridge: boxes with their guests where there are few, cells where there are many."""
    stem = bridge.x + bridge.width / 2
    drawing.lines.append(Line(points=((stem, bridge.y + bridge.height), (stem, y + 16)), state=State.GOOD))
    drawing.lines.append(Line(points=((x, y + 16), (x + _INNER, y + 16)), state=State.GOOD))
    counts = " (+n: n guests' devices on it)" if len(vlans) > _FEW_VLANS else ""
    drawing.words.append(Words(x=x, y=y + 10, text=f"{len(vlans)} VLAN{'s' if len(vlans) > 1 else ''}{counts}"))
    y += _HEAD
    if len(vlans) > _FEW_VLANS:
        return _cells(drawing, x, y, vlans)
    return _vlan_boxes(drawing, x, y, vlans) - _GAP


def _vlan_boxes(drawing: Drawing, x: float, y: float, vlans: Sequence[Vlan]) -> float:
    """Rows of boxes, those of a row of one height; returns where the next row begins."""
    width = (_INNER - (_VLAN_COLUMNS - 1) * _GAP) / _VLAN_COLUMNS
    for start in range(0, len(vlans), _VLAN_COLUMNS):
        row = vlans[start : start + _VLAN_COLUMNS]
        height = max(_vlan_height(vlan, width) for vlan in row)
        for column, vlan in enumerate(row):
            _vlan(drawing, x + column * (width + _GAP), y, vlan, width=width, height=height)
        y += height + _GAP
    return y


def _vlan_height(vlan: Vlan, width: float) -> float:
    box = _vlan_box(vlan, 0, 0, width)
    columns = max(1, int((width - 20 + 6) // (_PORT_WIDTH - 6 + 6)))
    rows = math.ceil(len(vlan.ports) / columns)
    return box.height + rows * (_CHIP + 6) + (8 if rows else 0)


def _vlan_box(vlan: Vlan, x: float, y: float, width: float, least: float = 0) -> Box:
    return _box(vlan.thing, x, y, width, *_own_addresses(vlan), kicker=f"VLAN {vlan.tag}", least=least)


def _vlan(drawing: Drawing, x: float, y: float, vlan: Vlan, *, width: float, height: float) -> None:
    drawing.boxes.append(_vlan_box(vlan, x, y, width, height))
    if vlan.ports:
        inside = y + _vlan_box(vlan, x, y, width).height + 4
        _chips(drawing, x + 10, inside, vlan.ports, width=width - 20, chip=_PORT_WIDTH - 6)


def _cells(drawing: Drawing, x: float, y: float, vlans: Sequence[Vlan]) -> float:
    """Small cells in columns; a VLAN with something to say (an address, a fault) gets a whole box before them."""
    loud = [vlan for vlan in vlans if _is_loud(vlan)][:_FEW_VLANS]
    y = _vlan_boxes(drawing, x, y, [_brief(vlan) for vlan in loud])
    shown = {vlan.thing.name for vlan in loud}
    quiet = [vlan for vlan in vlans if vlan.thing.name not in shown]
    cell = (_INNER - (_CELL_COLUMNS - 1) * 6) / _CELL_COLUMNS
    for index, vlan in enumerate(quiet):
        row_number, column = divmod(index, _CELL_COLUMNS)
        text, count = f"{vlan.tag} {vlan.thing.name}", f"+{len(vlan.ports)}" if vlan.ports else ""
        drawing.boxes.append(
            _chip(vlan.thing, x + column * (cell + 6), y + row_number * (_CHIP + 6), cell, text=text, count=count)
        )
    return y + math.ceil(len(quiet) / _CELL_COLUMNS) * (_CHIP + 6)


def _is_loud(vlan: Vlan) -> bool:
    troubled = any(port.state in {State.BROKEN, State.DEGRADED} for port in vlan.ports)
    return vlan.management or bool(vlan.addresses) or vlan.thing.state is not State.GOOD or troubled


def _brief(vlan: Vlan) -> Vlan:
    """The VLAN with few of its guests, so that its box stays small."""
    return replace(vlan, ports=tuple(_folded(vlan.ports, _FEW_PORTS)))


# --- devices on no bridge --------------------------------------------------------------------------------------------


def _loose_card(drawing: Drawing, top: float, loose: Sequence[LooseThing]) -> float:
    x, y = MARGIN + _PAD, top + _PAD
    drawing.words.append(Words(x=x, y=y + 10, text="on no bridge"))
    y += 20
    columns = 6
    width = (_INNER - (columns - 1) * _GAP) / columns
    for start in range(0, len(loose), columns):
        row = loose[start : start + columns]
        least = max(_box(one.thing, 0, 0, width, *_own_addresses(one)).height for one in row)
        for column, one in enumerate(row):
            drawing.boxes.append(
                _box(one.thing, x + column * (width + _GAP), y, width, *_own_addresses(one), least=least)
            )
        y += least + _GAP
    bottom = y - _GAP + _PAD
    drawing.cards.append((MARGIN, top, WIDTH - 2 * MARGIN, bottom - top))
    return bottom + 14
