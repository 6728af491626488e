"""Our own packages, as `make rpm` builds them but for %check, for tests that install them. Effects: rpmbuild."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

PROJECT = Path(__file__).parents[2]


def obstacle() -> str:
    """Why no package can be built here; empty when it can."""
    if not (PROJECT / "build/wheels/ready").exists():
        return "the dependencies' wheels are not there (make build/wheels/ready)"
    missing = [tool for tool in ("rpm", "rpmbuild") if shutil.which(tool) is None]
    return f"this machine lacks {', '.join(missing)} (tests/setup-machine installs it)" if missing else ""


def build_packages(folder: Path, releases: Sequence[str]) -> None:
    """Build all packages of each release into a folder."""
    environment = os.environ | {"BUILD": str(folder / "build"), "DIST": str(folder)}
    options = ["--without", "check", "--define", "_binary_payload w1.gzdio", "--define", "_source_payload w1.gzdio"]
    for release in releases:
        command = [PROJECT / "tests/build-rpm", release, *options]
        done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
