"""Words for ovs-ofctl -> its answer about one of this host's bridges. Reads or writes, as the words say.

For those who read flows and those who write them. ovs-ofctl is given the bridge's management socket by path: a bridge
name could otherwise mean a remote switch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from xsagent.child import ChildResult, find_program, run_child
from xsagent.model.values import parse_device_name

_DEFAULT: Final = "/usr/bin/ovs-ofctl"
_OUTPUT_LIMIT: Final = 1 << 26
"""64 MiB: a dump of 1,000 locked VIFs with a handful of addresses each is 5 MiB."""


def run_ofctl(
    rundir: Path,
    bridge: str,
    command: Sequence[str],
    argument: str,
    *,
    deadline_s: float,
    text: str | None = None,
) -> ChildResult:
    """Run ovs-ofctl on a bridge.

    Args:
        rundir: OVS_RUNDIR, where ``BRIDGE.mgmt`` lies.
        bridge: real bridge.
        command: options and the command, for example ``dump-flows``.
        argument: what comes behind the bridge.
        deadline_s: seconds.
        text: given on stdin.

    Raises:
        CommandLateError: it passed its deadline: the switch does not answer on this bridge.
        CommandError: it failed.
    """
    program = find_program("ovs-ofctl", _DEFAULT)
    target = f"unix:{rundir / parse_device_name(bridge)}.mgmt"
    # Its own limit ends it in order; ours comes after, for a process that does not even look at the clock. Ports and
    # tables are numbers, unless the command says --names: for names it connects twice more and asks for all ports.
    words = [program, f"--timeout={max(1, int(deadline_s))}", "--no-names", *command, target, argument]
    return run_child(words, deadline_s=deadline_s + 1, input_text=text, output_limit=_OUTPUT_LIMIT)
