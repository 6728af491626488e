"""Where everything of ours lies on a host, and which paths of others we stand in for. Pure.

`stage` puts the private part in place (make install, the package); `take_over` then makes the links of a profile
(DESIGN.md sections 0 and 8). Folders below LIBRARY are those of the source tree, so that a script finds the package
two folders above itself in both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

Profile = Literal["full", "hotplug"]
PROFILES: Final[tuple[Profile, ...]] = ("full", "hotplug")

LIBRARY: Final = "/usr/lib/xsagent"
"""Our package and what it depends on, apart from dom0's own Python."""
BIN: Final = f"{LIBRARY}/bin"
INIT_SCRIPTS: Final = f"{LIBRARY}/initscripts"
"""Units and init scripts: some bear names of the distribution's, so none of them lies where systemd looks."""
UNIT_OVERRIDES: Final = "/etc/systemd/system"
UNIT_KINDS: Final = (".service", ".socket", ".timer", ".target")
UDEV_RULES: Final = "/etc/udev/rules.d/65-xsagent.rules"
OUR_UDEV_RULES: Final = f"{LIBRARY}/udev/65-xsagent.rules"
NOWHERE: Final = "/dev/null"
"""What a masked unit points to (systemd.unit(5))."""

PUBLIC_COMMANDS: Final = (
    "/usr/bin/xsagent",
    "/usr/sbin/xsagentd",
    "/usr/sbin/xsagent-setup",
    "/usr/sbin/interface-reconfigure",
)
"""Names in PATH, as the doctor and the manual pages type them; a link is made for those that pyproject.toml has."""

_SCRIPTS: Final = "/etc/xensource/scripts"
_XENOPSD: Final = "/usr/libexec/xenopsd"
_LIBEXEC: Final = "/opt/xensource/libexec"
_TOOLS: Final = "/opt/xensource/bin"
_PLUGINS: Final = "/etc/xapi.d/plugins"
_HOOK: Final = f"{LIBRARY}/udev/hotplug-hook"
_HOOK_NAMES: Final = ("vif", "vif-real", "setup-vif-rules")
_BESIDE_NETWORKD: Final = re.compile(r"xsagentd.*|openvswitch-xapi-update\..*")
"""Units of ours that run where xcp-networkd owns the topology too."""
_WANTED_BY: Final = re.compile(r"^(WantedBy|RequiredBy)\s*=(.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A path that becomes a symbolic link of ours; what stood there is saved.

    Attributes:
        path: of the host.
        target: absolute; below LIBRARY, another link of ours, or NOWHERE.
        beside: a path without which it is not made; empty: always made.
    """

    path: str
    target: str
    beside: str = ""


def links(profile: Profile, init_scripts: Mapping[str, str]) -> tuple[Link, ...]:
    """The links of a profile; ``full`` has those of ``hotplug`` too.

    Args:
        profile: what is ours on this host.
        init_scripts: text by name of the files in INIT_SCRIPTS.
    """
    chosen = [*_hotplug_links(), *_tool_links()]
    if profile == "full":
        chosen += _full_links()
    for name, text in sorted(init_scripts.items()):
        if profile == "full" or _BESIDE_NETWORKD.fullmatch(name):
            chosen += _unit_links(name, text) if name.endswith(UNIT_KINDS) else _script_links(name, text)
    return tuple(chosen)


def _unit_links(name: str, text: str) -> Iterator[Link]:
    """The unit itself, and what `systemctl enable` would make of its [Install] section."""
    target = f"{INIT_SCRIPTS}/{name}"
    yield Link(path=f"{UNIT_OVERRIDES}/{name}", target=target)
    for kind, names in _WANTED_BY.findall(text):
        for wanting in names.split():
            folder = f"{wanting}.{'wants' if kind == 'WantedBy' else 'requires'}"
            yield Link(path=f"{UNIT_OVERRIDES}/{folder}/{name}", target=target)


def _script_links(name: str, text: str) -> Iterator[Link]:
    """An init script, which stands beside the unit of its name for those who call it by path."""
    if text.startswith("#!"):
        yield Link(path=f"/etc/init.d/{name}", target=f"{INIT_SCRIPTS}/{name}")


def _hotplug_links() -> Iterator[Link]:
    """Guests' devices and the controller's plugin: ours even where xcp-networkd owns the topology."""
    yield Link(path=f"{_SCRIPTS}/vif", target=_HOOK)
    for name in _HOOK_NAMES:
        yield Link(path=f"{_XENOPSD}/{name}", target=_HOOK)
        other_release = f"{_LIBEXEC}/{name}"
        yield Link(path=other_release, target=_HOOK, beside=other_release)
    for name in ("openvswitch-cfg-update", "openvswitch-config-update"):
        yield Link(path=f"{_PLUGINS}/{name}", target=f"{LIBRARY}/plugins/openvswitch-cfg-update")
    yield Link(path=UDEV_RULES, target=OUR_UDEV_RULES)
    yield from _masks("openvswitch-xapi-sync.service", "ovs-xapi-sync.service")


def _tool_links() -> Iterator[Link]:
    for name in ("xe-switch-network-backend", "xe-get-network-backend"):
        yield Link(path=f"{_TOOLS}/{name}", target=f"{BIN}/{name}")


def _full_links() -> Iterator[Link]:
    """Topology: ours only where no xcp-networkd is."""
    yield Link(path=f"{_LIBEXEC}/interface-reconfigure", target=f"{BIN}/interface-reconfigure")
    yield Link(path="/usr/bin/networkd_db", target=f"{BIN}/networkd_db")
    yield from _masks("xcp-networkd.service")
    # Debian's name for what starts both daemons: not masked, since others' units require it, but a name of ours.
    yield Link(
        path=f"{UNIT_OVERRIDES}/openvswitch-switch.service",
        target=f"{UNIT_OVERRIDES}/openvswitch.service",
        beside="/usr/lib/systemd/system/openvswitch-switch.service",
    )


def _masks(*units: str) -> Iterator[Link]:
    """Daemons that would write the same columns as ours."""
    for unit in units:
        yield Link(path=f"{UNIT_OVERRIDES}/{unit}", target=NOWHERE)


def render_command(name: str, entry: str) -> str:
    """The script of a command: finds the package beside itself, whatever PYTHON* variables say, and nothing elsewhere.

    All that we depend on lies there too, so `site` (a fifth of the interpreter's start) is left out.

    Args:
        name: of the command.
        entry: ``package.module:function`` as in pyproject.toml.
    """
    module, _, function = entry.partition(":")
    return (
        "#!/usr/bin/python3 -IS\n"
        f'"""The command {name} of xsagent; made by `make install`."""\n\n'
        "import os\nimport sys\n\n"
        "sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.realpath(__file__))))\n\n"
        f"from xsagent.cli.edge import end\nfrom {module} import {function}\n\n"
        'if __name__ == "__main__":\n'
        f"    end({function}())\n"
    )


def with_interpreter(text: str, python: str) -> str:
    """A script whose first line names a python3, with `python` in its place; any other text as it is."""
    first, newline, rest = text.partition("\n")
    program, _, flags = first.removeprefix("#!").strip().partition(" ")
    if not first.startswith("#!") or not program.rsplit("/", 1)[-1].startswith("python3"):
        return text
    return f"#!{python}{' ' if flags else ''}{flags}{newline}{rest}"
