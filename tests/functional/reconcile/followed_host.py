"""A dom0 with XAPI's records of guests and networks, and xsagentd's service that follows XAPI, in a process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from plugin_host import PACKAGE, PluginHost, spec

from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.namespaces import pid_of
from xsagent.sandbox.xapi_pool import network_record, ref_for, uuid_for

RUN_FOLLOWER = Path(__file__).with_name("run_follower.py")
PATIENCE_S = 30.0
T = TypeVar("T")
ETH0 = "Pool-wide network associated with eth0"


class FollowedHost(PluginHost):
    """The host of the plugin's tests, with guests; `follow` starts the service."""

    process: subprocess.Popen[str] | None = None

    def __exit__(self, *error: object) -> None:
        self.end()
        super().__exit__(*error)

    # -- the service -----------------------------------------------------------------------------------------

    def follow(self, **settings: str) -> None:
        """Start it."""
        env = {"PYTHONPATH": str(PACKAGE), "XSAGENT_XAPI_DEADLINE_S": "5"}
        env |= {f"XSAGENT_{key.upper()}": value for key, value in settings.items()}
        words = [sys.executable, str(RUN_FOLLOWER), str(self.sandbox.root)]
        log = (self.sandbox.log / "follower.log").open("w")
        self.process = subprocess.Popen(
            self.sandbox.command(words),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=self.sandbox.environment | env,
            start_new_session=True,
        )

    def end(self) -> str:
        """End it in order; what it logged."""
        if self.process is not None:
            # nsenter(1) stops itself once more when it learns late that its child had been stopped
            self.send_signal(signal.SIGCONT)
            with contextlib.suppress(BrokenPipeError):
                self.process.communicate("stop\n", timeout=PATIENCE_S)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process = None
        return (self.sandbox.log / "follower.log").read_text()

    def ask(self, word: str) -> Any:
        """Give it a command; its answer."""
        process = self.process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(word + "\n")
        process.stdin.flush()
        return json.loads(process.stdout.readline())

    @property
    def pid(self) -> int:
        """Of the service's process."""
        assert self.process is not None
        return pid_of(self.process)

    def send_signal(self, number: int) -> None:
        """Send a signal to it, and to nsenter(1) above it, which stops as it stops."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)

    def await_status(self, **wanted: object) -> dict[str, Any]:
        """Its status once that has these values."""

        def holds() -> dict[str, Any] | None:
            status: dict[str, Any] = self.ask("status")
            return status if wanted.items() <= status.items() else None

        return self.await_that(holds, f"the status never had {wanted}")

    def await_that(self, look: Callable[[], T | None], failure: str) -> T:
        """What a look finds, once it finds something."""
        end = time.monotonic() + PATIENCE_S
        while (found := look()) is None:
            assert time.monotonic() < end, (failure, self.ask("status") if self.process else "")
            time.sleep(0.05)
        return found

    # -- the switch ------------------------------------------------------------------------------------------

    def ids(self, table: str, record: str) -> dict[str, str]:
        """external_ids of a row."""
        form = json.loads(self.vsctl("-f", "json", "--columns=external_ids", "list", table, record))
        return dict(form["data"][0][0][1])

    def await_ids(self, table: str, record: str, wanted: Mapping[str, str | None]) -> dict[str, str]:
        """external_ids of a row once they hold these (None: lack the key)."""

        def holds() -> dict[str, str] | None:
            ids = self.ids(table, record)
            return ids if all(ids.get(key) == value for key, value in wanted.items()) else None

        return self.await_that(holds, f"{table} {record} never had {wanted}: {self.ids(table, record)}")

    def plug(self, device: str, vm: str, *, bridge: str = "xenbr0", **ids: str) -> None:
        """Add a port with the marks that a vif has, as a hotplug script of the peers does: without further ids."""
        marks = {"xs-vif-uuid": uuid_for(f"VIF {vm}"), "xs-vm-uuid": uuid_for(f"VM {vm}"), "attached-mac": "x"} | ids
        words = [f'external_ids:{key}="{value}"' for key, value in marks.items()]
        self.vsctl("add-port", bridge, device, "--", "set", "Interface", device, "type=internal", *words)

    def settle(self) -> None:
        """Return when a transaction more would have been seen: what is looked at next is at rest."""
        before = self.ask("status")["transactions"]
        self.vsctl("add-port", "xenbr0", "vif99.9", "--", "set", "Interface", "vif99.9", "type=internal",
                   'external_ids:xs-vif-uuid="00000000-0000-4000-8000-000000000099"')  # fmt: skip
        self.await_that(lambda: self.ask("status")["transactions"] > before or None, "nothing was set")
        self.vsctl("del-port", "vif99.9")

    # -- XAPI ------------------------------------------------------------------------------------------------

    def put(self, kind: str, name: str, **fields: object) -> None:
        """Make or change the record that `name` stands for."""
        self.xapi.control("put", name=kind, ref=ref_for(f"{kind} {name}"), fields=fields)

    def start_vm(self, name: str, vm_id: str = "", iface_id: str = "") -> None:
        """Make the records of a VM with one VIF, with these ids of the controller's."""
        vif = {"uuid": uuid_for(f"VIF {name}"), "VM": ref_for(f"VM {name}")}
        self.put("VIF", name, **vif, other_config={"nicira-iface-id": iface_id} if iface_id else {})
        vm = {"uuid": uuid_for(f"VM {name}"), "VIFs": [ref_for(f"VIF {name}")]}
        self.put("VM", name, **vm, other_config={"nicira-vm-id": vm_id} if vm_id else {})

    def add_network(self, name: str, bridge: str, **other_config: str) -> str:
        """Make an internal network; its uuid."""
        self.put("network", name, **network_record(name, bridge) | {"other_config": other_config})
        return uuid_for(f"network {name}")


@contextlib.contextmanager
def running_host() -> Iterator[FollowedHost]:
    """The host, with the service not started yet."""
    with Sandbox(spec()) as sandbox, FollowedHost(sandbox) as host:
        yield host
