"""xenstored and xenopsd's file -> VifKeys: everything about one VIF in one transaction. I/O.

Before `vif.parse_vif`, which checks the values. The toolstack's layout is found by probing: the directory by the
VM's uuid first, then the one by domain id (features.md section 19).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from xsagent.config import Paths
from xsagent.errors import InputError
from xsagent.model.vif import Layout, Vif, VifId, VifPaths
from xsagent.sources.vif import BACKEND_KEYS, OTHER_CONFIG_KEYS, PRIVATE_KEYS, VifKeys, build_paths, parse_vif
from xsagent.sources.vif_file import MAX_FILE_BYTES
from xsagent.sources.vif_values import parse_text, parse_uuid
from xsagent.sources.xenstore import Xenstore

_VM_PATH = re.compile(r"/vm/[A-Za-z0-9-]{1,64}", re.ASCII)
_CLOSING = frozenset({"5", "6"})
_BACKEND_NAME = re.compile(r"[a-z0-9_-]{1,32}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendState:
    """What the backend directory says about the device itself.

    Attributes:
        exists: the directory is there: the device exists or is about to (DESIGN.md section 6).
        closing: netback is taking the device away (XenbusStateClosing and XenbusStateClosed of Xen's io/xenbus.h).
        status: ``hotplug-status``; empty when absent.
        error: ``hotplug-error``; empty when absent.
        online: ``hotplug`` below HOTPLUG: the value for which xenopsd waits; empty when absent.
    """

    exists: bool = False
    closing: bool = False
    status: str = ""
    error: str = ""
    online: str = ""


def read_vif(store: Xenstore, paths: Paths, vif: VifId, *, backend: str = "", vm_uuid: str = "") -> Vif:
    """The VIF as the toolstack describes it now.

    Args:
        store: connection.
        paths: of this host.
        vif: which.
        backend, vm_uuid: where a caller says that xenopsd's file lies; by default xenstore's keys tell it.

    Raises:
        InputError: a value is wrong (`vif.parse_vif`).
        HotplugPendingError: its locking mode cannot be read (yet).
        XenstoreError, XenstoreUnavailableError: as `Xenstore.read`.
    """
    keys = read_vif_keys(store, vif)
    return parse_read_vif(keys, paths, backend=backend, vm_uuid=vm_uuid)


def read_vif_keys(store: Xenstore, vif: VifId) -> VifKeys:
    """The VIF's keys from one transaction, unchecked and without xenopsd's file. Errors as `Xenstore.read`."""
    return store.transact(lambda transaction: _read_keys(_View(store, transaction), vif))


def parse_read_vif(keys: VifKeys, paths: Paths, *, backend: str = "", vm_uuid: str = "") -> Vif:
    """The VIF that these keys and xenopsd's file, which is read here, describe. Arguments and errors as `read_vif`."""
    told = {"xenopsd-backend": backend.encode("ascii", "replace")} if backend else {}
    keys = replace(keys, private={**keys.private, **told})
    return parse_vif(replace(keys, file=_read_file(paths, keys, vm_uuid)))


def read_paths(store: Xenstore, vif: VifId) -> VifPaths:
    """Where the VIF's keys lie; works when ``/local/domain/D`` is gone already. Errors as `read_vif`."""
    return store.transact(lambda transaction: _find_paths(_View(store, transaction), vif)[0])


def read_backend_state(store: Xenstore, paths: VifPaths) -> BackendState:
    """What the backend directory and HOTPLUG say now. Errors as `Xenstore.read`."""

    def read(transaction: int) -> BackendState:
        view = _View(store, transaction)
        return BackendState(
            exists=view.names(paths.backend) is not None,
            closing=view.text(f"{paths.backend}/state") in _CLOSING,
            status=view.text(f"{paths.backend}/hotplug-status"),
            error=view.text(f"{paths.backend}/hotplug-error"),
            online=view.text(f"{paths.hotplug}/hotplug"),
        )

    return store.transact(read)


@dataclass(frozen=True, slots=True)
class _View:
    """Reads inside one transaction."""

    store: Xenstore
    transaction: int

    def value(self, path: str) -> bytes | None:
        return self.store.read(path, transaction=self.transaction)

    def names(self, path: str) -> tuple[str, ...] | None:
        return self.store.directory(path, transaction=self.transaction)

    def text(self, path: str) -> str:
        """A value for people or comparison; unprintable parts escaped, empty when absent."""
        return (self.value(path) or b"").decode("ascii", "backslashreplace")

    def values(self, groups: Sequence[tuple[str, Sequence[str]]], extra: str) -> dict[str, bytes]:
        """The values that exist, by path: the wanted children of some directories, and one path more (or none).

        Two waits: all listings, then all that they show.
        """
        listed = self.store.directories([directory for directory, _ in groups], transaction=self.transaction)
        paths = [
            f"{directory}/{name}"
            for (directory, wanted), present in zip(groups, listed, strict=True)
            for name in wanted
            if name in (present or ())
        ]
        paths += [extra] if extra else []
        found = self.store.read_all(paths, transaction=self.transaction)
        return {path: value for path, value in zip(paths, found, strict=True) if value is not None}


def _read_keys(view: _View, vif: VifId) -> VifKeys:
    """Everything, in as few waits as the keys allow."""
    paths, vm_uuid = _find_paths(view, vif)
    groups = [(paths.private, PRIVATE_KEYS), (f"{paths.private}/other-config", OTHER_CONFIG_KEYS)]
    groups.append((paths.backend, BACKEND_KEYS))
    final = f"/vm/{vm_uuid}/final-uuid" if vm_uuid else ""
    values = view.values(groups, final)
    private = {name: values[f"{paths.private}/{name}"] for name in PRIVATE_KEYS if f"{paths.private}/{name}" in values}
    for name in OTHER_CONFIG_KEYS:
        if f"{paths.private}/other-config/{name}" in values:
            private[f"other-config/{name}"] = values[f"{paths.private}/other-config/{name}"]
    return VifKeys(
        id=vif,
        paths=paths,
        vm_uuid=vm_uuid,
        final_uuid=values.get(final),
        private=private,
        backend={n: values[f"{paths.backend}/{n}"] for n in BACKEND_KEYS if f"{paths.backend}/{n}" in values},
    )


def _find_paths(view: _View, vif: VifId) -> tuple[VifPaths, str]:
    """The VIF's directories and the VM's uuid (empty when unknown)."""
    vm_uuid = _read_vm_uuid(view, vif)
    by_domid = build_paths(vif, Layout.DOMID)
    if vm_uuid:
        by_uuid = build_paths(vif, Layout.UUID, vm_uuid)
        new, old = view.store.directories([by_uuid.private, by_domid.private], transaction=view.transaction)
        if new is not None or old is None:
            return by_uuid, vm_uuid
    elif view.value(f"{by_domid.hotplug}/hotplug") is None:
        left = _find_leftover(view, vif)
        if left is not None:
            return left, ""
    return by_domid, vm_uuid


def _find_leftover(view: _View, vif: VifId) -> VifPaths | None:
    """Where a ``hotplug`` key names this domain id, when the domain itself is gone (DESIGN.md section 6)."""
    for name in view.names("/xapi") or ():
        try:
            paths = build_paths(vif, Layout.UUID, parse_uuid(name))
        except InputError:
            continue
        if view.value(f"{paths.hotplug}/hotplug") is not None:
            return paths
    return None


def _read_vm_uuid(view: _View, vif: VifId) -> str:
    """The uuid under which the domain runs; empty when it has none, or is gone.

    Raises:
        InputError: ``vm`` or ``uuid`` is malformed: it would lead to another VM's keys.
    """
    raw = view.value(f"/local/domain/{vif.domid}/vm")
    if raw is None:
        return ""
    try:
        path = parse_text(raw)
        if not _VM_PATH.fullmatch(path):
            raise InputError(f"{path!r:.80} is no VM's path")  # noqa: TRY301 - one sentence for all three
        uuid = view.value(f"{path}/uuid")
        return "" if uuid is None else parse_uuid(parse_text(uuid))
    except InputError as error:
        raise InputError(f"VIF {vif}: the domain's vm key: {error}; the VIF was left as it was") from error


def _read_file(paths: Paths, keys: VifKeys, told_uuid: str) -> bytes | None:
    """The VIF's file of xenopsd, under the uuid told, the present one or the one after migration.

    None when there is none, or when a word could not be part of its path.
    """
    backend = keys.private.get("xenopsd-backend", b"").decode("ascii", "replace")
    if not _BACKEND_NAME.fullmatch(backend):
        return None
    for uuid in (told_uuid, keys.vm_uuid, (keys.final_uuid or b"").decode("ascii", "replace")):
        with contextlib.suppress(OSError, InputError):
            place = f"/var/run/nonpersistent/xenopsd/{backend}/VM/{parse_uuid(uuid)}/vif.{keys.id.devid}"
            with paths.below(place).open("rb") as stream:
                return stream.read(MAX_FILE_BYTES + 1)
    return None
