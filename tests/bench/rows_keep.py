"""Rows of issue 2 and issue 3: re-up, boot, children, lost packets, large caches, this host out of a pool of 64."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from host_records import HostRecords, Record, static
from host_state import settle, write_cache
from runs import Bench, Run, describe, in_turn, wall
from streams import control, measure_losses
from table import Row
from xapi_host import XapiHost

from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.root_prefix import record_uuid
from xsagent.sandbox.spec import nic_mac
from xsagent.sandbox.xapi_pool import PoolShape, uuid_for
from xsagent.sandbox.xapi_standin import XapiStandin

ADDRESS, GATEWAY = "192.0.2.10", "192.0.2.1"
_TIMES = 5
_STREAM_MS = 5.0
_MANY_VLANS = 1000
_POOL_READER = """
import json, resource, sys, time
from pathlib import Path
from xsagent.sources.xapi import open_session, read_snapshot
started = time.monotonic()
with open_session([Path(sys.argv[1])], 60.0) as session:
    snapshot = read_snapshot(session, sys.argv[2])
print(json.dumps({"read_s": time.monotonic() - started, "pifs": len(snapshot.pifs),
    "peak_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))
"""


def one_host() -> tuple[HostRecords, Record]:
    """A host whose eth0 is management with a static address; its records, and that PIF's."""
    records = HostRecords()
    pif = records.nic("eth0", management=True, **static(ADDRESS, gateway=GATEWAY))
    records.nic("eth1")
    return records, pif


def script_up(bench: Bench) -> Run:
    """The script's way of the same configuration."""
    uuid = record_uuid("network xenbr0")
    return bench.script("baseline-up.sh", "xenbr0", "eth0", nic_mac("eth0"), uuid, f"{ADDRESS}/24", GATEWAY)


def reset(sandbox: Sandbox) -> None:
    """As after a boot: no bridge, NIC down, nothing remembered."""
    bridges = sandbox.run(["ovs-vsctl", "--real", "list-br"]).stdout.split()
    for bridge in bridges:
        sandbox.run(["ovs-vsctl", "--if-exists", "del-br", bridge])
    sandbox.run(["ip", "link", "set", "eth0", "down"])
    for path in (sandbox.root / "var/lib/xsagent").glob("*"):
        path.unlink()


def rows() -> Iterator[Row]:
    """All rows of these groups."""
    records, pif = one_host()
    with XapiHost(records) as host:
        bench = Bench(host.sandbox)
        yield from _boot(bench)
        yield from _re_up(bench, host, pif)
        yield from _losses(bench, pif)
        yield from _large_cache(bench)
    yield from _pool()


def _boot(bench: Bench) -> Iterator[Row]:
    def ours() -> Run:
        reset(bench.sandbox)
        return bench.ours("--force", "xenbr0", "up")

    def script() -> Run:
        reset(bench.sandbox)
        return script_up(bench)

    mine, theirs = in_turn(_TIMES, ours, script)
    yield Row(
        group="re-up and boot",
        name="up at boot from the cache, static address",
        value=wall(mine),
        unit="s",
        baseline=wall(theirs),
        note=f"{describe(mine)}; looks for the gateway, which the script does not",
    )


def _re_up(bench: Bench, host: XapiHost, pif: Record) -> Iterator[Row]:
    group = "re-up and boot"
    by_xapi, by_cache = ("--pif-uuid", str(pif["uuid"]), "up"), ("--force", "xenbr0", "up")
    bench.ours(*by_cache)
    pif["currently_attached"] = True
    host.restart_xapi()
    bench.ours(*by_xapi)
    settle(bench.sandbox)
    cache, xapi, theirs = in_turn(
        _TIMES, lambda: bench.ours(*by_cache), lambda: bench.ours(*by_xapi), lambda: script_up(bench)
    )
    yield Row(
        group=group, name="re-up of a right PIF, from the cache: whole command", value=wall(cache), unit="s",
        baseline=wall(theirs), target=0.35, note=describe(cache),
    )  # fmt: skip
    yield Row(
        group=group, name="re-up of a right PIF, from XAPI: whole command", value=wall(xapi), unit="s",
        baseline=wall(theirs), target=0.35, note=describe(xapi),
    )  # fmt: skip
    for name, arguments in (("from the cache", by_cache), ("from XAPI", by_xapi)):
        inside = [bench.inside(name, *arguments) for _ in range(_TIMES)][1:]
        yield Row(
            group=group, name=f"  {name}: without process start and imports", value=median(i.run_s for i in inside),
            unit="s", note=f"imports {median(i.import_s for i in inside) * 1000:.0f} ms",
        )  # fmt: skip
    yield Row(
        group=group, name="re-up: children started", value=bench.processes(lambda: bench.ours(*by_xapi)), unit="",
        baseline=bench.processes(lambda: script_up(bench)), target=0,
    )  # fmt: skip
    yield Row(
        group=group, name="re-up: OVSDB transactions", value=bench.transactions(lambda: bench.ours(*by_xapi)), unit="",
        baseline=bench.transactions(lambda: script_up(bench)), target=0, note="records in the database's log",
    )  # fmt: skip


def _losses(bench: Bench, pif: Record) -> Iterator[Row]:
    sandbox = bench.sandbox
    guest = sandbox.add_guest("guest", "xenbr0", "192.0.2.77/24")

    def up() -> Run:
        return bench.ours("--pif-uuid", str(pif["uuid"]), "up")

    ours = measure_losses(sandbox, guest, up, interval_ms=_STREAM_MS)
    theirs = measure_losses(sandbox, guest, lambda: script_up(bench), interval_ms=_STREAM_MS)
    yield Row(
        group="re-up and boot", name="re-up: packets lost of a 5 ms stream", value=ours.most, unit="",
        baseline=theirs.most, target=0,
        note=f"{ours.describe()}; {control(sandbox, guest, 'xenbr0', up, interval_ms=_STREAM_MS)}",
    )  # fmt: skip


def _large_cache(bench: Bench) -> Iterator[Row]:
    group = f"{_MANY_VLANS} VLANs in the cache"
    few, _ = one_host()
    many, _ = one_host()
    for number in range(_MANY_VLANS):
        many.vlan("eth0", number + 1, f"xapi{number + 1}")

    def with_cache(records: HostRecords) -> Run:
        write_cache(bench.sandbox, records)
        return bench.ours("--force", "xenbr0", "up")

    without, beside = in_turn(_TIMES, lambda: with_cache(few), lambda: with_cache(many))
    yield Row(
        group=group, name="re-up: extra time", value=wall(beside) - wall(without), unit="s", target=0.5,
        note=f"{wall(without):.3f} s without, {wall(beside):.3f} s with; with: {describe(beside)}",
    )  # fmt: skip
    memory = bench.inside("from the cache", "--force", "xenbr0", "up").peak_kib
    yield Row(group=group, name="re-up: most memory", value=memory / 1024, unit="MB", target=80)
    write_cache(bench.sandbox, few)
    memory = bench.inside("from the cache", "--force", "xenbr0", "up").peak_kib
    yield Row(group=group, name="re-up with no VLAN: most memory", value=memory / 1024, unit="MB", target=80)


def _pool() -> Iterator[Row]:
    group = "this host out of 64 x 4 NICs x 200 VLANs, from XAPI"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "xapi")
        with XapiStandin(PoolShape(), path, render=True) as standin:
            command = [sys.executable, "-c", _POOL_READER, str(path), uuid_for("host 63")]
            found = []
            for _ in range(3):
                done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
                found.append(json.loads(done.stdout))
            methods = standin.methods()[: len(standin.methods()) // 3]
    beside = {"session.login_with_password", "host.get_by_uuid", "session.logout"}
    calls = [method for method in methods if method not in beside]
    yield Row(
        group=group, name="read: time", value=median(f["read_s"] for f in found), unit="s", target=1.0,
        note=f"{found[0]['pifs']} PIFs of this host; best {min(f['read_s'] for f in found):.3f} s",
    )  # fmt: skip
    yield Row(
        group=group, name="read: most memory", value=max(f["peak_kib"] for f in found) / 1024, unit="MB", target=120
    )
    yield Row(
        group=group, name="read: calls beside login, host look-up, logout", value=len(calls), unit="", target=8,
        note=", ".join(calls),
    )  # fmt: skip
