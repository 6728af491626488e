"""Locking flows -> the switch, one ovs-ofctl process a bridge; and what the switch holds of them. Effects.

`hotplug/lock` calls it between the OVSDB transaction and IFF_UP, and to verify; `apply/locked_ports` around a
transaction that makes the switch forget them. One bundle takes out whatever stands for a port and puts in what is
wanted, so that there is no moment with half a rule set.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from xsagent.errors import CommandError
from xsagent.hotplug.locking import COOKIE
from xsagent.ofctl import dump_flows, lacks_bundles, run_ofctl

FLOWS_DEADLINE_S: Final = 10.0
_ANY_COOKIE: Final = "-1"
"""Mask: the whole cookie counts."""
_IN_PORT: Final = re.compile(r"\bin_port=([0-9]+)\b", re.ASCII)

Flow = frozenset[str]
"""One flow as its parts (``cookie=0x1``, ``udp``, ``priority=8000``, ``actions=NORMAL`` ...), in no order."""


def replace_flows(
    rundir: Path, bridge: str, flows: Mapping[int, Collection[str]], deadline_s: float = FLOWS_DEADLINE_S
) -> None:
    """Make the locking flows of these ports exactly the given ones; flows with another cookie stay. Idempotent.

    All of it is one bundle: it takes effect whole or not at all. On a bridge that takes no bundles the drop flow
    goes in first and a port whose flows change drops everything meanwhile.

    Args:
        rundir: OVS_RUNDIR, where ``BRIDGE.mgmt`` lies.
        bridge: real bridge.
        flows: lines (`hotplug/locking.render_flows`) by port number; none for a port that is not locked.

    Raises:
        CommandError: ovs-ofctl failed or passed its deadline; the flows are as they were.
    """
    if not flows:
        return
    lines = [f"delete {_match(in_port)}" for in_port in flows]
    lines += [f"add {line}" for of_port in flows.values() for line in of_port]
    text = "".join(f"{line}\n" for line in lines)
    try:
        run_ofctl(rundir, bridge, ["--bundle", "add-flows"], "-", deadline_s=deadline_s, text=text)
    except CommandError as error:
        if not lacks_bundles(error):
            raise
        _replace_without_bundle(rundir, bridge, flows, deadline_s)


def _replace_without_bundle(rundir: Path, bridge: str, flows: Mapping[int, Collection[str]], deadline_s: float) -> None:
    """As `replace_flows`, flow by flow. A cut above all rules is the first to come and the last to go."""
    cuts = [f"cookie={COOKIE:#x},priority=65535,in_port={in_port}" for in_port, lines in flows.items() if lines]
    text = [f"add {cut} actions=drop" for cut in cuts]
    text += [f"add {line}" for lines in flows.values() for line in lines]
    present = read_flows(rundir, bridge, deadline_s)
    for in_port, lines in flows.items():
        stale = present.get(in_port, frozenset()) - {parse_flow(line) for line in lines}
        text += [f"delete_strict {_strict_match(flow)}" for flow in stale]
    text += [f"delete_strict {cut}".replace(f"cookie={COOKIE:#x},", "") for cut in cuts]
    run_ofctl(rundir, bridge, ["add-flows"], "-", deadline_s=deadline_s, text="".join(f"{line}\n" for line in text))


def _strict_match(flow: Flow) -> str:
    return ",".join(sorted(part for part in flow if not part.startswith(("cookie=", "actions="))))


def delete_flows(rundir: Path, bridge: str, in_ports: Collection[int], deadline_s: float = FLOWS_DEADLINE_S) -> None:
    """Take out the locking flows of these ports; absent ones are right. Errors as `replace_flows`."""
    replace_flows(rundir, bridge, dict.fromkeys(in_ports, ()), deadline_s)


def read_flows(rundir: Path, bridge: str, deadline_s: float = FLOWS_DEADLINE_S) -> dict[int, frozenset[Flow]]:
    """The locking flows that the switch holds, by port number. Changes nothing; errors as `replace_flows`."""
    found: dict[int, set[Flow]] = {}
    for line in dump_flows(rundir, bridge, COOKIE, deadline_s=deadline_s).splitlines():
        port = _IN_PORT.search(line)
        if port and "actions=" in line:
            found.setdefault(int(port[1]), set()).add(parse_flow(line))
    return {in_port: frozenset(flows) for in_port, flows in found.items()}


def read_numbers(rundir: Path, bridge: str, deadline_s: float = FLOWS_DEADLINE_S) -> frozenset[int]:
    """The port numbers for which the switch holds any locking flows, which is quicker to read. As `read_flows`."""
    return frozenset(map(int, _IN_PORT.findall(dump_flows(rundir, bridge, COOKIE, deadline_s=deadline_s))))


def parse_flow(line: str) -> Flow:
    """A line of dump-flows, or one of ours, as its parts. Table 0 and the order of fields are no difference."""
    match, _, actions = line.strip().partition(" actions=")
    parts = {part.strip() for part in match.split(",")}
    return frozenset(parts - {"", "table=0"} | {f"actions={actions.strip()}"})


def render_flow(flow: Flow) -> str:
    """The line of a flow that was read, for `replace_flows`."""
    actions = "".join(part for part in flow if part.startswith("actions="))
    return f"{','.join(sorted(flow - {actions}))} {actions}"


def is_same(wanted: Collection[str], present: Collection[Flow]) -> bool:
    """Whether the flows of a port are exactly the wanted lines."""
    return {parse_flow(line) for line in wanted} == set(present)


def _match(in_port: int) -> str:
    return f"cookie={COOKIE}/{_ANY_COOKIE},in_port={in_port}"
