"""The command `networkd_db`, from its arguments to its output and exit code."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from xsagent.cli.networkd_db import main

GOLDEN = Path(__file__).parents[2] / "golden"


@pytest.fixture
def root(tmp_path: Path) -> str:
    """A root prefix with a cache: a VLAN on a bond."""
    (tmp_path / "var/xapi").mkdir(parents=True)
    shutil.copy(GOLDEN / "vlan-on-bond/snapshot.dbcache", tmp_path / "var/xapi/network.dbcache")
    return f"--root-prefix={tmp_path}"


def test_a_vlan_bridge(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The option with one hyphen, as xcp-networkd's tool has it."""
    assert main([root, "-bridge", "xapi100"]) == 0

    assert capsys.readouterr().out == "interfaces=\nhwaddrs=\nvlan=100\nparent=xapi0\n"


def test_an_interface(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One key=value line for each thing that is known."""
    assert main([root, "-iface", "xapi0"]) == 0

    assert capsys.readouterr().out == "mode=dhcp\n"


def test_an_unknown_bridge_is_exit_1_with_a_sentence(root: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing on stdout, where callers look for values."""
    assert main([root, "-bridge", "nosuch"]) == 1

    out, err = capsys.readouterr()
    assert (out, "nosuch" in err) == ("", True)


def test_a_wrong_option_is_exit_2(capsys: pytest.CaptureFixture[str]) -> None:
    """Named on stderr."""
    assert main(["-port", "x"]) == 2

    assert "-port" in capsys.readouterr().err


def test_no_state_at_all_is_exit_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The sentence says what was looked at."""
    assert main([f"--root-prefix={tmp_path}", "-bridge", "xenbr0"]) == 1

    assert "network.dbcache" in capsys.readouterr().err
