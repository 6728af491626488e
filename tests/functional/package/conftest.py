"""Packages, built once for all tests of this folder, and roots to install them into."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from host_records import HostRecords, static
from our_packages import build_packages, obstacle

sys.path.insert(0, str(Path(__file__).parent))

from package_root import BASE, TOOLSTACK, Built, PackageRoot, build_small


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """Ours in two releases, as `make rpm` builds them but for %check, and the host's own in two versions.

    Built by the first worker that asks, for all workers of the run.
    """
    if reason := obstacle():
        pytest.skip(reason)
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "packages"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "done").exists():
            build_all(folder)
            (folder / "done").touch()
    return Built(folder=folder)


def build_all(folder: Path) -> None:
    """Build every package."""
    build_packages(folder, ("1", "2"))
    build_small(BASE, folder)
    for version in ("1", "2"):
        build_small(TOOLSTACK.replace("@VERSION@", version), folder)


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
