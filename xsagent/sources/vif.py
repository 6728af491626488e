"""xenstore keys and xenopsd's VIF file -> Vif: one VIF's raw values joined and checked. Pure.

`vif_reader` reads VifKeys in one xenstore transaction; `hotplug/decide` takes the Vif. Identity and MAC come from
the toolstack's and the backend's keys alone: what the guest can write is never read (DESIGN.md rule 10, F01).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from xsagent.errors import HotplugPendingError, InputError
from xsagent.model.values import parse_controller_id, parse_device_name, parse_mac
from xsagent.model.vif import DEFAULT_BRIDGE_MAC, Layout, Locking, LockingMode, Vif, VifId, VifPaths
from xsagent.sources.vif_file import VifFile, load_vif_file, parse_vif_file
from xsagent.sources.vif_values import (
    build_locking,
    parse_locking_mode,
    parse_mtu,
    parse_switch,
    parse_text,
    parse_trunks,
    parse_uuid,
    split_addresses,
)

_T = TypeVar("_T")

OFFLOADS: Final = ("rx", "tx", "sg", "tso", "ufo", "gso", "gro")
"""ethtool keys of a VIF (features.md section 9)."""

PRIVATE_KEYS: Final = (
    "bridge",
    "bridge-MAC",
    "mac",
    "MTU",
    "trunks",
    "vif-uuid",
    "network-uuid",
    "xenopsd-backend",
    "locking-mode",
    "ipv4-allowed",
    "ipv6-allowed",
    "pvs-interface",
    "setup-pvs-proxy-rules",
)
OTHER_CONFIG_KEYS: Final = ("promiscuous", "nicira-iface-id", *(f"ethtool-{name}" for name in OFFLOADS))
BACKEND_KEYS: Final = ("bridge", "mac")


@dataclass(frozen=True, slots=True, kw_only=True)
class VifKeys:
    """What was read of one VIF, unchecked but for `vm_uuid`, which names the directories read.

    Attributes:
        vm_uuid: uuid under which the domain runs; empty when the domain has none in xenstore.
        final_uuid: ``final-uuid`` of a VM that is being received; None when absent.
        origin_uuid: ``origin-uuid`` of a VM that is being sent; None when absent. xenopsd gives the sending domain a
            temporary uuid where both run on one host, and moves its keys there (VM.rename, domain.ml: move_xstree).
        private: values below PRIVATE by relative path (PRIVATE_KEYS, ``other-config/`` + OTHER_CONFIG_KEYS).
        backend: values of BACKEND_KEYS.
        file: content of xenopsd's VIF file; None when it cannot be read.
    """

    id: VifId
    paths: VifPaths
    vm_uuid: str = ""
    final_uuid: bytes | None = None
    origin_uuid: bytes | None = None
    private: Mapping[str, bytes] = field(default_factory=dict)
    backend: Mapping[str, bytes] = field(default_factory=dict)
    file: bytes | None = None


def build_paths(vif: VifId, layout: Layout, vm_uuid: str = "") -> VifPaths:
    """The VIF's directories in that layout; `vm_uuid` is needed for the layout by uuid."""
    if layout is Layout.UUID:
        private = f"/xapi/{vm_uuid}/private/vif/{vif.devid}"
        hotplug = f"/xapi/{vm_uuid}/hotplug/{vif.domid}/vif/{vif.devid}"
    else:
        private = f"/xapi/{vif.domid}/private/vif/{vif.devid}"
        hotplug = f"/xapi/{vif.domid}/hotplug/vif/{vif.devid}"
    return VifPaths(layout=layout, private=private, hotplug=hotplug, backend=vif.backend_path)


def find_pvs_helper(keys: VifKeys) -> str | None:
    """The program that the toolstack names for the VIF's PVS proxy, unchecked; None for a VIF without one.

    Both keys are below PRIVATE, where no guest writes; ``pvs-interface`` switches it on (features.md section 19).
    """
    if "pvs-interface" not in keys.private:
        return None
    return keys.private.get("setup-pvs-proxy-rules", b"").decode("ascii", "backslashreplace")


def parse_vif(keys: VifKeys) -> Vif:
    """The VIF that the keys and the file describe.

    Raises:
        InputError: a value that we use has a wrong form, an unknown locking mode, or a locked VIF without a MAC.
            No later reading of the same keys goes better; the text names VIF and key.
        HotplugPendingError: xenopsd's file, which alone names the locking mode, is not readable (yet).
    """
    try:
        return _Reader(keys).vif()
    except InputError as error:
        raise InputError(f"VIF {keys.id}: {error}; it was left as it was") from error


class _Reader:
    """Joins the sources of one VIF: xenstore first, the file where a key is absent."""

    def __init__(self, keys: VifKeys) -> None:
        self._keys = keys
        self._file, self._file_problem = _read_file(keys)

    def vif(self) -> Vif:
        keys, file = self._keys, self._file
        locking = self._locking()
        mac = file.mac or self._value("mac", parse_mac) or self._backend("mac", parse_mac) or ""
        if locking.mode is LockingMode.LOCKED and not mac:
            raise InputError("it is locked but the toolstack names no MAC for it")
        trunks = self._value("trunks", parse_trunks)
        return Vif(
            id=keys.id,
            paths=keys.paths,
            bridge=self._bridge(),
            mac=mac,
            bridge_mac=self._value("bridge-MAC", parse_mac) or DEFAULT_BRIDGE_MAC,
            network_uuid=self._value("network-uuid", parse_uuid) or file.network_uuid or "",
            vif_uuid=self._value("vif-uuid", parse_uuid) or file.vif_uuid or "",
            vm_uuid=self._lasting_uuid() or keys.vm_uuid,
            mtu=self._value("MTU", parse_mtu) or file.mtu,
            trunks=file.trunks if trunks is None else trunks,
            promiscuous=parse_switch(self._other_config("promiscuous")) is True,
            ethtool=self._ethtool(),
            locking=locking,
            offloaded=file.offloaded,
            nicira_iface_id=self._iface_id(),
        )

    def _lasting_uuid(self) -> str | None:
        """The uuid that the VM has outside a migration; None when there is none under way."""
        named = {"origin-uuid": self._keys.origin_uuid, "final-uuid": self._keys.final_uuid}
        return next((_parse(key, raw, parse_uuid) for key, raw in named.items() if raw), None)

    def _value(self, key: str, parse: Callable[[str], _T]) -> _T | None:
        """A private key, parsed; None when it is absent."""
        raw = self._keys.private.get(key)
        return None if raw is None else _parse(key, raw, parse)

    def _backend(self, key: str, parse: Callable[[str], _T]) -> _T | None:
        raw = self._keys.backend.get(key)
        return None if raw is None else _parse(f"backend {key}", raw, parse)

    def _bridge(self) -> str:
        """The backend's key first, then the private one (features.md section 15), then the file."""
        found = self._backend("bridge", _parse_bridge) or self._value("bridge", _parse_bridge)
        return found or self._file.bridge or ""

    def _locking(self) -> Locking:
        """The file's mode; the private keys where the file is unreadable or silent (features.md section 19).

        A toolstack that keeps such files and left neither has not said "unlocked".
        """
        if self._file.locking is not None:
            return self._file.locking
        mode = self._value("locking-mode", parse_locking_mode)
        if mode is not None:
            return build_locking(mode, self._allowed("ipv4-allowed"), self._allowed("ipv6-allowed"))
        if self._file_problem:
            raise HotplugPendingError(
                f"VIF {self._keys.id}: its locking mode is unknown: {self._file_problem}; it was left as it was"
            )
        return Locking()

    def _allowed(self, key: str) -> tuple[str, ...]:
        return self._value(key, split_addresses) or ()

    def _other_config(self, key: str) -> str:
        """A key of VIF.other_config; empty when absent or unprintable: none of them is worth a refusal."""
        raw = self._keys.private.get(f"other-config/{key}")
        try:
            return parse_text(raw) if raw is not None else self._file.other_config.get(key, "")
        except InputError:
            return ""

    def _ethtool(self) -> dict[str, bool]:
        """Offloads with a value that is one; others are left alone (features.md section 9)."""
        chosen = {name: parse_switch(self._other_config(f"ethtool-{name}")) for name in OFFLOADS}
        return {name: value for name, value in chosen.items() if value is not None}

    def _iface_id(self) -> str:
        try:
            return parse_controller_id(self._other_config("nicira-iface-id"))
        except InputError:
            return ""


def _read_file(keys: VifKeys) -> tuple[VifFile, str]:
    """The file, or an empty one with what is wrong when xenopsd keeps such files and this one tells nothing.

    A file that is JSON but names an unknown mode or a bad address raises: that is an answer, and a wrong one.
    """
    if keys.file is None:
        return VifFile(), "xenopsd's file about it cannot be read" if "xenopsd-backend" in keys.private else ""
    try:
        form = load_vif_file(keys.file)
    except InputError as error:
        return VifFile(), str(error)
    return parse_vif_file(form), ""


def _parse_bridge(text: str) -> str | None:
    """A bridge's name; an empty key counts as absent."""
    return parse_device_name(text) if text else None


def _parse(key: str, raw: bytes, parse: Callable[[str], _T]) -> _T:
    """A raw value, parsed; InputError names the key."""
    try:
        return parse(parse_text(raw))
    except InputError as error:
        raise InputError(f"{key}: {error}") from error
