"""One boot of the lab's VM: the product and a guest script in, a report of cases out. Effects: QEMU, for a while.

`LAB` names the lab's folder; `make test-system` sets it and builds the image. What the guest scripts do is in guest/;
what it has to come to is judged by the tests beside this file.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from compileall import compile_dir
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from py_compile import PycInvalidationMode
from typing import Any

ROOT = Path(__file__).parents[2]
GUEST = Path(__file__).parent / "guest"
_TIMED_OUT, _VM_FAILED = 124, 125

PINGS = 5
"""By which guest/dom0.py asks whether an address is reached."""

NOTHING_CHANGED = {"transactions": 0, "kernel": [], "driver": ["listening..."]}
"""What the guest's watch tells of a run without effects: `changes` in guest/dom0.py."""


class LabError(Exception):
    """The VM did not come to the end of its script; the text has the end of what it said."""


def obstacle() -> str:
    """Why the lab cannot be used here; empty when it can."""
    lab = os.environ.get("LAB", "")
    if not lab:
        return "LAB names no lab (make test-system does)"
    if not (Path(lab) / "run").is_file():
        return f"there is no lab in {lab}"
    if shutil.which("qemu-system-x86_64") is None:
        return "this machine lacks qemu-system-x86_64"
    if not (image_directory() / "stamp").is_file():
        return f"there is no image in {image_directory()} (make test-system builds it)"
    return ""


def image_directory() -> Path:
    """Where the lab keeps its image, by the lab's own rule."""
    return Path(os.environ.get("LAB_DIR") or Path(tempfile.gettempdir()) / "dom0-lab")


@dataclass(frozen=True)
class Report:
    """What the guest script left: facts by case.

    Attributes:
        output: everything the script and its programs said.
    """

    cases: dict[str, Any]
    output: str

    def facts(self, case: str) -> dict[str, Any]:
        """Facts of one case; AssertionError with the guest's own traceback when the case raised."""
        entry = self.cases.get(case)
        if entry is None:
            raise AssertionError(f"the VM never came to {case}:\n{self.output[-4000:]}")
        if entry["error"]:
            raise AssertionError(f"{case} in the VM: {entry['error']}\nfacts so far: {entry['facts']}")
        facts: dict[str, Any] = entry["facts"]
        return facts


@dataclass(frozen=True)
class LabRun:
    """What every boot of a session has in common.

    Attributes:
        payload: folder that the VM sees as /share: product, dependencies and guest scripts in one archive, and what
            a test adds.
    """

    lab: Path
    payload: Path

    def boot(
        self,
        script: str,
        out: Path,
        *words: str,
        nic_model: str = "virtio",
        init: str = "udev",
        timeout_s: int = 900,
        reboots: bool = False,
    ) -> Report:
        """Run one script of guest/ in a fresh VM with four NICs: eth0 and eth2 on one wire, eth1 and eth3 on another.

        Args:
            script: file name.
            out: empty folder for the report and the console's log.
            words: the script's own.
            nic_model: ``virtio`` or ``e1000``.
            init: ``udev`` for a bare udevd, ``systemd`` for the real thing.
            timeout_s: for everything, seconds.
            reboots: a reset of the VM boots it again, on the disk as it was; otherwise it ends the VM.
        """
        command = [*self._command(), "--nic-model", nic_model]
        environment = {**os.environ, "PATH": f"{_rebooting_qemu(out)}:{os.environ['PATH']}"} if reboots else None
        return self._run([*command, "--init", init], [script, *words], out, timeout_s, environment)

    def boot_xen(self, script: str, out: Path, *, init: str, timeout_s: int) -> Report:
        """As `boot`, as dom0 of Xen; the script is told the init.

        Without XSAVE: QEMU's AVX registers do not survive Xen's switches between domains, so once a guest runs,
        programs in dom0 that use AVX (glibc's string functions, hence all) die at random. SSE's do survive.
        """
        command = [*self._command(), "--mode", "xen", "--xen-append", "xsave=0"]
        return self._run([*command, "--init", init], [script, init], out, timeout_s)

    def _command(self) -> list[str]:
        """The lab's program, with the wires that `boot` speaks of.

        Without systemd's word on each unit: the emulated console takes a good part of the processor.
        """
        return [str(self.lab / "run"), "--nics", "4", "--hubs", "0,1,0,1", "--append", "systemd.show_status=0"]

    def _run(
        self,
        command: list[str],
        words: list[str],
        out: Path,
        timeout_s: int,
        environment: dict[str, str] | None = None,
    ) -> Report:
        command += ["--share", str(self.payload), "--out", str(out), "--timeout", str(timeout_s)]
        command += ["--log", str(out / "console.log"), "--script", str(GUEST / "start"), "--", *words]
        done = subprocess.run(
            command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", env=environment
        )
        (out / "output.log").write_text(done.stdout, encoding="utf-8")
        file = out / "report.json"
        cases = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        if done.returncode in {_TIMED_OUT, _VM_FAILED} and not cases:
            raise LabError(done.stdout[-4000:])
        return Report(cases, done.stdout)


def _rebooting_qemu(out: Path) -> Path:
    """A folder with a QEMU that is not told to end where its machine reboots; the lab always tells it to."""
    folder = out / "bin"
    folder.mkdir()
    qemu = folder / "qemu-system-x86_64"
    real = shutil.which(qemu.name)
    loop = 'for word; do shift; [ "$word" = -no-reboot ] || set -- "$@" "$word"; done'
    qemu.write_text(f'#!/bin/sh\n{loop}\nexec {real} "$@"\n')
    qemu.chmod(0o755)
    return folder


def make_lab_run(directory: Path) -> LabRun:
    """Pack the product as it stands, what it depends on and the guest scripts into `directory`."""
    packages = directory / "packages"
    shutil.copytree(_dependencies(), packages)
    shutil.copytree(ROOT / "xsagent", packages / "xsagent", ignore=shutil.ignore_patterns("__pycache__"))
    # Compiled out here, once, and not in each VM; the VM's Python ignores it where its version is another.
    compile_dir(packages / "xsagent", quiet=1, invalidation_mode=PycInvalidationMode.UNCHECKED_HASH)
    share = directory / "share"
    share.mkdir()
    with tarfile.open(share / "payload.tar", "w") as archive:
        archive.add(packages, "packages")
        archive.add(GUEST, "guest")
        archive.add(ROOT / "initscripts", "initscripts")
        archive.add(ROOT / "udev", "udev")
        archive.add(ROOT / "tests/support/host_records.py", "guest/host_records.py")
    return LabRun(Path(os.environ["LAB"]).resolve(), share)


def _dependencies() -> Path:
    """The product's dependencies, pure Python, as pip installs them; made once for each list of them."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted: list[str] = project["dependencies"]
    place = Path(sys.prefix) / f"lab-packages-{sha256(repr(wanted).encode()).hexdigest()[:12]}"
    if place.is_dir():
        return place
    fresh = place.with_name(f"{place.name}.{os.getpid()}")
    pip = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--quiet"]
    subprocess.run([*pip, "--target", str(fresh), *wanted], check=True)
    try:
        fresh.rename(place)
    except OSError:
        if not place.is_dir():  # another worker was faster
            raise
        shutil.rmtree(fresh)
    return place
