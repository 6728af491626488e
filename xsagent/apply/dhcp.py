"""StartDhcpStep, StopDhcpStep -> a dhclient of ours on one device, with files of its own. Effects.

The client outlives whoever starts it, renews by itself and keeps asking while no server answers; what a lease means
is done by its script (apply/dhclient_script.py). Before it the address steps, after it verify. Undo of a start is a
stop, and the other way round.
"""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from xsagent.apply import netlink
from xsagent.apply.dhclient_script import ROOT_VARIABLE
from xsagent.apply.packet_socket import await_link_local, require_device
from xsagent.apply.resolver import forget_source
from xsagent.apply.routes import apply_routes
from xsagent.apply.scope import scoped
from xsagent.child import find_program, package_directory, run_child
from xsagent.config import Paths
from xsagent.errors import CommandError, DeviceAbsentError, DhcpSilentError
from xsagent.observed.dhcp_clients import (
    IFINDEX_VARIABLE,
    ClientFiles,
    client_files,
    find_all,
    find_others,
    find_running,
    find_scripts,
)
from xsagent.observed.lease_results import LeaseResult, read_lease_result
from xsagent.observed.netlink import read_addresses
from xsagent.plan.steps import AddressStep, RouteStep, StartDhcpStep, StopDhcpStep
from xsagent.topology.values import IPV4, IPV6, Address, IpInterface, Route

_START_S: Final = 15.0
_STOP_S: Final = 5.0
_PID_FILE_S: Final = 5.0
_LINK_LOCAL_S: Final = 5.0
_POLL_S: Final = 0.05
_LONGEST_SHEBANG: Final = 250
"""The kernel reads 256 bytes of a script's first line (BINPRM_BUF_SIZE)."""

_LAUNCHER: Final = """\
#!{python} -I
# Written by xsagent: what dhclient runs when a lease comes, changes or ends.
import sys

sys.path.insert(0, {package!r})
from xsagent.apply.dhclient_script import main

sys.exit(main())
"""


def start_client(step: StartDhcpStep, paths: Paths, wait_s: float) -> LeaseResult:
    """Have a client with this configuration run on the device, and wait for its lease.

    A running client with the same configuration is kept, whether it has a lease or is still asking; any other on the
    device, ours or not, is stopped without releasing. Blocking, `wait_s` for the lease and some seconds for the rest.

    Args:
        wait_s: seconds to wait for a lease; 0 looks once.

    Returns:
        What the lease gave.

    Raises:
        DhcpSilentError: no server answered in time; the client keeps asking.
        CommandError: dhclient cannot be started or ended, or its lease could not be set.
    """
    family, device = step.client.family, step.device
    files = client_files(paths.state_dir, paths.run_dir, device, family)
    ifindex = require_device(device)
    if not _is_right(files, step, ifindex, paths.proc):
        stop_processes(files, device, paths.proc)
        _end(lambda: find_others(device, family, paths.proc), device)
        _write_files(files, step.client.configuration, paths)
        if family == IPV6:
            await_link_local(device, _LINK_LOCAL_S)  # without it dhclient -6 gives up, and says so
        _start(_command(files, device, family, ifindex, paths), paths)
    return _wait_lease(files, device, ifindex, paths.proc, wait_s)


def stop_client(step: StopDhcpStep, paths: Paths) -> None:
    """Stop our client and remove its configuration; idempotent. Its lease stays, and what that gave unless flushed.

    Raises:
        CommandError: it does not end even when killed.
        NetlinkError: the kernel keeps what is flushed.
    """
    files = client_files(paths.state_dir, paths.run_dir, step.device, step.family)
    _end(lambda: find_all(files, step.device, paths.proc), step.device)
    # a script that was at work sets the address, and says so, after its client has ended
    _await_scripts(step.device, paths)
    result = read_lease_result(files.result) if step.flush else None
    forget_source(files.result)
    stop_processes(files, step.device, paths.proc)
    files.configuration.unlink(missing_ok=True)
    if result is not None and result.interface is not None:
        _take_off(step.device, result.interface, result.routes, paths)


def leased_interfaces(device: str, paths: Paths) -> frozenset[IpInterface]:
    """The addresses that clients of ours on a device hold leases for now; one that died leaves its result behind."""
    families = (client_files(paths.state_dir, paths.run_dir, device, family) for family in (IPV4, IPV6))
    results = (read_lease_result(files.result) for files in families if find_all(files, device, paths.proc))
    return frozenset(result.interface for result in results if result is not None and result.interface is not None)


def _await_scripts(device: str, paths: Paths) -> None:
    """Wait until no script of an ended client is at work; end one that takes too long."""
    end = time.monotonic() + _STOP_S
    while (pids := find_scripts(_launcher(paths), device, paths.proc)) and time.monotonic() < end:
        time.sleep(_POLL_S)
    if pids:
        _end(lambda: find_scripts(_launcher(paths), device, paths.proc), device)


def _take_off(device: str, interface: IpInterface, routes: tuple[Route, ...], paths: Paths) -> None:
    """Remove what a lease put on a device; with the device all of it is gone already."""
    with contextlib.suppress(DeviceAbsentError):
        apply_routes(RouteStep(device=device, remove=routes))
        netlink.apply_addresses(AddressStep(device=device, remove=(Address(interface=interface),)), paths.proc)


def stop_processes(files: ClientFiles, device: str, proc: Path) -> None:
    """End every client that uses these files and wait until they are gone, then forget pid and result."""
    _end(lambda: find_all(files, device, proc), device)
    files.pid.unlink(missing_ok=True)
    files.result.unlink(missing_ok=True)


def _end(find: Callable[[], list[int]], device: str) -> None:
    """End processes and wait until none is found: SIGTERM first, SIGKILL after five seconds.

    dhclient sends no release on either.

    Raises:
        CommandError: one stays all the same.
    """
    begin = time.monotonic()
    while pids := find():
        waited = time.monotonic() - begin
        if waited > 2 * _STOP_S:
            raise CommandError(f"a DHCP client of {device} (pid {pids[0]}) does not end; it was left running")
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL if waited > _STOP_S else signal.SIGTERM)
        time.sleep(_POLL_S)


def _is_right(files: ClientFiles, step: StartDhcpStep, ifindex: int, proc: Path) -> bool:
    """The client runs with this configuration, and what it was leased is still on the device."""
    if find_running(files, step.device, ifindex, proc) is None:
        return False
    if files.configuration.read_text(encoding="utf-8", errors="replace") != step.client.configuration:
        return False
    result = read_lease_result(files.result)
    if result is None:  # still asking
        return True
    return any(row.interface == result.interface for row in read_addresses(ifindex))


def _write_files(files: ClientFiles, configuration: str, paths: Paths) -> None:
    for directory in (paths.state_dir, paths.run_dir):
        directory.mkdir(parents=True, exist_ok=True)
    _write(files.configuration, configuration, 0o644)
    python = sys.executable
    if len(python) > _LONGEST_SHEBANG:
        raise CommandError(f"the path of the Python interpreter is too long to start scripts by: {python}")
    _write(_launcher(paths), _LAUNCHER.format(python=python, package=package_directory()), 0o755)


def _launcher(paths: Paths) -> Path:
    return paths.state_dir / "dhclient-script"


def _write(path: Path, text: str, mode: int) -> None:
    """Replace a file that only a client reads; looked at again at each start, so a crash costs nothing.

    One that says the same is let be: on a disk that cannot be written a client of before starts all the same.
    """
    with contextlib.suppress(OSError):
        if path.read_bytes() == text.encode() and stat.S_IMODE(path.stat().st_mode) == mode:
            return
    scratch = path.with_name(f"{path.name}.new")
    scratch.write_text(text, encoding="utf-8")
    scratch.chmod(mode)
    scratch.replace(path)


def _command(files: ClientFiles, device: str, family: int, ifindex: int, paths: Paths) -> list[str]:
    command = [find_program("dhclient", "/sbin/dhclient"), f"-{family}", "-q", "-nw"]
    if family == IPV6:
        command += ["-D", "LL"]  # a DUID made of the MAC stays the same when the host is built anew
    command += ["-cf", str(files.configuration), "-lf", str(files.leases), "-pf", str(files.pid)]
    command += ["-sf", str(_launcher(paths))]
    command += ["-e", f"{IFINDEX_VARIABLE}={ifindex}", "-e", f"{ROOT_VARIABLE}={paths.root}"]
    return [*command, device]


def _start(command: Sequence[str], paths: Paths) -> None:
    """Start dhclient, which goes into the background by itself, in a scope of its own where systemd runs.

    In the scope it is no part of its starter's unit, so stopping xsagentd or xapi does not end it.
    """
    in_scope = scoped(command, paths)
    if in_scope is not None:
        with contextlib.suppress(CommandError):  # no bus: then it lives where we do
            run_child(in_scope, deadline_s=_START_S)
            return
    run_child(command, deadline_s=_START_S)


def _wait_lease(files: ClientFiles, device: str, ifindex: int, proc: Path, wait_s: float) -> LeaseResult:
    begin = time.monotonic()
    while True:
        result = read_lease_result(files.result)
        if result is not None and result.problem:
            raise CommandError(f"the lease of {device} could not be used: {result.problem}; the client goes on asking")
        if result is not None:
            return result
        waited = time.monotonic() - begin
        # It writes its pid file only after it went into the background.
        if waited > _PID_FILE_S and find_running(files, device, ifindex, proc) is None:
            raise CommandError(f"the DHCP client of {device} ended by itself; the device has no lease")
        if waited >= wait_s:
            raise DhcpSilentError(f"no DHCP server answered on {device} within {wait_s:g} s; the client keeps asking")
        time.sleep(_POLL_S)
