"""How Open vSwitch is to be started on this host, and what it is told about the host. Values only, pure.

Filled by `sources/switch_options`, turned into arguments by `desired/switch_start`.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from typing import Literal

Daemon = Literal["ovsdb-server", "ovs-vswitchd"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchFiles:
    """Where the daemons' files lie.

    Attributes:
        ctl: the script ovs-ctl, installed or not.
        rundir: sockets and pid files.
        core_dir: working directory of the daemons, so where core files land.
    """

    ctl: PurePath
    database: PurePath
    schema: PurePath
    rundir: PurePath
    logdir: PurePath
    core_dir: PurePath


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchOptions:
    """/etc/sysconfig/openvswitch, with the defaults that its template documents.

    Attributes:
        force_corefiles: the daemons leave core files.
        ovsdb_priority, vswitchd_priority: nice values.
        mlockall: ovs-vswitchd is kept in memory.
        ctl_options: further options of ovs-ctl(8).
        warnings: what was passed over.
    """

    force_corefiles: bool = True
    ovsdb_priority: int = -10
    vswitchd_priority: int = -10
    mlockall: bool = True
    ctl_options: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchIdentity:
    """What the switch's record says of the host (ovs-vswitchd.conf.db(5), INSTALL.XenServer). Empty: not known.

    Attributes:
        system_id: the host's uuid; also external_ids:xs-system-uuid.
        system_type: for example ``XCP-ng``.
        system_version: version and build, for example ``9.0.0-1234``.
        hostname: recorded where none is.
    """

    system_id: str = ""
    system_type: str = ""
    system_version: str = ""
    hostname: str = ""
