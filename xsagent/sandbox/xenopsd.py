"""Stands in for xenopsd and netback: plugs VIFs into a sandbox as a host's are, a guest namespace behind each. Effects.

Real are xenstored, udevd with our rules, the netdevs and their own uevents; the backend's uevents are the kernel's
broadcast of what `uevents` gives it. The order of a plug and of an unplug is that of a real Xen (udev-xen.md); when
the keys of a device go is xenopsd's or libxl's affair (device.ml, hard_shutdown: after its wait).
Used by ``xsagent sandbox vif`` (inside) and by tests (through `Sandbox.run`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from xsagent.config import Paths
from xsagent.errors import CommandError, XenstoreError
from xsagent.model.vif import Layout, VifId
from xsagent.sandbox import udevd, wiring, xenstored
from xsagent.sandbox.guest_vif import GuestVif, render_file, render_guest, render_keys, render_netdev
from xsagent.sandbox.spec import Service
from xsagent.sandbox.uevents import xen_backend_uevent
from xsagent.sources.xenstore import Xenstore, open_xenstore
from xsagent.sources.xenstore_wire import Operation, encode_path

PLUG_DEADLINE_S = 60.0
"""xenopsd waits 300 s; a sandbox's user does not."""
_POLL_S = 0.02


def guest_services() -> tuple[Service, ...]:
    """What dom0 needs besides Open vSwitch for VIFs to be plugged in: xenstored and udevd."""
    return xenstored.xenstored_service(), udevd.udevd_service()


def missing_for_guests() -> str:
    """Why guests cannot be had on this machine; empty when they can."""
    try:
        xenstored.find_xenstored()
        xenstored.find_compiler()
        udevd.find_udevd()
        udevd.find_udev_files()
    except CommandError as error:
        return str(error)
    return ""


class Run(Protocol):
    """`Sandbox.run`, or the same for a process that is inside already."""

    def __call__(
        self, argv: list[str], *, check: bool = ..., input_text: str | None = ...
    ) -> subprocess.CompletedProcess[str]:
        """Run argv in dom0."""


class Xenopsd:
    """The toolstack's side of hotplug.

    Attributes:
        root: the sandbox's root prefix.
    """

    def __init__(self, root: Path, run: Run) -> None:
        self.root = root
        self._run = run

    def open_store(self) -> Xenstore:
        """A connection to the sandbox's xenstored."""
        return open_xenstore(Paths(root=self.root))

    def plug(self, *vifs: GuestVif, deadline_s: float = PLUG_DEADLINE_S) -> None:
        """Plug VIFs in and wait until each is reported; then its guest has its address and netback is connected.

        Raises:
            CommandError: there is a ``hotplug-error``, or no report in time.
        """
        self.write(*vifs)
        self.raise_uevents("add", *vifs)
        self.add_devices(*vifs)
        self.raise_uevents("online", *vifs)
        self.raise_uevents("bind", *vifs)
        self.wait_plugged(*vifs, deadline_s=deadline_s)

    def unplug(self, *vifs: GuestVif, keys_first: bool = False, deadline_s: float = PLUG_DEADLINE_S) -> None:
        """Unplug VIFs and wait until the ``hotplug`` key of each is gone; then the toolstack's own keys go.

        Args:
            vifs: plugged in before.
            keys_first: the devices' directories go before the wait, as libxl has it.
            deadline_s: seconds to wait.

        Raises:
            CommandError: a key is still there when the deadline has passed.
        """
        self.close(*vifs)
        self.raise_uevents("offline", *vifs)
        self.raise_uevents("unbind", *vifs)
        if keys_first:
            self._remove_directories(*vifs)
        self.raise_uevents("remove", *vifs)
        self._wait(deadline_s, vifs, self._is_unplugged)
        self.forget(*vifs)

    def close(self, *vifs: GuestVif) -> None:
        """What goes before the events of an unplug: the toolstack asks for it, netback takes the netdev away."""
        with self.open_store() as store:
            for vif in vifs:
                self._write(store, {f"{vif.backend}/online": "0", f"{vif.backend}/state": "5"})
        self.remove_devices(*vifs)
        with self.open_store() as store:
            for vif in vifs:
                _remove(store, f"{vif.backend}/hotplug-status")
                self._write(store, {f"{vif.backend}/state": "6"})

    # -- the toolstack's part --------------------------------------------------------------------------------

    def write(self, *vifs: GuestVif) -> None:
        """Write keys and files of VIFs, in one transaction for each."""
        with self.open_store() as store:
            for vif in vifs:
                self._write(store, render_keys(vif))
        for vif in vifs:
            file = self.root / vif.file
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(render_file(vif), encoding="utf-8")

    def forget(self, *vifs: GuestVif) -> None:
        """Remove what `write` wrote for VIFs that are gone, and all of a domain that has none left."""
        with self.open_store() as store:
            for vif in vifs:
                paths = [vif.private, vif.hotplug, vif.frontend, vif.backend]
                if not set(store.directory(vif.domain_backends) or ()) - {str(vif.id.devid)}:
                    paths += [vif.domain, vif.domain_backends, f"/vm/{vif.vm_uuid}", f"/xapi/{vif.owner}"]
                for path in paths:
                    _remove(store, path)
                (self.root / vif.file).unlink(missing_ok=True)

    def _remove_directories(self, *vifs: GuestVif) -> None:
        with self.open_store() as store:
            for path in (path for vif in vifs for path in (vif.frontend, vif.backend)):
                _remove(store, path)

    def wait_plugged(self, *vifs: GuestVif, deadline_s: float = PLUG_DEADLINE_S) -> None:
        """Wait as xenopsd does, for ``hotplug`` or ``hotplug-error``, then let netback say that it is connected.

        Raises:
            CommandError: as `plug`.
        """
        self._wait(deadline_s, vifs, self._is_plugged)
        with self.open_store() as store:
            for vif in vifs:
                self._write(store, {f"{vif.backend}/state": "4", f"{vif.frontend}/state": "4"})

    def find(self, device: VifId) -> GuestVif:
        """A VIF that was plugged in before, as far as unplugging it needs."""
        with self.open_store() as store:
            old = store.directory(f"/xapi/{device.domid}/private/vif/{device.devid}") is not None
        return GuestVif(id=device, layout=Layout.DOMID if old else Layout.UUID)

    def next_domid(self) -> int:
        """The first domain id that no netdev here has."""
        used = {name.removeprefix("vif").removeprefix("tap").partition(".")[0] for name in self._netdevs()}
        return next(domid for domid in range(1, len(used) + 2) if str(domid) not in used)

    # -- the kernel's part -----------------------------------------------------------------------------------

    def add_devices(self, *vifs: GuestVif) -> None:
        """Make netdevs and the guests behind them."""
        present = set(self._run(["ls", "/run/netns"]).stdout.split())
        guests = dict.fromkeys(vif.guest for vif in vifs if vif.guest not in present)
        lines = [f"netns add {guest}\n" for guest in guests] + [render_netdev(vif) for vif in vifs]
        self._run(["ip", "-batch", "-"], input_text="".join(lines))
        # The switch reads the netdev's frames from a packet socket; dom0's own stack must not answer beside it.
        self._run(["nft", "-f", "-"], input_text=wiring.render_drop(vif.device for vif in vifs))
        for vif in vifs:
            self._run(["ip", "-netns", vif.guest, "-batch", "-"], input_text=render_guest(vif))
            # The userspace datapath does not fill in a checksum that the sender left to its hardware.
            self._run(["ip", "netns", "exec", vif.guest, "ethtool", "-K", vif.interface, "tx", "off"])
            if vif.tap:
                self._run(["ip", "tuntap", "add", vif.tap_device, "mode", "tap"])

    def remove_devices(self, *vifs: GuestVif) -> None:
        """Take netdevs away, and each guest that has none left; what is gone already is right."""
        present = self._netdevs()
        mine = [name for vif in vifs for name in (vif.device, vif.tap_device) if name in present]
        self._run(["ip", "-batch", "-"], input_text="".join(f"link delete {name}\n" for name in mine))
        left = {name.partition(".")[0] for name in present - set(mine)}
        guests = {vif.guest for vif in vifs if f"vif{vif.id.domid}" not in left}
        for guest in sorted(guests & set(self._run(["ls", "/run/netns"]).stdout.split())):
            self._run(["ip", "netns", "delete", guest])

    def raise_uevents(self, action: str, *vifs: GuestVif) -> None:
        """Raise one event of each VIF's backend device."""
        lines = (json.dumps(xen_backend_uevent(action, vif.id)) + "\n" for vif in vifs)
        self._run([sys.executable, "-m", "xsagent.sandbox.uevents"], input_text="".join(lines))

    def _netdevs(self) -> set[str]:
        names = self._run(["ls", "/sys/class/net"]).stdout.split()
        return {name for name in names if name.startswith(("vif", "tap"))}

    # -- waiting ---------------------------------------------------------------------------------------------

    def _wait(self, deadline_s: float, vifs: Iterable[GuestVif], is_done: _IsDone) -> None:
        end, waiting = time.monotonic() + deadline_s, list(vifs)
        with self.open_store() as store:
            while waiting:
                waiting = [vif for vif in waiting if not is_done(store, vif)]
                if waiting and time.monotonic() > end:
                    names = ", ".join(vif.device for vif in waiting)
                    raise CommandError(f"no hotplug script answered for {names} within {deadline_s:g} s in the sandbox")
                if waiting:
                    time.sleep(_POLL_S)

    @staticmethod
    def _is_plugged(store: Xenstore, vif: GuestVif) -> bool:
        error = store.read(f"{vif.backend}/hotplug-error")
        if error is not None:
            raise CommandError(f"{vif.device}: hotplug-error: {error.decode(errors='replace')}")
        return store.read(f"{vif.hotplug}/hotplug") is not None

    @staticmethod
    def _is_unplugged(store: Xenstore, vif: GuestVif) -> bool:
        return store.read(f"{vif.hotplug}/hotplug") is None

    @staticmethod
    def _write(store: Xenstore, values: Mapping[str, str]) -> None:
        """Write values in one transaction, as xenopsd does."""

        def write(transaction: int) -> None:
            requests = [(Operation.WRITE, encode_path(path) + value.encode()) for path, value in values.items()]
            for refusal in store.request_all(requests, transaction=transaction):
                if isinstance(refusal, XenstoreError):
                    raise refusal

        store.transact(write)


class _IsDone(Protocol):
    """Whether a VIF is where it is waited for."""

    def __call__(self, store: Xenstore, vif: GuestVif) -> bool:
        """Look once."""


def _remove(store: Xenstore, path: str) -> None:
    """Remove a node with all below it; its absence is right."""
    try:
        store.request(Operation.RM, encode_path(path))
    except XenstoreError as error:
        if error.code != "ENOENT":
            raise
