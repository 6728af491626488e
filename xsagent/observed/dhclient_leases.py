"""Text of dhclient.leases(5) -> leases in the order written, the last being in force. Pure, standard library alone.

After it observed/dhcp_clients.py. A server's strings stand in the file as dhclient quoted them; only addresses
are taken, and what is none is passed over.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from xsagent.topology.values import IpAddress

_TOKEN: Final = re.compile(r'#[^\n]*|"(?:[^"\\]|\\.)*"|[{};]|[^\s{};"]+', re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """An address that a server leased for a device."""

    device: str
    address: IpAddress


def parse_leases(text: str) -> list[Lease]:
    """Return the leases of both families in file order; whatever has another form is passed over.

    Args:
        text: a whole lease file; dhclient appends to it, so the last lease of a device is the one in force.
    """
    leases: list[Lease] = []
    device = ""
    for words in _statements(text):
        match words:
            case ["interface", name]:
                device = name.strip('"')
            case ["fixed-address" | "iaaddr", address]:
                leases += _lease(device, address)
            case _:
                continue
    return leases


def _lease(device: str, address: str) -> Iterator[Lease]:
    try:
        yield Lease(device=device, address=ipaddress.ip_address(address))
    except ValueError:
        return


def _statements(text: str) -> Iterator[list[str]]:
    """Yield each statement's or block head's words; quoted strings stay one word with their quotes."""
    words: list[str] = []
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in {"{", "}", ";"}:
            if words:
                yield words
            words = []
        elif not token.startswith("#"):
            words.append(token)
