"""Writes a VIF's keys into xenstore: what netback, xenopsd and the PVS helper wait for. Effects.

The last step of an attach and of a detach in `hotplug/handle`; no other module writes to xenstore. Orders are
contracts (features.md section 15): ``hotplug-status`` comes last of an attach, since netback connects the guest
then; ``hotplug`` goes last of a detach, since xenopsd goes on then.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from xsagent.errors import XenstoreError
from xsagent.model.vif import DeviceType, VifPaths
from xsagent.sources.xenstore import Xenstore
from xsagent.sources.xenstore_wire import Operation, encode_path

_MAX_TEXT: Final = 1024
"""Longest hotplug-error in bytes: xenopsd shows it to people."""


def write_attached(store: Xenstore, paths: VifPaths, kind: DeviceType, keys: Mapping[str, str]) -> bool:
    """Report a device as attached; idempotent, and silent where the keys say so already (a write fires watches).

    One transaction writes HOTPLUG's keys and, for a vif, ``hotplug=online`` and at last ``hotplug-status`` =
    ``connected``, and removes ``hotplug-error``. A tap has its facts written, and no status.

    Args:
        keys: facts below HOTPLUG, for example ``vif-ifindex``.

    Returns:
        Whether the backend directory was there. Without it nothing is written: a directory that we created would
        look like a device.
    """
    wanted = {f"{paths.hotplug}/{name}": value for name, value in keys.items()}
    if kind is DeviceType.VIF:
        wanted |= {f"{paths.hotplug}/hotplug": "online", f"{paths.backend}/hotplug-status": "connected"}

    def write(transaction: int) -> bool:
        if kind is DeviceType.VIF:
            names = store.directory(paths.backend, transaction=transaction)
            if names is None:
                return False
            if "hotplug-error" in names:
                _remove(store, f"{paths.backend}/hotplug-error", transaction)
        present = store.read_all(list(wanted), transaction=transaction)
        differing = [
            (Operation.WRITE, encode_path(path) + value.encode("utf-8"))
            for (path, value), now in zip(wanted.items(), present, strict=True)
            if now != value.encode("utf-8")
        ]
        for refusal in store.request_all(differing, transaction=transaction):
            if isinstance(refusal, XenstoreError):
                raise refusal
        return True

    return store.transact(write)


def write_failed(store: Xenstore, paths: VifPaths, sentence: str) -> bool:
    """Report that a vif cannot be attached: its VM's start fails with this text.

    What an earlier attach reported stays: netback has connected the guest then, and nothing takes that back.
    Returns whether the device still exists; else nothing is written (DESIGN.md section 6).
    """
    text = sentence.encode("ascii", "backslashreplace")[:_MAX_TEXT].decode("ascii")

    def write(transaction: int) -> bool:
        if store.directory(paths.backend, transaction=transaction) is None:
            return False
        _write(store, f"{paths.backend}/hotplug-error", text, transaction)
        return True

    return store.transact(write)


def remove_attached(store: Xenstore, paths: VifPaths, kind: DeviceType) -> None:
    """Take back what `write_attached` reported, ``hotplug`` last; absent keys are right (F23, F29).

    The other device of the same VIF keeps its facts: HOTPLUG is shared by vif and tap.
    """

    def write(transaction: int) -> None:
        for name in (f"{kind}-ifindex", f"{kind}-ofport"):
            _remove(store, f"{paths.hotplug}/{name}", transaction)
        if kind is DeviceType.VIF:
            _remove(store, f"{paths.backend}/hotplug-error", transaction)
            _remove(store, f"{paths.backend}/hotplug-status", transaction)
            _remove(store, f"{paths.hotplug}/vif", transaction)
            _remove(store, f"{paths.hotplug}/hotplug", transaction)

    store.transact(write)


def write_key(store: Xenstore, path: str, value: str) -> None:
    """Write one node (sandbox and tests; the keys of a VIF go through the functions above)."""
    _write(store, path, value, 0)


def _write(store: Xenstore, path: str, value: str, transaction: int) -> None:
    store.request(Operation.WRITE, encode_path(path), value.encode("utf-8"), transaction=transaction)


def _remove(store: Xenstore, path: str, transaction: int) -> None:
    """Remove a node with all below it; its absence is right."""
    try:
        store.request(Operation.RM, encode_path(path), transaction=transaction)
    except XenstoreError as error:
        if error.code != "ENOENT":
            raise
