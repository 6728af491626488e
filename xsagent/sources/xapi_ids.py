"""XAPI -> which VMs and VIFs have ids of their own for a controller. I/O: two bulk reads, filtered on the server.

Read for the VMs that have a port in this host's switch. Nearly no VIF has anything in other_config, and the server
leaves those out, so the answer is short however many guests there are (wire.md section 8).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final

from xsagent.errors import InputError
from xsagent.model.records import NULL_REF, Ref
from xsagent.model.values import parse_controller_id
from xsagent.model.xapi_ids import Guests, GuestVif, GuestVm
from xsagent.sources.xapi_session import RawRecord, XapiSession

IFACE_ID_KEY: Final = "nicira-iface-id"
VM_ID_KEY: Final = "nicira-vm-id"
_TERMS: Final = 100
"""Of one filter: XAPI evaluates each for every record of the class."""
_EMPTY_MAP: Final = "()"
"""How XAPI's database writes an empty map."""


def read_guests(session: XapiSession, vm_uuids: Collection[str]) -> Guests:
    """The VMs with these uuids, of which XAPI may not know all, and those of their VIFs that may have an id.

    Raises:
        XapiUnavailableError, XapiError: as `XapiSession.call`.
    """
    vms: dict[Ref, GuestVm] = {}
    for raw_vms in _records(session, "VM", "uuid", sorted(vm_uuids)):
        vms |= {ref: parse_guest_vm(ref, raw) for ref, raw in raw_vms.items()}
    with_vifs = sorted(ref for ref, vm in vms.items() if vm.vifs)
    vifs: dict[Ref, GuestVif] = {}
    for raw_vifs in _records(session, "VIF", "VM", with_vifs, f'not (field "other_config"="{_EMPTY_MAP}")'):
        vifs |= {ref: parse_guest_vif(ref, raw) for ref, raw in raw_vifs.items()}
    return Guests(vms=tuple(vms.values()), vifs=tuple(vifs.values()))


def parse_guest_vm(ref: Ref, raw: Mapping[str, object]) -> GuestVm:
    """The VM; an id that is none counts as none."""
    vifs = raw.get("VIFs")
    refs = tuple(Ref(str(vif)) for vif in vifs if vif != NULL_REF) if isinstance(vifs, Sequence) else ()
    return GuestVm(ref=ref, uuid=str(raw.get("uuid", "")), vm_id=_id(raw, VM_ID_KEY), vifs=refs)


def parse_guest_vif(ref: Ref, raw: Mapping[str, object]) -> GuestVif:
    """The VIF; an id that is none counts as none."""
    return GuestVif(ref=ref, uuid=str(raw.get("uuid", "")), iface_id=_id(raw, IFACE_ID_KEY))


def _id(raw: Mapping[str, object], key: str) -> str:
    other_config = raw.get("other_config")
    if not isinstance(other_config, Mapping) or key not in other_config:
        return ""
    try:
        return parse_controller_id(str(other_config[key]))
    except InputError:
        return ""


def _records(
    session: XapiSession, kind: str, field: str, values: Sequence[str], also: str = ""
) -> Iterator[dict[Ref, RawRecord]]:
    """Records of which `field` is one of the values, and for which the filter `also` holds."""
    for start in range(0, len(values), _TERMS):
        yield session.records_where(kind, field, _refs(values[start : start + _TERMS]), also)


def _refs(values: Iterable[str]) -> list[Ref]:
    return [Ref(value) for value in values]
