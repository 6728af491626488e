"""Running commands inside a sandbox: its environment, its namespaces, its deadline for each command. Effects.

`dom0.Sandbox` is an `Inside` that also knows what it is made of; far hosts and guests run their commands through it.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from xsagent.sandbox.namespaces import Namespaces, SandboxError, run_command, search_path
from xsagent.sandbox.spec import SandboxSpec

RUN_DEADLINE_S = 60.0
_PASSED_ON = ("HOME", "LANG", "LC_ALL", "TERM", "USER", "PYTHONPATH", "NO_COLOR")
_NOT_PASSED_ON = ("XSAGENT_TEST_REQUIRE",)


class Inside:
    """A directory and, once started, the namespaces of one sandbox.

    Attributes:
        spec: what it is made from.
        directory: its own directory; removed at the end.
        root: the root prefix; readable from outside while the sandbox is up (its sys and proc are not).
        bin: first folder of PATH inside; a program put here stands in for the system's.
        log: folder of the daemons' and services' logs.
    """

    def __init__(self, spec: SandboxSpec) -> None:
        self.spec = spec
        self.directory = Path(tempfile.mkdtemp(prefix="xs-"))
        self.directory.chmod(0o755)
        self.root = self.directory / "root"
        self.bin = self.directory / "bin"
        self.log = self.directory / "log"
        self.namespaces: Namespaces | None = None

    @property
    def environment(self) -> dict[str, str]:
        """Variables of every command inside, before those that a call adds."""
        rundir = str(self.root / "var/run/openvswitch")
        own = {
            "PATH": f"{self.bin}:{Path(sys.executable).parent}:{search_path()}",
            "OVS_RUNDIR": rundir,
            "OVS_DBDIR": rundir,
            "OVS_SYSCONFDIR": str(self.root / "etc"),
            "OVS_LOGDIR": str(self.log),
            "SANDBOX_ROOT": str(self.root),
            "XSAGENT_DATAPATH_TYPE": self.spec.datapath_type,
        }
        if self.spec.ip_backend:
            own["XSAGENT_IP_BACKEND"] = self.spec.ip_backend
        passed = {key: os.environ[key] for key in _PASSED_ON if key in os.environ}
        settings = {
            key: value for key, value in os.environ.items() if key.startswith("XSAGENT_") and key not in _NOT_PASSED_ON
        }
        return passed | settings | own | dict(self.spec.environment)

    def command(self, argv: Sequence[str], *, host: str = "") -> list[str]:
        """The words that run `argv` inside, for a caller with a subprocess call of its own (a terminal)."""
        if self.namespaces is None:
            raise SandboxError("the sandbox is not running")
        return [*self.namespaces.entry(host), *argv]

    def run(
        self,
        argv: Sequence[str],
        *,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        timeout: float = RUN_DEADLINE_S,
        input_text: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in dom0 and wait for it; text in and out, working directory ``/``.

        Args:
            argv: the command's words; found through PATH inside.
            check: an exit status other than 0 is an error.
            env: variables added to `environment`.
            timeout: deadline in seconds; then its process group is killed.
            input_text: its stdin; None: empty.

        Raises:
            CommandError: `check` and it failed, or the deadline passed.
        """
        return self.run_in("", argv, check=check, env=env, timeout=timeout, input_text=input_text)

    def run_in(
        self,
        host: str,
        argv: Sequence[str],
        *,
        check: bool = True,
        env: Mapping[str, str] | None = None,
        timeout: float = RUN_DEADLINE_S,
        input_text: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """As `run`, in the network namespace of a far host or guest; `Host.run` is the usual way."""
        return run_command(
            self.command(argv, host=host),
            env=self.environment | dict(env or {}),
            timeout=timeout,
            input_text=input_text,
            check=check,
        )

    def spawn(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start a command in dom0, its three streams being text pipes; ends with the sandbox at the latest.

        The Popen is that of nsenter(1), which waits for the command and ends as it ends: `pid_of` gives the
        command's own process id, for signals.
        """
        return self.spawn_in("", argv, env=env)

    def spawn_in(
        self, host: str, argv: Sequence[str], *, env: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        """As `spawn`, in the network namespace of a far host or guest."""
        return subprocess.Popen(
            self.command(argv, host=host),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.environment | dict(env or {}),
            start_new_session=True,
        )

    def describe_entry(self) -> str:
        """How a person enters and ends a sandbox that was kept."""
        if self.namespaces is None:
            return f"sandbox {self.directory} is not running\n"
        variables = [f"{key}={value}" for key, value in self.environment.items()]
        enter = shlex.join(self.command(["env", *variables, "bash"]))
        return (
            f"sandbox kept in {self.directory}\n  enter: {enter}\n"
            f"  end:   kill -9 {self.namespaces.pid}; rm -rf {self.directory}\n"
        )
