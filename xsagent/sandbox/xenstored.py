"""A private, real xenstored for a sandbox or a test: compiles the shim, then becomes the daemon. Effects.

Needs Debian's xen-utils and a C compiler (apt packages ``xen-utils-4.17``, ``gcc``, ``libc6-dev``); no root, no Xen.
`xenstored_service` is a sandbox's Service, `running_xenstored` one for a test without namespaces; both end in
``python -m xsagent.sandbox.xenstored DIRECTORY DAEMON``, which compiles and execs. There are two daemons: Xen's in C,
and the one in OCaml, which XenServer and XCP-ng run.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal

from xsagent.errors import CommandError
from xsagent.sandbox.spec import Service

START_DEADLINE_S: Final = 20.0
_COMPILE_DEADLINE_S: Final = 60.0
_SHIM: Final = Path(__file__).with_name("xenstored_shim.c")
_PAGE: Final = 4096

Daemon = Literal["xenstored", "oxenstored"]
"""Names of the programs."""


def xenstored_service(daemon: Daemon = "xenstored") -> Service:
    """The Service to put into a SandboxSpec: answers at ``ROOT/run/xenstored/socket``."""
    return Service(
        name="xenstored",
        argv=(sys.executable, "-m", "xsagent.sandbox.xenstored", "{root}/run/xenstored", daemon),
        ready="run/xenstored/socket",
        deadline_s=START_DEADLINE_S,
    )


@contextlib.contextmanager
def running_xenstored(directory: Path, daemon: Daemon = "xenstored") -> Iterator[Path]:
    """A xenstored whose files are in `directory`, for the length of the block; yields its socket.

    Raises:
        CommandError: a program is missing or the daemon did not start; the text holds what it said.
    """
    command = [sys.executable, "-m", "xsagent.sandbox.xenstored", str(directory), daemon]
    log = directory / "xenstored.log"
    directory.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        _await_socket(directory / "socket", process, log)
        yield directory / "socket"
    finally:
        process.kill()
        process.wait()


def _await_socket(socket: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_DEADLINE_S
    while not socket.exists():
        if process.poll() is not None or time.monotonic() > end:
            raise CommandError(f"the sandbox's xenstored did not start: {log.read_text(encoding='utf-8').strip()}")
        time.sleep(0.01)


def find_xenstored(daemon: str = "xenstored") -> str:
    """Path of the daemon: where Debian keeps it (the one on its PATH is a script that wants Xen), else on PATH.

    Raises:
        CommandError: it is not installed.
    """
    hidden = sorted(str(path) for path in Path("/usr/lib").glob(f"xen-*/bin/{daemon}"))
    found = hidden[-1] if hidden else shutil.which(daemon)
    if found is None:
        raise CommandError(f"{daemon} is not installed (apt: xen-utils-4.17); the sandbox has no xenstore")
    return found


def find_compiler() -> str:
    """Path of a C compiler; CommandError when none is installed."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise CommandError("no C compiler is installed (apt: gcc libc6-dev); the sandbox has no xenstore")
    return compiler


def build_shim(directory: Path) -> Path:
    """Compile the shim into `directory`; returns the library.

    Raises:
        CommandError: no C compiler, or it failed.
    """
    library = directory / "xenstored_shim.so"
    command = [find_compiler(), "-shared", "-fPIC", "-O1", "-o", str(library), str(_SHIM)]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_COMPILE_DEADLINE_S, check=False
    )
    if done.returncode:
        raise CommandError(f"the xenstored shim does not compile (apt: gcc libc6-dev): {done.stderr.strip()}")
    return library


def _prepare(directory: Path) -> dict[str, str]:
    """Make domain 0's port and ring page, and the daemon's environment."""
    (directory / "xsd_port").write_text("1\n", encoding="ascii")
    (directory / "xsd_kva").write_bytes(bytes(_PAGE))
    (directory / "socket").unlink(missing_ok=True)
    places = ("XENSTORED_RUNDIR", "XENSTORED_ROOTDIR", "XEN_RUN_DIR", "XEN_LIB_DIR")
    environment = dict.fromkeys(places, str(directory))
    return environment | {"XENSTORED_PATH": str(directory / "socket"), "LD_PRELOAD": str(build_shim(directory))}


def _arguments(daemon: str, directory: Path) -> list[str]:
    """Its command line; oxenstored has the rest of it in a file, and needs no page and port of domain 0."""
    pid_file = directory / "xenstored.pid"
    if daemon == "xenstored":
        return ["--no-fork", "--pid-file", str(pid_file)]
    config = directory / "oxenstored.conf"
    log = directory / "oxenstored.log"
    config.write_text(f"persistent = false\npid-file = {pid_file}\nxenstored-log-file = {log}\n", encoding="ascii")
    return ["--no-fork", "--no-domain-init", "--no-access-log", "--config-file", str(config)]


def main() -> None:
    """``python -m xsagent.sandbox.xenstored DIRECTORY DAEMON``: become the daemon, in the foreground."""
    directory, daemon = Path(sys.argv[1]).absolute(), sys.argv[2]
    directory.mkdir(parents=True, exist_ok=True)
    try:
        program, environment = find_xenstored(daemon), _prepare(directory)
    except CommandError as error:
        sys.exit(str(error))
    arguments = [program, *_arguments(daemon, directory)]
    os.execve(program, arguments, os.environ | environment)  # noqa: S606 - this process becomes the daemon


if __name__ == "__main__":
    main()
