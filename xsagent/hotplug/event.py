"""Arguments, environment or a uevent's properties -> Event: which device is meant and what is wanted of it. Pure.

The first step of hotplug, for the commands and for the daemon alike; `handle` reads the truth about the device
then. All forms of features.md section 15 and wire.md section 3 end in the same value.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from xsagent.errors import InputError, UsageError
from xsagent.model.values import parse_integer, shown
from xsagent.model.vif import DeviceType, VifId

MAX_DOMID: Final = 0x7FEF
"""Below DOMID_FIRST_RESERVED of xen/include/public/xen.h."""
MAX_DEVID: Final = 0xFFFF

_BACKEND_PATHS: Final = {
    DeviceType.VIF: re.compile(r"(?:/local/domain/0/)?backend/vif/([0-9]{1,5})/([0-9]{1,5})", re.ASCII),
    # a tap has no backend: udev and old callers name its VIF's, xenopsd one that it makes up (run_hotplug_script)
    DeviceType.TAP: re.compile(r"(?:/local/domain/0/)?backend/(?:vif|tap)/([0-9]{1,5})/([0-9]{1,5})", re.ASCII),
}
_DEVICE: Final = re.compile(r"(vif|tap)([0-9]{1,5})\.([0-9]{1,5})", re.ASCII)
_KERNEL_NAME: Final = re.compile(r"(?:.*/)?vif-([0-9]{1,5})-([0-9]{1,5})", re.ASCII)


class Action(enum.StrEnum):
    """What was said to have happened, in the words of udev, xenopsd and setup-vif-rules."""

    ONLINE = "online"
    ADD = "add"
    MOVE = "move"
    REMOVE = "remove"
    OFFLINE = "offline"
    CHANGE = "change"
    BIND = "bind"
    UNBIND = "unbind"
    FILTER = "filter"
    """setup-vif-rules: put the port and its locking rules in place; no report in xenstore."""
    CLEAR = "clear"
    """setup-vif-rules: take port and rules away; no report in xenstore."""
    REPAIR = "repair"
    """Of our own: a resync looks whether the device is still right."""


class Want(enum.StrEnum):
    """What an event asks for."""

    ATTACHED = "attached"
    DETACHED = "detached"
    NOTHING = "nothing"


_SCRIPT_ACTIONS: Final = frozenset(Action) - {Action.FILTER, Action.CLEAR, Action.REPAIR}
_RULES_ACTIONS: Final = frozenset({Action.FILTER, Action.CLEAR})
_ATTACHING: Final = frozenset(
    {
        (DeviceType.VIF, Action.ONLINE),
        (DeviceType.TAP, Action.ADD),
        *((kind, action) for kind in DeviceType for action in (Action.MOVE, Action.FILTER, Action.REPAIR)),
    }
)
_DETACHING: Final = frozenset({Action.REMOVE, Action.CLEAR})


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something happened to one device.

    Attributes:
        from_udev: udev said so, not the toolstack; ignored while xenstore has ``libxl/disable_udev``.
        backend, vm_uuid: where the caller says that xenopsd's file about the VIF lies, unchecked; empty when it
            did not say.
    """

    vif: VifId
    kind: DeviceType
    action: Action
    from_udev: bool = False
    backend: str = ""
    vm_uuid: str = ""

    @property
    def device(self) -> str:
        """Name of the netdev, for example ``vif5.0``."""
        return self.vif.device(self.kind)

    @property
    def want(self) -> Want:
        """What it asks for (features.md section 15: other actions are ignored, exit 0)."""
        if (self.kind, self.action) in _ATTACHING:
            return Want.ATTACHED
        return Want.DETACHED if self.action in _DETACHING else Want.NOTHING

    @property
    def reports(self) -> bool:
        """Whether its result belongs into xenstore; setup-vif-rules has callers that report themselves."""
        return self.action not in _RULES_ACTIONS


def merge_events(earlier: Event, later: Event) -> Event:
    """One event that stands for two of the same device, in their order: the last that asks for something.

    Associative, so a queue may fold a burst in any grouping. The handler reads the truth again anyway.
    """
    return earlier if later.want is Want.NOTHING and earlier.want is not Want.NOTHING else later


def parse_call(arguments: Sequence[str], environ: Mapping[str, str]) -> Event:
    """The event that a call of the vif script means.

    Forms: ``ACTION [vif|tap|type_if=vif|type_if=tap] [DOMID DEVID]`` (old scripts and udev rules, ids from
    XENBUS_PATH or INTERFACE), ``TYPE DOMID DEVID ACTION [dummy]`` (vif-real). Without a type XENBUS_TYPE tells it.

    Raises:
        UsageError: none of these, or two sources that name different devices.
    """
    words = list(arguments)
    if not words:
        raise UsageError("no action was given; nothing was changed")
    if words[0] in set(DeviceType):
        return _parse_vif_real(words, environ)
    action = _parse_action(words.pop(0), _SCRIPT_ACTIONS)
    kind = _parse_kind(words, environ)
    if len(words) not in {0, 2}:
        raise UsageError(f"{shown(' '.join(words))} is not DOMID DEVID; nothing was changed")
    vif = _parse_ids(words[0], words[1]) if words else None
    return Event(vif=_agreed(vif, kind, environ), kind=kind, action=action, from_udev=is_from_udev(environ))


def _parse_vif_real(words: list[str], environ: Mapping[str, str]) -> Event:
    """``TYPE DOMID DEVID ACTION [dummy]``; a fifth word has no meaning (features.md section 15)."""
    if len(words) not in {4, 5}:
        raise UsageError(f"{words[0]} needs DOMID DEVID ACTION after it; nothing was changed")
    kind = DeviceType(words[0])
    return Event(
        vif=_agreed(_parse_ids(words[1], words[2]), kind, environ),
        kind=kind,
        action=_parse_action(words[3], _SCRIPT_ACTIONS),
        from_udev=is_from_udev(environ),
    )


def parse_rules_call(arguments: Sequence[str]) -> Event:
    """The event that a call of setup-vif-rules means: ``BACKEND IFNAME VMUUID DEVID filter|clear`` (wire.md section 3).

    Raises:
        UsageError: not five words, a name that is no vif's or tap's, or a DEVID that it does not have.
    """
    if len(arguments) != 5:  # noqa: PLR2004 - as documented above
        raise UsageError("usage: setup-vif-rules BACKEND IFNAME VMUUID DEVID filter|clear")
    backend, name, vm_uuid, devid, action = arguments
    kind, vif = parse_device(name)
    if devid != str(vif.devid):
        raise UsageError(f"device {name} has not number {shown(devid)}; nothing was changed")
    known = _parse_action(action, _RULES_ACTIONS)
    return Event(vif=vif, kind=kind, action=known, backend=backend, vm_uuid=vm_uuid)


def parse_uevent(properties: Mapping[str, str]) -> Event | None:
    """The event that a uevent of udev means; None for one that is none of ours.

    Ours are ``xen-backend`` devices of kind vif (not ``console-D-0``) and ``net`` devices named ``tapD.V`` with an
    action that we know (udev-xen.md). On ``remove`` only XENBUS_PATH or DEVPATH name the device.
    """
    try:
        action = Action(properties.get("ACTION", ""))
        vif = _uevent_vif(properties)
    except (ValueError, InputError, UsageError):
        return None
    if vif is None or action not in _SCRIPT_ACTIONS:
        return None
    kind = DeviceType.VIF if properties.get("SUBSYSTEM") == "xen-backend" else DeviceType.TAP
    return Event(vif=vif, kind=kind, action=action, from_udev=True)


def _uevent_vif(properties: Mapping[str, str]) -> VifId | None:
    if properties.get("SUBSYSTEM") == "xen-backend":
        match = _BACKEND_PATHS[DeviceType.VIF].fullmatch(properties.get("XENBUS_PATH", ""))
        match = match or _KERNEL_NAME.fullmatch(properties.get("DEVPATH", ""))
        return _parse_ids(match[1], match[2]) if match else None
    if properties.get("SUBSYSTEM") != "net":
        return None
    kind, vif = parse_device(properties.get("INTERFACE", ""))
    return vif if kind is DeviceType.TAP else None


def parse_device(name: str) -> tuple[DeviceType, VifId]:
    """Kind and identity of a netdev named ``vifD.V`` or ``tapD.V``; UsageError for any other name."""
    match = _DEVICE.fullmatch(name)
    if match is None:
        raise UsageError(f"{shown(name)} is not a vif's or tap's name; nothing was changed")
    return DeviceType(match[1]), _parse_ids(match[2], match[3])


def find_device(name: str) -> tuple[DeviceType, VifId] | None:
    """As `parse_device`; None for any other name."""
    try:
        return parse_device(name)
    except UsageError:
        return None


def build_repair_event(device: str) -> Event:
    """A look at one device; UsageError for a name that is no vif's or tap's."""
    kind, vif = parse_device(device)
    return Event(vif=vif, kind=kind, action=Action.REPAIR)


def is_from_udev(environ: Mapping[str, str]) -> bool:
    """Whether udev runs us: UDEV_CALL in new rules, else the variables that only udev sets."""
    return environ.get("UDEV_CALL", "") not in {"", "0"} or {"ACTION", "SEQNUM"} <= environ.keys()


def _parse_action(word: str, known: frozenset[Action]) -> Action:
    """UsageError for a word that is no action: the peers take it for success (F16)."""
    if word not in known:
        raise UsageError(f"{shown(word)} is not an action; nothing was changed")
    return Action(word)


def _parse_kind(words: list[str], environ: Mapping[str, str]) -> DeviceType:
    """Take the type out of the words; XENBUS_TYPE where there is none, and vif where there is neither."""
    if words and not words[0].isdecimal():
        word = words.pop(0).removeprefix("type_if=")
    else:
        word = environ.get("XENBUS_TYPE", "") or DeviceType.VIF
    if word not in set(DeviceType):
        raise UsageError(f"{shown(word)} is neither vif nor tap; nothing was changed")
    return DeviceType(word)


def _parse_ids(domid: str, devid: str) -> VifId:
    try:
        return VifId(parse_integer(domid, 0, MAX_DOMID), parse_integer(devid, 0, MAX_DEVID))
    except InputError as error:
        raise UsageError(f"no domain id or device number: {error}; nothing was changed") from error


def _agreed(named: VifId | None, kind: DeviceType, environ: Mapping[str, str]) -> VifId:
    """The device that arguments and environment name together; XENBUS_PATH first for a vif, INTERFACE for a tap."""
    found = [named, *(_from_environment(kind, variable, environ) for variable in ("XENBUS_PATH", "INTERFACE", "vif"))]
    distinct = set(filter(None, found))
    if not distinct:
        raise UsageError("neither arguments nor XENBUS_PATH nor INTERFACE name a device; nothing was changed")
    if len(distinct) > 1:
        names = " and ".join(sorted(vif.device(kind) for vif in distinct))
        raise UsageError(f"arguments and environment name different devices, {names}; nothing was changed")
    return distinct.pop()


def _from_environment(kind: DeviceType, variable: str, environ: Mapping[str, str]) -> VifId | None:
    """The device that one variable names; None when it is not set (or is a netdev of the other kind)."""
    text = environ.get(variable, "")
    if not text:
        return None
    if variable == "XENBUS_PATH":
        match = _BACKEND_PATHS[kind].fullmatch(text)
        if match is None:
            raise UsageError(f"XENBUS_PATH {shown(text)} names no {kind}; nothing was changed")
        return _parse_ids(match[1], match[2])
    if variable == "INTERFACE" or kind is DeviceType.VIF:
        return parse_device(text)[1]
    return None
