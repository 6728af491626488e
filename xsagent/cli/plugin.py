"""XAPI's plugin `openvswitch-cfg-update`, also `openvswitch-config-update`: a process edge, thin. argv -> one answer.

plugins/ holds the two files that XAPI starts. `xenapi_plugin.py` speaks the protocol, `plugin_run.py` does what a good
call asks; its heavy imports wait for one.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Final

from xsagent.cli.xenapi_plugin import PluginCall, PluginFunction, dispatch

_PREFIX_OPTION: Final = "--root-prefix="


def main(argv: Sequence[str] | None = None) -> int:
    """Answer XAPI's call; returns the exit status, 0 for every call that could be answered.

    Args:
        argv: the whole argument list; ``--root-prefix=DIR`` may stand before the call (DESIGN.md section 8).
    """
    program, *words = sys.argv if argv is None else argv
    prefix = ""
    if words and words[0].startswith(_PREFIX_OPTION):
        prefix = words.pop(0).removeprefix(_PREFIX_OPTION)
    return dispatch({name: _function(name, prefix) for name in ("update", "emergency_reset")}, [program, *words])


def _function(name: str, prefix: str) -> PluginFunction:
    def run(call: PluginCall) -> str:
        from xsagent.cli import plugin_run  # noqa: PLC0415 - a malformed call needs none of it

        functions = {"update": plugin_run.run_update, "emergency_reset": plugin_run.run_emergency_reset}
        return functions[name](prefix, call)

    return run


if __name__ == "__main__":
    sys.exit(main())
