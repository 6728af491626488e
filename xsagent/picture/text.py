"""Picture -> plain ASCII text, a few lines a bridge: VLANs of the same kind are folded into ranges of tags. Pure.

Where `xsagent show` has each fact of each thing, this has each thing once, with its state.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from typing import Final

from xsagent.picture.values import BridgePicture, Kind, LooseThing, Picture, State, Thing, Vlan, Wire
from xsagent.topology.text import printable

_WIDTH: Final = 100
_INDENT: Final = "  "
_LABEL: Final = 9
_FEW_PORTS: Final = 8


def render_text(picture: Picture) -> str:
    """The picture as text that ends in a newline."""
    lines = [f"! {complaint}" for complaint in picture.complaints]
    for bridge in picture.bridges:
        lines += [*_bridge(bridge), ""]
    if picture.loose:
        lines += ["on no bridge", *_section("", [_loose(one) for one in picture.loose]), ""]
    if not picture.bridges and not picture.loose:
        lines.append("no bridges and no network devices")
    return "".join(f"{line}\n" for line in lines).rstrip("\n") + "\n"


def mark(thing: Thing) -> str:
    """The thing's state with what is wrong or notable, in brackets: capitals for what needs somebody."""
    words = thing.state.upper() if thing.state in {State.DEGRADED, State.BROKEN} else str(thing.state)
    return f"[{', '.join([words, *thing.notes, *(['foreign'] if thing.foreign else [])])}]"


def _bridge(bridge: BridgePicture) -> Iterator[str]:
    yield _safe(" ".join([f"bridge {bridge.thing.name}", mark(bridge.thing), *_at(bridge)]))
    yield from _section("wire", [_wire(wire) for wire in bridge.wires])
    for kind, label in _SECTIONS:
        yield from _section(label, _named([port for port in bridge.ports if port.kind is kind]))
    yield from _section("vlans", list(_vlans(bridge.vlans)))


_SECTIONS: Final = ((Kind.VIF, "vifs"), (Kind.TUNNEL, "tunnels"), (Kind.PATCH, "patches"), (Kind.PORT, "ports"))


def _at(item: BridgePicture | Vlan | LooseThing) -> list[str]:
    return [*(["management"] if item.management else []), *item.addresses]


def _section(label: str, items: list[str]) -> Iterator[str]:
    """The items below their label; as many in a line as it takes, long ones wrapped below themselves."""
    first = _INDENT + label.ljust(_LABEL) if label else _INDENT
    rest = " " * len(first)
    for number, item in enumerate(items):
        yield from textwrap.wrap(
            _safe(item),
            _WIDTH,
            initial_indent=first if number == 0 else rest,
            subsequent_indent=rest + _INDENT,
            break_long_words=False,
            break_on_hyphens=False,
        )


def _wire(wire: Wire) -> str:
    if not wire.members:
        return f"{wire.thing.name} {mark(wire.thing)}"
    return f"{wire.thing.name} {mark(wire.thing)} = " + " + ".join(
        f"{member.name} {mark(member)}" for member in wire.members
    )


def _named(things: Iterable[Thing]) -> list[str]:
    """Things in one line each where something is to be said of them; the others by their state, together."""
    things = list(things)
    plain = [thing for thing in things if not thing.notes and not thing.foreign]
    together = [
        f"{len(names)} [{state}]: " * (len(names) > 1) + " ".join(names) + f" [{state}]" * (len(names) == 1)
        for state in State
        if (names := [thing.name for thing in plain if thing.state is state])
    ]
    return together + [f"{thing.name} {mark(thing)}" for thing in things if thing.notes or thing.foreign]


def _vlans(vlans: Iterable[Vlan]) -> Iterator[str]:
    folded: dict[int, list[Vlan]] = {}
    for vlan in vlans:
        if (
            vlan.thing.state is not State.GOOD
            or vlan.addresses
            or vlan.thing.foreign
            or vlan.management
            or _notable(vlan)
        ):
            yield _vlan(vlan)
        else:
            folded.setdefault(len(vlan.ports), []).append(vlan)
    for count, alike in sorted(folded.items()):
        if len(alike) == 1:
            yield _vlan(alike[0])
        else:
            each = f", {count} vif{'s' if count > 1 else ''} each" if count else ""
            yield f"{len(alike)} [{State.GOOD}{each}]: {_ranges([vlan.tag for vlan in alike])}"


def _notable(vlan: Vlan) -> bool:
    """Whether a port on it needs to be seen: anything but a plain VIF, connected or not."""
    return any(port.state not in {State.GOOD, State.IDLE} or port.foreign for port in vlan.ports)


def _vlan(vlan: Vlan) -> str:
    words = [f"{vlan.tag} {vlan.thing.name}", mark(vlan.thing), *_at(vlan)]
    if len(vlan.ports) > _FEW_PORTS and not _notable(vlan):
        words.append(f"- {len(vlan.ports)} vifs")
    elif vlan.ports:
        words.append("- " + ", ".join(_named(vlan.ports)))
    return " ".join(words)


def _ranges(tags: list[int]) -> str:
    """Tags as a person writes them: 10 20-29 40."""
    ranges: list[list[int]] = []
    for tag in sorted(tags):
        if ranges and tag == ranges[-1][1] + 1:
            ranges[-1][1] = tag
        else:
            ranges.append([tag, tag])
    return " ".join(str(low) if low == high else f"{low}-{high}" for low, high in ranges)


def _loose(one: LooseThing) -> str:
    return " ".join([f"{one.thing.kind} {one.thing.name}", mark(one.thing), *_at(one)])


def _safe(text: str) -> str:
    return printable(text)
