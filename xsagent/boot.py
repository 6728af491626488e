"""Open vSwitch at boot, and whenever it is started or ended: the flow behind `xsagent openvswitch VERB`.

What INSTALL.XenServer of Open vSwitch describes, in its order: database, ovsdb-server, stale bridges deleted once per
boot, kernel module, ovs-vswitchd. `desired/` decides, `apply/` does; here is the order, and what an error leaves.
What brings up the management interface then is `interface-reconfigure --force-interface all up`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from xsagent.apply.boot_marker import is_booted, mark_booted, unmark_booted
from xsagent.apply.safety_flows import put_back_safety_flows
from xsagent.apply.switch_daemons import (
    SwitchHost,
    connect_managers,
    load_kernel_module,
    run_switch_program,
    start_daemon,
    stop_daemon,
)
from xsagent.apply.switch_database import prepare_database
from xsagent.apply.switch_record import delete_bridges, write_identity, write_max_idle
from xsagent.config import Paths, Settings
from xsagent.desired.stale_bridges import choose_stale_bridges
from xsagent.desired.switch_start import build_ctl_command, build_daemon_command, build_identity
from xsagent.errors import CacheError, CommandError, FileError, InputError, XsagentError
from xsagent.firewall import reconcile_firewall
from xsagent.log import get_logger
from xsagent.model.host import Inventory
from xsagent.model.switch_start import Daemon, SwitchFiles, SwitchIdentity, SwitchOptions
from xsagent.observed.flow_restore import read_flow_restore_wait
from xsagent.observed.ovsdb import read_ovsdb
from xsagent.observed.ovsdb_connection import OvsdbConnection
from xsagent.observed.processes import read_handler_threads
from xsagent.observed.switch_alive import wait_for_switch
from xsagent.observed.switch_daemons import is_kernel_datapath_there, read_uptime
from xsagent.sources.boot import read_boot_state
from xsagent.sources.host_files import read_inventory, read_text
from xsagent.sources.switch_options import read_switch_options

_DAEMONS: Final[tuple[Daemon, ...]] = ("ovsdb-server", "ovs-vswitchd")
_YOUNG_S: Final = 10.0
"""An ovs-vswitchd of Open vSwitch 3.1 that starts earlier counts no processors and has no handler threads."""
_HANDLERS_S: Final = 3.0
_CORE_DIR: Final = "/var/xen/openvswitch"
_LOG_DIR: Final = "/var/log/openvswitch"
_USERSPACE: Final = "netdev"

_LOG = get_logger()


@dataclass(slots=True)
class SwitchBoot:
    """One run of a verb: the host, how its daemons are started, and what a person should hear of it.

    Attributes:
        monitor: the daemons watch themselves; False where systemd does.
        warnings: sentences, in the order in which they came up.
    """

    paths: Paths
    settings: Settings
    options: SwitchOptions
    identity: SwitchIdentity
    host: SwitchHost
    monitor: bool = True
    warnings: list[str] = field(default_factory=list)

    def warn(self, event: str, sentence: str) -> None:
        """Log a sentence and keep it for the caller."""
        _LOG.warning(event, reason=sentence)
        self.warnings.append(sentence)


def open_boot(paths: Paths, settings: Settings, *, monitor: bool = True) -> SwitchBoot:
    """Read what a start needs to know of this host. Nothing in these files can keep the switch from starting."""
    try:
        inventory = read_inventory(paths)
    except InputError as error:
        inventory = Inventory(warnings=(error.cause,))
    if not inventory.installation_uuid:
        sentence = f"{paths.inventory} names no INSTALLATION_UUID: the switch keeps, or makes up, an id of its own"
        inventory = replace(inventory, warnings=(*inventory.warnings, sentence))
    options = read_switch_options(paths)
    hostname = (read_text(paths.proc / "sys/kernel/hostname") or "").strip()
    files = SwitchFiles(
        ctl=paths.ovs_pkgdata / "scripts/ovs-ctl",
        database=paths.ovs_database,
        schema=paths.ovs_pkgdata / "vswitch.ovsschema",
        rundir=paths.ovs_rundir,
        logdir=paths.below(_LOG_DIR),
        core_dir=paths.below(_CORE_DIR),
    )
    boot = SwitchBoot(
        paths=paths,
        settings=settings,
        options=options,
        identity=build_identity(inventory, hostname),
        host=SwitchHost(paths=paths, files=files),
        monitor=monitor,
    )
    for sentence in (*inventory.warnings, *options.warnings):
        boot.warn("read_host", sentence)
    return boot


# --- start -----------------------------------------------------------------------------------------------


def start(boot: SwitchBoot) -> None:
    """Start both daemons and what goes with them; idempotent.

    Raises:
        XsagentError: the switch does not run; the sentence says what is missing.
    """
    start_database(boot)
    start_switch(boot)


def start_database(boot: SwitchBoot) -> None:
    """Start ovsdb-server on a database that it can serve, tell it who the host is, delete stale bridges. Idempotent.

    Raises:
        CommandError, FileError: ovsdb-server does not run.
        OvsdbUnavailableError, OvsdbError: it runs and does not answer as it should.
    """
    if boot.host.pid("ovsdb-server") is None:
        _prepare_database(boot)
        _start_daemon(boot, "ovsdb-server", through_ctl=boot.host.has_ctl)
        _LOG.info("start_daemon", daemon="ovsdb-server", database=str(boot.host.files.database))
    with OvsdbConnection.open(boot.paths.ovsdb_socket, boot.settings.ovsdb_wait_s) as connection:
        if write_identity(connection, boot.identity):
            _LOG.info("write_identity", system_id=boot.identity.system_id, system_type=boot.identity.system_type)
        if boot.settings.max_idle_ms and write_max_idle(connection, boot.settings.max_idle_ms):
            _LOG.info("write_max_idle", milliseconds=boot.settings.max_idle_ms)
        if not is_booted(boot.paths):
            _first_start(boot, connection)


def start_switch(boot: SwitchBoot) -> None:
    """Start ovs-vswitchd with its kernel module, and make sure that it forwards. Idempotent.

    Raises:
        CommandError: the module or the daemon is missing or failed.
        SwitchDeadError: it was started and does not answer.
    """
    if boot.host.pid("ovs-vswitchd") is None:
        in_kernel = boot.settings.datapath_type != _USERSPACE
        if in_kernel:
            load_kernel_module(boot.paths)
        _wait_until_old_enough(boot)
        _start_daemon(boot, "ovs-vswitchd", through_ctl=in_kernel and boot.host.has_ctl)
        _LOG.info("start_daemon", daemon="ovs-vswitchd")
    connect_managers(boot.host)
    wait_for_switch(boot.paths.ovs_rundir, boot.settings.vswitchd_wait_s)
    check_handlers(boot)
    _let_management_through(boot)
    _let_tunnels_in(boot)


def _let_management_through(boot: SwitchBoot) -> None:
    """Put management's flows back on secure bridges; a failure is a warning, since other bridges work without them."""
    try:
        with OvsdbConnection.open(boot.paths.ovsdb_socket, boot.settings.ovsdb_wait_s) as connection:
            put_back_safety_flows(boot.paths, connection)
    except XsagentError as error:
        boot.warn("put_back_safety_flows", f"a secure bridge may keep management out: {error}")


def _let_tunnels_in(boot: SwitchBoot) -> None:
    """Of use to tunnels alone, so whatever goes wrong here is a warning."""
    try:
        result = reconcile_firewall(boot.paths, boot.settings)
    except (XsagentError, OSError) as error:
        boot.warn("reconcile_firewall", f"the firewall may keep tunnels out: {error}")
        return
    for sentence in result.warnings:
        boot.warn("reconcile_firewall", f"the firewall may keep tunnels out: {sentence}")


def _prepare_database(boot: SwitchBoot) -> None:
    files = boot.host.files
    prepared = prepare_database(Path(files.database), Path(files.schema), Path(files.rundir))
    for sentence in prepared.warnings:
        boot.warn("prepare_database", sentence)
    boot.host = replace(boot.host, files=replace(files, database=prepared.path))


def _start_daemon(boot: SwitchBoot, daemon: Daemon, *, through_ctl: bool) -> None:
    """By ovs-ctl, which for ovs-vswitchd also insists on the kernel module, or without it."""
    files = boot.host.files
    if through_ctl:
        words = build_ctl_command("start", daemon, files, boot.options, boot.identity, monitor=boot.monitor)
    else:
        words = build_daemon_command(daemon, files, boot.options, monitor=boot.monitor)
    start_daemon(boot.host, daemon, words, core=boot.options.force_corefiles)


def _wait_until_old_enough(boot: SwitchBoot) -> None:
    """Let the host be up for 10 s, at most that long (udev-xen.md). May go with Open vSwitch 3.1."""
    uptime = read_uptime(boot.paths.proc)
    if uptime is not None and uptime < _YOUNG_S:
        _LOG.info("wait_before_start", uptime_s=round(uptime, 1))
        time.sleep(_YOUNG_S - uptime)


# --- the first start of a boot ---------------------------------------------------------------------------


def _first_start(boot: SwitchBoot, connection: OvsdbConnection) -> None:
    """Delete the bridges of the boot before; the marker is made first, for without it the next start would do so.

    Where the switch runs already, or ran, its bridges are live ones, whoever started it: they stay.
    """
    if boot.host.pid("ovs-vswitchd") is not None or is_kernel_datapath_there(boot.paths.sys):
        boot.warn("keep_bridges", "the switch ran before in this boot and nobody marked it: its bridges stay")
        _mark(boot)
    elif _mark(boot):
        try:
            _delete_stale(boot, connection)
        except XsagentError as error:
            unmark_booted(boot.paths)
            boot.warn("keep_bridges", f"the bridges of the boot before could not be deleted: {error}")


def _mark(boot: SwitchBoot) -> bool:
    try:
        mark_booted(boot.paths)
    except FileError as error:
        boot.warn("keep_bridges", f"{error}; without the boot marker no bridge is deleted")
        return False
    return True


def _delete_stale(boot: SwitchBoot, connection: OvsdbConnection) -> None:
    bridges = read_ovsdb(connection).bridges
    which = boot.settings.boot_delete_bridges
    stale, kept = choose_stale_bridges(bridges, which, _pif_devices(boot) if which == "marked" else ())
    delete_bridges(connection, stale)
    _LOG.info("delete_stale_bridges", which=which, deleted=",".join(sorted(stale)), kept=",".join(sorted(kept)))


def _pif_devices(boot: SwitchBoot) -> frozenset[str]:
    """Devices of PIFs: those of the cache; without one, whatever is a NIC of this machine."""
    try:
        snapshot = read_boot_state(boot.paths)
    except (CacheError, InputError) as error:
        boot.warn("read_boot_state", f"{error}; every NIC counts as a PIF's device")
        nets = boot.paths.sys / "class/net"
        return frozenset(path.name for path in nets.glob("*") if (path / "device").exists())
    return frozenset(pif.device for pif in snapshot.pifs.values())


# --- handler threads -------------------------------------------------------------------------------------


def check_handlers(boot: SwitchBoot) -> bool:
    """Restart an ovs-vswitchd that has no threads for packets which no flow matches: nothing new gets through it.

    Returns:
        Whether it was restarted.

    Raises:
        CommandError, SwitchDeadError: it did not come back.
    """
    runs = boot.host.pid("ovs-vswitchd") is not None
    if not runs or not is_kernel_datapath_there(boot.paths.sys) or _has_handlers(boot):
        return False
    boot.warn("restart_switch", "ovs-vswitchd has no handler threads, so no new flow would be forwarded: restarted")
    stop_daemon(boot.host, "ovs-vswitchd")
    _wait_until_old_enough(boot)
    _start_daemon(boot, "ovs-vswitchd", through_ctl=boot.host.has_ctl)
    wait_for_switch(boot.paths.ovs_rundir, boot.settings.vswitchd_wait_s)
    return True


def _has_handlers(boot: SwitchBoot) -> bool:
    """Whether it has handler threads, or needs none yet.

    They come with the first bridge on the kernel's datapath, and after a restart when the flows are put back.
    """
    with OvsdbConnection.open(boot.paths.ovsdb_socket, boot.settings.ovsdb_wait_s) as connection:
        bridges = read_ovsdb(connection).bridges.values()
        restored_later = read_flow_restore_wait(connection, time.monotonic() + boot.settings.ovsdb_wait_s)
    if restored_later or all(bridge.datapath_type == _USERSPACE for bridge in bridges):
        return True
    end = time.monotonic() + _HANDLERS_S
    while read_handler_threads(boot.paths.ovs_rundir, boot.paths.proc) == 0:
        if time.monotonic() > end:
            return False
        time.sleep(0.1)
    return True


# --- stop, restart ---------------------------------------------------------------------------------------


def stop(boot: SwitchBoot, daemons: tuple[Daemon, ...] = _DAEMONS) -> None:
    """End the daemons, the switch first; what it did until now the kernel goes on doing. Idempotent.

    Raises:
        CommandError: one did not end.
    """
    if boot.host.pid("ovs-vswitchd") is not None:
        _mark(boot)  # what is started next in this boot finds live bridges
    for daemon in reversed(daemons):
        if boot.host.pid(daemon) is None:
            continue
        if boot.host.has_ctl:
            _stop_through_ctl(boot, daemon)
        stop_daemon(boot.host, daemon)
        _LOG.info("stop_daemon", daemon=daemon)


def _stop_through_ctl(boot: SwitchBoot, daemon: Daemon) -> None:
    """What it cannot end, `stop_daemon` does."""
    try:
        run_switch_program(boot.host, build_ctl_command("stop", daemon, boot.host.files, boot.options, boot.identity))
    except CommandError as error:
        boot.warn("stop_daemon", f"ovs-ctl could not end {daemon}: {error}")


def restart(boot: SwitchBoot, *, save_flows: bool = True) -> None:
    """Restart both daemons; flows are saved and put back where ovs-ctl is installed and both daemons answer.

    Raises:
        XsagentError: as `start`.
    """
    saves = save_flows and all(boot.host.pid(daemon) is not None for daemon in _DAEMONS)
    if saves and not boot.host.has_ctl:
        boot.warn("restart", "ovs-ctl is not installed, so flows of others are not put back")
    elif saves and can_save_flows(boot):
        _mark(boot)
        _restart_through_ctl(boot, "restart")
        return
    stop(boot)
    start(boot)


def can_save_flows(boot: SwitchBoot) -> bool:
    """Whether none of the daemons that would have to tell them runs and does not answer; it is said who does."""
    hung = [one for one in _DAEMONS if boot.host.pid(one) is not None and not boot.host.answers(one)]
    for daemon in hung:
        boot.warn("restart", f"{daemon} runs and does not answer, so flows of controllers and others cannot be saved")
    return not hung


def force_reload_kernel_module(boot: SwitchBoot) -> None:
    """Replace the kernel module by the installed one, by ovs-ctl, which keeps interfaces and flows over it.

    Raises:
        CommandError: there is no ovs-ctl, or it failed.
    """
    if not boot.host.has_ctl:
        raise CommandError(f"{boot.host.files.ctl} is not installed and nothing else can do this; nothing was changed")
    _mark(boot)
    _restart_through_ctl(boot, "force-reload-kmod")


def _restart_through_ctl(boot: SwitchBoot, command: Literal["restart", "force-reload-kmod"]) -> None:
    _prepare_database(boot)
    words = build_ctl_command(command, None, boot.host.files, boot.options, boot.identity, monitor=boot.monitor)
    run_switch_program(boot.host, words)
    start(boot)  # all of it runs; what ovs-ctl does not know of is put right
