"""Packages, built once for all tests of this folder, and roots to install them into."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from host_records import HostRecords, static

sys.path.insert(0, str(Path(__file__).parent))

from package_root import BASE, PROJECT, TOOLSTACK, Built, PackageRoot, build_small


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Ours in two releases, as `make rpm` builds them but for %check, and the host's own in two versions."""
    folder = tmp_path_factory.mktemp("packages")
    for release in ("1", "2"):
        environment = os.environ | {"BUILD": str(folder / "build"), "DIST": str(folder), "MAKEFLAGS": ""}
        options = "RPM_OPTIONS=--without check --define '_binary_payload w1.gzdio' --define '_source_payload w1.gzdio'"
        done = subprocess.run(
            ["make", "-C", str(PROJECT), "rpm", f"RELEASE={release}", options],
            check=False,
            capture_output=True,
            text=True,
            env=environment,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    build_small(BASE, folder)
    for version in ("1", "2"):
        build_small(TOOLSTACK.replace("@VERSION@", version), folder)
    return Built(folder=folder)


@pytest.fixture
def host(packages: Built) -> Iterator[PackageRoot]:
    """A live host with the toolstack's own scripts and with XAPI; management is up on xenbr0."""
    records = HostRecords()
    records.nic("eth0", management=True, **static("192.0.2.10"))
    records.nic("eth1")
    with PackageRoot(records) as running:
        running.make_root()
        (running.root / "etc/sysconfig/network-scripts").mkdir(parents=True, exist_ok=True)
        done = running.rpm("-i", packages["dom0-base"], packages["toolstack-1-1"])
        assert not done.stderr
        Path(running.root / "run/xsagent").mkdir(exist_ok=True)
        yield running
