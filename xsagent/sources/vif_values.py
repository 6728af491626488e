"""Strict readers of the values that describe one VIF, in xenstore's and in xenopsd's spelling. Pure.

Bytes or JSON in, checked values out; used by `vif` (keys) and `vif_file` (xenopsd's JSON). An InputError's text
begins with the offending value: callers put the key in front of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from xsagent.errors import InputError
from xsagent.model.values import MAX_VLAN_TAG, parse_integer, parse_ipv4, parse_ipv6, shown
from xsagent.model.vif import Locking, LockingMode

MAX_ADDRESSES: Final = 1024
"""Allowed addresses of one family: each becomes up to five flows, so a damaged list must not fill the switch."""

_MAX_VALUE: Final = 4096
"""XENSTORE_PAYLOAD_MAX: xenstored cannot hold a longer value, so a longer one is none of the toolstack's."""
_MIN_MTU, _MAX_MTU = 68, 65535
_UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}", re.ASCII)
_LIST_SEPARATORS: Final = re.compile(r"[,; ]+")
_TRUNKS_SEPARATORS: Final = re.compile(r"[, ]+")
"""Those of ovs-vsctl(8), which the peers give the text."""
_TRUE, _FALSE = frozenset({"on", "true"}), frozenset({"off", "false"})


def parse_text(raw: bytes) -> str:
    """Printable ASCII text of a xenstore value.

    Raises:
        InputError: too long, or holds anything else (NULs, control characters, line breaks, other encodings).
    """
    if len(raw) > _MAX_VALUE:
        raise InputError(f"{shown(raw[:80].decode('latin-1'))} is longer than the {_MAX_VALUE} bytes of a value")
    text = raw.decode("latin-1")
    if not (text.isascii() and text.isprintable()):
        raise InputError(f"{shown(text)} holds other than printable ASCII")
    return text


def parse_uuid(text: str) -> str:
    """A uuid as XAPI writes one, in the case in which it stands (it names xenstore nodes and files).

    Raises:
        InputError: the text is none.
    """
    if not _UUID.fullmatch(text):
        raise InputError(f"{shown(text)} is not a uuid")
    return text


def parse_mtu(text: str) -> int:
    """An MTU in bytes, 68 to 65535 (features.md section 8); InputError for anything else."""
    return parse_integer(text, _MIN_MTU, _MAX_MTU)


def parse_switch(text: str) -> bool | None:
    """``on``/``true`` and ``off``/``false``; None for a word that is neither (features.md section 9)."""
    word = text.lower()
    return True if word in _TRUE else False if word in _FALSE else None


def parse_trunks(text: str) -> tuple[int, ...]:
    """VLAN ids separated by commas or blanks, sorted, each once; empty text gives none.

    Raises:
        InputError: one of them is no VLAN id.
    """
    return check_trunks(parse_integer(item, 0, MAX_VLAN_TAG) for item in _TRUNKS_SEPARATORS.split(text) if item)


def check_trunks(tags: Iterable[int]) -> tuple[int, ...]:
    """VLAN ids 0 (untagged) to 4094, sorted, each once; InputError when one is out of range."""
    chosen = sorted(set(tags))
    wrong = [tag for tag in chosen if not 0 <= tag <= MAX_VLAN_TAG]
    if wrong:
        raise InputError(f"'{wrong[0]}' is not a VLAN id (0 to {MAX_VLAN_TAG})")
    return tuple(chosen)


def parse_locking_mode(text: str) -> LockingMode:
    """A locking mode, in any case of letters (wire.md section 3).

    Raises:
        InputError: the word is none of the three. The peers take it for unlocked; we refuse it.
    """
    try:
        return LockingMode(text.lower())
    except ValueError as error:
        raise InputError(f"{shown(text)} is not a locking mode (unlocked, locked or disabled)") from error


def build_locking(mode: LockingMode, ipv4: Iterable[str], ipv6: Iterable[str]) -> Locking:
    """A Locking with its addresses parsed, each once and in order; they count for `locked` alone.

    Raises:
        InputError: one of them is no address, or there are over MAX_ADDRESSES of one family.
    """
    if mode is not LockingMode.LOCKED:
        return Locking(mode=mode)
    locking = Locking(
        mode=mode,
        ipv4=tuple(dict.fromkeys(parse_ipv4(item) for item in ipv4)),
        ipv6=tuple(dict.fromkeys(parse_ipv6(item) for item in ipv6)),
    )
    if max(len(locking.ipv4), len(locking.ipv6)) > MAX_ADDRESSES:
        raise InputError(f"'{len(locking.ipv4) + len(locking.ipv6)}' allowed addresses are too many")
    return locking


def split_addresses(text: str) -> tuple[str, ...]:
    """The items of xenstore's ``ipv4-allowed``: separated by commas or blanks."""
    return tuple(item for item in _LIST_SEPARATORS.split(text) if item)
