"""The init scripts and units as files: what starts before what, and that they call what there is."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from xsagent.cli.main import build_parser

FOLDER = Path(__file__).parents[2] / "initscripts"
SCRIPTS = ("openvswitch", "management-interface", "openvswitch-xapi-update")
UNITS = tuple(
    f"{name}.service"
    for name in ("ovsdb-server", "ovs-vswitchd", "openvswitch", "management-interface", "openvswitch-xapi-update")
)
_CALL = re.compile(r"\bxsagent ((?:openvswitch|firewall)(?: [a-z-]+)*)")


class Repeated(dict[str, str]):
    """A section whose keys may be there more than once: their values add up, as systemd's lists do."""

    def __setitem__(self, key: str, value: object) -> None:
        text = value if isinstance(value, str) else "\n".join(map(str, value if isinstance(value, list) else []))
        super().__setitem__(key, f"{self[key]}\n{text}" if key in self else text)


def unit(name: str) -> configparser.RawConfigParser:
    """A unit, read."""
    parser = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",))
    parser.optionxform = str  # type: ignore[assignment,method-assign] # systemd's keys have their case
    parser.read_string((FOLDER / name).read_text())
    return parser


def words(name: str, section: str, key: str) -> set[str]:
    """A list of a unit's."""
    return set(unit(name).get(section, key, fallback="").split())


def test_the_boot_has_one_order() -> None:
    """Database, switch, management, then XAPI and what is online; XAPI's wishes for the switch last."""
    assert "ovsdb-server.service" in words("ovs-vswitchd.service", "Unit", "After")
    assert {"ovsdb-server.service", "ovs-vswitchd.service"} <= words("openvswitch.service", "Unit", "After")
    management = "management-interface.service"
    assert {"openvswitch.service", "ovs-vswitchd.service"} <= words(management, "Unit", "After")
    assert {"network-online.target", "xapi.service", "network.target"} <= words(management, "Unit", "Before")
    assert {management, "xapi.service"} <= words("openvswitch-xapi-update.service", "Unit", "After")


def test_online_means_that_management_was_configured() -> None:
    """The target wants the unit, which is done only when its command is."""
    assert words("management-interface.service", "Install", "WantedBy") == {
        "multi-user.target",
        "network-online.target",
    }
    assert unit("management-interface.service").get("Service", "Type") == "oneshot"
    assert "--force-interface all up" in unit("management-interface.service").get("Service", "ExecStart")


@pytest.mark.parametrize(("result", "called"), [("success", False), ("exit-code", True)])
def test_what_follows_the_boot_set_does_so_after_a_failure_too(tmp_path: Path, result: str, called: bool) -> None:
    """One PIF that is not up fails the unit, and systemd runs no ExecStartPost then; all others forward."""
    service = unit("management-interface.service")["Service"]
    after = [line.removeprefix("-") for line in service["ExecStartPost"].split("\n")]
    command = shlex.split(service["ExecStopPost"].removeprefix("-").replace("$$", "$"))
    assert all(call in command[-1] for call in after)

    script = command[-1].replace("/usr/bin/xsagent", f"echo >>{tmp_path}/calls")
    subprocess.run([*command[:-1], script], env={"SERVICE_RESULT": result}, check=True, timeout=10)

    assert (tmp_path / "calls").exists() == called


def test_a_database_that_crashed_takes_no_switch_with_it() -> None:
    """The switch wants the database and does not require it: systemd would restart a switch that forwards."""
    assert "ovsdb-server.service" in words("ovs-vswitchd.service", "Unit", "Wants")
    assert not unit("ovs-vswitchd.service").has_option("Unit", "Requires")


def test_dhcp_clients_outlive_their_unit() -> None:
    """And its stop takes nothing down."""
    service = unit("management-interface.service")["Service"]

    assert service["KillMode"] == "process"
    assert service["ExecStop"].endswith("interface-reconfigure rewrite")


@pytest.mark.parametrize("name", [*SCRIPTS, *UNITS])
def test_what_they_call_is_there(name: str) -> None:
    """Each verb of xsagent with its argument parses."""
    calls = _CALL.findall((FOLDER / name).read_text())

    for call in calls:
        verb, *rest = call.split()
        if rest != ["-"]:
            build_parser().parse_args([verb, *(rest or ["start"] if verb == "openvswitch" else [])])
    assert calls or name == "none"


@pytest.mark.parametrize("name", SCRIPTS)
def test_scripts_are_lsb_scripts(name: str) -> None:
    """Executable, with the header that insserv and chkconfig read."""
    text = (FOLDER / name).read_text()

    assert os.access(FOLDER / name, os.X_OK)
    assert "### BEGIN INIT INFO" in text
    assert f"# Provides:          {name}" in text
    assert "# chkconfig: " in text
    assert "eval" not in text.replace("evaluat", "")


@pytest.mark.parametrize("option", ["--no-deadman", "--no-syslog", "--session=x"])
@pytest.mark.parametrize("root", ["--root-prefix={}", "--root-prefix {}", "--root={}"])
def test_management_interface_passes_on_what_each_command_takes(tmp_path: Path, option: str, root: str) -> None:
    """Options are interface-reconfigure's; the commands after it know of the root alone, in each form that it has."""
    given = [option, *root.format(tmp_path).split()]
    calls = tmp_path / "calls"
    for name in ("interface-reconfigure", "xsagent"):
        program = tmp_path / name
        program.write_text(f'#!/bin/sh\necho "{name} $*" >>{calls}\n')
        program.chmod(0o755)
    script = [str(FOLDER / "management-interface"), "start", *given]

    subprocess.run(script, check=True, env={"PATH": f"{tmp_path}:/usr/bin:/bin"})

    first, *others = (line.split() for line in calls.read_text().splitlines())
    assert first[1:] == ["--force-interface", "all", "up", *given]
    assert [build_parser().parse_args(words).root_prefix for _, *words in others] == [str(tmp_path)] * 2
