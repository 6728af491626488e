"""``xsagent topology``: a picture of this host's network, or of one that `xsagent show --json` wrote down. Reads only.

Observes as `show` does; what is drawn is decided in `picture/`.
"""

from __future__ import annotations

import argparse
import json
import os
import sys

from xsagent.cli.plan import read_observed
from xsagent.cli.show import observe, read_ownership
from xsagent.config import Paths
from xsagent.errors import InputError
from xsagent.observed.host import Interest
from xsagent.picture.build import build_picture
from xsagent.picture.dot import render_dot
from xsagent.picture.svg import render_svg
from xsagent.picture.text import render_text
from xsagent.picture.values import Picture
from xsagent.sources.host_files import read_inventory
from xsagent.topology.codec import to_json


def run(arguments: argparse.Namespace) -> int:
    """Print the picture; 0 also where Open vSwitch is absent, since the rest is drawn.

    Raises:
        XsagentError: the kernel, or the file, could not be read.
    """
    sys.stdout.write(_render(_picture(arguments), arguments.format))
    return 0


def _picture(arguments: argparse.Namespace) -> Picture:
    if arguments.observed is not None:
        return build_picture(read_observed(arguments.observed))
    paths = Paths.from_environ(arguments.root_prefix, os.environ)
    return build_picture(observe(paths, Interest()), read_ownership(paths), _management(paths))


def _management(paths: Paths) -> str:
    try:
        return read_inventory(paths).management_interface
    except InputError:
        return ""


def _render(picture: Picture, form: str) -> str:
    match form:
        case "json":
            return json.dumps(to_json(picture), indent=1, sort_keys=True) + "\n"
        case "dot":
            return render_dot(picture)
        case "svg":
            return render_svg(picture)
        case _:
            return render_text(picture)
