"""A Snapshot to the bytes of network.dbcache: what the legacy scripts read, and beside it what they lose. Pure.

Before `apply/cache`, which writes the bytes. Whether a field fits the legacy layout is not decided by a table:
the record is read back from what was just rendered, and each field that comes out otherwise goes into EXTRA.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from xsagent.model.records import NULL_REF, UNTAGGED, Pif, Ref, Sriov, Vlan
from xsagent.model.snapshot import Snapshot
from xsagent.sources.dbcache_fields import complete_fields, is_plain_nic, json_value, read_elements
from xsagent.sources.dbcache_layout import (
    EXTRA,
    LAYOUTS,
    ROOT,
    Element,
    Form,
    RawElement,
    RawRecord,
    Record,
    RecordLayout,
)

_NO_XML: Final = "[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
"""What XML 1.0 cannot say in any way (its production Char); takes 4 ms to compile, and hardly any text needs it."""
_ESCAPES: Final = {
    "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;", "\n": "&#10;", "\t": "&#9;"
}  # fmt: skip
_ESCAPED: Final = re.compile("[&<>\r\n\t]")
_ESCAPED_IN_QUOTES: Final = re.compile('[&<>"\r\n\t]')

_PLAIN: Final = (Form.TEXT, Form.INTEGER, Form.BOOLEAN)

_CONTAINERS: Final = {
    tag: frozenset(element.name for element in layout.elements if element.form in {Form.REFS, Form.FIRST_REF, Form.MAP})
    for tag, layout in LAYOUTS.items()
}
"""Elements by record that are written as empty elements where they hold nothing."""


Texts = dict[Ref, tuple[Record, int | None, str]]
"""A record that was rendered, what of another record its text depends on, and the text."""


def render_dbcache(snapshot: Snapshot, texts: Texts | None = None) -> bytes:
    """The cache that `parse_dbcache` reads as this snapshot (but for source and warnings), in ASCII.

    The same snapshot gives the same bytes. Records are sorted by reference.

    Args:
        snapshot: the records.
        texts: of records that were rendered before; used for those that are the very same objects, and brought up to
            date: most of a snapshot does not change between two caches.
    """
    known: Texts = {} if texts is None else texts
    lines = ['<?xml version="1.0" ?>', f"<{ROOT} {EXTRA}={_quoted(_root_extra(snapshot))}>"]
    for tag, records in _by_tag(snapshot).items():
        ordered = sorted(records, key=lambda record: record.ref)
        lines += [_text(LAYOUTS[tag], record, snapshot, known) for record in ordered]
    lines.append(f"</{ROOT}>\n")
    return "\n".join(lines).encode("ascii", "xmlcharrefreplace")


def _text(layout: RecordLayout, record: Record, snapshot: Snapshot, known: Texts) -> str:
    tag = _tag_below(record, snapshot) if isinstance(record, Vlan) else None
    before = known.get(record.ref)
    if before is not None and before[0] is record and before[1] == tag:
        return before[2]
    text = "\n".join(_render_record(layout, record, tag))
    known[record.ref] = (record, tag, text)
    return text


def _tag_below(vlan: Vlan, snapshot: Snapshot) -> int:
    """The tag that a reader takes from the VLAN's PIF."""
    carried = snapshot.pifs.get(vlan.pif)
    return carried.vlan if carried else UNTAGGED


def _by_tag(snapshot: Snapshot) -> Mapping[str, Iterable[Record]]:
    return {
        "pif": snapshot.pifs.values(),
        "bond": snapshot.bonds.values(),
        "vlan": snapshot.vlans.values(),
        "tunnel": snapshot.tunnels.values(),
        "network": snapshot.networks.values(),
        "pool": () if snapshot.pool is None else (snapshot.pool,),
    }


def _root_extra(snapshot: Snapshot) -> str:
    values: dict[str, object] = {"complete": snapshot.complete}
    if snapshot.host_uuid:
        values["host_uuid"] = snapshot.host_uuid
    if snapshot.sriovs:
        values["sriovs"] = [_json_fields(snapshot.sriovs[ref]) for ref in sorted(snapshot.sriovs)]
    if snapshot.unusable:
        values["unusable"] = dict(snapshot.unusable)
    return _json(values)


def _render_record(layout: RecordLayout, record: Record, tag: int | None) -> Iterator[str]:
    raw = _raw_record(layout, record)
    extra = _extra_fields(layout, record, raw, tag)
    yield f"\t<{raw.tag} ref={_quoted(raw.ref)}>"
    for name, element in raw.elements.items():
        if element.items:
            yield f"\t\t<{name}>"
            for item, text in element.items:
                yield f"\t\t\t<{item}>{_escaped(text)}</{item}>"
            yield f"\t\t</{name}>"
        elif name in _CONTAINERS[layout.tag]:
            yield f"\t\t<{name}/>"
        else:
            yield f"\t\t<{name}>{_escaped(element.text)}</{name}>"
    if extra:
        yield f"\t\t<{EXTRA}>{_escaped(_json(extra))}</{EXTRA}>"
    yield f"\t</{raw.tag}>"


def _raw_record(layout: RecordLayout, record: Record) -> RawRecord:
    """The legacy elements of a record, as the stream parser would hand them on."""
    raw = RawRecord(layout.tag, _legal(record.ref), {})
    for element in layout.elements:
        value = getattr(record, element.field)
        if element.name == "MTU" and not value:
            continue  # the legacy scripts leave it out too where the source has none
        raw.elements[element.name] = _raw_element(element, value)
    return raw


def _raw_element(element: Element, value: Any) -> RawElement:  # noqa: ANN401 - any field of any record
    form = element.form
    if form in _PLAIN:
        return RawElement(_legal(str(value)), [])
    if form is Form.REF:
        return RawElement(_legal(value or NULL_REF), [])
    if form is Form.MAP:
        kept = sorted(value.keys() & element.keys) if value else ()
        return RawElement("", [(key, _legal(value[key])) for key in kept])
    refs = value if form is Form.REFS else filter(None, (value,))
    return RawElement("", [(element.item, _legal(ref)) for ref in refs])


def _extra_fields(layout: RecordLayout, record: Record, raw: RawRecord, tag: int | None) -> dict[str, object]:
    """Fields that a reader of the legacy elements alone would get wrong, and of maps only such keys."""
    read: Mapping[str, Any] = _without_extra(layout, raw, record, tag)
    extra: dict[str, object] = {}
    for name, found in read.items():
        value = getattr(record, name)
        if value == found:
            continue
        if isinstance(value, Mapping):
            value = {key: text for key, text in value.items() if found.get(key) != text}
        extra[name] = json_value(value)
    return extra


def _without_extra(layout: RecordLayout, raw: RawRecord, record: Record, tag: int | None) -> Mapping[str, object]:
    fields = read_elements(raw)
    if isinstance(record, Vlan):
        fields["tag"] = tag
    if isinstance(record, Pif):
        # a reader infers it from the other fields, those of the JSON with them
        fields["physical"] = is_plain_nic(functools.partial(getattr, record))
    return complete_fields(layout.type, fields)


def _json_fields(record: Sriov) -> dict[str, object]:
    return {field.name: json_value(getattr(record, field.name)) for field in dataclasses.fields(record)}


def _json(values: Mapping[str, object]) -> str:
    return json.dumps(values, sort_keys=True)


def _legal(text: str) -> str:
    """The text as a legacy reader gets it back: characters that XML cannot say replaced, ends stripped."""
    if text.isascii() and text.isprintable():  # nearly all
        return text.strip()
    return re.sub(_NO_XML, "\ufffd", text).strip()


def _escaped(text: str) -> str:
    if text.isalnum():  # most: flags, numbers, names of devices
        return text
    return _ESCAPED.sub(lambda found: _ESCAPES[found.group()], text)


def _quoted(text: str) -> str:
    return '"' + _ESCAPED_IN_QUOTES.sub(lambda found: _ESCAPES[found.group()], text) + '"'
