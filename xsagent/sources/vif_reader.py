"""xenstored and xenopsd's file -> VifKeys: everything about some VIFs in one transaction. I/O.

Before `vif.parse_vif`, which checks the values. The toolstack's layout is found by probing: the directory by the
VM's uuid first, then the one by domain id (features.md section 19). What one VIF needs is a generator that says what
to read next; those of a burst are run side by side, so that a wait for xenstored serves all of them.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeVar

from xsagent.config import Paths
from xsagent.errors import InputError
from xsagent.model.vif import Layout, Vif, VifId, VifPaths
from xsagent.sources.vif import BACKEND_KEYS, OTHER_CONFIG_KEYS, PRIVATE_KEYS, VifKeys, build_paths, parse_vif
from xsagent.sources.vif_file import MAX_FILE_BYTES
from xsagent.sources.vif_values import parse_text, parse_uuid
from xsagent.sources.xenstore import Xenstore

_T = TypeVar("_T")

DISABLE_UDEV = "/local/domain/0/libxl/disable_udev"
"""While it is there the toolstack calls for each vif itself, and udev's word does not count (DESIGN.md section 6).

libxl and xenopsd write it as ``libxl/disable_udev``: relative, so below dom0's own directory (wire.md section 3).
"""
_XENOPSD = "/var/run/nonpersistent/xenopsd"
_VM_PATH = re.compile(r"/vm/[A-Za-z0-9-]{1,64}", re.ASCII)
_CLOSING = frozenset({"5", "6"})
_OTHER_CONFIG = "other-config"
_BACKEND_NAME = re.compile(r"[a-z0-9_-]{1,32}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendState:
    """What the backend directory says about the device itself.

    Attributes:
        exists: the directory is there: the device exists or is about to (DESIGN.md section 6).
        closing: netback closes or has closed (XenbusStateClosing, XenbusStateClosed of Xen's io/xenbus.h), on the
            toolstack's word or the guest's.
        status: ``hotplug-status``; empty when absent.
        error: ``hotplug-error``; empty when absent.
        online: ``hotplug`` below HOTPLUG: the value for which xenopsd waits; empty when absent.
    """

    exists: bool = False
    closing: bool = False
    status: str = ""
    error: str = ""
    online: str = ""


def read_vif_keys(store: Xenstore, vif: VifId) -> VifKeys:
    """The VIF's keys from one transaction, unchecked and without xenopsd's file.

    Raises:
        InputError: its domain's own keys are malformed.
        XenstoreError, XenstoreUnavailableError: as `Xenstore.read`.
    """
    [keys] = read_all_vif_keys(store, [vif])
    if isinstance(keys, InputError):
        raise keys
    return keys


def read_all_vif_keys(store: Xenstore, vifs: Sequence[VifId]) -> list[VifKeys | InputError]:
    """As `read_vif_keys` for some VIFs, from one transaction; InputError in place of one whose domain is malformed.

    Keep them few: xenstored looks through all that a transaction touched at each access.
    """
    return store.transact(lambda transaction: _run(store, transaction, [_read_keys(vif) for vif in vifs]))


def read_vif(keys: VifKeys, paths: Paths, *, backend: str = "", vm_uuid: str = "") -> Vif:
    """The VIF that these keys and xenopsd's file, which is read here, describe.

    Args:
        keys: as xenstore has them.
        paths: of this host.
        backend, vm_uuid: where a caller says that xenopsd's file lies; by default xenstore's keys tell it.

    Raises:
        InputError: a value is wrong (`vif.parse_vif`).
        HotplugPendingError: its locking mode cannot be read (yet).
    """
    told = {"xenopsd-backend": backend.encode("ascii", "replace")} if backend else {}
    keys = replace(keys, private={**keys.private, **told})
    return parse_vif(replace(keys, file=_read_file(paths, keys, vm_uuid)))


def read_vif_by_file(paths: Paths, vif: VifId, vm_uuid: str) -> Vif | None:
    """The VIF as xenopsd's file alone describes it, for while xenstored is away; None unless there is one such file.

    Args:
        paths: of this host.
        vif: which.
        vm_uuid: of its VM, as its port is marked.

    Raises:
        InputError: the uuid is none, or a value in the file is wrong.
        HotplugPendingError: the file is not readable (yet).
    """
    uuid = parse_uuid(vm_uuid)
    files = list(paths.below(_XENOPSD).glob(f"*/VM/{uuid}/vif.{vif.devid}"))
    if len(files) != 1:
        return None
    backend = files[0].relative_to(paths.below(_XENOPSD)).parts[0]
    keys = VifKeys(id=vif, paths=build_paths(vif, Layout.UUID, uuid), vm_uuid=uuid)
    return read_vif(keys, paths, backend=backend)


def read_backend_state(store: Xenstore, paths: VifPaths) -> BackendState:
    """What the backend directory and HOTPLUG say now. Errors as `Xenstore.read`."""
    [found] = store.transact(lambda transaction: _run(store, transaction, [_read_backend(paths)]))
    if isinstance(found, InputError):
        raise found
    return found


@dataclass(frozen=True, slots=True)
class _Ask:
    """What a reading needs next: the names below some nodes, and the values of some."""

    directories: Sequence[str] = ()
    values: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class _Answer:
    """The same, in its order; None for what is absent."""

    names: Sequence[tuple[str, ...] | None]
    values: Sequence[bytes | None]


_Reading = Generator[_Ask, _Answer, _T]


def _run(store: Xenstore, transaction: int, readings: Sequence[_Reading[_T]]) -> list[_T | InputError]:
    """Run readings side by side until all have ended; a malformed key ends one alone."""
    found: dict[int, _T | InputError] = {}
    asks: dict[int, _Ask] = {}

    def advance(number: int, answer: _Answer | None) -> None:
        try:
            # a generator that has not begun takes nothing but None
            asks[number] = next(readings[number]) if answer is None else readings[number].send(answer)
        except StopIteration as end:
            found[number] = end.value
        except InputError as error:
            found[number] = error

    for number in range(len(readings)):
        advance(number, None)
    while asks:
        answers = _ask_all(store, transaction, asks)
        asks.clear()
        for number, answer in answers.items():
            advance(number, answer)
    return [found[number] for number in range(len(readings))]


def _ask_all(store: Xenstore, transaction: int, asks: Mapping[int, _Ask]) -> dict[int, _Answer]:
    """The answers to all that is asked, in two waits."""
    directories = [path for ask in asks.values() for path in ask.directories]
    values = [path for ask in asks.values() for path in ask.values]
    names = iter(store.directories(directories, transaction=transaction) if directories else ())
    texts = iter(store.read_all(values, transaction=transaction) if values else ())
    return {
        number: _Answer(list(islice(names, len(ask.directories))), list(islice(texts, len(ask.values))))
        for number, ask in asks.items()
    }


def _read_backend(paths: VifPaths) -> _Reading[BackendState]:
    keys = [f"{paths.backend}/state", f"{paths.backend}/hotplug-status", f"{paths.backend}/hotplug-error"]
    answer = yield _Ask([paths.backend], [*keys, f"{paths.hotplug}/hotplug"])
    # for people or comparison: unprintable parts escaped
    texts = [(value or b"").decode("ascii", "backslashreplace") for value in answer.values]
    state, status, error, online = texts
    exists = answer.names[0] is not None
    return BackendState(exists=exists, closing=state in _CLOSING, status=status, error=error, online=online)


def _read_keys(vif: VifId) -> _Reading[VifKeys]:
    """Everything, in as few steps and requests as the keys allow."""
    paths, vm_uuid, names = yield from _find_paths(vif)
    other_config = f"{paths.private}/{_OTHER_CONFIG}"
    final, origin = f"/vm/{vm_uuid}/final-uuid", f"/vm/{vm_uuid}/origin-uuid"
    asked = [f"{paths.private}/{name}" for name in PRIVATE_KEYS if name in names]
    asked += [f"{paths.backend}/{name}" for name in BACKEND_KEYS]
    asked += [final, origin] if vm_uuid else []
    answer = yield _Ask(directories=[other_config] if _OTHER_CONFIG in names else [], values=asked)
    values = _present(asked, answer)
    wanted = [name for listed in answer.names for name in OTHER_CONFIG_KEYS if name in (listed or ())]
    if wanted:
        asked = [f"{other_config}/{name}" for name in wanted]
        values |= _present(asked, (yield _Ask(values=asked)))
    return VifKeys(
        id=vif,
        paths=paths,
        vm_uuid=vm_uuid,
        final_uuid=values.pop(final, None),
        origin_uuid=values.pop(origin, None),
        private=_below(paths.private, values),
        backend=_below(paths.backend, values),
    )


def _present(asked: Sequence[str], answer: _Answer) -> dict[str, bytes]:
    """The values that are there, by path."""
    return {path: value for path, value in zip(asked, answer.values, strict=True) if value is not None}


def _below(directory: str, values: Mapping[str, bytes]) -> dict[str, bytes]:
    """The values below a directory, by relative path."""
    start = f"{directory}/"
    return {path.removeprefix(start): value for path, value in values.items() if path.startswith(start)}


def _find_paths(vif: VifId) -> _Reading[tuple[VifPaths, str, tuple[str, ...]]]:
    """The VIF's directories, the VM's uuid (empty when unknown), and the names below the private directory."""
    vm_uuid = yield from _read_vm_uuid(vif)
    paths = by_domid = build_paths(vif, Layout.DOMID)
    if vm_uuid:
        by_uuid = build_paths(vif, Layout.UUID, vm_uuid)
        names = yield from _list(by_uuid.private)
        if names is None:
            names = yield from _list(by_domid.private)
            paths = by_uuid if names is None else by_domid
        else:
            paths = by_uuid
        return paths, vm_uuid, names or ()
    [online] = (yield _Ask(values=[f"{by_domid.hotplug}/hotplug"])).values
    if online is None:
        paths = (yield from _find_leftover(vif)) or by_domid
    return paths, "", (yield from _list(paths.private)) or ()


def _list(path: str) -> _Reading[tuple[str, ...] | None]:
    """Names of a node's children; None when there is no such node."""
    [names] = (yield _Ask(directories=[path])).names
    return names


def _find_leftover(vif: VifId) -> _Reading[VifPaths | None]:
    """Where a ``hotplug`` key names this domain id, when the domain itself is gone (DESIGN.md section 6)."""
    names = yield from _list("/xapi")
    places: list[VifPaths] = []
    for name in names or ():
        with contextlib.suppress(InputError):
            places.append(build_paths(vif, Layout.UUID, parse_uuid(name)))
    online = (yield _Ask(values=[f"{paths.hotplug}/hotplug" for paths in places])).values
    return next((paths for paths, value in zip(places, online, strict=True) if value is not None), None)


def _read_vm_uuid(vif: VifId) -> _Reading[str]:
    """The uuid under which the domain runs; empty when it has none, or is gone.

    Raises:
        InputError: ``vm`` or ``uuid`` is malformed: it would lead to another VM's keys.
    """
    [raw] = (yield _Ask(values=[f"/local/domain/{vif.domid}/vm"])).values
    if raw is None:
        return ""
    try:
        path = parse_text(raw)
        if not _VM_PATH.fullmatch(path):
            raise InputError(f"{path!r:.80} is not a VM's path")  # noqa: TRY301 - one sentence for all three
        [uuid] = (yield _Ask(values=[f"{path}/uuid"])).values
        return "" if uuid is None else parse_uuid(parse_text(uuid))
    except InputError as error:
        raise InputError(f"VIF {vif}: the domain's vm key: {error}; the VIF was left as it was") from error


def _read_file(paths: Paths, keys: VifKeys, told_uuid: str) -> bytes | None:
    """The VIF's file of xenopsd, under the uuid told, the present one or the one before or after migration.

    None when there is none, or when a word could not be part of its path.
    """
    backend = keys.private.get("xenopsd-backend", b"").decode("ascii", "replace")
    if not _BACKEND_NAME.fullmatch(backend):
        return None
    others = [(raw or b"").decode("ascii", "replace") for raw in (keys.origin_uuid, keys.final_uuid)]
    for uuid in (told_uuid, keys.vm_uuid, *others):
        with contextlib.suppress(OSError, InputError):
            place = f"{_XENOPSD}/{backend}/VM/{parse_uuid(uuid)}/vif.{keys.id.devid}"
            with paths.below(place).open("rb") as stream:
                return stream.read(MAX_FILE_BYTES + 1)
    return None
