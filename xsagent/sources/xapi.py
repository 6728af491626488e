"""This host's records out of a whole pool -> a Snapshot: the plan of calls, and putting the answers together.

First stop of `--session/--pif`, `--pif-uuid` and `rewrite`; `xapi_session` makes the calls, `xapi_records` reads each
record, `desired/` takes the Snapshot.

The plan of calls, at most seven beside the host look-up (DESIGN.md rule 11, wire.md section 8):

* PIF by ``host``: one term; 809 records come instead of 51,776.
* network, all: networks are the pool's, and nearly each has a PIF on each host. A filter would need a term a network,
  and XAPI evaluates filters term by term for each record: 800 x 800 comparisons to leave out a handful.
* VLAN by carrier, Bond by its PIF, tunnel by transport, network_sriov by physical PIF: these records have no field
  ``host``. Their lower PIF is a NIC or a bond, of which a host has few, however many VLANs there are; so the
  filter stays short. A class that none of this host's PIFs mentions is not asked for.
* pool, all: one record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

from xsagent.errors import InputError, XapiError
from xsagent.model.records import Bond, Network, Pif, Pool, Ref, Sriov, Tunnel, Vlan
from xsagent.model.references import check_references
from xsagent.model.snapshot import XAPI_SOURCE, Snapshot
from xsagent.sources.xapi_records import (
    parse_bond,
    parse_network,
    parse_pif,
    parse_pool,
    parse_sriov,
    parse_tunnel,
    parse_vlan,
)
from xsagent.sources.xapi_session import UNKNOWN_METHOD, RawRecord, XapiSession, is_xapi_there, open_session

__all__ = ["XapiSession", "find_host", "is_xapi_there", "open_session", "read_snapshot"]

_READS: Final = 3
"""Whole reads before an object that vanishes between two calls, again and again, is an error."""

RawRecords = Mapping[Ref, RawRecord]
Record = TypeVar("Record", Pif, Network, Bond, Vlan, Tunnel, Sriov, Pool)


def find_host(session: XapiSession, host_uuid: str) -> Ref:
    """The reference of this host.

    Raises:
        XapiUnavailableError: XAPI is away or hangs.
        XapiError: the session is not valid, or XAPI knows no such host.
    """
    try:
        return Ref(str(session.call("host.get_by_uuid", host_uuid)))
    except XapiError as error:
        if error.code != "UUID_INVALID":
            raise
        raise XapiError(
            f"XAPI knows no host with uuid {host_uuid} (INSTALLATION_UUID of the inventory); nothing was changed",
            error.code,
        ) from error


def read_snapshot(session: XapiSession, host_uuid: str, host: Ref | None = None) -> Snapshot:
    """This host's records, read in bulk; a record that cannot be used is left out and named in `unusable`.

    Contract: reads only, so it may be repeated; blocks until the session's deadline at the longest. Records that
    changed between two of its calls show as references without a record (`warnings`), never as an error.

    Args:
        session: from `open_session`.
        host_uuid: INSTALLATION_UUID of the inventory.
        host: from `find_host`, where the caller has it; None looks it up.

    Raises:
        XapiUnavailableError: XAPI is away or hangs.
        XapiError: the session is not valid, XAPI knows no such host, or it answered with another error.
    """
    ours = find_host(session, host_uuid) if host is None else host
    for _ in range(_READS - 1):
        try:
            return _Reading(session).snapshot(ours, host_uuid)
        except XapiError as error:
            if error.code != "HANDLE_INVALID":
                raise
    return _Reading(session).snapshot(ours, host_uuid)


@dataclass
class _Reading:
    """One read: what was found unusable or strange on the way."""

    session: XapiSession
    unusable: dict[Ref, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)

    def snapshot(self, host: Ref, host_uuid: str) -> Snapshot:
        raw_pifs = self.session.records_where("PIF", "host", [host])
        pifs = self._parsed("PIF", raw_pifs, parse_pif)
        networks = self._networks(raw_pifs)
        vlans = self._related("VLAN", "tagged_PIF", raw_pifs, "VLAN_slave_of", parse_vlan)
        bonds = self._related("Bond", "master", raw_pifs, "bond_master_of", parse_bond)
        tunnels = self._related("tunnel", "transport_PIF", raw_pifs, "tunnel_transport_PIF_of", parse_tunnel)
        sriovs = self._related("network_sriov", "physical_PIF", raw_pifs, "sriov_physical_PIF_of", parse_sriov)
        pools = self._parsed("pool", self._optional("pool", lambda: self.session.records("pool")), parse_pool)
        snapshot = Snapshot(
            source=XAPI_SOURCE,
            host_uuid=host_uuid,
            complete=not self.unusable,
            pifs=pifs,
            networks=networks,
            bonds=bonds,
            vlans=vlans,
            tunnels=tunnels,
            sriovs=sriovs,
            pool=next(iter(pools.values()), None),
            unusable=self.unusable,
            warnings=tuple(self.warnings),
        )
        return check_references(snapshot)

    def _networks(self, raw_pifs: RawRecords) -> dict[Ref, Network]:
        """Networks that a PIF of this host is on, and internal ones (without any PIF), which guests may be on."""
        used = {str(raw.get("network")) for raw in raw_pifs.values()}
        raw_networks = {
            ref: raw for ref, raw in self.session.records("network").items() if ref in used or not raw.get("PIFs")
        }
        return self._parsed("network", raw_networks, lambda ref, raw: parse_network(ref, raw, raw_pifs.keys()))

    def _related(
        self, kind: str, field_name: str, raw_pifs: RawRecords, relation: str, parse: Callable[[Ref, RawRecord], Record]
    ) -> dict[Ref, Record]:
        """Records of a class of which `field_name` is a PIF of this host that has `relation` set."""
        pifs = [ref for ref, raw in raw_pifs.items() if raw.get(relation)]
        return self._parsed(
            kind, self._optional(kind, lambda: self.session.records_where(kind, field_name, pifs)), parse
        )

    def _optional(self, kind: str, read: Callable[[], RawRecords]) -> RawRecords:
        """The records, or none where the server does not know the class."""
        try:
            return read()
        except XapiError as error:
            if error.code not in UNKNOWN_METHOD:
                raise
            self.warnings.append(f"XAPI does not know the class {kind}; taken as having no records")
            return {}

    def _parsed(
        self, kind: str, raw_records: RawRecords, parse: Callable[[Ref, RawRecord], Record]
    ) -> dict[Ref, Record]:
        records: dict[Ref, Record] = {}
        for ref, raw in raw_records.items():
            try:
                records[ref] = parse(ref, raw)
            except InputError as error:
                self.unusable[ref] = f"{kind} {raw.get('uuid') or ref}: {error}"
        return records
