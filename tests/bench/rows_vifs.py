"""Rows of issue 5: guests' devices, one and 500 at once, and what xsagentd costs with 1,000 of them.

The clock runs from the event sent to `connected` readable in xenstore; what comes between is udev, who answers, the
switch and xenstored, on both sides alike.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from statistics import median

from runs import processor_s
from table import Row
from vif_host import Plug, VifHost

_TIMES = 7
_BURST = 500
_MANY = 1000
_QUIET_S = 30.0
_SMALL, _LARGE = 10, 1000
_ONE_OF = 5
"""One vif takes at most this part of the script's time."""
_BURST_OF = 40
_TRANSACTIONS = 25
_RESIDENT_MB = 80
_IDLE_PERCENT = 0.1


def rows() -> Iterator[Row]:
    """All rows of this group."""
    for beside in (_SMALL, _LARGE):
        with VifHost(beside, "daemon") as ours, VifHost(beside, "script") as script:
            yield from _one(ours, script, beside)
            if beside == _SMALL:
                yield from _burst(ours, script)
    with VifHost(_SMALL, "one-shot") as without, VifHost(_SMALL, "script") as script:
        yield _without_daemon(without, script)
    yield from _resident()


def _one(ours: VifHost, script: VifHost, beside: int) -> Iterator[Row]:
    mine, theirs, switch = [], [], []
    for _ in range(_TIMES):
        switch.append(ours.take_over(*ours.prepare(1)))
        mine.append(ours.plug(ours.prepare(1)).took_s)
        theirs.append(script.plug(script.prepare(1)).took_s)
    baseline = median(theirs)
    yield Row(
        group="one vif", name=f"beside {beside} ports: online sent to connected", value=median(mine), unit="s",
        baseline=baseline, target=baseline / _ONE_OF, note=_bests(mine, theirs),
    )  # fmt: skip
    yield Row(
        group="one vif", name=f"beside {beside} ports: of both, the switch takes over one port", value=median(switch),
        unit="s", note=f"a bare transaction until the switch runs it; best {min(switch) * 1000:.0f} ms",
    )  # fmt: skip


def _bests(mine: list[float], theirs: list[float]) -> str:
    return f"best {min(mine) * 1000:.0f} ms, of the script {min(theirs) * 1000:.0f} ms"


def _without_daemon(ours: VifHost, script: VifHost) -> Row:
    mine, theirs = [], []
    for _ in range(_TIMES):
        mine.append(ours.plug(ours.prepare(1)).took_s)
        theirs.append(script.plug(script.prepare(1)).took_s)
    return Row(
        group="one vif", name=f"beside {_SMALL} ports, no daemon: udev starts the hook", value=median(mine), unit="s",
        baseline=median(theirs), note=_bests(mine, theirs),
    )  # fmt: skip


def _burst(ours: VifHost, script: VifHost) -> Iterator[Row]:
    group = f"{_BURST} vifs at once"
    before = ours.transactions()
    mine, my_cpu = _timed(ours)
    made = ours.transactions() - before
    theirs, their_cpu = _timed(script)
    yield Row(
        group=group, name="first event sent to last connected", value=mine.took_s, unit="s", baseline=theirs.took_s,
        target=theirs.took_s / _BURST_OF, note=f"events sent within {mine.sent_s * 1000:.0f} ms",
    )  # fmt: skip
    yield Row(
        group=group, name="processor's time of all of dom0", value=my_cpu, unit="s", baseline=their_cpu,
        note="udevd, switch, database, xenstored and who answers",
    )  # fmt: skip
    yield Row(
        group=group, name="transactions", value=made, unit="", target=_TRANSACTIONS, note="from the database's log"
    )
    yield Row(
        group=group, name="lost or failed", value=mine.lost + mine.failed, unit="",
        baseline=theirs.lost + theirs.failed, target=0, note=f"{ours.ports()} ports are there",
    )  # fmt: skip


def _timed(host: VifHost) -> tuple[Plug, float]:
    vifs = host.prepare(_BURST)
    before = processor_s(host.sandbox)
    plug = host.plug(vifs)
    return plug, processor_s(host.sandbox) - before


def _resident() -> Iterator[Row]:
    group = f"xsagentd with {_MANY} vifs"
    with VifHost(0, "daemon") as host:
        for _ in range(_MANY // _BURST):
            host.plug(host.prepare(_BURST))
        there = host.ports()
        time.sleep(5.0)
        before = processor_s(host.sandbox, daemon_pids(host))
        time.sleep(_QUIET_S)
        pids = daemon_pids(host)
        spent = processor_s(host.sandbox, pids) - before
        memory = sum(resident_mb(host, pid) for pid in pids)
    yield Row(
        group=group, name="resident", value=memory, unit="MB", target=_RESIDENT_MB,
        note=f"{len(pids)} processes, shared pages counted once; {there} ports are there",
    )  # fmt: skip
    yield Row(
        group=group, name="idle, percent of a core", value=100 * spent / _QUIET_S, unit="%", target=_IDLE_PERCENT,
        note=f"over {_QUIET_S:.0f} s",
    )  # fmt: skip


def daemon_pids(host: VifHost) -> list[int]:
    """Process ids inside, of the daemon, its nursery and the worker that waits there."""
    pids = [int((host.sandbox.root / "run/xsagent/xsagentd.pid").read_text(encoding="ascii"))]
    for pid in pids:
        children = host.sandbox.run(["cat", f"/proc/{pid}/task/{pid}/children"], check=False).stdout.split()
        pids.extend(map(int, children))
    return pids


def resident_mb(host: VifHost, pid: int) -> float:
    """Proportional set size of a process (proc(5), smaps_rollup); 0 of one that has ended meanwhile."""
    text = host.sandbox.run(["cat", f"/proc/{pid}/smaps_rollup"], check=False).stdout
    found = re.search(r"^Pss:\s+([0-9]+) kB", text, re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0
