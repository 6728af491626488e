"""`make bench`: measures xsagent beside a careful bash script, prints a table, writes bench.json.

Usage: PYTHONPATH=tests/support python tests/bench [GROUP...], the groups being those of GROUPS below. Nothing is
asserted: a target that is missed says so in its row. Everything happens in sandboxes.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import rows_daemon
import rows_keep
import rows_losses
import rows_vifs
import rows_vlans
from table import Row, describe_machine, render_heading, render_row, write_json

RESULTS = Path(__file__).resolve().parents[2] / "bench.json"
GROUPS = {
    "keep": rows_keep.rows,
    "vlans": rows_vlans.rows,
    "losses": rows_losses.rows,
    "vifs": rows_vifs.rows,
    "daemon": rows_daemon.rows,
}


def main() -> int:
    """Measure the groups asked for, all by default; each row is printed as soon as it is known."""
    started = time.monotonic()
    machine = describe_machine()
    print(f"{machine['processors']} processors, load {machine['load']} at the start; medians, and runs taken in turn")
    if machine["busy"]:
        print("this machine is busy with other work: look at the processor's time and the ratios")
    rows: list[Row] = []
    for name in sys.argv[1:] or GROUPS:
        for row in GROUPS[name]():
            if not rows or rows[-1].group != row.group:
                print(render_heading(row.group))
            print(render_row(row), flush=True)
            rows.append(row)
    took = time.monotonic() - started
    write_json(rows, RESULTS, **machine, took_s=round(took, 1))
    missed = sum(row.met is False for row in rows)
    print(f"\n{len(rows)} rows in {took:.0f} s, {missed} targets missed; all of it is in bench.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
