"""Files and processes -> our DHCP clients: what each was told, whether it lives, what it was leased. Reads only.

The names of a client's files stand here, for apply/dhcp.py (which writes them) too. Standard library alone: the
hook that dhclient runs (apply/dhclient_script.py) imports this. After it observed/ip_devices.py.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from xsagent.observed.dhclient_leases import parse_leases
from xsagent.observed.lease_results import read_lease_result
from xsagent.topology.values import IPV4, IPV6, DhcpClient, IpAddress

IFINDEX_VARIABLE: Final = "XSAGENT_IFINDEX"
"""Given to dhclient with -e: it tells the hook, and on the command line tells us, which netdev was meant."""

_CONFIGURATION: Final = re.compile(r"dhclient(6?)-([^/\s]{1,15})\.conf")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientFiles:
    """Files of one client. `result` is written by the hook: what the lease says, as JSON."""

    configuration: Path
    leases: Path
    pid: Path
    result: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundClient:
    """A client of ours with its lease file's word.

    Attributes:
        client: without `leased`, which needs the device's addresses.
        latest: address of its last lease; None without one.
        addresses: all addresses in its lease file and its hook's result: an address that one of them names came
            from this client.
    """

    client: DhcpClient
    latest: IpAddress | None
    addresses: frozenset[IpAddress]


def client_files(state: Path, run: Path, device: str, family: int) -> ClientFiles:
    """Return the files of the client for a device and family (4 or 6).

    Args:
        state, run: /var/lib/xsagent and /run/xsagent below the root prefix.
    """
    stem = f"dhclient{'6' if family == IPV6 else ''}-{device}"
    return ClientFiles(
        configuration=state / f"{stem}.conf",
        leases=state / f"{stem}.leases",
        pid=run / f"{stem}.pid",
        result=run / f"{stem}.json",
    )


def read_dhcp_clients(
    *, state: Path, run: Path, proc: Path, ifindexes: Mapping[str, int]
) -> dict[tuple[str, int], FoundClient]:
    """Return our clients by device and family: one for each configuration file, running or not.

    Args:
        state, run: as `client_files`.
        proc: /proc below the root prefix.
        ifindexes: ifindex by device name, as the kernel has them now.
    """
    found: dict[tuple[str, int], FoundClient] = {}
    for device, family in configured_clients(state):
        files = client_files(state, run, device, family)
        text = _read(files.configuration)
        if text is not None:
            pid = find_running(files, device, ifindexes.get(device, 0), proc)
            client = DhcpClient(family=family, configuration=text, running=pid is not None, pid=pid)
            found[device, family] = _with_leases(client, files, device)
    return found


def configured_clients(state: Path) -> list[tuple[str, int]]:
    """Return device and family of each client of ours that has a configuration file, running or not.

    Args:
        state: as `client_files`.
    """
    matches = [_CONFIGURATION.fullmatch(path.name) for path in sorted(state.glob("dhclient*.conf"))]
    return [(match[2], IPV6 if match[1] else IPV4) for match in matches if match]


def _with_leases(client: DhcpClient, files: ClientFiles, device: str) -> FoundClient:
    leased = [lease.address for lease in parse_leases(_read(files.leases) or "") if lease.device == device]
    result = read_lease_result(files.result)
    if result is not None and result.interface is not None:  # dhclient may write its file after the hook has run
        leased.append(result.interface.ip)
    return FoundClient(
        client=client,
        latest=leased[-1] if leased else None,
        addresses=frozenset(leased),
    )


def find_running(files: ClientFiles, device: str, ifindex: int, proc: Path) -> int | None:
    """Return the pid of the live client: pid file, command line and ifindex agree; None when they do not.

    A stale pid file whose number another process has now is no client, nor is a client of a device that was
    deleted and made again: its socket is bound to the old ifindex (pains.md 8).
    """
    try:
        pid = int(_read(files.pid) or "")
    except ValueError:
        return None
    return pid if _is_client(_command_line(proc, pid), files, device, ifindex) else None


def find_all(files: ClientFiles, device: str, proc: Path) -> list[int]:
    """Return the pids of every live client that uses these files, whatever the pid file says and whichever ifindex."""
    return [pid for pid in _processes(proc) if _is_client(_command_line(proc, pid), files, device, None)]


def find_scripts(script: Path, device: str, proc: Path) -> list[int]:
    """Return the pids of scripts that clients started for a device: they outlive a client that is stopped.

    Args:
        script: what clients of ours run when a lease comes or goes.
    """
    return [
        pid
        for pid in _processes(proc)
        if str(script) in _command_line(proc, pid)[1:] and _has_variable(proc, pid, f"interface={device}")
    ]


def _has_variable(proc: Path, pid: int, variable: str) -> bool:
    try:
        raw = (proc / str(pid) / "environ").read_bytes()
    except OSError:  # it ended, or is another user's
        return False
    return variable.encode() in raw.split(b"\0")


def find_others(device: str, family: int, proc: Path) -> list[int]:
    """Return the pids of every dhclient on a device of this network namespace, whoever started it.

    Ours are among them. What xcp-networkd or ifup left running there would fight with ours over the same lease.
    """
    return [
        pid
        for pid in _processes(proc)
        if _is_dhclient(arguments := _command_line(proc, pid), device)
        and ("-6" in arguments) == (family == IPV6)
        and _is_in_our_namespace(proc, pid)
    ]


def _is_in_our_namespace(proc: Path, pid: int) -> bool:
    try:
        return (proc / str(pid) / "ns" / "net").readlink() == Path("/proc/self/ns/net").readlink()
    except OSError:  # it ended, or is another user's
        return False


def _processes(proc: Path) -> Iterator[int]:
    try:
        names = [entry.name for entry in proc.iterdir()]
    except OSError:  # a root prefix without processes
        return
    yield from (int(name) for name in names if name.isdecimal())


def _command_line(proc: Path, pid: int) -> list[str]:
    """Return the arguments of a process; empty for a zombie or none."""
    try:
        raw = (proc / str(pid) / "cmdline").read_bytes()
    except OSError:
        return []
    return raw.decode("utf-8", "surrogateescape").split("\0")[:-1]


def _is_client(arguments: list[str], files: ClientFiles, device: str, ifindex: int | None) -> bool:
    if not _is_dhclient(arguments, device):
        return False
    pairs = set(itertools.pairwise(arguments))
    if ("-pf", str(files.pid)) not in pairs:
        return False
    return ifindex is None or ("-e", f"{IFINDEX_VARIABLE}={ifindex}") in pairs


def _is_dhclient(arguments: list[str], device: str) -> bool:
    return bool(arguments) and Path(arguments[0]).name == "dhclient" and arguments[-1] == device


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
