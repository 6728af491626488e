"""XML bytes to raw records, as a stream, with hard limits: nothing in a file can cost more than they allow.

Pure but for reading the stream it is given. `dbcache` opens the file before and turns the records into the
model after. DOCTYPE (and with it every entity) is refused; comments, processing instructions, unknown elements
and attributes are passed over and counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Final, NoReturn
from xml.parsers import expat

from xsagent.errors import CacheError
from xsagent.model.values import shown
from xsagent.sources.dbcache_layout import EXTRA, LAYOUTS, ROOT, RawElement, RawRecord

_CHUNK: Final = 1 << 16
_ITEM_DEPTH: Final = 4
"""Root, record, field, item."""
_KNOWN: Final = {tag: {EXTRA, *(element.name for element in layout.elements)} for tag, layout in LAYOUTS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a cache may cost. The defaults hold for any real host and keep the reader below 200 MB.

    Attributes:
        total_bytes: of the file.
        text_characters: of one element, and bytes of any other token (a tag, a comment).
        extra_characters: of all EXTRA elements together: JSON unfolds to more than its text.
        elements: in all, attributes counted too.
        records: PIFs, VLANs and so on in all.
        depth: of nesting.
    """

    total_bytes: int = 16 << 20
    text_characters: int = 1 << 20
    extra_characters: int = 6 << 20
    elements: int = 400_000
    records: int = 60_000
    depth: int = 32


DEFAULT_LIMITS: Final = Limits()


@dataclass(slots=True)
class Passed:
    """What was passed over."""

    elements: int = 0
    attributes: int = 0


class RecordStream:
    """An expat parser that hands on each record when its end tag is read.

    One instance reads one file.
    """

    def __init__(self, on_record: Callable[[RawRecord], None], limits: Limits = DEFAULT_LIMITS) -> None:
        self._on_record = on_record
        self._limits = limits
        self._depth = 0
        self._elements = 0
        self._records = 0
        self._extra_characters = 0
        self._skip_below = 0
        self._record: RawRecord | None = None
        self._field: RawElement | None = None
        self._text: list[str] = []
        self._text_length = 0
        self.passed = Passed()
        self.root_extra = ""
        self._parser = self._make_parser()

    def read(self, stream: BinaryIO) -> None:
        """Read the stream to its end.

        Raises:
            CacheError: the bytes are no such cache or pass a limit. The text is a fragment that says where.
        """
        total = 0
        try:
            while chunk := stream.read(_CHUNK):
                total += len(chunk)
                if total > self._limits.total_bytes:
                    raise CacheError(f"it is larger than {self._limits.total_bytes} bytes")
                self._parser.Parse(chunk, False)
                # Later expats put off a token that is not complete until twice the bytes are there.
                if total - max(self._parser.CurrentByteIndex, 0) > 2 * self._limits.text_characters + _CHUNK:
                    self._refuse(f"a tag or comment is longer than {self._limits.text_characters} bytes")
            if total == 0:
                raise CacheError("it is empty")
            self._parser.Parse(b"", True)
        except expat.ExpatError as error:
            reason = expat.errors.messages.get(error.code, "it is not XML")
            raise CacheError(f"line {error.lineno}: {reason}") from error
        except (ValueError, LookupError) as error:  # the codec of a declared encoding
            raise CacheError(f"its encoding cannot be read: {error}") from error

    def _make_parser(self) -> expat.XMLParserType:
        parser = expat.ParserCreate(intern=None)  # no table of names, which would grow with the file
        parser.buffer_text = True
        parser.buffer_size = _CHUNK
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._doctype
        return parser

    def _refuse(self, reason: str) -> NoReturn:
        raise CacheError(f"line {self._parser.CurrentLineNumber}: {reason}")

    def _doctype(self, *_declaration: object) -> None:
        self._refuse("it has a document type declaration, which no cache has")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        self._elements += 1 + len(attributes)
        if self._elements > self._limits.elements:
            self._refuse(f"it has more than {self._limits.elements} elements and attributes")
        if self._depth > self._limits.depth:
            self._refuse(f"elements are nested more than {self._limits.depth} deep")
        if self._skip_below:
            self.passed.elements += 1
        elif self._depth == 1:
            self._start_root(name, attributes)
        elif self._record is None:
            self._start_record(name, attributes)
        else:
            self.passed.attributes += len(attributes)
            self._start_inside(name, self._record)

    def _start_root(self, name: str, attributes: dict[str, str]) -> None:
        if name != ROOT:
            self._refuse(f"its root element is {shown(name)}, not {ROOT}")
        self.root_extra = attributes.pop(EXTRA, "")
        self.passed.attributes += len(attributes)

    def _start_record(self, name: str, attributes: dict[str, str]) -> None:
        ref = attributes.pop("ref", "")
        self.passed.attributes += len(attributes)
        if name in _KNOWN and ref:
            self._records += 1
            if self._records > self._limits.records:
                self._refuse(f"it has more than {self._limits.records} records")
            self._record = RawRecord(name, ref, {})
        else:
            self._pass_over()

    def _start_inside(self, name: str, record: RawRecord) -> None:
        if self._field is None and name in _KNOWN[record.tag]:
            self._field = record.elements[name] = RawElement("", [])
        elif self._field is None or self._depth > _ITEM_DEPTH:
            self._pass_over()
            return
        self._text.clear()
        self._text_length = 0
        self._parser.CharacterDataHandler = self._characters

    def _pass_over(self) -> None:
        self.passed.elements += 1
        self._skip_below = self._depth
        self._parser.CharacterDataHandler = None

    def _characters(self, text: str) -> None:
        self._text_length += len(text)
        if self._text_length > self._limits.text_characters:
            self._refuse(f"an element's text is longer than {self._limits.text_characters} characters")
        self._text.append(text)

    def _end(self, name: str) -> None:
        depth, self._depth = self._depth, self._depth - 1
        if self._skip_below:
            self._end_skipped(depth)
        elif self._field is not None:
            self._end_inside(name, depth, self._field)
        elif self._record is not None:
            record, self._record = self._record, None
            self._on_record(record)

    def _end_skipped(self, depth: int) -> None:
        if depth == self._skip_below:
            self._skip_below = 0
            self._parser.CharacterDataHandler = self._characters if self._field is not None else None

    def _end_inside(self, name: str, depth: int, field: RawElement) -> None:
        text = "".join(self._text).strip()
        self._text.clear()
        if depth == _ITEM_DEPTH:
            field.items.append((name, text))
            return
        field.text = "" if field.items else text
        self._field = None
        self._parser.CharacterDataHandler = None
        if name == EXTRA:
            self._extra_characters += len(text)
            if self._extra_characters > self._limits.extra_characters:
                self._refuse(f"its {EXTRA} elements are longer than {self._limits.extra_characters} characters")
