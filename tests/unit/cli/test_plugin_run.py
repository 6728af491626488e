"""cli/plugin_run.py: which profile this host is in, and the port of a pssl manager."""

from __future__ import annotations

from pathlib import Path

import pytest

from xsagent.apply.manager_port import open_manager_port
from xsagent.cli.plugin_run import is_networkd_active
from xsagent.config import Paths
from xsagent.errors import CommandError


@pytest.mark.parametrize("group", ["system.slice", "systemd/system.slice"])
def test_networkd_runs_while_systemd_has_a_group_for_it(tmp_path: Path, group: str) -> None:
    """Then it owns the topology, and the plugin leaves `rewrite` alone."""
    paths = Paths(tmp_path)
    assert not is_networkd_active(paths)

    (tmp_path / "sys/fs/cgroup" / group / "xcp-networkd.service").mkdir(parents=True)

    assert is_networkd_active(paths)


def test_the_firewall_tool_is_asked_with_the_port(tmp_path: Path) -> None:
    """Open and close; without the tool nothing is done, and its failure is an error."""
    paths, tool = Paths(tmp_path), tmp_path / "etc/xapi.d/plugins/firewall-port"
    open_manager_port(paths, is_open=True)
    tool.parent.mkdir(parents=True)
    tool.write_text(f'#!/bin/sh\necho "$@" >>{tmp_path}/calls\n[ "$1" = open ]\n')
    tool.chmod(0o755)

    open_manager_port(paths, is_open=True)
    with pytest.raises(CommandError):
        open_manager_port(paths, is_open=False)

    assert (tmp_path / "calls").read_text() == "open 6640\nclose 6640\n"
