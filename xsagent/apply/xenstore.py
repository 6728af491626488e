"""Writes a VIF's keys into xenstore: what netback, xenopsd and the PVS helper wait for. Effects.

The last step of an attach and of a detach (`hotplug/report`); no other module writes to xenstore. Orders are
contracts (features.md section 15): ``hotplug-status`` comes last of an attach, since netback connects the guest
then; ``hotplug`` goes last of a detach, since xenopsd goes on then.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from xsagent.errors import XenstoreError
from xsagent.model.vif import DeviceType, VifPaths
from xsagent.sources.xenstore import Xenstore
from xsagent.sources.xenstore_wire import Operation, encode_path

_MAX_TEXT: Final = 1024
"""Longest hotplug-error in bytes: xenopsd shows it to people."""


HOOK_MARK: Final = "vif-hook"
"""Below HOTPLUG, while the host's hook is still to be called for an attach: whoever was killed over it left that."""


class Hooked(enum.Enum):
    """Whether the host's hook is to be called when a device is reported as attached."""

    NEVER = enum.auto()
    WHEN_NEW = enum.auto()
    """When it was not reported before, or its hook never came to an end."""
    ALWAYS = enum.auto()


class Told(enum.Enum):
    """What came of a report."""

    GONE = enum.auto()
    """The vif's backend directory is not there, and nothing was written."""
    SAID = enum.auto()
    HOOK_DUE = enum.auto()
    """It was said, and the hook is to be called; `remove_hook_mark` is due when it has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is to be told of one device.

    Attributes:
        facts: keys below HOTPLUG, for example ``vif-ifindex``; None for one that must be absent.
        facts_only: somebody else tells that it is attached.
    """

    paths: VifPaths
    kind: DeviceType
    facts: Mapping[str, str | None]
    facts_only: bool = False
    hooked: Hooked = Hooked.NEVER

    @property
    def has_status(self) -> bool:
        """Whether it says that the device is attached; of a tap nobody is told."""
        return self.kind is DeviceType.VIF and not self.facts_only

    @property
    def status(self) -> str:
        """Path of what netback waits for."""
        return f"{self.paths.backend}/hotplug-status"

    @property
    def mark(self) -> str:
        """Path of HOOK_MARK."""
        return f"{self.paths.hotplug}/{HOOK_MARK}"

    @property
    def wanted(self) -> dict[str, str | None]:
        """Values by path, in the order of the contract; None for what must be absent."""
        keys = {f"{self.paths.hotplug}/{name}": value for name, value in self.facts.items()}
        if self.has_status:
            keys |= {f"{self.paths.backend}/hotplug-error": None}
            keys |= {f"{self.paths.hotplug}/hotplug": "online", self.status: "connected"}
        return keys


def write_attached(store: Xenstore, reports: Sequence[Report]) -> list[Told]:
    """Report devices as attached; idempotent, and silent where the keys say so already (a write fires watches).

    One transaction for all writes HOTPLUG's keys and, for a vif, ``hotplug=online`` and at last ``hotplug-status`` =
    ``connected``, and removes ``hotplug-error``. A tap has its facts written, and no status. Of a vif without a backend
    directory nothing is written: a directory that we created would look like a device.
    """

    def write(transaction: int) -> list[Told]:
        places = [path for one in reports for path in (one.paths.backend, one.paths.hotplug)]
        listed = dict(zip(places, store.directories(places, transaction=transaction), strict=True))
        present = {f"{path}/{name}" for path, names in listed.items() for name in names or ()}
        there = [listed[one.paths.backend] is not None or one.kind is DeviceType.TAP for one in reports]
        kept = [path for one in reports for path, value in one.wanted.items() if value is not None and path in present]
        values = dict(zip(kept, store.read_all(kept, transaction=transaction), strict=True))
        told = [
            _told(one, present, values) if exists else Told.GONE for one, exists in zip(reports, there, strict=True)
        ]
        _request_all(store, list(_requests(reports, told, present, values)), transaction)
        return told

    return store.transact(write)


def _told(report: Report, present: AbstractSet[str], values: Mapping[str, bytes | None]) -> Told:
    is_new = values.get(report.status) != b"connected" or report.mark in present
    is_due = report.hooked is Hooked.ALWAYS or (report.hooked is Hooked.WHEN_NEW and is_new)
    return Told.HOOK_DUE if is_due else Told.SAID


def _requests(
    reports: Sequence[Report], told: Sequence[Told], present: AbstractSet[str], values: Mapping[str, bytes | None]
) -> Iterator[tuple[Operation, bytes]]:
    """What differs from what is there; of a device that is gone, what is stale alone."""
    wanted: dict[str, str | None] = {}
    for one, said in zip(reports, told, strict=True):
        mark = {one.mark: ""} if said is Told.HOOK_DUE and one.mark not in present else {}
        wanted |= {path: value for path, value in (mark | one.wanted).items() if value is None or said is not Told.GONE}
    for path, value in wanted.items():
        if value is None and path in present:
            yield Operation.RM, encode_path(path)
        elif value is not None and values.get(path) != value.encode("utf-8"):
            yield Operation.WRITE, encode_path(path) + value.encode("utf-8")


def remove_hook_mark(store: Xenstore, path: str) -> None:
    """The hook of this mark has ended; absent is right."""
    _request_all(store, [(Operation.RM, encode_path(path))], 0)


def write_failed(store: Xenstore, paths: VifPaths, sentence: str) -> bool:
    """Report that a vif cannot be attached: its VM's start fails with this text.

    What an earlier attach reported stays: netback has connected the guest then, and nothing takes that back.
    Returns whether the device still exists; else nothing is written (DESIGN.md section 6).
    """
    text = sentence.encode("ascii", "backslashreplace")[:_MAX_TEXT].decode("ascii")

    def write(transaction: int) -> bool:
        if store.directory(paths.backend, transaction=transaction) is None:
            return False
        path = encode_path(f"{paths.backend}/hotplug-error")
        store.request(Operation.WRITE, path, text.encode("ascii"), transaction=transaction)
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
        yield from (f"{paths.hotplug}/{word}" for word in ("vif", HOOK_MARK, "hotplug"))


def _request_all(store: Xenstore, requests: Sequence[tuple[Operation, bytes]], transaction: int) -> None:
    """Have all of it done in this order; the absence of what is to be removed is right.

    Raises:
        XenstoreError: the first that was refused.
    """
    answers = store.request_all(requests, transaction=transaction)
    for (operation, _), answer in zip(requests, answers, strict=True):
        if isinstance(answer, XenstoreError) and not (operation is Operation.RM and answer.code == "ENOENT"):
            raise answer
