"""SwitchOptions and SwitchIdentity -> the words that start Open vSwitch's daemons, through ovs-ctl or without it. Pure.

`apply/switch_daemons` runs them. Both ways start the same daemons on the same files (ovs-ctl(8), ovsdb-server(1)).
"""

from __future__ import annotations

import re
from typing import Final, Literal

from xsagent.model.host import Inventory
from xsagent.model.switch_start import Daemon, SwitchFiles, SwitchIdentity, SwitchOptions

_TLS: Final = (
    "--private-key=db:Open_vSwitch,SSL,private_key",
    "--certificate=db:Open_vSwitch,SSL,certificate",
    "--bootstrap-ca-cert=db:Open_vSwitch,SSL,ca_cert",
)
_VERBOSITY: Final = ("-vconsole:emer", "-vsyslog:err", "-vfile:info")
_OTHER_DAEMON: Final = {"ovsdb-server": "--no-ovs-vswitchd", "ovs-vswitchd": "--no-ovsdb-server"}
_PLAIN: Final = re.compile(r"[A-Za-z0-9 ._+()/-]{1,64}")
"""What ovs-ctl can put between quotes of its own without harm."""


def build_identity(inventory: Inventory, hostname: str) -> SwitchIdentity:
    """What the switch is told of this host; a brand or version that is no plain word is left out."""
    version = "-".join(filter(None, (inventory.product_version, inventory.build_number)))
    return SwitchIdentity(
        system_id=inventory.installation_uuid,
        system_type=_plain(inventory.product_brand),
        system_version=_plain(version),
        hostname=_plain(hostname),
    )


def build_ctl_command(
    command: Literal["start", "stop", "restart", "force-reload-kmod"],
    daemon: Daemon | None,
    files: SwitchFiles,
    options: SwitchOptions,
    identity: SwitchIdentity,
    *,
    monitor: bool = True,
) -> list[str]:
    """Words of ovs-ctl.

    Args:
        command: ovs-ctl's.
        daemon: the one that it is about; None for both.
        monitor: the daemon watches itself; False where systemd does.
    """
    only = [_OTHER_DAEMON[daemon]] if daemon else []
    if command == "stop":
        return [str(files.ctl), *only, "stop"]
    ids = [f"--system-id={identity.system_id or 'random'}"]
    ids += [f"--system-type={identity.system_type}"] if identity.system_type else []
    ids += [f"--system-version={identity.system_version}"] if identity.system_version else []
    ids += [f"--external-id=xs-system-uuid={identity.system_id}"] if identity.system_id else []
    settings = [
        f"--db-file={files.database}",
        f"--db-schema={files.schema}",
        f"--db-sock={files.rundir / 'db.sock'}",
        f"--daemon-cwd={files.core_dir}",
        f"--ovsdb-server-priority={options.ovsdb_priority}",
        f"--ovs-vswitchd-priority={options.vswitchd_priority}",
        "--force-corefiles" if options.force_corefiles else "--no-force-corefiles",
        "--mlockall" if options.mlockall else "--no-mlockall",
        *(() if monitor else ("--no-monitor",)),
        # it asks a name server in the background, long before there is a network
        "--no-record-hostname",
    ]
    return [str(files.ctl), *only, *ids, *settings, *options.ctl_options, command]


def build_daemon_command(
    daemon: Daemon, files: SwitchFiles, options: SwitchOptions, *, monitor: bool = True
) -> list[str]:
    """Words that start one daemon where there is no ovs-ctl; it detaches itself when it is ready."""
    if daemon == "ovsdb-server":
        priority = options.ovsdb_priority
        own = [str(files.database), f"--remote=punix:{files.rundir / 'db.sock'}", *_TLS]
    else:
        priority = options.vswitchd_priority
        own = [f"unix:{files.rundir / 'db.sock'}", *(["--mlockall"] if options.mlockall else [])]
    common = [
        *_VERBOSITY,
        "--no-chdir",
        f"--log-file={files.logdir / daemon}.log",
        f"--pidfile={files.rundir / daemon}.pid",
        "--detach",
        *(["--monitor"] if monitor else []),
    ]
    return ["env", f"--chdir={files.core_dir}", "nice", "-n", str(priority), daemon, *own, *common]


def _plain(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else ""
