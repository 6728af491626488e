"""The command ``python3 -m xsagent.cli.udev_rules [--undo] FILE``: a process edge, thin. For installation scripts.

Takes the two network lines out of the toolstack's udev rules, or puts them back; the file is replaced atomically,
and only when it changes.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from xsagent.apply.files import replace_file
from xsagent.errors import XsagentError
from xsagent.hotplug.udev_rules import put_back_network_lines, take_out_network_lines


def main(argv: Sequence[str] | None = None) -> int:
    """Rewrite the file; returns 0, or 1 when it cannot be read or written."""
    parser = argparse.ArgumentParser(description="Take the two network lines out of the toolstack's udev rules.")
    parser.add_argument("--undo", action="store_true", help="put them back")
    parser.add_argument("file", type=Path)
    arguments = parser.parse_args(argv)
    change = put_back_network_lines if arguments.undo else take_out_network_lines
    try:
        text = arguments.file.read_bytes().decode("utf-8", "surrogateescape")
        changed = change(text)
        if changed != text:
            replace_file(arguments.file, changed.encode("utf-8", "surrogateescape"))
    except (OSError, XsagentError) as error:
        sys.stderr.write(f"udev-rules: {arguments.file} was left as it was: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
