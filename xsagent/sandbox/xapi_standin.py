"""A pool's records -> a process that answers the real XenAPI client on a unix socket as XAPI would.

`XapiStandin` starts and drives it (tests, demo, bench); ``python -m xsagent.sandbox.xapi_standin`` is the process
itself. Being a process of its own it costs a measured client neither memory nor its interpreter lock, and it works
across network namespaces, since unix sockets do.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from xsagent.errors import XapiUnavailableError
from xsagent.sandbox.xapi_calls import Calls
from xsagent.sandbox.xapi_control import Control
from xsagent.sandbox.xapi_database import Database
from xsagent.sandbox.xapi_faults import Faults
from xsagent.sandbox.xapi_pool import PoolShape, Records, build_pool
from xsagent.sandbox.xapi_server import listen, serve_forever
from xsagent.unix_socket import short_address

START_LIMIT_S = 60.0
"""Generating and rendering the largest pool takes about ten seconds on a small machine."""


class XapiStandin:
    """The stand-in as a child process; use as a context manager or by `start` and `stop`.

    Args:
        records: the pool: records by class and reference, or a shape to generate in the child.
        socket_path: where XAPI's socket is to be; its folder must exist. The control socket and the
            records file lie beside it.
        render: whether every record is rendered before `start` returns (for measurements).
    """

    def __init__(self, records: Records | PoolShape, socket_path: Path, *, render: bool = False) -> None:
        self.socket_path = socket_path
        self._control_path = socket_path.with_name(socket_path.name + ".control")
        self._records = records
        self._render = render
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start the process; returns when it answers.

        Raises:
            XapiUnavailableError: it ended, or did not answer within START_LIMIT_S.
        """
        arguments = ["--socket", str(self.socket_path), "--control", str(self._control_path)]
        if isinstance(self._records, PoolShape):
            arguments += ["--pool", json.dumps(asdict(self._records))]
        else:
            file = self.socket_path.with_name(self.socket_path.name + ".records.json")
            file.write_text(json.dumps(self._records))
            arguments += ["--records", str(file)]
        module = [sys.executable, "-m", "xsagent.sandbox.xapi_standin"]
        # The child ends with our end of this pipe, so that a killed test leaves no process behind
        self._child = subprocess.Popen([*module, *arguments, "--until-stdin-ends"], stdin=subprocess.PIPE)
        self._await_start(self._child)
        if self._render:
            self.control("render_all")

    def stop(self) -> None:
        """Kill the process and take its sockets away; the next start begins with the records as first given."""
        self.kill()
        self.socket_path.unlink(missing_ok=True)
        self._control_path.unlink(missing_ok=True)

    def kill(self) -> None:
        """Kill the process and leave its socket: the next connection is refused."""
        if self._child is not None:
            self._child.kill()
            self._child.communicate()
            self._child = None

    def control(self, do: str, **arguments: object) -> Any:  # noqa: ANN401 - JSON, for tests
        """Run one control command (`xapi_control.Control.run`) and give its result.

        Raises:
            ValueError: the stand-in refused it.
        """
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            with short_address(self._control_path) as address:
                connection.connect(address)
            connection.sendall(json.dumps({"do": do, **arguments}).encode() + b"\n")
            with connection.makefile() as lines:
                answer = json.loads(lines.readline())
        if "error" in answer:
            raise ValueError(f"control command {do}: {answer['error']}")
        return answer["ok"]

    def fault(self, kind: str, method: str = "*", **rule: object) -> None:
        """Set a rule (`xapi_faults.Fault`) for coming calls."""
        self.control("fault", kind=kind, method=method, **rule)

    def log(self) -> list[dict[str, Any]]:
        """The calls received so far (`xapi_server.LoggedCall`)."""
        calls: list[dict[str, Any]] = self.control("log")
        return calls

    def methods(self) -> list[str]:
        """Names of the calls received so far, in order."""
        return [str(call["method"]) for call in self.log()]

    def sessions(self) -> dict[str, str]:
        """Sessions that are open, with their originators."""
        opened: dict[str, str] = self.control("sessions")
        return opened

    def _await_start(self, child: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_LIMIT_S
        while child.poll() is None and time.monotonic() < deadline:
            try:
                self.control("connections")
            except OSError:
                time.sleep(0.02)
            else:
                return
        self.stop()
        raise XapiUnavailableError("the XAPI stand-in did not start; its reason is on stderr")


def _end_with_stdin() -> None:
    sys.stdin.buffer.read()
    os._exit(0)


def main(arguments: list[str] | None = None) -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(prog="xapi_standin", description=__doc__)
    parser.add_argument("--socket", type=Path, required=True, help="where XAPI's socket is to be")
    parser.add_argument("--control", type=Path, help="control socket; default: SOCKET.control")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--records", type=Path, help="JSON file: records by class and reference")
    source.add_argument("--pool", type=json.loads, help="JSON object: the shape of a pool to generate")
    parser.add_argument("--until-stdin-ends", action="store_true", help="end when stdin does, not only when killed")
    options = parser.parse_args(arguments)
    if options.until_stdin_ends:
        threading.Thread(target=_end_with_stdin, daemon=True).start()
    records = json.loads(options.records.read_text()) if options.records else build_pool(PoolShape(**options.pool))
    control = Control(Calls(Database(records)), Faults())
    api_socket = listen(options.socket)
    path = options.control or options.socket.with_name(options.socket.name + ".control")
    threading.Thread(target=serve_forever, args=(listen(path), control.handle), daemon=True).start()
    serve_forever(api_socket, control.server.handle)


if __name__ == "__main__":
    main()
