"""Pictures of two hosts in every form, as `pictures/` has them: <host>.txt, .dot, .svg, .json.

With XSAGENT_TEST_REGENERATE=golden they are written instead of compared; look at them before they are committed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pictured_hosts import MANAGEMENT, four_nics, many_vlans

from xsagent.picture.build import build_picture
from xsagent.picture.dot import render_dot
from xsagent.picture.svg import render_svg
from xsagent.picture.text import render_text
from xsagent.picture.values import Picture
from xsagent.topology.codec import to_json

_HERE = Path(__file__).parent / "pictures"
_REGENERATE = "golden" in os.environ.get("XSAGENT_TEST_REGENERATE", "").split(",")
_HOSTS = {"four-nics": four_nics, "many-vlans": many_vlans}


def _render_json(picture: Picture) -> str:
    return json.dumps(to_json(picture), indent=1, sort_keys=True) + "\n"


_FORMS: dict[str, Callable[[Picture], str]] = {
    "txt": render_text,
    "dot": render_dot,
    "svg": render_svg,
    "json": _render_json,
}


@pytest.mark.parametrize(
    ("host", "form"),
    [("four-nics", "txt"), ("four-nics", "dot"), ("four-nics", "svg"), ("four-nics", "json"), ("many-vlans", "txt")],
)
def test_the_picture_is_what_its_file_says(host: str, form: str) -> None:
    """A change of looks is a change of these files, and somebody looks at it."""
    drawn = _FORMS[form](build_picture(_HOSTS[host](), management=MANAGEMENT))
    path = _HERE / f"{host}.{form}"
    if _REGENERATE:
        path.write_text(drawn, encoding="utf-8")
        pytest.skip(f"{path.name} was written, nothing was compared")
    assert drawn == path.read_text(encoding="utf-8")
