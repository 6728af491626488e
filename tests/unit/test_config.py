"""Settings and paths: defaults, file, environment, and refusals by name."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from xsagent.config import _PARSERS, Paths, Settings, read_settings, read_usable_settings
from xsagent.errors import InputError


def with_file(root: Path, text: str) -> Paths:
    """A root with this xsagent.conf."""
    path = root / "etc/xsagent/xsagent.conf"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return Paths(root)


def test_defaults_hold_where_nothing_is_said(tmp_path: Path) -> None:
    """No file, no variables; those of others do not matter."""
    settings = read_settings(Paths(tmp_path), {"PATH": "/bin", "XSAGENT_TEST_REQUIRE": "functional"})

    assert settings == Settings()
    assert (settings.ip_backend, settings.use_daemon, settings.deadman_s) == ("auto", "auto", None)
    assert (settings.xapi_deadline_s, settings.ovsdb_wait_s, settings.vswitchd_wait_s) == (30, 30, 20)
    assert (settings.dhcp_wait_s, settings.dhcp_first_boot_s, settings.lock_wait_s) == (60, 240, 60)


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    """And the file the defaults; numbers may stand bare or in quotes."""
    paths = with_file(tmp_path, 'deadman_s = 10\nip_backend = "ifcfg"\nhotplug_s = "45"\n')

    environ = {"XSAGENT_DEADMAN_S": "0", "XSAGENT_DATAPATH_TYPE": "netdev", "XSAGENT_LOCKED_AUTOCONF": "on"}
    settings = read_settings(paths, environ)

    assert (settings.deadman_s, settings.ip_backend, settings.hotplug_s) == (0, "ifcfg", 45)
    assert (settings.datapath_type, settings.locked_autoconf) == ("netdev", True)


def test_a_mirror_for_promiscuous_vifs_must_be_asked_for(tmp_path: Path) -> None:
    """It takes from a guest all that it sends; a word that is neither is refused."""
    assert read_settings(with_file(tmp_path, ""), {}).promiscuous == "log"
    assert read_settings(with_file(tmp_path, 'promiscuous = "mirror"\n'), {}).promiscuous == "mirror"
    with pytest.raises(InputError, match=r"promiscuous in .*: 'on' is none of log, mirror"):
        read_settings(with_file(tmp_path, 'promiscuous = "on"\n'), {})


def test_the_computed_deadman_can_be_asked_for(tmp_path: Path) -> None:
    """Over a file that sets one."""
    assert read_settings(with_file(tmp_path, "deadman_s = 5\n"), {"XSAGENT_DEADMAN_S": "auto"}).deadman_s is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("deadmans_s = 5\n", "'deadmans_s' in .* is not a setting"),
        ("deadman_s = 1_0_0_0_0\n", "deadman_s in .*: '10000' is not between"),
        ("deadman_s = 1.5\n", "neither a text nor a whole number"),
        ("deadman_s = true\n", "neither a text nor a whole number"),
        ('ip_backend = "magic"\n', "ip_backend in .*: 'magic' is none of auto, ifcfg, netlink"),
        ('dhcp_vendor_class = "a\\"b"\n', "dhcp_vendor_class"),
        ("[section]\nkey = 1\n", "'section' in"),
        ("deadman_s\n", "not flat TOML"),
        ("a = " + "[" * 5000, "not flat TOML"),
        ("#" * 70000, "larger than"),
    ],
)
def test_a_wrong_file_is_refused_by_key_and_file(tmp_path: Path, text: str, reason: str) -> None:
    """A misspelt safety setting must not be ignored."""
    with pytest.raises(InputError, match=reason) as caught:
        read_settings(with_file(tmp_path, text), {})

    assert "xsagent.conf" in str(caught.value)
    assert str(caught.value).endswith("; nothing was changed")


@pytest.mark.parametrize(
    ("name", "value"),
    [("XSAGENT_DEADMAN_S", ""), ("XSAGENT_DEADMAN_S", "-1"), ("XSAGENT_DEADMANS", "1"), ("XSAGENT_LOG_LEVEL", "loud")],
)
def test_a_wrong_variable_is_refused_by_name(tmp_path: Path, name: str, value: str) -> None:
    """As a wrong file is."""
    with pytest.raises(InputError, match=name):
        read_settings(Paths(tmp_path), {name: value})


def test_what_must_go_on_has_all_that_is_good(tmp_path: Path) -> None:
    """Each mistake is said, of the file and of the environment, and costs its own setting alone."""
    paths = with_file(tmp_path, 'hotplg_s = 3\ndeadman_s = "soon"\nlock_wait_s = 7\n')

    settings, wrong = read_usable_settings(paths, {"XSAGENT_RESYNC_S": "0", "XSAGENT_IP_BACKEND": "ifcfg"})

    assert settings == Settings(lock_wait_s=7, ip_backend="ifcfg")
    assert [sentence.split()[0] for sentence in wrong] == ["'hotplg_s'", "deadman_s", "resync_s"]
    assert all(sentence.endswith("; the default is used") for sentence in wrong)


def test_what_must_go_on_has_the_defaults_of_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """The environment counts all the same."""
    settings, wrong = read_usable_settings(with_file(tmp_path, "deadman_s"), {"XSAGENT_HOTPLUG_S": "9"})

    assert (settings, len(wrong)) == (Settings(hotplug_s=9), 1)


def test_every_setting_can_be_set() -> None:
    """And nothing else."""
    assert {field.name for field in fields(Settings)} == set(_PARSERS)


def test_every_path_lies_below_the_root(tmp_path: Path) -> None:
    """Files, /sys, /proc and sockets (DESIGN.md section 8)."""
    paths = Paths.from_environ(str(tmp_path), {})
    names = [name for name, value in vars(Paths).items() if isinstance(value, property)]

    for name in names:
        value = getattr(paths, name)
        for path in value if isinstance(value, tuple) else (value,):
            assert path.is_relative_to(tmp_path), name
    assert len(names) > 20


def test_two_variables_win_over_the_root_and_are_not_below_it(tmp_path: Path) -> None:
    """OVS_RUNDIR and XENSTORED_PATH."""
    paths = Paths.from_environ(str(tmp_path), {"OVS_RUNDIR": "/run/ovs", "XENSTORED_PATH": "/run/xs"})

    assert (paths.ovsdb_socket, paths.xenstored_socket) == (Path("/run/ovs/db.sock"), Path("/run/xs"))
    assert paths.inventory == tmp_path / "etc/xensource-inventory"


def test_no_prefix_is_the_root() -> None:
    """Also when it is empty."""
    assert Paths.from_environ("", {}).inventory == Path("/etc/xensource-inventory")
    assert Paths.from_environ("", {"OVS_RUNDIR": ""}).ovsdb_socket == Path("/var/run/openvswitch/db.sock")


def test_a_path_cannot_climb_out_of_the_root(tmp_path: Path) -> None:
    """Names from outside become parts of paths."""
    with pytest.raises(InputError, match="climbs out of its root"):
        Paths(tmp_path).below("/etc/../../x")


def test_toml_is_imported_only_for_a_file(tmp_path: Path) -> None:
    """Each command would pay for it."""
    code = (
        "import sys; from pathlib import Path; from xsagent.config import *;"
        f"read_settings(Paths(Path({str(tmp_path)!r})), {{}}); print('tomllib' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert done.stdout == "False\n"


def test_a_root_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    """Else a misspelt one would pass for a host without anything, or for the live one."""
    with pytest.raises(InputError, match="/nowhere is not a directory; nothing was read or changed"):
        Paths.from_environ(tmp_path / "nowhere", {})
