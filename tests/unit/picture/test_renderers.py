"""xsagent/picture: what every form must keep to, on hosts small and large and with hostile names."""

from __future__ import annotations

import re
import shutil
import subprocess
from itertools import combinations
from xml.etree import ElementTree as ET

import pytest
from pictured_hosts import MANAGEMENT, bridge, four_nics, interface, link, many_vlans, nic, port, topology, vif, vlan

from xsagent.picture.build import build_picture
from xsagent.picture.dot import render_dot
from xsagent.picture.layout import WIDTH, Box, lay_out
from xsagent.picture.palette import COLOURS, TINTS
from xsagent.picture.svg import render_svg
from xsagent.picture.text import render_text
from xsagent.picture.values import Picture, State
from xsagent.topology.values import Topology

EVIL = "</text><script>alert(1)</script>\"'&\\\x1b[31m\n\u202e]];"
SVG = "{http://www.w3.org/2000/svg}"


def hostile() -> Topology:
    """Every name that another program may choose holds markup, quotes and terminal codes."""
    tunnel = port(EVIL + "t", interface(EVIL + "t", type="vxlan", options={"remote_ip": EVIL, "key": EVIL}))
    bad = vif("tap0.0" + EVIL, error=EVIL, ofport=-1)
    ports = [
        port("eth0"),
        tunnel,
        bad,
        vlan(EVIL + "v", 7),
        *(vlan(f"{EVIL}{number}", number + 10) for number in range(30)),
    ]
    return topology([bridge(EVIL, *ports, controllers=(EVIL,))], [nic(0), link(EVIL)], [])


HOSTS = {
    "four": four_nics(),
    "many": many_vlans(),
    "hostile": hostile(),
    "empty": topology([], [], []),
    "bare": topology([], [nic(number, up=False) for number in range(20)], []),
    "guests": topology([bridge("xapi0", *(vif(f"vif{number}.0") for number in range(300)))], [], []),
}


@pytest.fixture(params=sorted(HOSTS))
def picture(request: pytest.FixtureRequest) -> Picture:
    """Each host's picture."""
    return build_picture(HOSTS[request.param], management=MANAGEMENT)


def test_text_is_plain_ascii_in_short_lines(picture: Picture) -> None:
    """It is read on rescue consoles; only a name without a blank may be longer than a line."""
    drawn = render_text(picture)

    assert drawn.isascii() or EVIL[-4] in drawn
    assert all(char.isprintable() or char == "\n" for char in drawn)
    assert all(len(line) <= 100 or len(line.split()) < 8 for line in drawn.splitlines())


def test_two_hundred_vlans_are_a_page_of_text() -> None:
    """VLANs that are alike are folded into ranges; the one in trouble has its own line."""
    lines = render_text(build_picture(many_vlans(), management=MANAGEMENT)).splitlines()

    assert len(lines) < 25
    assert any(line.strip().startswith("130 xapi30") and "vif31.0 [BROKEN, down]" in line for line in lines)


def test_svg_is_well_formed_and_needs_nothing_else(picture: Picture) -> None:
    """No script, no link, no style sheet; every name is text."""
    tree = ET.fromstring(render_svg(picture))  # noqa: S314 - of our own making

    tags = {element.tag.removeprefix(SVG) for element in tree.iter()}
    assert tags <= {"svg", "g", "title", "defs", "pattern", "rect", "text", "polyline", "polygon", "circle", "path"}
    attributes = {name for element in tree.iter() for name in element.attrib}
    assert not {name for name in attributes if "href" in name or name.startswith("on") or name == "style"}


def test_boxes_lie_in_the_picture_and_beside_each_other(picture: Picture) -> None:
    """No box covers another, but a guest's chip lies wholly inside its VLAN's box."""
    drawing = lay_out(picture, "x")

    assert all(box.x >= 0 and box.x + box.width <= WIDTH for box in drawing.boxes)
    assert all(box.y + box.height <= drawing.height for box in drawing.boxes)
    assert [(one.title, two.title) for one, two in combinations(drawing.boxes, 2) if collide(one, two)] == []


def collide(one: Box, two: Box) -> bool:
    """Whether two boxes cover each other in part."""
    apart = (
        one.x + one.width <= two.x
        or two.x + two.width <= one.x
        or one.y + one.height <= two.y
        or two.y + two.height <= one.y
    )
    return not apart and not inside(one, two) and not inside(two, one)


def inside(inner: Box, outer: Box) -> bool:
    """Whether a chip lies in a box."""
    return (
        inner.small
        and not outer.small
        and outer.x <= inner.x
        and inner.x + inner.width <= outer.x + outer.width
        and outer.y <= inner.y
        and inner.y + inner.height <= outer.y + outer.height
    )


def test_two_hundred_vlans_are_a_field_and_not_a_strip() -> None:
    """Not much higher than wide, with each VLAN in it, and the guest that is cut off named."""
    drawing = lay_out(build_picture(many_vlans()), "x")
    titles = " ".join(f"{box.kicker} {box.title}" for box in drawing.boxes)

    assert drawing.height < 1.3 * WIDTH
    assert [tag for tag in range(100, 300) if not re.search(rf"\b{tag} ", titles)] == []
    assert any(box.title == "vif31.0" and box.state is State.BROKEN for box in drawing.boxes)


def test_states_are_told_apart_without_colour() -> None:
    """Strip every colour from the four legend entries: badge and line still differ pairwise."""
    drawn = render_svg(Picture())
    legend = drawn[drawn.index("no bridges") :]
    for colour in {*COLOURS.values(), *TINTS.values()}:
        legend = legend.replace(colour, "")
    badges = re.findall(r"<(?:circle|polygon|path)[^>]*/>\n<rect[^>]*/>", legend)
    shapes = {re.sub(r"[-\d.,]+", "", badge) + str(re.findall(r'stroke-\w+="[^"]*"', badge)) for badge in badges}

    assert len(badges) == len(shapes) == 4


@pytest.mark.skipif(shutil.which("dot") is None, reason="needs Graphviz")
def test_dot_takes_the_graph(picture: Picture) -> None:
    """Graphviz itself draws it without a complaint."""
    done = subprocess.run(["dot", "-Tsvg"], input=render_dot(picture), check=False, capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
    assert ET.fromstring(done.stdout).tag == f"{SVG}svg"  # noqa: S314 - Graphviz' output


def test_a_hostile_name_stays_a_name() -> None:
    """In no form does it become markup, a statement or a terminal code."""
    drawn = build_picture(hostile())

    assert "<script" not in render_svg(drawn)
    assert "\x1b" not in render_text(drawn) + render_dot(drawn) + render_svg(drawn)
    assert "<script" not in re.sub(r'"(?:[^"\\]|\\.)*"', "", render_dot(drawn))
