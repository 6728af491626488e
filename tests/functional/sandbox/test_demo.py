"""`xsagent sandbox demo`: every check holds; one that does not ends it with exit 1."""

from __future__ import annotations

import subprocess
import sys


def run_demo(*options: str) -> subprocess.CompletedProcess[str]:
    """The command, from outside."""
    code = "import sys; from xsagent.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "sandbox", "demo", *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)


def test_the_demo_boots_runs_again_and_runs_from_xapi() -> None:
    """Exit 0, and the third act read the records from XAPI."""
    done = run_demo()

    assert done.returncode == 0, done.stdout + done.stderr
    assert "PIF.get_all_records_where" in done.stdout
