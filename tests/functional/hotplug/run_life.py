"""Run in a sandbox's dom0: a random life of three VIFs on the real peers, then two resyncs; prints how it ended.

``python run_life.py ROOT SEED STEPS``. Toolstack, kernel and foreign hands do what they like in between; what attaches
and detaches is `attempt`, as in the daemon. Standard error is left to the log.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from xsagent.config import Paths, Settings
from xsagent.errors import XsagentError
from xsagent.hotplug.attempt import attempt
from xsagent.hotplug.event import Action, Event
from xsagent.hotplug.peers import Peers
from xsagent.hotplug.resync import build_resync_events
from xsagent.hotplug.survey import read_survey
from xsagent.hotplug.work import Outcome
from xsagent.model.vif import DeviceType, VifId
from xsagent.observed.ovsdb import read_ovsdb
from xsagent.sandbox.guest_vif import GuestVif, render_file, render_keys
from xsagent.sources.xenstore import Xenstore
from xsagent.sources.xenstore_wire import Operation, encode_path

VIFS = tuple(GuestVif(id=VifId(domid, 0)) for domid in (41, 42, 43))
HOSTILE = (b"x -- del-br xenbr1", b"../../etc/passwd", b"\0\0", b"x" * 3800, b"-1", b"nope", b"\xff\xfe")
ACTIONS = (Action.ONLINE, Action.ONLINE, Action.REMOVE, Action.MOVE, Action.FILTER, Action.CLEAR, Action.ADD)


class Life:
    """The random steps; what was done last of each VIF's keys."""

    def __init__(self, peers: Peers, seed: int) -> None:
        self.peers = peers
        self.random = random.Random(seed)  # noqa: S311 - a test's dice
        self.bridges: dict[str, str | None] = {}

    def step(self) -> None:
        """One thing happens to one VIF."""
        vif = self.random.choice(VIFS)
        steps = (
            self.write,
            self.write,
            self.plug,
            self.plug,
            self.vanish,
            self.event,
            self.event,
            self.event,
            self.foreign,
        )
        self.random.choice(steps)(vif)

    def write(self, vif: GuestVif) -> None:
        """The toolstack writes all keys and the file; sometimes one of them is hostile."""
        bridge = self.random.choice(("xenbr0", "xenbr1", "xenbr1", "absent"))
        locking = self.random.choice(("Unlocked", "Locked", "Disabled"))
        wanted = GuestVif(id=vif.id, bridge=bridge, locking=locking, allowed=("192.0.2.9",))
        for path, value in render_keys(wanted).items():
            if path.startswith(("/xapi", "/vm", vif.domain)):
                put(self.peers.store, path, value.encode())
        put(self.peers.store, f"{vif.frontend}/mac", self.random.choice(HOSTILE))
        file = self.peers.paths.below(f"/{wanted.file}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(render_file(wanted))
        self.bridges[vif.device] = "" if locking == "Disabled" else bridge
        if self.random.random() < 0.1:
            file.write_bytes(self.random.choice((b"{" * 10000, b"\0" * 10000, b'{"locking_mode": "Open"}')))
            self.bridges[vif.device] = None
        if self.random.random() < 0.3:
            key = self.random.choice(("bridge", "bridge-MAC", "MTU", "vif-uuid", "network-uuid", "trunks"))
            put(self.peers.store, f"{vif.private}/{key}", self.random.choice(HOSTILE))
            self.bridges[vif.device] = None

    def plug(self, vif: GuestVif) -> None:
        """The netdev and its backend appear."""
        put(self.peers.store, f"{vif.backend}/frontend", vif.frontend.encode())
        run("ip", "link", "add", vif.device, "type", "veth", "peer", "name", f"far{vif.id.domid}")

    def vanish(self, vif: GuestVif) -> None:
        """The netdev goes, the backend perhaps; nobody tells."""
        run("ip", "link", "del", vif.device)
        if self.random.random() < 0.5:
            remove(self.peers.store, vif.backend)

    def event(self, vif: GuestVif) -> None:
        """Somebody says something."""
        attempt(self.peers, [Event(vif=vif.id, kind=DeviceType.VIF, action=self.random.choice(ACTIONS))])

    def foreign(self, vif: GuestVif) -> None:
        """An admin deletes the port, or its flows."""
        if self.random.random() < 0.5:
            run("ovs-vsctl", "--if-exists", "del-port", vif.device)
        else:
            run("ovs-ofctl", "del-flows", "xenbr1", "cookie=1/-1")

    def resync(self) -> Sequence[Outcome]:
        """As the daemon does it."""
        bridges = read_ovsdb(self.peers.database).bridges
        survey = read_survey(self.peers.store, self.peers.paths.sys, bridges.values())
        return attempt(self.peers, build_resync_events(survey))


def put(store: Xenstore, path: str, value: bytes) -> None:
    """Write any bytes."""
    store.request(Operation.WRITE, encode_path(path), value)


def remove(store: Xenstore, path: str) -> None:
    """Remove a node; absent is right."""
    try:
        store.request(Operation.RM, encode_path(path))
    except XsagentError:
        return


def run(*words: str) -> None:
    """A program that may fail."""
    subprocess.run(words, check=False, capture_output=True)


def main() -> None:
    """Live, and tell what there is to be at the end."""
    root, seed, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with Peers(Paths(root=Path(root)), Settings()) as peers:
        life = Life(peers, seed)
        for _ in range(steps):
            life.step()
        outcomes = {outcome.event.device: outcome for outcome in life.resync()}
        life.resync()
    told = {name: [str(outcome.result), outcome.text] for name, outcome in outcomes.items()}
    sys.stdout.write(json.dumps({"outcomes": told, "bridges": life.bridges}))


if __name__ == "__main__":
    main()
