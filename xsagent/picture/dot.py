"""Picture -> a graph for Graphviz's dot(1): wires on the left, guests on the right. Pure.

State shows by the shape and the line as well as by colour. Many VLANs, or many guests on one bridge, become one table
instead of a strip of nodes that nobody can read.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from xsagent.picture.palette import COLOURS, TINTS, escape_markup
from xsagent.picture.values import BridgePicture, LooseThing, Picture, State, Thing, Vlan, Wire
from xsagent.topology.text import printable

_FEW: Final = 10
"""At most so many nodes of a kind are drawn one by one."""
_COLUMNS: Final = 8
_LOOK: Final = {
    State.GOOD: 'shape=box, style="rounded,filled"',
    State.IDLE: 'shape=box, style="rounded,filled,dotted"',
    State.DEGRADED: 'shape=box, style="filled,dashed", penwidth=2',
    State.BROKEN: 'shape=octagon, style="filled,bold", penwidth=3',
}
_LINE: Final = {State.GOOD: "solid", State.IDLE: "dotted", State.DEGRADED: "dashed", State.BROKEN: "bold"}
_SIGN: Final = {State.GOOD: "", State.IDLE: "- ", State.DEGRADED: "! ", State.BROKEN: "X "}


def render_dot(picture: Picture) -> str:
    """The graph as text that ends in a newline."""
    lines = ["digraph host {", "  rankdir=LR; ranksep=0.6; nodesep=0.15;"]
    lines.append('  node [fontname="sans-serif", fontsize=11, margin="0.12,0.06"]; edge [dir=none];')
    lines.append('  graph [fontname="sans-serif", fontsize=12, style="rounded", color="#999999"];')
    if picture.complaints:
        lines.append(f"  label={_quoted(' / '.join(picture.complaints))}; labelloc=t;")
    for number, bridge in enumerate(picture.bridges):
        lines += [f"  {line}" for line in _bridge(number, bridge)]
    if picture.loose:
        lines += ["  subgraph cluster_loose {", '    label="on no bridge";']
        lines += [f"    {_loose(number, one)}" for number, one in enumerate(picture.loose)]
        lines.append("  }")
    return "\n".join([*lines, "}"]) + "\n"


def _quoted(text: str) -> str:
    """A quoted string of the dot language: what is no printable character is escaped, backslashes too."""
    return json.dumps(printable(text), ensure_ascii=False)


def _node(identity: str, thing: Thing, *more: str) -> str:
    words = [f"{_SIGN[thing.state]}{thing.kind} {thing.name}", *more, *thing.notes]
    words += ["foreign"] if thing.foreign else []
    # dot's own line break stands between the quoted words
    label = "\\n".join(_quoted(word)[1:-1] for word in words)
    colours = f'color="{COLOURS[thing.state]}", fillcolor="{TINTS[thing.state]}"'
    return f'{identity} [label="{label}", {_LOOK[thing.state]}, {colours}];'


def _edge(left: str, right: str, state: State) -> str:
    return f'{left} -> {right} [style={_LINE[state]}, color="{COLOURS[state]}"];'


def _bridge(number: int, bridge: BridgePicture) -> Iterator[str]:
    name = f"b{number}"
    yield f"subgraph cluster_{number} {{"
    yield f"  label={_quoted(bridge.thing.name)};"
    yield "  " + _node(name, bridge.thing, *_at(bridge))
    for index, wire in enumerate(bridge.wires):
        yield from (f"  {line}" for line in _wire(f"{name}w{index}", name, wire))
    yield from (f"  {line}" for line in _ports(name, bridge.ports))
    if len(bridge.vlans) > _FEW:
        yield from (f"  {line}" for line in _vlan_table(name, bridge.vlans))
    else:
        for index, vlan in enumerate(bridge.vlans):
            yield from (f"  {line}" for line in _vlan(f"{name}v{index}", name, vlan))
    yield "}"


def _at(item: BridgePicture | Vlan | LooseThing) -> Iterator[str]:
    if item.management:
        yield "management"
    yield from item.addresses


def _wire(identity: str, bridge: str, wire: Wire) -> Iterator[str]:
    yield _node(identity, wire.thing)
    yield _edge(identity, bridge, wire.thing.state)
    for index, member in enumerate(wire.members):
        yield _node(f"{identity}m{index}", member)
        yield _edge(f"{identity}m{index}", identity, member.state)


def _ports(parent: str, ports: Sequence[Thing]) -> Iterator[str]:
    if len(ports) > _FEW:
        cells = [_cell(port, [port.name, *port.notes]) for port in ports]
        yield from _table(f"{parent}p", f"{len(ports)} ports", cells)
        yield _edge(parent, f"{parent}p", State.GOOD)
        return
    for index, port in enumerate(ports):
        yield _node(f"{parent}p{index}", port)
        yield _edge(parent, f"{parent}p{index}", port.state)


def _vlan(identity: str, bridge: str, vlan: Vlan) -> Iterator[str]:
    yield _node(identity, vlan.thing, f"tag {vlan.tag}", *_at(vlan))
    yield _edge(bridge, identity, vlan.thing.state)
    yield from _ports(identity, vlan.ports)


def _vlan_table(bridge: str, vlans: Sequence[Vlan]) -> Iterator[str]:
    cells = [_cell(_with_ports(vlan), [f"{vlan.tag} {vlan.thing.name}", *_at(vlan), *_count(vlan)]) for vlan in vlans]
    yield from _table(f"{bridge}v", f"{len(vlans)} VLANs", cells)
    yield _edge(bridge, f"{bridge}v", State.GOOD)


def _with_ports(vlan: Vlan) -> Thing:
    """The VLAN, degraded where a port on it is broken, since its ports are not drawn."""
    bad = any(port.state is State.BROKEN for port in vlan.ports)
    if not bad or vlan.thing.state is State.BROKEN:
        return vlan.thing
    return Thing(kind=vlan.thing.kind, name=vlan.thing.name, state=State.DEGRADED, foreign=vlan.thing.foreign)


def _count(vlan: Vlan) -> list[str]:
    bad = [port.name for port in vlan.ports if port.state is State.BROKEN]
    words = [f"{len(vlan.ports)} vif{'s' if len(vlan.ports) > 1 else ''}"] if vlan.ports else []
    return words + ([f"broken: {' '.join(bad)}"] if bad else [])


def _cell(thing: Thing, words: Iterable[str]) -> str:
    lines = [_SIGN[thing.state] + next(iter(words := list(words))), *words[1:]]
    lines += ["foreign"] if thing.foreign else []
    text = "<BR/>".join(escape_markup(line) for line in lines)
    width = {State.GOOD: 1, State.IDLE: 1, State.DEGRADED: 2, State.BROKEN: 3}[thing.state]
    return f'<TD BGCOLOR="{TINTS[thing.state]}" COLOR="{COLOURS[thing.state]}" BORDER="{width}">{text}</TD>'


def _table(identity: str, title: str, cells: Sequence[str]) -> Iterator[str]:
    yield f'{identity} [shape=plain, label=<<TABLE BORDER="0" CELLSPACING="3" CELLPADDING="4">'
    yield f'  <TR><TD BORDER="0" COLSPAN="{min(len(cells), _COLUMNS)}" ALIGN="LEFT">{escape_markup(title)}</TD></TR>'
    for start in range(0, len(cells), _COLUMNS):
        yield f"  <TR>{''.join(cells[start : start + _COLUMNS])}</TR>"
    yield "</TABLE>>];"


def _loose(number: int, one: LooseThing) -> str:
    return _node(f"loose{number}", one.thing, *_at(one))
