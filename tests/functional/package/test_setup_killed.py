"""xsagent-setup killed at every point: whatever is there works, and the next run finishes or takes back the rest."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

HOOK = Path(__file__).parents[2] / "support/killed"
ORIGINALS = {
    "opt/xensource/libexec/interface-reconfigure": "legacy\n",
    "etc/xensource/scripts/vif": "legacy vif\n",
    "etc/udev/rules.d/xen-backend.rules": 'SUBSYSTEM=="xen-backend", KERNEL=="vif*", RUN+="/x/vif"\n',
}
SHIPPED = ("bin/interface-reconfigure", "udev/hotplug-hook", "plugins/openvswitch-cfg-update")
POINTS = 10_000 if os.environ.get("PROFILE") == "long" else 7
"""How many points of a run are tried; all of them with PROFILE=long."""


def make_host(root: Path) -> Path:
    """A host with three originals, our files beside them."""
    for name, text in ORIGINALS.items():
        (root / name).parent.mkdir(parents=True)
        (root / name).write_text(text)
    for name in SHIPPED:
        (root / "usr/lib/xsagent" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / "usr/lib/xsagent" / name).write_text("ours\n")
    return root


def setup(root: Path, *words: str, kill_at: int = 0) -> int:
    """Run xsagent-setup on a host; the status, -9 when it was killed on the way."""
    command = [sys.executable, "-m", "xsagent.cli.setup_host", "--no-syslog", f"--root-prefix={root}", *words]
    killing = {"PYTHONPATH": str(HOOK), "KILL_AT": str(kill_at), "KILL_LOG": f"{root}.points"}
    environment = os.environ | (killing | {"KILL_PROGRAM": "setup_host"} if kill_at else {})
    return subprocess.run(command, check=False, capture_output=True, env=environment).returncode


def points(tmp_path: Path, *words: str, before: tuple[str, ...] = ()) -> list[int]:
    """Numbers of points to try of a run, spread evenly, the first and the last among them."""
    root = make_host(tmp_path / "whole")
    if before:
        assert setup(root, *before) == 0
    assert setup(root, *words, kill_at=1_000_000) == 0
    count = len(Path(f"{root}.points").read_text().splitlines())
    assert count > 20
    step = max(1.0, (count - 1) / (POINTS - 1))
    return sorted({round(1 + index * step) for index in range(POINTS) if round(1 + index * step) <= count})


def tree(root: Path) -> dict[str, str]:
    """Links and files, as they are."""
    return {
        str(path.relative_to(root)): str(path.readlink()) if path.is_symlink() else path.read_text()
        for path in root.rglob("*")
        if path.is_symlink() or path.is_file()
    }


def assert_usable(root: Path) -> None:
    """Each path is the original or ours, never missing and never half."""
    for name, text in ORIGINALS.items():
        place = root / name
        assert place.read_text() in (text, "ours\n", f"# xsagent: {text}"), name


def test_taking_over_that_is_killed_is_finished_or_taken_back(tmp_path: Path) -> None:
    """SIGKILL after each change of a name or fsync: nothing is missing; again it is whole; back it is as it was."""
    for number in points(tmp_path, "take-over", "full"):
        root = make_host(tmp_path / f"host{number}")
        before = tree(root)

        assert setup(root, "take-over", "full", kill_at=number) == -signal.SIGKILL
        assert_usable(root)

        if number % 2:
            assert setup(root, "take-over", "full") == 0
            assert tree(root) == tree(tmp_path / "whole")
        assert setup(root, "give-back", "--purge") == 0
        assert tree(root) == before, f"killed at {number}"


def test_giving_back_that_is_killed_is_finished_by_the_next_run(tmp_path: Path) -> None:
    """No original is lost on the way."""
    before = tree(make_host(tmp_path / "untouched"))
    for number in points(tmp_path, "give-back", before=("take-over", "full")):
        root = make_host(tmp_path / f"host{number}")
        assert setup(root, "take-over", "full") == 0

        assert setup(root, "give-back", kill_at=number) == -signal.SIGKILL
        assert_usable(root)

        assert setup(root, "give-back", "--purge") == 0
        assert tree(root) == before, f"killed at {number}"
