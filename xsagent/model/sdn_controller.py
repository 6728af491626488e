"""XAPI's SDN_controller record as a frozen value: whom the switch's database is to obey. Pure.

Parsed by `sources/xapi_manager.py`, read by `desired/manager.py`. Fields stay text, as XAPI has them.
"""

from __future__ import annotations

from dataclasses import dataclass

from xsagent.model.records import Ref


@dataclass(frozen=True, slots=True, kw_only=True)
class SdnController:
    """One record; a pool has at most one.

    Attributes:
        protocol: ``ssl`` (the host connects) or ``pssl`` (the host listens).
        address: the controller's; empty with ``pssl``.
        port: TCP port; ``0`` for the protocol's own.
    """

    ref: Ref
    uuid: str
    protocol: str = "ssl"
    address: str = ""
    port: str = "0"
