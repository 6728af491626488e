"""A sandbox with XAPI: the stand-in serves records that a test changes as XAPI would, the real client reads them."""

from __future__ import annotations

import subprocess
from types import TracebackType
from typing import Any, Self

from host_records import HostRecords, Record
from host_state import reconfigure, spec_for

from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.spec import Segment
from xsagent.sandbox.xapi_standin import XapiStandin


class XapiHost:
    """The host and its XAPI, as a context manager."""

    def __init__(self, records: HostRecords, *, segments: tuple[Segment, ...] | None = None, **fields: Any) -> None:
        self.records = records
        self.sandbox = Sandbox(spec_for(records, segments=segments, **fields))
        self.xapi: XapiStandin | None = None

    def __enter__(self) -> Self:
        self.sandbox.__enter__()
        self.restart_xapi()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.xapi is not None:
            self.xapi.stop()
        self.sandbox.__exit__(kind, error, trace)

    def restart_xapi(self) -> XapiStandin:
        """Start XAPI with the records as they are now."""
        if self.xapi is not None:
            self.xapi.stop()
        socket_path = self.sandbox.root / "var/lib/xcp/xapi"
        socket_path.unlink(missing_ok=True)
        self.xapi = XapiStandin(self.records.as_xapi(), socket_path)
        self.xapi.start()
        return self.xapi

    def run(self, action: str, pif: Record, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
        """interface-reconfigure for a PIF by uuid, from XAPI as the records are now."""
        self.restart_xapi()
        arguments = ["--no-syslog", "--pif-uuid", pif["uuid"], action, *options]
        return reconfigure(self.sandbox, *arguments, env={"XSAGENT_DEADMAN_S": "5", **env})

    def up(self, pif: Record, *options: str, **env: str) -> None:
        """Bring a PIF up; XAPI then says that it is attached, and its bond's members that they are not."""
        done = self.run("up", pif, *options, **env)

        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        pif["currently_attached"] = True

    def down(self, pif: Record, *options: str, **env: str) -> None:
        """Take a PIF down; XAPI then says that it is detached."""
        done = self.run("down", pif, *options, **env)

        assert (done.returncode, done.stdout) == (0, ""), done.stderr
        pif["currently_attached"] = False


def write_our_cache(sandbox: Sandbox, records: HostRecords) -> None:
    """Have xsagent itself write the cache from XAPI (`rewrite`), as before a boot."""
    socket_path = sandbox.root / "var/lib/xcp/xapi"
    socket_path.unlink(missing_ok=True)
    with XapiStandin(records.as_xapi(), socket_path):
        done = reconfigure(sandbox, "--no-syslog", "rewrite")
        assert done.returncode == 0, done.stderr
