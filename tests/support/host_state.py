"""A sandbox with records, and its state as programs see it that are not ours."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

from host_records import HostRecords

from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.namespaces import pid_of
from xsagent.sandbox.spec import SandboxSpec, Segment, default_segments


def spec_for(records: HostRecords, *, segments: tuple[Segment, ...] | None = None, **fields: Any) -> SandboxSpec:
    """A sandbox whose cache holds these records."""
    return SandboxSpec(segments=segments or default_segments(), dbcache=records.as_dbcache(), **fields)


def write_cache(sandbox: Sandbox, records: HostRecords) -> None:
    """Replace the sandbox's cache, as if the records had changed."""
    (sandbox.root / "var/xapi/network.dbcache").write_text(records.as_dbcache(), encoding="utf-8")


def reconfigure(
    sandbox: Sandbox, *arguments: str, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run interface-reconfigure inside; never raises for its exit code."""
    argv = ["interface-reconfigure", f"--root-prefix={sandbox.root}", *arguments]
    return sandbox.run(argv, check=False, env=env, timeout=150)


def succeed(sandbox: Sandbox, *arguments: str, env: dict[str, str] | None = None) -> None:
    """Run interface-reconfigure inside and require exit 0 and an empty stdout."""
    done = reconfigure(sandbox, "--no-syslog", *arguments, env=env)

    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def refuse(sandbox: Sandbox, *arguments: str, code: int = 1, env: dict[str, str] | None = None) -> str:
    """Run interface-reconfigure inside, require failure in one sentence on stderr, and return that sentence."""
    done = reconfigure(sandbox, *arguments, env=env)

    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert len(done.stderr.splitlines()) == (1 if code == 1 else 2), done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def state(sandbox: Sandbox, *, without: tuple[str, ...] = ("var/lib/xsagent", "run")) -> dict[str, Any]:
    """Everything that must be as it was: database, links, addresses, routes, files; read by programs not ours."""
    return {
        "database": configuration(sandbox),
        "links": {
            link["ifname"]: (link["mtu"], "UP" in link["flags"], link.get("address")) for link in ip(sandbox, "link")
        },
        "addresses": sorted(
            (link["ifname"], f"{item['local']}/{item['prefixlen']}")
            for link in ip(sandbox, "address")
            for item in link["addr_info"]
            if item.get("scope") != "link"
        ),
        "routes": sorted(json.dumps(route, sort_keys=True) for route in ip(sandbox, "route")),
        "files": files(sandbox, without),
    }


def files(sandbox: Sandbox, without: tuple[str, ...] = ()) -> dict[str, bytes]:
    """The file tree below etc and var, but for the folders named."""
    found: dict[str, bytes] = {}
    for top in ("etc", "var"):
        for path in sorted((sandbox.root / top).rglob("*")):
            name = str(path.relative_to(sandbox.root))
            if path.is_file() and not path.is_symlink() and not name.startswith((*without, "var/run")):
                found[name] = path.read_bytes()
    return found


def ip(sandbox: Sandbox, *arguments: str) -> list[dict[str, Any]]:
    """`ip -j` of something."""
    return json.loads(sandbox.run(["ip", "-j", *arguments]).stdout or "[]")


def addresses(sandbox: Sandbox, device: str, family: str = "-4") -> list[str]:
    """Global addresses of a device, with prefix length."""
    shown = ip(sandbox, family, "address", "show", "dev", device)
    return [f"{item['local']}/{item['prefixlen']}" for item in shown[0]["addr_info"]] if shown else []


def bridges(sandbox: Sandbox) -> list[str]:
    """Bridges by ovs-vsctl, VLAN bridges too."""
    return sandbox.run(["ovs-vsctl", "list-br"]).stdout.split()


def vsctl(sandbox: Sandbox, *arguments: str) -> str:
    """Output of ovs-vsctl, stripped."""
    return sandbox.run(["ovs-vsctl", "--timeout=10", *arguments]).stdout.strip()


def ports_of(sandbox: Sandbox, bridge: str) -> list[str]:
    """Ports of a bridge in order of name, without its own."""
    return sorted(vsctl(sandbox, "list-ports", bridge).split())


def transactions(sandbox: Sandbox) -> int:
    """Records in the database's log."""
    log = sandbox.run(["ovsdb-tool", "show-log", str(sandbox.root / "run/openvswitch/conf.db")]).stdout
    return sum(line.startswith("record ") for line in log.splitlines())


def our_transactions(sandbox: Sandbox) -> int:
    """Transactions that xsagent made; ovs-vswitchd writes into the database too."""
    database = str(sandbox.root / "run/openvswitch/conf.db")
    return sandbox.run(["ovsdb-tool", "-m", "show-log", database]).stdout.count('"xsagent')


def reconfigurations(sandbox: Sandbox) -> int:
    """Transactions of reconfigures; xsagentd and ovs-vswitchd write when they come to it."""
    database = str(sandbox.root / "run/openvswitch/conf.db")
    return sandbox.run(["ovsdb-tool", "show-log", database]).stdout.count('"xsagent: the switch\'s configuration"')


def settle(sandbox: Sandbox) -> None:
    """Wait for the kernel's late news: the end of duplicate address detection, whether it passed or failed.

    A NIC of a bond has the bond's MAC, and so finds its link-local address taken; that stays tentative for ever.
    """
    deadline = time.monotonic() + 60
    while any(
        not item.get("dadfailed")
        for link in ip(sandbox, "-6", "address", "show", "tentative")
        for item in link.get("addr_info", [])
    ):
        assert time.monotonic() < deadline, "duplicate address detection does not end"
        time.sleep(0.05)


@contextlib.contextmanager
def watched(sandbox: Sandbox) -> Iterator[list[str]]:
    """Lines of `ip monitor link address route rule` while the block runs; filled at its end."""
    lines: list[str] = []
    monitor = sandbox.spawn(["ip", "monitor", "link", "address", "route", "rule"])
    pid = pid_of(monitor)
    time.sleep(0.3)
    try:
        yield lines
    finally:
        time.sleep(0.2)
        os.kill(pid, signal.SIGTERM)
        lines += monitor.communicate(timeout=10)[0].splitlines()


EPHEMERAL_OR_REPORTED = {
    "statistics", "status", "rstp_status", "rstp_statistics", "datapath_id", "datapath_version", "ifindex",
    "mac_in_use", "link_state", "link_speed", "link_resets", "admin_state", "duplex", "mtu", "ofport", "error",
    "lacp_current", "bfd_status", "cfm_fault", "cfm_fault_status", "cfm_flap_count", "cfm_health",
    "cfm_remote_mpids", "cfm_remote_opstate", "is_connected", "role", "next_cfg", "cur_cfg", "datapaths",
    "ovs_version", "db_version", "datapath_types", "iface_types", "dpdk_initialized", "dpdk_version", "_uuid",
    "_version", "bond_active_slave",
}  # fmt: skip


def configuration(sandbox: Sandbox) -> dict[str, list[str]]:
    """The whole OVS configuration with each reference replaced by the row referred to: no uuid is left in it."""
    database = f"unix:{sandbox.root}/run/openvswitch/db.sock"
    dumps = sandbox.run(["ovsdb-client", "-f", "json", "dump", database, "Open_vSwitch"]).stdout.splitlines()
    rows: dict[str, dict[str, object]] = {}
    tables: dict[str, list[str]] = {}
    for dump in map(json.loads, dumps):
        table = dump["caption"].removesuffix(" table")
        named = [dict(zip(dump["headings"], values, strict=True)) for values in dump["data"]]
        tables[table] = [row["_uuid"][1] for row in named]
        for row in named:
            kept = {name: value for name, value in row.items() if name not in EPHEMERAL_OR_REPORTED}
            rows[row["_uuid"][1]] = kept | {"table": table}
    return {table: sorted(repr(_expand(rows[uuid], rows, {uuid})) for uuid in uuids) for table, uuids in tables.items()}


def _expand(value: object, rows: dict[str, dict[str, object]], seen: set[str]) -> object:
    match value:
        case ["uuid", str(uuid)]:
            return ("cycle", rows[uuid].get("name")) if uuid in seen else _expand(rows[uuid], rows, {*seen, uuid})
        case ["set", list(members)]:
            return sorted(repr(_expand(member, rows, seen)) for member in members)
        case list():
            return [_expand(item, rows, seen) for item in value]
        case dict():
            return {key: _expand(item, rows, seen) for key, item in sorted(value.items())}
    return value
