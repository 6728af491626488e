"""What XAPI says of guests that decides about their ids in the switch: VM and VIF records cut down to that. Pure.

Parsed by `sources/xapi_ids.py`, kept by xsagentd, read by `reconcile/external_ids.py`. Of a pool's thousands of VMs
only those with a port on this host are ever held.
"""

from __future__ import annotations

from dataclasses import dataclass

from xsagent.model.records import Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestVm:
    """A VM.

    Attributes:
        vm_id: other_config:nicira-vm-id; empty for none.
        vifs: its VIFs.
    """

    ref: Ref
    uuid: str
    vm_id: str = ""
    vifs: tuple[Ref, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestVif:
    """A VIF.

    Attributes:
        iface_id: other_config:nicira-iface-id; empty for none.
    """

    ref: Ref
    uuid: str
    iface_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guests:
    """Some VMs, and those of their VIFs whose other_config says anything."""

    vms: tuple[GuestVm, ...] = ()
    vifs: tuple[GuestVif, ...] = ()
