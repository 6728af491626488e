"""The command ``python3 -m xsagent.cli.stage``: a process edge, thin. What `make install` runs; see installation/stage.

Standard library alone, so that a package's build needs nothing but Python and the wheels.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from xsagent.cli.completion import command_names, render_completion
from xsagent.errors import XsagentError
from xsagent.installation.stage import Staging, find_system_python, stage


def main(argv: Sequence[str] | None = None) -> int:
    """Install below DESTDIR; returns 0, or 1 with one sentence on stderr."""
    parser = argparse.ArgumentParser(prog="stage", description="Installs xsagent's own files below a directory.")
    parser.add_argument("--destdir", default="/", help="put before every path (default: /)")
    parser.add_argument("--tree", type=Path, default=Path.cwd(), help="the source tree (default: here)")
    parser.add_argument("--wheels", type=Path, required=True, help="folder with the dependencies' wheels")
    parser.add_argument("--python", default="/usr/bin/python3", help="the host's Python (default: /usr/bin/python3)")
    arguments = parser.parse_args(argv)
    try:
        python = find_system_python(arguments.python)
        stage(
            Staging(
                tree=arguments.tree,
                destdir=Path(arguments.destdir or "/").absolute(),
                wheels=arguments.wheels,
                python=python,
                completion=render_completion(),
                completed=command_names(),
            )
        )
    except XsagentError as error:
        sys.stderr.write(f"install: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
