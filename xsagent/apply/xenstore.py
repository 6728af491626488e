"""Writes a VIF's keys into xenstore: what netback, xenopsd and the PVS helper wait for. Effects.

The last step of an attach and of a detach in `hotplug/handle`; no other module writes to xenstore. Orders are
contracts (features.md section 15): ``hotplug-status`` comes last of an attach, since netback connects the guest
then; ``hotplug`` goes last of a detach, since xenopsd goes on then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from xsagent.errors import XenstoreError
from xsagent.model.vif import DeviceType, VifPaths
from xsagent.sources.xenstore import Xenstore
from xsagent.sources.xenstore_wire import Operation, encode_path

_MAX_TEXT: Final = 1024
"""Longest hotplug-error in bytes: xenopsd shows it to people."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is to be told of one device.

    Attributes:
        facts: keys below HOTPLUG, for example ``vif-ifindex``.
    """

    paths: VifPaths
    kind: DeviceType
    facts: Mapping[str, str]

    @property
    def wanted(self) -> dict[str, str]:
        """Values by path, in the order of the contract."""
        keys = {f"{self.paths.hotplug}/{name}": value for name, value in self.facts.items()}
        if self.kind is DeviceType.VIF:
            keys |= {f"{self.paths.hotplug}/hotplug": "online", f"{self.paths.backend}/hotplug-status": "connected"}
        return keys


def write_attached(store: Xenstore, reports: Sequence[Report]) -> list[bool]:
    """Report devices as attached; idempotent, and silent where the keys say so already (a write fires watches).

    One transaction for all writes HOTPLUG's keys and, for a vif, ``hotplug=online`` and at last ``hotplug-status`` =
    ``connected``, and removes ``hotplug-error``. A tap has its facts written, and no status.

    Returns:
        For each whether its backend directory was there. Without it nothing is written of a vif: a directory that we
        created would look like a device.
    """

    def write(transaction: int) -> list[bool]:
        places = [path for one in reports for path in (one.paths.backend, one.paths.hotplug)]
        listed = dict(zip(places, store.directories(places, transaction=transaction), strict=True))
        present = {f"{path}/{name}" for path, names in listed.items() for name in names or ()}
        there = [listed[one.paths.backend] is not None or one.kind is DeviceType.TAP for one in reports]
        errors = (f"{one.paths.backend}/hotplug-error" for one in reports if one.kind is DeviceType.VIF)
        stale = [(Operation.RM, encode_path(path)) for path in errors if path in present]
        wanted: dict[str, str] = {}
        for one, exists in zip(reports, there, strict=True):
            wanted |= one.wanted if exists else {}
        kept = [path for path in wanted if path in present]
        values = dict(zip(kept, store.read_all(kept, transaction=transaction), strict=True))
        differing = [
            (Operation.WRITE, encode_path(path) + value.encode("utf-8"))
            for path, value in wanted.items()
            if values.get(path) != value.encode("utf-8")
        ]
        _request_all(store, stale + differing, transaction)
        return there

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


def remove_attached(store: Xenstore, devices: Sequence[tuple[VifPaths, DeviceType]]) -> None:
    """Take back what `write_attached` reported, ``hotplug`` last of each; absent keys are right (F23, F29).

    The other device of the same VIF keeps its facts: HOTPLUG is shared by vif and tap.
    """
    paths = [path for places, kind in devices for path in _reported(places, kind)]
    requests = [(Operation.RM, encode_path(path)) for path in paths]
    store.transact(lambda transaction: _request_all(store, requests, transaction))


def _reported(paths: VifPaths, kind: DeviceType) -> Iterator[str]:
    yield from (f"{paths.hotplug}/{kind}-{fact}" for fact in ("ifindex", "ofport"))
    if kind is DeviceType.VIF:
        yield from (f"{paths.backend}/hotplug-{word}" for word in ("error", "status"))
        yield from (f"{paths.hotplug}/{word}" for word in ("vif", "hotplug"))


def _request_all(store: Xenstore, requests: Sequence[tuple[Operation, bytes]], transaction: int) -> None:
    """Have all of it done in this order; the absence of what is to be removed is right.

    Raises:
        XenstoreError: the first that was refused.
    """
    answers = store.request_all(requests, transaction=transaction)
    for (operation, _), answer in zip(requests, answers, strict=True):
        if isinstance(answer, XenstoreError) and not (operation is Operation.RM and answer.code == "ENOENT"):
            raise answer


def write_key(store: Xenstore, path: str, value: str) -> None:
    """Write one node (sandbox and tests; the keys of a VIF go through the functions above)."""
    _write(store, path, value, 0)


def _write(store: Xenstore, path: str, value: str, transaction: int) -> None:
    store.request(Operation.WRITE, encode_path(path), value.encode("utf-8"), transaction=transaction)
