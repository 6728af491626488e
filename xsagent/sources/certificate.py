"""TLS files of the switch's database -> fit for use or not, and what a person should know. I/O: reads only.

Asked by `reconcile/manager.py` before it touches the present manager, and by the doctor. ovsdb-server says the same in
its log alone, after the old manager is gone.
"""

from __future__ import annotations

import re
import ssl
import stat
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from xsagent.errors import InputError
from xsagent.topology.control import TlsFiles

_MAX_BYTES: Final = 1 << 20
_CERTIFICATE: Final = re.compile("-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_ANY_STRENGTH: Final = "ALL:@SECLEVEL=0"
_MISMATCH: Final = frozenset({"KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"})

_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18
_BEFORE_VALIDITY: Final = 3
"""Fields of a TBSCertificate between the version and the validity: serial, signature, issuer (RFC 5280)."""


def check_tls_files(tls: TlsFiles, now: float | None = None) -> tuple[str, ...]:
    """Make sure that ovsdb-server can use these files; the warnings are sentences for people.

    A CA that is bootstrapped is not looked at: it goes with its manager. What has expired or is weak works with some
    peers and is only a warning: OVS verifies no dates of its own certificate, and the security level is OpenSSL's
    configuration.

    Args:
        tls: key and certificate may be one file.
        now: seconds since the epoch; None: the clock's.

    Raises:
        InputError: a file is missing or unreadable, holds no certificate, or the key is another certificate's.
    """
    read_pem(Path(tls.private_key))
    moment = time.time() if now is None else now
    warnings = _check_dates(tls.certificate, moment)
    if not tls.bootstrap:
        warnings += _check_dates(tls.ca_cert, moment)
    _load(tls, _ANY_STRENGTH)
    try:
        _load(tls, None)
    except InputError as error:
        warnings.append(error.cause)
    return tuple(warnings)


def read_pem(path: Path) -> str:
    """The text of a PEM file.

    Raises:
        InputError: it is missing, unreadable, no regular file or larger than a megabyte.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise InputError(f"{path} is not a regular file; nothing was changed")
        with path.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}; nothing was changed") from error
    if len(data) > _MAX_BYTES:
        raise InputError(f"{path} is larger than {_MAX_BYTES} bytes; nothing was changed")
    return data.decode("ascii", "replace")


def read_end_dates(path: Path) -> tuple[datetime, ...]:
    """When each certificate of a PEM file ends, in the file's order.

    Raises:
        InputError: as `read_pem`, or it holds no certificate or a broken one.
    """
    blocks = _CERTIFICATE.findall(read_pem(path))
    if not blocks:
        raise InputError(f"{path} holds no certificate; nothing was changed")
    try:
        return tuple(parse_end_date(ssl.PEM_cert_to_DER_cert(block)) for block in blocks)
    except ValueError as error:
        raise InputError(f"{path} holds a broken certificate ({error}); nothing was changed") from error


def parse_end_date(der: bytes) -> datetime:
    """``notAfter`` of a certificate in DER (RFC 5280 section 4.1); ValueError when it is none."""
    fields = [(tag, content) for tag, content in _elements(_first(_first(der))) if tag != _VERSION]
    if len(fields) <= _BEFORE_VALIDITY or fields[_BEFORE_VALIDITY][0] != _SEQUENCE:
        raise ValueError("it has no validity")
    _, (tag, end) = _pair(fields[_BEFORE_VALIDITY][1])
    if tag == _GENERALIZED_TIME:
        form = "%Y%m%d%H%M%SZ"
    elif tag == _UTC_TIME:
        # RFC 5280 section 4.1.2.5.1: years 50 to 99 are of the last century
        form, end = "%Y%m%d%H%M%SZ", (b"19" if end[:1] >= b"5" else b"20") + end
    else:
        raise ValueError("its validity names no time")
    return datetime.strptime(end.decode("ascii"), form).replace(tzinfo=UTC)


def _first(data: bytes) -> bytes:
    for _, content in _elements(data):
        return content
    raise ValueError("it is cut off")


def _pair(data: bytes) -> tuple[tuple[int, bytes], tuple[int, bytes]]:
    match [*_elements(data)]:
        case [first, second]:
            return first, second
    raise ValueError("its validity has not two ends")


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and content of each element; ValueError when one is cut off."""
    while data:
        tag, first, rest = data[0], data[1] if len(data) > 1 else 0, data[2:]
        width = first & 0x7F if first & 0x80 else 0
        length = int.from_bytes(rest[:width], "big") if width else first
        content = rest[width : width + length]
        if len(data) == 1 or len(content) < length:
            raise ValueError("it is cut off")
        yield tag, content
        data = rest[width + length :]


def _check_dates(path: str, now: float) -> list[str]:
    ended = [end for end in read_end_dates(Path(path)) if end.timestamp() <= now]
    return [f"a certificate in {path} expired on {end:%Y-%m-%d}; peers may refuse it" for end in ended]


def _load(tls: TlsFiles, ciphers: str | None) -> None:
    """Load as ovsdb-server does; `ciphers` may lower the security level.

    Raises:
        InputError: OpenSSL does not take the files.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        if ciphers is not None:
            context.set_ciphers(ciphers)
        # without a password OpenSSL would ask for one on the terminal
        context.load_cert_chain(tls.certificate, tls.private_key, password=b"")
        if not tls.bootstrap:
            context.load_verify_locations(cafile=tls.ca_cert)
    except ssl.SSLError as error:
        if error.reason in _MISMATCH:
            raise InputError(
                f"the key in {tls.private_key} is not that of the certificate in {tls.certificate}; nothing was changed"
            ) from error
        why = (error.reason or "no key").lower().replace("_", " ")
        raise InputError(f"OpenSSL does not take {tls.certificate} ({why}); nothing was changed") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{tls.certificate} cannot be used ({error}); nothing was changed") from error
