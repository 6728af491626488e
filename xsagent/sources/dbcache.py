"""network.dbcache to a Snapshot: the state that a host boots from, whoever wrote it.

`read_dbcache` opens the file, `parse_dbcache` is pure; the XML is read by `dbcache_xml`, fields by
`dbcache_fields`. `boot` decides which cache to read, `desired/` takes the Snapshot. `dbcache_render` is the way back.
"""

from __future__ import annotations

import io
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, TypeVar

from xsagent.errors import CacheError, InputError
from xsagent.model.one_pif import MANAGEMENT_NETWORK_UUID
from xsagent.model.records import Bond, Network, Pif, Pool, Ref, Sriov, Tunnel, Vlan
from xsagent.model.references import check_references
from xsagent.model.snapshot import Snapshot
from xsagent.model.values import shown
from xsagent.sources.dbcache_fields import (
    Fields,
    check_required,
    complete_fields,
    merge_extra,
    parse_extra,
    parse_json_fields,
    parse_json_object,
    read_elements,
)
from xsagent.sources.dbcache_layout import EXTRA, LAYOUTS, RawRecord, Record
from xsagent.sources.dbcache_xml import DEFAULT_LIMITS, Limits, RecordStream

_T = TypeVar("_T")
_MAX_UNUSABLE: Final = 1000
_MAX_WARNINGS: Final = 100


def read_dbcache(path: Path, limits: Limits = DEFAULT_LIMITS) -> Snapshot:
    """The Snapshot in the cache file `path`. Reads only.

    Raises:
        CacheError: the file is missing, unreadable, or no such cache; one sentence that names it.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise CacheError(f"the cache {path} is not a regular file; nothing was changed")
        if status.st_size > limits.total_bytes:
            raise CacheError(
                f"the cache {path} cannot be used: it is larger than {limits.total_bytes} bytes; nothing was changed"
            )
        with path.open("rb") as stream:
            return parse_dbcache(stream, source=str(path), limits=limits)
    except FileNotFoundError as error:
        raise CacheError(f"the cache {path} does not exist; nothing was changed") from error
    except OSError as error:
        raise CacheError(f"the cache {path} cannot be read: {error.strerror}; nothing was changed") from error


def parse_dbcache(
    data: bytes | BinaryIO, *, source: str = "network.dbcache", limits: Limits = DEFAULT_LIMITS
) -> Snapshot:
    """The Snapshot in a cache's bytes, or in a binary stream read to its end.

    A record that cannot be used is set aside in `unusable` with the reason, so that others still work. What an
    older writer left out has the default of its field (`currently_attached` absent is false; a truth that is
    there is read, unlike the legacy scripts: legacy-faults.md F31).

    Args:
        data: the cache.
        source: Snapshot.source, and the name in messages.
        limits: what the cache may cost.

    Raises:
        CacheError: it is empty, truncated, no XML, no cache, or passes a limit.
    """
    collector = _Collector()
    stream = RecordStream(collector.take, limits)
    try:
        stream.read(io.BytesIO(data) if isinstance(data, bytes) else data)
        collector.take_root(stream.root_extra)
    except CacheError as error:
        raise CacheError(f"the cache {source} cannot be used: {error}; nothing was changed") from error
    if stream.passed.elements or stream.passed.attributes:
        collector.warnings.append(
            f"{stream.passed.elements} unknown elements and {stream.passed.attributes} unknown attributes "
            f"in the cache {source} were passed over"
        )
    return check_references(collector.snapshot(source))


class _Collector:
    """Gathers records as the stream hands them on."""

    def __init__(self) -> None:
        self.pifs: dict[Ref, Pif] = {}
        self.networks: dict[Ref, Network] = {}
        self.bonds: dict[Ref, Bond] = {}
        self.vlans: dict[Ref, Fields] = {}
        self.tunnels: dict[Ref, Tunnel] = {}
        self.sriovs: dict[Ref, Sriov] = {}
        self.pool: Pool | None = None
        self.unusable: dict[Ref, str] = {}
        self.warnings: list[str] = []
        self.host_uuid = ""
        self.complete: bool | None = None

    def take(self, raw: RawRecord) -> None:
        """Parse one record and keep it, or the reason why it cannot be used."""
        record_type = LAYOUTS[raw.tag].type
        try:
            fields = self._fields(raw, record_type)
        except InputError as error:
            self._set_aside(Ref(raw.ref), f"the cache's record of this {raw.tag} is wrong: {error}")
            return
        ref = fields["ref"]
        if record_type is Vlan:
            self.vlans[ref] = fields
        else:
            self._keep(record_type(**fields))

    def _fields(self, raw: RawRecord, record_type: type[Record]) -> Fields:
        fields = read_elements(raw)
        if extra := raw.elements.get(EXTRA):
            try:
                fields = merge_extra(fields, parse_extra(record_type, extra.text))
            except InputError as error:
                self._warn(f"the {EXTRA} element of {raw.tag} {shown(raw.ref)} was passed over: {error}")
        check_required(record_type, fields)
        # A VLAN's tag is that of a PIF that may come later in the file.
        return fields if record_type is Vlan else complete_fields(record_type, fields)

    def _keep(self, record: Record) -> None:
        match record:
            case Pif():
                self.pifs[record.ref] = record
            case Network():
                self.networks[record.ref] = record
            case Bond():
                self.bonds[record.ref] = record
            case Tunnel():
                self.tunnels[record.ref] = record
            case Pool():
                self.pool = record
            case Vlan():
                raise AssertionError(record)

    def _set_aside(self, ref: Ref, reason: str) -> None:
        if len(self.unusable) >= _MAX_UNUSABLE:
            raise CacheError(f"more than {_MAX_UNUSABLE} of its records cannot be used, one of them because {reason}")
        self.unusable[ref] = reason

    def _warn(self, sentence: str) -> None:
        if len(self.warnings) < _MAX_WARNINGS:
            self.warnings.append(sentence)

    def take_root(self, text: str) -> None:
        """Parse what the root's EXTRA attribute says of the whole snapshot."""
        if not text:
            return
        try:
            values = parse_json_object(text)
            self.host_uuid = _typed(values.get("host_uuid", ""), str)
            self.complete = _typed(values.get("complete", True), bool)
            for ref, reason in _typed(values.get("unusable", {}), dict).items():
                self._set_aside(Ref(ref), _typed(reason, str))
            for record in _typed(values.get("sriovs", []), list):
                fields = parse_json_fields(Sriov, _typed(record, dict))
                check_required(Sriov, fields)
                self.sriovs[fields["ref"]] = Sriov(**complete_fields(Sriov, fields))
        except InputError as error:
            self.complete = False
            self._warn(f"the {EXTRA} attribute of the cache was passed over in part: {error}")

    def _tagged_vlans(self) -> Iterator[Vlan]:
        for fields in self.vlans.values():
            carried = self.pifs.get(fields["pif"])
            tag = {"tag": carried.vlan} if carried and "tag" not in fields else {}
            yield Vlan(**complete_fields(Vlan, {**fields, **tag}))

    def snapshot(self, source: str) -> Snapshot:
        """Everything taken so far."""
        initial = any(network.uuid == MANAGEMENT_NETWORK_UUID for network in self.networks.values())
        whole = not initial and not self.unusable
        return Snapshot(
            source=source,
            host_uuid=self.host_uuid,
            complete=whole if self.complete is None else self.complete,
            pifs=self.pifs,
            networks=self.networks,
            bonds=self.bonds,
            vlans={vlan.ref: vlan for vlan in self._tagged_vlans()},
            tunnels=self.tunnels,
            sriovs=self.sriovs,
            pool=self.pool,
            unusable=self.unusable,
            warnings=tuple(self.warnings),
        )


def _typed(value: object, expected: type[_T]) -> _T:
    if not isinstance(value, expected):
        raise InputError(f"{shown(str(value))} is no {expected.__name__}")
    return value
