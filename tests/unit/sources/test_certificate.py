"""xsagent/sources/certificate.py: what ovsdb-server would find in its TLS files, on certificates that openssl made."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from xsagent.errors import InputError
from xsagent.sources.certificate import check_tls_files, parse_end_date, read_end_dates
from xsagent.topology.control import TlsFiles

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")


def make_pem(path: Path, *options: str, bits: int = 2048, days: int = 30) -> Path:
    """A self-signed certificate behind its key in one file, as XAPI's own is."""
    key, certificate = path.with_suffix(".key"), path.with_suffix(".crt")
    command = ["openssl", "req", "-x509", "-newkey", f"rsa:{bits}", "-nodes", "-subj", "/CN=host", "-days", str(days)]
    subprocess.run([*command, *options, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    path.write_text(key.read_text() + certificate.read_text())
    return path


@pytest.fixture
def tls(tmp_path: Path) -> TlsFiles:
    """A good key and certificate; the CA is not there yet."""
    pem = str(make_pem(tmp_path / "xapi-ssl.pem"))
    return TlsFiles(private_key=pem, certificate=pem, ca_cert=str(tmp_path / "cacert"), bootstrap=True)


def test_good_files_bring_no_warning(tls: TlsFiles) -> None:
    """A key with its certificate is fine; a CA that will be bootstrapped need not be there."""
    assert check_tls_files(tls) == ()


def test_a_certificate_that_ended_is_a_warning_with_its_day(tls: TlsFiles) -> None:
    """Expired is no reason to fail: the peer decides."""
    (end,) = read_end_dates(Path(tls.certificate))

    assert check_tls_files(tls, end.timestamp() - 1) == ()
    (warning,) = check_tls_files(tls, end.timestamp())
    assert f"expired on {end:%Y-%m-%d}" in warning


def test_a_weak_key_is_a_warning(tls: TlsFiles, tmp_path: Path) -> None:
    """1024 bits are below OpenSSL's default level, which some peers lower."""
    weak = str(make_pem(tmp_path / "weak.pem", bits=1024))

    (warning,) = check_tls_files(replace(tls, private_key=weak, certificate=weak))

    assert "ee key too small" in warning


def test_the_end_is_the_one_that_openssl_reads(tls: TlsFiles) -> None:
    """Both notations of time are understood: years from 2050 on are written with four digits."""
    shown = subprocess.run(
        ["openssl", "x509", "-enddate", "-noout", "-in", tls.certificate], check=True, capture_output=True, text=True
    ).stdout.strip()
    expected = datetime.strptime(shown, "notAfter=%b %d %H:%M:%S %Y GMT").replace(tzinfo=UTC)

    assert read_end_dates(Path(tls.certificate)) == (expected,)
    late = make_pem(Path(tls.certificate).with_name("late.pem"), days=20000)
    assert read_end_dates(late)[0].year > 2050


def test_a_key_of_another_certificate_is_refused(tls: TlsFiles, tmp_path: Path) -> None:
    """ovsdb-server would drop the connection to the old manager and never make the new one."""
    other = make_pem(tmp_path / "other.pem").with_suffix(".key").read_text()
    certificate = Path(tls.certificate).with_suffix(".crt").read_text()
    Path(tls.certificate).write_text(other + certificate)

    with pytest.raises(InputError, match=r"is not that of the certificate .*; nothing was changed"):
        check_tls_files(tls)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "cannot be read: No such file"),
        ("", "holds no certificate"),
        ("-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", "broken certificate"),
        ("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n", "broken certificate"),
        ("x" * (1 << 21), "larger than"),
    ],
)
def test_a_file_that_is_none_is_named(tls: TlsFiles, text: str | None, sentence: str) -> None:
    """Missing, empty, broken and huge files are refused with their path."""
    path = Path(tls.certificate)
    path.unlink() if text is None else path.write_text(text)

    with pytest.raises(InputError, match=f"{path}.*{sentence}"):
        check_tls_files(tls)


def test_a_certificate_without_key_and_a_key_with_a_password_are_refused(tls: TlsFiles, tmp_path: Path) -> None:
    """Neither makes OpenSSL ask at a terminal."""
    path = Path(tls.certificate)
    alone = path.with_suffix(".crt").read_text()
    path.write_text(alone)
    with pytest.raises(InputError, match="OpenSSL does not take"):
        check_tls_files(tls)

    locked = tmp_path / "locked.key"
    command = ["openssl", "rsa", "-aes128", "-passout", "pass:secret", "-in", path.with_suffix(".key"), "-out", locked]
    subprocess.run(command, check=True, capture_output=True)
    path.write_text(locked.read_text() + alone)
    with pytest.raises(InputError, match="OpenSSL does not take"):
        check_tls_files(tls)


def test_a_folder_is_no_file(tls: TlsFiles, tmp_path: Path) -> None:
    """What is no regular file is not opened: a FIFO would block."""
    with pytest.raises(InputError, match="not a regular file"):
        check_tls_files(replace(tls, private_key=str(tmp_path)))


def test_the_ca_of_a_listening_host_must_be_there(tls: TlsFiles) -> None:
    """Nothing is bootstrapped for peers that come to us."""
    with pytest.raises(InputError, match=r"cacert cannot be read"):
        check_tls_files(replace(tls, bootstrap=False))


@pytest.mark.parametrize("der", [b"", b"\x30", b"\x30\x82\xff\xff\x00", b"\x30\x02\x30\x00", b"\x30\x80\x00"])
def test_cut_off_der_is_refused(der: bytes) -> None:
    """No length makes the parser read on."""
    with pytest.raises(ValueError, match=r"^it "):
        parse_end_date(der)
