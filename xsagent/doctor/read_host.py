"""Files and processes of this host -> what the daemon, earlier runs and the disks are like. I/O: reads only.

Called by `read.py`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from xsagent.apply.degraded import read_degraded
from xsagent.apply.journal import read_journal
from xsagent.apply.refusals import read_refusals
from xsagent.apply.rolled_back import read_rolled_back
from xsagent.config import Paths
from xsagent.doctor.facts import CertificateFacts, DaemonFacts, DhcpFacts, Leftovers, Room
from xsagent.doctor.read_records import sentence
from xsagent.errors import InputError
from xsagent.hotplug.udev_rules import take_out_network_lines
from xsagent.installation.divert import is_link_to
from xsagent.installation.layout import NOWHERE, UNIT_OVERRIDES
from xsagent.installation.record import Record, read_displaced, read_record
from xsagent.observed.dhcp_clients import find_others
from xsagent.observed.lease_results import read_learnt_resolver, read_leased_resolvers
from xsagent.observed.processes import read_process_names
from xsagent.reconcile.manager import CERTIFICATE
from xsagent.sources.certificate import check_tls_files
from xsagent.sources.host_files import read_text
from xsagent.sources.network_reset import is_reset_requested
from xsagent.topology.control import TlsFiles
from xsagent.topology.values import IPV4, IPV6, Json, Topology

_UNITS = ("/usr/lib/systemd/system", "/lib/systemd/system")
_UNIT = "xsagentd.service"
_OUR_UNITS = (
    "ovsdb-server.service",
    "ovs-vswitchd.service",
    "openvswitch.service",
    "management-interface.service",
    "xsagentd.service",
)
_RULES = ("/etc/udev/rules.d", "/usr/lib/udev/rules.d", "/lib/udev/rules.d")
_OUR_RULES = "65-xsagent.rules"
_TOOLSTACK_RULES = "*xen-backend.rules"


def read_daemon(paths: Paths, status: Mapping[str, Json] | None) -> DaemonFacts:
    """The daemon as its status, its ready file and its unit show it, and what runs beside it.

    Args:
        status: what ``xsagent status --json`` has under ``daemon``; None when it does not answer.
    """
    record = _read_installation(paths)
    masked = tuple(unit for unit in _OUR_UNITS if _is_installed(paths, record, unit) and _is_masked(paths, unit))
    masks = {f"{UNIT_OVERRIDES}/{unit}" for unit in masked}
    return DaemonFacts(
        answers=status is not None,
        ready=paths.ready.exists(),
        installed=_is_installed(paths, record, _UNIT),
        failing=tuple(_failing(status or {})),
        processes=read_process_names(paths.proc),
        profile=record.profile,
        masked=masked,
        displaced=tuple(path for path in read_displaced(paths, record) if path not in masks),
        foreign_rules=_foreign_rules(paths),
    )


def _read_installation(paths: Paths) -> Record:
    """What the installation wrote down; an empty record where that cannot be read."""
    try:
        return read_record(paths)
    except InputError:
        return Record()


def _is_installed(paths: Paths, record: Record, unit: str) -> bool:
    """Whether systemd is to have this unit of ours: by `xsagent-setup`, or by whoever put it among the host's own."""
    return f"{UNIT_OVERRIDES}/{unit}" in record.links or any(
        paths.below(f"{folder}/{unit}").is_file() for folder in _UNITS
    )


def _is_masked(paths: Paths, unit: str) -> bool:
    """Whether a link to /dev/null stands before a unit (systemctl(1), mask)."""
    return is_link_to(paths, f"{UNIT_OVERRIDES}/{unit}", NOWHERE)


def _failing(status: Mapping[str, Json]) -> Iterator[tuple[str, str]]:
    """Devices in error, services and workers that say what keeps them from their work."""
    for name, device in _members(status, "devices"):
        if device.get("state") == "error":
            yield name, str(device.get("text"))
    for name, service in _members(status, "services"):
        if service.get("error"):
            yield name, str(service["error"])
    put_off = status.get("resync_put_off")
    if isinstance(put_off, dict):
        yield "resync", f"none can be made, and guests may be unlocked: {put_off.get('reason')}"
    if status.get("workers"):
        yield "workers", str(status["workers"])


def _members(status: Mapping[str, Json], part: str) -> Iterator[tuple[str, dict[str, Json]]]:
    """The members of one part that are objects; another version of the daemon may say other things."""
    found = status.get(part)
    for name, member in sorted(found.items()) if isinstance(found, dict) else ():
        if isinstance(member, dict):
            yield name, member


def _foreign_rules(paths: Paths) -> str:
    """A file of the toolstack's that still has its lines for vif and tap, where our rules are installed too."""
    if not any(paths.below(f"{folder}/{_OUR_RULES}").exists() for folder in _RULES):
        return ""
    files: dict[str, Path] = {}
    for folder in _RULES:  # the first of a name counts (udev(7))
        for path in sorted(paths.below(folder).glob(_TOOLSTACK_RULES)):
            files.setdefault(path.name, path)
    for path in files.values():
        try:
            text = read_text(path) or ""
        except InputError:
            continue
        if take_out_network_lines(text) != text:
            return str(path)
    return ""


def read_leftovers(paths: Paths) -> Leftovers:
    """What earlier runs wrote down below /var/lib/xsagent, and a reset that waits."""
    refusals = read_refusals(paths)
    by_device: dict[str, tuple[str, ...]] = {}
    for told in (refusals.features, refusals.settings):
        for device, values in told.items():
            by_device[device] = (*by_device.get(device, ()), *sorted(values))
    return Leftovers(
        journal=_journal(paths),
        rolled_back=read_rolled_back(paths),
        refusals={device: names for device, names in by_device.items() if names},
        degraded=read_degraded(paths),
        reset_requested=is_reset_requested(paths),
    )


def _journal(paths: Paths) -> str | None:
    try:
        entries = read_journal(paths.state_dir)
    except (OSError, json.JSONDecodeError):
        return "an operation that cannot be read"
    return entries.operation if entries is not None and entries.begun else None


def read_certificate(paths: Paths, tls: TlsFiles | None) -> CertificateFacts:
    """The host's certificate and key, as ovsdb-server would load them.

    Args:
        tls: what the manager that is set or wanted uses; None looks at XAPI's file by itself.
    """
    path = str(paths.below(CERTIFICATE))
    files = tls or TlsFiles(private_key=path, certificate=path, ca_cert="", bootstrap=True)
    present = Path(files.certificate).exists()
    try:
        return CertificateFacts(path=files.certificate, present=present, warnings=check_tls_files(files))
    except InputError as error:
        return CertificateFacts(path=files.certificate, present=present, problem=sentence(error))


def read_dhcp(paths: Paths, topology: Topology) -> DhcpFacts:
    """Every dhclient on a device that we run one on, and what leases and routers named for DNS."""
    processes: dict[tuple[str, int], tuple[int, ...]] = {}
    for name, device in topology.ip_devices.items():
        for family, client in ((IPV4, device.dhcp4), (IPV6, device.dhcp6)):
            if client is not None:
                processes[name, family] = tuple(sorted(find_others(name, family, paths.proc)))
    resolvers = (*read_leased_resolvers(paths.run_dir), read_learnt_resolver(paths.run_dir))
    return DhcpFacts(processes=processes, resolvers=resolvers)


def read_rooms(paths: Paths) -> tuple[Room, ...]:
    """Free room where we write, each file system once."""
    folders = [paths.state_dir, paths.dbcache.parent, paths.run_dir, paths.resolv_conf.parent]
    rooms: dict[int, Room] = {}
    for folder in folders:
        for existing in _existing(folder):
            try:
                status, device = os.statvfs(existing), existing.stat().st_dev
            except OSError:
                continue
            rooms.setdefault(
                device,
                Room(
                    folder=str(folder),
                    free_bytes=status.f_bavail * status.f_frsize,
                    # file systems that make inodes as they need them report none at all
                    free_files=status.f_favail if status.f_files else 1 << 20,
                    read_only=bool(status.f_flag & os.ST_RDONLY),
                ),
            )
    return tuple(rooms.values())


def _existing(folder: Path) -> Iterator[Path]:
    """The folder itself, or the nearest one above it that is there."""
    for one in (folder, *folder.parents):
        if one.is_dir():
            yield one
            return
