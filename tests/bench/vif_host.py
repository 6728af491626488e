"""A sandbox for rows about guests' devices: many VIFs without guests, and who answers their events. Effects.

The netdevs' other ends all lie in one namespace, since no guest has to answer here; ports that only stand beside are
made by hand. Who answers is fixed for a host: xsagentd, our rules without it, or a rule that runs the script.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from host_state import our_transactions
from runs import install_hook

from xsagent.model.vif import DeviceType, VifId
from xsagent.sandbox.dom0 import Sandbox
from xsagent.sandbox.guest_vif import GuestVif
from xsagent.sandbox.spec import SandboxSpec, Service
from xsagent.sandbox.udevd import RULES, SCRIPTS
from xsagent.sandbox.xenopsd import Xenopsd, guest_services

FOLDER = Path(__file__).parent
_GUESTS = "guests"
_DEADLINE_S = 600.0
_FIRST_BESIDE = 20000
"""Domain ids of ports that only stand beside the measured ones."""
DAEMON = Service(
    name="xsagentd",
    argv=("xsagentd", "--root-prefix={root}"),
    ready="run/xsagent/ready",
    deadline_s=60.0,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plug:
    """What plugging in took.

    Attributes:
        took_s: from the first event sent until the last VIF was `connected`.
        sent_s: until the last event was sent.
        lost, failed: VIFs that were not connected, or had a ``hotplug-error``.
    """

    took_s: float
    sent_s: float
    lost: int
    failed: int


class VifHost:
    """The host, as a context manager.

    Attributes:
        beside: number of ports that stand in the switch from the start.
        answering: who does.
    """

    def __init__(self, beside: int, answering: Literal["daemon", "one-shot", "script"]) -> None:
        self.beside = beside
        self.answering = answering
        self.sandbox = Sandbox(SandboxSpec(services=guest_services()))
        self._log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._domids = iter(range(1, _FIRST_BESIDE))

    def __enter__(self) -> Self:
        self.sandbox.__enter__()
        self._open_log()
        self.sandbox.run(["ip", "netns", "add", _GUESTS])
        self.sandbox.build_bridge("xenbr0", "eth0")
        if self.beside:
            self._add_beside()
        if self.answering == "script":
            self._use_script()
        if self.answering == "one-shot":
            install_hook(self.sandbox, self.sandbox.root / SCRIPTS / "vif")
        if self.answering == "daemon":
            self.sandbox.start_service(DAEMON)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.sandbox.__exit__(kind, error, trace)
        self._log.close()

    @property
    def xenopsd(self) -> Xenopsd:
        """The toolstack."""
        return self.sandbox.xenopsd

    def prepare(self, count: int) -> list[GuestVif]:
        """Write keys and make netdevs of new VIFs; no event of them has come yet."""
        vifs = [GuestVif(id=VifId(next(self._domids), 0)) for _ in range(count)]
        self.xenopsd.write(*vifs)
        self._add_netdevs([vif.id for vif in vifs])
        return vifs

    def plug(self, vifs: Sequence[GuestVif], deadline_s: float = _DEADLINE_S) -> Plug:
        """Send `online` for each, all at once, and wait for the last to be connected."""
        words = [str(vif.id.domid) for vif in vifs]
        argv = [sys.executable, str(FOLDER / "plug_clock.py"), str(self.sandbox.root), str(deadline_s), *words]
        return Plug(**json.loads(self.sandbox.run(argv, timeout=deadline_s + 60).stdout))

    def take_over(self, vif: GuestVif) -> float:
        """Have the switch take over a prepared VIF's port and nothing else; seconds."""
        device = vif.id.device(DeviceType.VIF)
        argv = [sys.executable, str(FOLDER / "switch_clock.py"), str(self.sandbox.root), "xenbr0", device]
        return float(self.sandbox.run(argv).stdout)

    def transactions(self) -> int:
        """Transactions that xsagent made so far."""
        return our_transactions(self.sandbox)

    def ports(self) -> int:
        """Ports of the bridge."""
        return len(self.sandbox.run(["ovs-vsctl", "list-ports", "xenbr0"]).stdout.split())

    def _add_netdevs(self, ids: Sequence[VifId]) -> None:
        lines = [
            f"link add vif{i.domid}.{i.devid} type veth peer name d{i.domid}v{i.devid} netns {_GUESTS}" for i in ids
        ]
        self.sandbox.run(["ip", "-batch", "-"], input_text="\n".join(lines) + "\n", timeout=_DEADLINE_S)

    def _add_beside(self) -> None:
        ids = [VifId(_FIRST_BESIDE + number, 0) for number in range(self.beside)]
        self._add_netdevs(ids)
        words = [word for vif in ids for word in ("--", "add-port", "xenbr0", f"vif{vif.domid}.0")]
        self.sandbox.run(["ovs-vsctl", *words], timeout=_DEADLINE_S)

    def _use_script(self) -> None:
        rule = f'SUBSYSTEM=="xen-backend", KERNEL=="vif*", ACTION=="online", RUN+="{FOLDER}/baseline-vif-online.sh '
        (self.sandbox.root / "usr/lib/udev/rules.d" / RULES).write_text(f'{rule}{self.sandbox.root}"\n', "utf-8")
        self.sandbox.run(["udevadm", "control", "--reload"])

    def _open_log(self) -> None:
        """Syslog's socket, read and forgotten: a script's loggers and ours find what they find on a host."""
        path = self.sandbox.root / "dev/log"
        path.parent.mkdir(exist_ok=True)
        self._log.bind(str(path))
        path.chmod(0o666)
        threading.Thread(target=self._read_log, daemon=True).start()

    def _read_log(self) -> None:
        try:
            while True:
                self._log.recv(65536)
        except OSError:
            return
