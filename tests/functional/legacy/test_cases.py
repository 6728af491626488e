"""The recorded cases of the legacy scripts: what others rely on is the same, and each difference is named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CASES = Path(__file__).parents[2] / "legacy"
BIN = Path(sys.executable).parent
SCENARIOS = sorted(path.name for path in (CASES / "scenarios").iterdir())
VIF_SCENARIOS = [name for name in SCENARIOS if name[:2] in {"30", "31", "33"}]
ENVIRONMENT = ("XSAGENT_IP_BACKEND=ifcfg", "XSAGENT_USE_DAEMON=never", "XSAGENT_DEADMAN_S=0")

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the cases' checker mounts over /etc and needs root")


def check(name: str, *arguments: str) -> str:
    """Run one scenario; its report, after a check that it agrees."""
    settings = [word for pair in ENVIRONMENT for word in ("--env", pair)]
    argv = [sys.executable, str(CASES / "check"), "--only", name, *arguments, *settings]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=200)

    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", [name for name in SCENARIOS if name not in VIF_SCENARIOS])
def test_interface_reconfigure_leaves_what_the_legacy_script_left(name: str) -> None:
    """Database, flows, files, links and ifup calls are as recorded, but for named deviations with their values."""
    report = check(name, "--candidate", str(BIN / "interface-reconfigure"))

    assert "1 of 1 scenarios agree" in report


@pytest.mark.parametrize("name", VIF_SCENARIOS)
def test_the_vif_script_leaves_what_the_legacy_script_left(name: str, tmp_path: Path) -> None:
    """Port, marks, netdev and xenstore keys after online, move, add and remove; the marks of a controller are more."""
    candidate = tmp_path / "vif"
    candidate.write_text(f'#!/bin/sh\nexec {sys.executable} -m xsagent.cli.vif "$@"\n', encoding="utf-8")
    candidate.chmod(0o755)

    report = check(name, "--vif-candidate", str(candidate), "--deviations", str(CASES / "deviations-vif.json"))

    assert "1 of 1 scenarios agree" in report
