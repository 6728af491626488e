"""XAPI -> what decides about the switch's manager: this host's records, the pools, the SDN controllers. I/O.

Read by `reconcile/manager.py` for the plugin and the daemon; `desired/manager.py` decides. Two calls beside those of
`xapi.read_snapshot`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from xsagent.errors import InputError, XapiError
from xsagent.model.records import Ref
from xsagent.model.sdn_controller import SdnController
from xsagent.model.snapshot import Snapshot
from xsagent.model.values import shown
from xsagent.sources.xapi_session import UNKNOWN_METHOD, RawRecord, XapiSession

_FIELDS = ("uuid", "protocol", "address", "port")


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerRecords:
    """What XAPI says.

    Attributes:
        pools: number of pool records; anything but 1 is a fault of XAPI's database.
        controllers: at most one, by XAPI's own rule.
    """

    snapshot: Snapshot
    pools: int
    controllers: tuple[SdnController, ...] = ()


def read_manager_records(session: XapiSession, snapshot: Snapshot) -> ManagerRecords:
    """Everything that decides about the manager, beside the host's records; reads only, within the session's deadline.

    Raises:
        XapiUnavailableError, XapiError: as `read_snapshot`.
        InputError: an SDN_controller record that cannot be used; to pass it over would cut the present manager off.
    """
    controllers = tuple(parse_sdn_controller(ref, raw) for ref, raw in _controllers(session).items())
    pools = len(session.records("pool"))
    return ManagerRecords(snapshot=snapshot, pools=pools, controllers=controllers)


def parse_sdn_controller(ref: Ref, raw: Mapping[str, object]) -> SdnController:
    """The record; InputError when a field has the wrong form."""
    fields = {name: raw[name] for name in _FIELDS if name in raw}
    for name, value in fields.items():
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise InputError(f"SDN_controller {ref}: {name} is {shown(str(value))}, which is not text")
    return SdnController(ref=ref, **{"uuid": str(ref)} | {name: str(value) for name, value in fields.items()})


def _controllers(session: XapiSession) -> Mapping[Ref, RawRecord]:
    """The records; none where the server is too old for the class."""
    try:
        return session.records("SDN_controller")
    except XapiError as error:
        if error.code not in UNKNOWN_METHOD:
            raise
        return {}
