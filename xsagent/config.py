"""Where things lie on the host, and the settings: both read once at a process edge and passed on.

`Paths` puts every file below ``--root-prefix`` (DESIGN.md section 8); `Settings` is what /etc/xsagent/xsagent.conf
and ``XSAGENT_<KEY>`` say. Reads that one file, nothing else; comes before every other step of a command.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from xsagent.errors import InputError
from xsagent.model.values import parse_integer, shown

_ENVIRONMENT_PREFIX: Final = "XSAGENT_"
_TEST_PREFIX: Final = "XSAGENT_TEST_"
"""Belongs to the tests (DESIGN.md section 8): never a setting."""
_LONGEST_WAIT_S: Final = 3600
_MAX_VENDOR_CLASS: Final = 255
_MAX_FILE_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Paths:
    """Every path that xsagent reads or writes, below one root.

    Attributes:
        root: ``/``, or the directory that ``--root-prefix`` names.
        ovs_rundir_override: OVS_RUNDIR: wins over the root and is not put below it.
        xenstored_override: XENSTORED_PATH: likewise.
        ovs_pkgdata: OVS_PKGDATADIR of ovs-ctl(8): Open vSwitch's own schema and scripts. Programs, so below no root.
    """

    root: Path = Path("/")
    ovs_rundir_override: Path | None = None
    xenstored_override: Path | None = None
    ovs_pkgdata: Path = Path("/usr/share/openvswitch")

    @classmethod
    def from_environ(cls, root: str | Path, environ: Mapping[str, str]) -> Paths:
        """Paths below `root` (empty means ``/``) with the overrides that the environment may hold.

        Raises:
            InputError: the root is no directory: a host of which nothing is there must not pass for one.
        """
        if root and not Path(root).is_dir():
            raise InputError(f"the root {root} is not a directory; nothing was read or changed")
        ovs, xenstored = environ.get("OVS_RUNDIR"), environ.get("XENSTORED_PATH")
        pkgdata = Path(environ.get("OVS_PKGDATADIR") or "/usr/share/openvswitch")
        return cls(Path(root or "/"), Path(ovs) if ovs else None, Path(xenstored) if xenstored else None, pkgdata)

    def below(self, path: str | Path) -> Path:
        """The place of an absolute path of the host, below the root.

        Raises:
            InputError: the path climbs with ``..``.
        """
        relative = str(path).lstrip("/")
        if ".." in Path(relative).parts:
            raise InputError(f"the path {shown(str(path))} climbs out of its root; nothing was read or changed")
        return self.root / relative

    @property
    def dbcache(self) -> Path:
        """The cache that is in use: the second place only when a cache (or its last generation) is only there."""
        first = self.below("/var/xapi/network.dbcache")
        second = self.below("/var/lib/xcp/network.dbcache")
        return second if _has_generation(second) and not _has_generation(first) else first

    @property
    def dbcache_previous(self) -> Path:
        """The generation of the cache before the present one."""
        return _previous(self.dbcache)

    @property
    def networkd_db(self) -> Path:
        """The database of xcp-networkd (JSON)."""
        return self.below("/var/lib/xcp/networkd.db")

    @property
    def management_conf(self) -> Path:
        """The installer's (or reset's) choice of management interface."""
        return self.below("/etc/firstboot.d/data/management.conf")

    @property
    def firstboot_marker(self) -> Path:
        """Present during the first boot."""
        return self.below("/etc/firstboot.d/data/firstboot_in_progress")

    @property
    def network_reset(self) -> Path:
        """Written by xe-reset-networking, removed by xapi."""
        return self.below("/var/tmp/network-reset")  # noqa: S108 - a name that others write

    @property
    def inventory(self) -> Path:
        """Shell assignments about the installation."""
        return self.below("/etc/xensource-inventory")

    @property
    def network_conf(self) -> Path:
        """Names the network backend."""
        return self.below("/etc/xensource/network.conf")

    @property
    def settings_file(self) -> Path:
        """Our own settings (TOML, flat)."""
        return self.below("/etc/xsagent/xsagent.conf")

    @property
    def sysconfig_network(self) -> Path:
        """Host name, DNSDEV, GATEWAYDEV of the network scripts."""
        return self.below("/etc/sysconfig/network")

    @property
    def network_scripts(self) -> Path:
        """Directory of ifcfg and route files."""
        return self.below("/etc/sysconfig/network-scripts")

    @property
    def network_functions(self) -> Path:
        """Present where ifup and ifdown of the network scripts are: decides ``ip_backend = auto``."""
        return self.below("/etc/sysconfig/network-scripts/network-functions")

    @property
    def resolv_conf(self) -> Path:
        """The resolver's configuration."""
        return self.below("/etc/resolv.conf")

    @property
    def ardence(self) -> Path:
        """Present on a network-booted host (PVS)."""
        return self.below("/proc/ardence")

    @property
    def proc(self) -> Path:
        """Where procfs is mounted."""
        return self.below("/proc")

    @property
    def sys(self) -> Path:
        """Where sysfs is mounted."""
        return self.below("/sys")

    @property
    def ovs_rundir(self) -> Path:
        """Directory of Open vSwitch's sockets."""
        return self.ovs_rundir_override or self.below("/var/run/openvswitch")

    @property
    def ovsdb_socket(self) -> Path:
        """The socket of ovsdb-server."""
        return self.ovs_rundir / "db.sock"

    @property
    def ovs_database(self) -> Path:
        """The file of ovsdb-server."""
        return self.below("/etc/openvswitch/conf.db")

    @property
    def ovs_boot_marker(self) -> Path:
        """Present once Open vSwitch was started in this boot (the legacy scripts' name; packages make it too)."""
        return self.below("/var/run/openvswitch.booted")

    @property
    def ovs_sysconfig(self) -> Path:
        """Options of Open vSwitch's start."""
        return self.below("/etc/sysconfig/openvswitch")

    @property
    def xapi_cookie(self) -> Path:
        """Present once XAPI is up as a whole."""
        return self.below("/var/run/xapi_init_complete.cookie")

    @property
    def xapi_sockets(self) -> tuple[Path, ...]:
        """XAPI's local socket, the present name first."""
        return (self.below("/var/lib/xcp/xapi"), self.below("/var/xapi/xapi"))

    @property
    def xenstored_socket(self) -> Path:
        """The socket of xenstored."""
        return self.xenstored_override or self.below("/run/xenstored/socket")

    @property
    def run_dir(self) -> Path:
        """What lasts as long as this boot."""
        return self.below("/run/xsagent")

    @property
    def lock(self) -> Path:
        """The lock of a reconfigure."""
        return self.run_dir / "lock"

    @property
    def ready(self) -> Path:
        """Present while the daemon takes the events itself."""
        return self.run_dir / "ready"

    @property
    def daemon_socket(self) -> Path:
        """The socket of our daemon."""
        return self.run_dir / "xsagentd.sock"

    @property
    def state_dir(self) -> Path:
        """What outlives a boot: journal, what was rolled back, refusals."""
        return self.below("/var/lib/xsagent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Every setting, with its default. Waits are seconds.

    Attributes:
        ip_backend: ``auto``, ``ifcfg`` or ``netlink``.
        use_daemon: ``auto``, ``never`` or ``always``.
        datapath_type: of new bridges; empty for the kernel's.
        deadman_s: None computes the window (DESIGN.md section 4); 0 is no deadman.
        hotplug_s: until a hotplug event that cannot be handled is reported as failed.
        resync_s: between two looks of the daemon at everything when nothing asked for one; more where they are costly.
        boot_delete_bridges: ``all``, ``marked`` or ``none``, at the first start of a boot.
        xapi_deadline_s: for everything that one command asks of XAPI.
        ovsdb_wait_s: for ovsdb-server to appear, or to come back while a run is under way.
        vswitchd_wait_s: for ovs-vswitchd to answer.
        dhcp_wait_s: for a lease; dhcp_first_boot_s during the first boot.
        lock_wait_s: for another reconfigure to end.
        log_level: ``debug``, ``info``, ``warning`` or ``error``.
        dhcp_vendor_class: sent by dhclient; empty for none.
        controller_port: for pool.vswitch_controller.
        firewall: ``auto`` lets tunnels in, ``off`` leaves the host's firewall alone.
        vxlan_port: UDP port of VXLAN tunnels that name none.
        max_idle_ms: how long the switch caches an idle flow (its max-idle), ms; 0 leaves what is set.
        locked_autoconf: ``on`` lets a locked VIF send what SLAAC and DHCPv6 need (`hotplug/locking.py`).
        promiscuous: what a VIF with that key in its other-config gets: ``log`` a line in the log, ``mirror`` a mirror.
    """

    ip_backend: str = "auto"
    use_daemon: str = "auto"
    datapath_type: str = ""
    deadman_s: int | None = None
    hotplug_s: int = 30
    resync_s: int = 300
    boot_delete_bridges: str = "all"
    xapi_deadline_s: int = 30
    ovsdb_wait_s: int = 30
    vswitchd_wait_s: int = 20
    dhcp_wait_s: int = 60
    dhcp_first_boot_s: int = 240
    lock_wait_s: int = 60
    log_level: str = "info"
    dhcp_vendor_class: str = ""
    controller_port: int = 6640
    firewall: str = "auto"
    vxlan_port: int = 4789
    max_idle_ms: int = 0
    locked_autoconf: bool = False
    promiscuous: str = "log"


def _previous(path: Path) -> Path:
    return path.with_name(path.name + ".previous")


def _has_generation(path: Path) -> bool:
    return path.exists() or _previous(path).exists()


def read_settings(paths: Paths, environ: Mapping[str, str]) -> Settings:
    """The settings: defaults, overridden by the file, overridden by the environment.

    Raises:
        InputError: an unknown key or a bad value, named with the file or variable that holds it.
    """
    settings, wrong = _read(paths, environ)
    if wrong:
        raise InputError(f"{wrong[0]}; nothing was changed")
    return settings


def read_usable_settings(paths: Paths, environ: Mapping[str, str]) -> tuple[Settings, tuple[str, ...]]:
    """As `read_settings`, for what must go on: each mistake leaves its setting alone, and is a sentence."""
    settings, wrong = _read(paths, environ)
    return settings, tuple(f"{sentence}; the default is used" for sentence in wrong)


def _read(paths: Paths, environ: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """The settings as far as they are good, and what is wrong with the others."""
    values: dict[str, str | int | None] = {}
    wrong: list[str] = []
    for key, value, where in _given(paths, environ, wrong):
        try:
            values[key] = _parse_setting(key, value, where)
        except InputError as error:
            wrong.append(str(error))
    settings = dataclasses.replace(Settings(), **values)  # type: ignore[arg-type] # _PARSERS gives each its type
    return settings, wrong


def _given(paths: Paths, environ: Mapping[str, str], wrong: list[str]) -> Iterator[tuple[str, object, str]]:
    """Key, value and where it stands, first of the file, then of the environment."""
    try:
        table = _read_file(paths.settings_file)
    except InputError as error:
        wrong.append(str(error))
        table = {}
    yield from ((key, value, str(paths.settings_file)) for key, value in table.items())
    for name, text in environ.items():
        if name.startswith(_ENVIRONMENT_PREFIX) and not name.startswith(_TEST_PREFIX):
            yield name.removeprefix(_ENVIRONMENT_PREFIX).lower(), text, f"the environment ({name})"


def _read_file(path: Path) -> Mapping[str, object]:
    try:
        with path.open("rb") as stream:
            raw = stream.read(_MAX_FILE_BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InputError(f"the settings file {path} cannot be read: {error.strerror}") from error
    import tomllib  # noqa: PLC0415 - most hosts have no such file, and the import costs each command 2 ms

    if len(raw) > _MAX_FILE_BYTES:
        raise InputError(f"the settings file {path} is larger than {_MAX_FILE_BYTES} bytes")
    try:
        return tomllib.loads(raw.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"the settings file {path} is not flat TOML: {error}") from error


def _parse_setting(key: str, value: object, where: str) -> str | int | None:
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise InputError(f"{shown(key)} in {where} is neither a text nor a whole number")
    parser = _PARSERS.get(key)
    if parser is None:
        raise InputError(f"{shown(key)} in {where} is not a setting of xsagent")
    try:
        return parser(str(value))
    except InputError as error:
        raise InputError(f"{key} in {where}: {error}") from error


_Parser = Callable[[str], str | int | None]


def _one_of(*words: str) -> _Parser:
    def parse(text: str) -> str:
        if text not in words:
            raise InputError(f"{shown(text)} is none of {', '.join(word or 'empty' for word in words)}")
        return text

    return parse


def _seconds(low: int) -> _Parser:
    return lambda text: parse_integer(text, low, _LONGEST_WAIT_S)


_parse_switch = _one_of("off", "on")


def _parse_deadman(text: str) -> int | None:
    return None if text == "auto" else parse_integer(text, 0, _LONGEST_WAIT_S)


def _parse_vendor_class(text: str) -> str:
    """The text ends between quotes in dhclient's configuration."""
    if len(text) > _MAX_VENDOR_CLASS or any(not " " <= character <= "~" or character in '"\\' for character in text):
        raise InputError(f"{shown(text)} is not a vendor class (printable ASCII without quotes and backslashes)")
    return text


_PARSERS: Final[Mapping[str, _Parser]] = {
    "ip_backend": _one_of("auto", "ifcfg", "netlink"),
    "use_daemon": _one_of("auto", "never", "always"),
    "datapath_type": _one_of("", "system", "netdev"),
    "deadman_s": _parse_deadman,
    "hotplug_s": _seconds(1),
    "resync_s": _seconds(1),
    "boot_delete_bridges": _one_of("all", "marked", "none"),
    "xapi_deadline_s": _seconds(1),
    "ovsdb_wait_s": _seconds(0),
    "vswitchd_wait_s": _seconds(0),
    "dhcp_wait_s": _seconds(0),
    "dhcp_first_boot_s": _seconds(0),
    "lock_wait_s": _seconds(0),
    "log_level": _one_of("debug", "info", "warning", "error"),
    "dhcp_vendor_class": _parse_vendor_class,
    "controller_port": lambda text: parse_integer(text, 1, 65535),
    "firewall": _one_of("auto", "off"),
    "vxlan_port": lambda text: parse_integer(text, 1, 65535),
    "max_idle_ms": lambda text: 0 if text == "0" else parse_integer(text, 500, _LONGEST_WAIT_S * 1000),
    "locked_autoconf": lambda text: _parse_switch(text) == "on",
    "promiscuous": _one_of("log", "mirror"),
}
