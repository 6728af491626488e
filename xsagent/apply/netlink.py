"""Steps about links, addresses and sysctls -> the kernel. Effects; the writing adapter of pyroute2.

Run by apply/run_step.py between the OVSDB transaction and verify. Every function stands being run twice; a step's
`undo` holds the values that were observed before.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from xsagent.apply.announce import announce, solicit_routers
from xsagent.apply.link_request import set_link_mac, set_link_mtu, set_link_state
from xsagent.apply.packet_socket import has_carrier, require_device
from xsagent.apply.refusals import remember_refusals
from xsagent.apply.secondaries import promoted_secondaries
from xsagent.config import Paths
from xsagent.errors import DeviceAbsentError, ForeignObjectError, NetlinkError
from xsagent.observed.netlink import dump_kernel, read_addresses
from xsagent.plan.options import MTU_SETTING
from xsagent.plan.steps import (
    AddressStep,
    AnnounceStep,
    CreateVlanLinkStep,
    DeleteLinkStep,
    LinkStep,
    SysctlStep,
    WaitCarrierStep,
)
from xsagent.topology.values import IPV4, IpInterface

_POINT_TO_POINT: Final = 31
"""A network with this prefix length has two hosts and no broadcast address (RFC 3021)."""

_CARRIER_POLL_S: Final = 0.05
_LOOPBACK: Final = 1
"""Its ifindex in every network namespace."""


def prepare_for_addresses() -> None:
    """Load what changes of addresses and routes need: a tenth of a second that must not fall between two effects.

    One request is made, of the loopback device: pyroute2 prepares more at the first.
    """
    with kernel_request("cannot reach the kernel") as kernel:
        tuple(kernel.get_addr(index=_LOOPBACK))


def apply_link(step: LinkStep) -> None:
    """Set MTU, MAC and IFF_UP of a netdev, up last and down first.

    Raises:
        DeviceAbsentError: there is no such device.
        NetlinkError: the kernel refuses (an MTU above the hardware's).
    """
    index = require_device(step.device)
    try:
        if step.up is False:
            set_link_state(index, up=False)
        if step.mac is not None:
            set_link_mac(index, step.mac)
        if step.mtu is not None:
            set_link_mtu(index, step.mtu)
        if step.up:
            set_link_state(index, up=True)
    except OSError as error:
        raise NetlinkError(f"cannot change {_wanted(step)} of {step.device}: {error.strerror or error}") from error


def try_mtu(step: LinkStep, paths: Paths) -> tuple[str, ...]:
    """Set the MTU of a best-effort step that has nothing else (features.md section 8).

    A value beyond the driver's range (EINVAL) is remembered, so that no later run tries it again. Any other refusal may
    pass, as that of a VLAN whose parent is yet to be widened.

    Returns:
        A sentence when the kernel refuses it, else None.

    Raises:
        DeviceAbsentError: there is no such device.
        FileError: the refusal cannot be written.
    """
    value = {MTU_SETTING: str(step.mtu)}
    try:
        apply_link(step)
    except NetlinkError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EINVAL:
            remember_refusals(paths, step.device, tried=value, refused=value, kind="settings")
        return (f"{error}; it stays as it is",)
    remember_refusals(paths, step.device, tried=value, refused={}, kind="settings")
    return ()


def create_vlan_link(step: CreateVlanLinkStep) -> None:
    """Make an 8021q netdev; one with this name, parent and tag may be there already.

    Raises:
        DeviceAbsentError: there is no such parent.
        ForeignObjectError: another netdev has the name.
        NetlinkError: the kernel refuses (no 8021q module).
    """
    parent = require_device(step.parent)
    present = next((row for row in dump_kernel().links if row.name == step.device), None)
    if present is not None:
        if (present.kind, present.parent, present.vlan) == ("vlan", parent, step.tag):
            return
        raise ForeignObjectError(
            f"a device {step.device} is there that is not VLAN {step.tag} on {step.parent}; it was left alone"
        )
    with kernel_request(f"cannot make {step.device} as VLAN {step.tag} on {step.parent}") as kernel:
        kernel.link("add", ifname=step.device, kind="vlan", link=parent, vlan_id=step.tag)


def delete_link(step: DeleteLinkStep) -> None:
    """Delete an 8021q netdev; it may be gone already.

    Raises:
        ForeignObjectError: the device is of another kind.
    """
    present = next((row for row in dump_kernel().links if row.name == step.device), None)
    if present is None:
        return
    if present.kind != "vlan":
        raise ForeignObjectError(f"{step.device} is not a VLAN device of ours; it was not deleted")
    with kernel_request(f"cannot delete {step.device}", errno.ENODEV) as kernel:
        kernel.link("del", index=present.ifindex)


def wait_carrier(step: WaitCarrierStep) -> None:
    """Wait until every device has carrier, at most the step's seconds; returns either way."""
    end = time.monotonic() + step.seconds
    while not all(has_carrier(device) for device in step.devices) and time.monotonic() < end:
        time.sleep(_CARRIER_POLL_S)


def apply_sysctls(step: SysctlStep, proc: Path) -> None:
    """Write sysctls that differ; a device that starts to accept router advertisements asks for one.

    Args:
        proc: /proc below the root prefix.

    Raises:
        NetlinkError: names those that the kernel refused, after the others were written.
    """
    refused: list[str] = []
    for path, value in step.values.items():
        target = proc / "sys" / "net" / path
        try:
            if target.read_text(encoding="ascii").strip() == value:
                continue
            target.write_text(value, encoding="ascii")
        except OSError as error:
            refused.append(f"{path} to {value} ({error.strerror})")
            continue
        _solicit_after(path, value)
    if refused:
        raise NetlinkError(f"cannot set the kernel's {', '.join(refused)}; other values were set")


def _solicit_after(path: str, value: str) -> None:
    match path.split("/"):
        case ["ipv6", "conf", device, "accept_ra"] if value != "0":
            # Best effort: a device that is down cannot send, and the kernel asks by itself when it comes up.
            with contextlib.suppress(NetlinkError, DeviceAbsentError, OSError):
                solicit_routers(device)
        case _:
            pass


def apply_addresses(step: AddressStep, proc: Path) -> None:
    """Add addresses, then remove others; what is there or gone already is fine.

    Args:
        proc: /proc below the root prefix.

    Raises:
        DeviceAbsentError: there is no such device.
        NetlinkError: the kernel refuses one (IPv6 is off, for example).
    """
    index = require_device(step.device)
    for address in step.add:
        with kernel_request(f"cannot add {address.interface} to {step.device}", errno.EEXIST) as kernel:
            kernel.addr("add", index=index, **_address_fields(address.interface))
    with promoted_secondaries(proc, step.device):
        for address in step.remove:
            problem = f"cannot remove {address.interface} from {step.device}"
            with kernel_request(problem, errno.EADDRNOTAVAIL, errno.ENOENT) as kernel:
                kernel.addr("del", index=index, address=str(address.interface.ip), mask=_length(address.interface))


def announce_addresses(step: AnnounceStep) -> None:
    """Announce every address of a device to its neighbours; errors as `announce`."""
    index = require_device(step.device)
    announce(step.device, [row.interface.ip for row in read_addresses(index)])


def _wanted(step: LinkStep) -> str:
    wanted = [
        f"the MTU ({step.mtu})" if step.mtu is not None else "",
        f"the MAC ({step.mac})" if step.mac is not None else "",
        "" if step.up is None else ("the link (up)" if step.up else "the link (down)"),
    ]
    return ", ".join(text for text in wanted if text) or "nothing"


def _address_fields(interface: IpInterface) -> dict[str, Any]:
    fields: dict[str, Any] = {"address": str(interface.ip), "mask": _length(interface)}
    if interface.version == IPV4 and interface.network.prefixlen < _POINT_TO_POINT:
        fields["broadcast"] = str(interface.network.broadcast_address)
    return fields


def _length(interface: IpInterface) -> int:
    return int(interface.network.prefixlen)


@contextlib.contextmanager
def kernel_request(problem: str, *fine: int) -> Iterator[Any]:
    """Open netlink for one request; its refusal becomes a sentence that begins with `problem`, unless it is fine."""
    from pyroute2 import IPRoute  # noqa: PLC0415 - costs 115 ms, which a run that changes nothing must not pay
    from pyroute2.netlink.exceptions import NetlinkError as KernelError  # noqa: PLC0415 - as above

    try:
        with IPRoute() as kernel:
            yield kernel
    except KernelError as error:
        if error.code not in fine:
            raise NetlinkError(f"{problem}: {os.strerror(error.code)}") from error
    except OSError as error:
        raise NetlinkError(f"{problem}: {error}") from error
