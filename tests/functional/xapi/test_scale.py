"""One host's records out of the largest pool: 64 hosts, 51,776 PIFs, over the real socket (issue 3, "Speed to reach").

Memory and calls are asserted; the time is printed (``pytest -s``) and belongs to `make bench`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from xsagent.sandbox.xapi_pool import PoolShape, uuid_for
from xsagent.sandbox.xapi_standin import XapiStandin

MOST_CALLS = 8
MOST_KIB = 120 * 1024
READER = """
import json, sys, time
from pathlib import Path
started = time.monotonic()
from xsagent.sources.xapi import open_session, read_snapshot
imported = time.monotonic()
with open_session([Path(sys.argv[1])], 60.0) as session:
    snapshot = read_snapshot(session, sys.argv[2])
print(json.dumps({
    "import_s": round(imported - started, 3),
    "read_s": round(time.monotonic() - imported, 3),
    # not ru_maxrss, which counts the process that this one was forked from, too
    "peak_kib": next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM")),
    "pifs": len(snapshot.pifs),
    "vlans": len(snapshot.vlans),
    "complete": snapshot.complete,
}))
"""


def test_one_host_out_of_64_is_read_in_few_calls_and_little_memory(socket_path: Path) -> None:
    """The read costs what this host has, not what the pool has."""
    with XapiStandin(PoolShape(), socket_path, render=True) as standin:
        command = [sys.executable, "-c", READER, str(socket_path), uuid_for("host 63")]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
        methods = standin.methods()
    figures = json.loads(done.stdout)
    around = {"session.login_with_password", "host.get_by_uuid", "session.logout"}
    calls = [method for method in methods if method not in around]
    print(figures, "calls:", len(calls))  # noqa: T201 - the measurement

    assert (figures["pifs"], figures["vlans"], figures["complete"]) == (809, 800, True)
    assert len(methods) == len(calls) + len(around)
    assert len(calls) <= MOST_CALLS
    assert figures["peak_kib"] <= MOST_KIB
