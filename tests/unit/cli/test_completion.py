"""Bash completion, asked as bash asks it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from xsagent.cli.completion import command_names, completions, render_completion


def complete(tmp_path: Path, *words: str, path: str = "") -> list[str]:
    """What bash offers for the last of these words."""
    script = tmp_path / "completion"
    script.write_text(render_completion())
    ask = f'source {script}; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _xsagent; printf "%s\\n" "${{COMPREPLY[@]}}"'
    done = subprocess.run(
        ["bash", "--norc", "-euc", ask, "bash", *words],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PATH": f"{path}:/usr/bin:/bin"},
    )
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("xsagent", "top"), ["topology"]),
        (("xsagent", "plan", "--even"), ["--even-if-in-use"]),
        (("xsagent", "plan", "--json", "u"), ["up"]),
        (("xsagent", "topology", "--format", "s"), ["svg"]),
        (("xsagent", "topology", "--format", "=", "d"), ["dot"]),
        (("xsagent", "network", "cr"), ["create"]),
        (("xsagent", "network", "remove", "--even"), ["--even-if-in-use"]),
        (("xsagent", "sandbox", "vif", "add", "--lay"), ["--layout"]),
        (("interface-reconfigure", "--force", "x", "rew"), ["rewrite"]),
        (("/opt/xensource/libexec/interface-reconfigure", "--no-d"), ["--no-deadman"]),
        (("xsagent-setup", "take-over", "h"), ["hotplug"]),
        (("xe-switch-network-backend", "v"), ["vswitch"]),
        (("xsagent", "nosuchverb", "--no-such"), []),
    ],
)
def test_what_is_offered(tmp_path: Path, words: tuple[str, ...], offered: list[str]) -> None:
    """Verbs, options and fixed values, those of the verb that was typed."""
    assert complete(tmp_path, *words) == offered


def test_files_and_bridges_come_from_the_host(tmp_path: Path) -> None:
    """A file for FILE; the switch's bridges for BRIDGE, and nothing where there is no switch."""
    (tmp_path / "host.json").touch()
    tool = tmp_path / "bin/ovs-vsctl"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho xenbr0\necho xapi7\n")
    tool.chmod(0o755)

    assert complete(tmp_path, "xsagent", "plan", "--observed", "ho") == ["host.json"]
    assert complete(tmp_path, "interface-reconfigure", "--force", "xe", path=str(tool.parent)) == ["xenbr0"]


def test_every_command_of_people_is_there() -> None:
    """Those that only XAPI, udev and systemd call need none."""
    assert {"xsagent", "interface-reconfigure", "xsagent-setup", "xe-switch-network-backend"} <= set(command_names())
    assert {one.path for one in completions()} >= {"xsagent show", "xsagent plan", "xsagent sandbox run"}
