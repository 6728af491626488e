"""Which network backend the host is to have: what a switch of it would change, may it be, and the change. Effects.

features.md section 25. The backend that this switches to is Open vSwitch; the kernel's bridge has none of ours yet.
Comes after `cli/switch_backend`; the change counts from the next boot, so nothing live is touched.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from xsagent.apply.files import replace_file
from xsagent.config import Paths, Settings
from xsagent.errors import BackendError, FileError, InputError, RefusedError, XsagentError
from xsagent.model.values import shown
from xsagent.sources.host_files import read_backend, read_inventory, read_text
from xsagent.sources.xapi_session import XapiSession, open_session

if TYPE_CHECKING:
    from xsagent.model.records import Ref

OPEN_VSWITCH: Final = "openvswitch"
_WORDS: Final = (OPEN_VSWITCH, "vswitch")
NO_BRIDGE_MODULE: Final = "/etc/modprobe.d/blacklist-bridge.conf"
"""Keeps the kernel's bridge module from being loaded: the toolstack takes it for a sign of the other backend."""
_NO_BRIDGE_TEXT: Final = "install bridge /bin/true\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A file that is to hold another text."""

    path: Path
    text: str

    def describe(self) -> str:
        """One line for people."""
        return f"write {self.path}: {self.text.strip()}"


def parse_backend_word(word: str) -> str:
    """The backend that an argument names, by its first name.

    Raises:
        BackendError: it is ``bridge``.
        InputError: it is none.
    """
    if word in _WORDS:
        return OPEN_VSWITCH
    if word == "bridge":
        raise BackendError(
            "the backend bridge is not switched to: xsagent drives Open vSwitch alone, and on the kernel's bridge this "
            "host would boot without a network; nothing was changed"
        )
    raise InputError(f"{shown(word)} is not a network backend: openvswitch (or vswitch) is; nothing was changed")


def plan_switch(paths: Paths) -> tuple[Change, ...]:
    """What has to change for Open vSwitch to be the backend; nothing where it is."""
    if read_backend(paths) in _WORDS:  # the spelling in the file is its owner's, and the module another matter
        return ()
    return (
        Change(path=paths.below(NO_BRIDGE_MODULE), text=_NO_BRIDGE_TEXT),
        Change(path=paths.network_conf, text=f"{OPEN_VSWITCH}\n"),
    )


def check_switch(paths: Paths, settings: Settings) -> None:
    """Refuse a real switch that guests, SR-IOV or the pool would suffer from.

    Raises:
        RefusedError: names every reason, or that XAPI cannot be asked.
    """
    if not any(place.exists() for place in paths.xapi_sockets):
        return  # a host that is being installed
    try:
        with open_session(paths.xapi_sockets, settings.xapi_deadline_s) as session:
            reasons = tuple(_reasons(session, read_inventory(paths).installation_uuid))
    except XsagentError as error:
        raise RefusedError(f"whether the backend may be switched cannot be known: {error}") from error
    if reasons:
        raise RefusedError(f"the backend was not switched: {'; '.join(reasons)}; nothing was changed")


def _reasons(session: XapiSession, host_uuid: str) -> Iterator[str]:
    hosts = session.records("host")
    here = [ref for ref, raw in hosts.items() if raw.get("uuid") == host_uuid]
    guests = [raw for raw in session.records_where("VM", "resident_on", here).values() if not raw["is_control_domain"]]
    if guests:
        names = ", ".join(sorted(str(raw.get("name_label") or raw.get("uuid")) for raw in guests)[:5])
        yield f"{len(guests)} guests run here ({names}): shut them down or move them away"
    if sriov := _sriov_devices(session, here):
        yield f"SR-IOV is in use on {', '.join(sriov)}: its networks would have to be made anew"
    others = sorted(_other_backends(hosts, here))
    if others:
        yield f"pool members have another backend ({', '.join(others)}): all hosts of a pool have one"


def _sriov_devices(session: XapiSession, here: list[Ref]) -> list[str]:
    pifs = session.records_where("PIF", "host", here).values()
    return sorted({str(raw.get("device")) for raw in pifs if raw.get("sriov_logical_PIF_of")})


def _other_backends(hosts: Mapping[Ref, Mapping[str, object]], here: list[Ref]) -> Iterator[str]:
    for ref, raw in hosts.items():
        version = raw.get("software_version")
        backend = str(version.get("network_backend", "")) if isinstance(version, dict) else ""
        if ref not in here and backend not in ("", *_WORDS):
            yield f"{raw.get('hostname') or raw.get('uuid')}: {backend}"


def apply_switch(changes: tuple[Change, ...]) -> None:
    """Write the files; each is replaced as a whole, network.conf, which is what counts, last.

    Raises:
        FileError: a file could not be written; the backend is as it was.
    """
    for change in changes:
        try:
            change.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise FileError(
                f"{change.path.parent} could not be made: {error.strerror}; nothing was switched"
            ) from error
        if read_text(change.path) != change.text:
            replace_file(change.path, change.text.encode())
