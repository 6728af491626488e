"""Words for ovs-ofctl -> its answer about one of this host's bridges. Reads or writes, as the words say.

For those who read flows and those who write them. ovs-ofctl is given the bridge's management socket by path: a bridge
name could otherwise mean a remote switch.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from xsagent.child import ChildResult, find_program, run_child
from xsagent.errors import CommandError
from xsagent.model.values import parse_device_name

_DEFAULT: Final = "/usr/bin/ovs-ofctl"
_OUTPUT_LIMIT: Final = 1 << 26
"""64 MiB: a dump of 1,000 locked VIFs with a handful of addresses each is 5 MiB."""

_VERSIONS: Final = ",".join(f"OpenFlow1{minor}" for minor in range(6))
"""All that `Bridge.protocols` can name. By itself ovs-ofctl offers 1.0 alone, and 1.4 alone for a bundle."""
_NO_BUNDLE: Final = "does not support any of the usable flow formats"
"""How a bundle ends on a bridge whose `protocols` stop below OpenFlow 1.3, as some SDN controllers set them."""


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
    options = [f"--timeout={max(1, int(deadline_s))}", "--no-names", f"--protocols={_VERSIONS}"]
    words = [program, *options, *command, target, argument]
    return run_child(words, deadline_s=deadline_s + 1, input_text=text, output_limit=_OUTPUT_LIMIT)


def dump_flows(rundir: Path, bridge: str, cookie: int, *, deadline_s: float, options: Sequence[str] = ()) -> str:
    """The bridge's flows with this cookie, a line each, as OpenFlow 1.0 has them whatever the bridge speaks.

    Raises:
        CommandLateError, CommandError: as `run_ofctl`.
    """
    words = [*options, "--no-stats", "dump-flows"]
    shown = run_ofctl(rundir, bridge, words, f"cookie={cookie}/-1", deadline_s=deadline_s).stdout
    # what 1.0 implies, and what it calls by another name
    return shown.replace(" reset_counts ", " ").replace("pop_vlan", "strip_vlan")


def lacks_bundles(error: CommandError) -> bool:
    """Whether a bundle was refused, with nothing changed, because no version that the bridge speaks has any."""
    return _NO_BUNDLE in str(error)
