"""systemd's side: readiness and signs of life as datagrams, the socket as descriptor 3."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from xsagent.daemon.notify import notify, take_listening_socket, watchdog_s


@pytest.mark.parametrize("abstract", [False, True])
def test_lines_arrive_at_the_socket_that_systemd_names(tmp_path: Path, *, abstract: bool) -> None:
    """A path, or an abstract name behind an @."""
    name = f"@xsagent-{tmp_path.name}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0" + name[1:] if abstract else name)

        notify({"NOTIFY_SOCKET": name}, "READY=1", "STATUS=serving")

        assert systemd.recv(100) == b"READY=1\nSTATUS=serving"


def test_nobody_who_listens_is_no_error(tmp_path: Path) -> None:
    """Without systemd, or with one that went away."""
    notify({}, "READY=1")
    notify({"NOTIFY_SOCKET": str(tmp_path / "nobody")}, "READY=1")


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "10000000"}, 10.0),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "5"}, 10.0),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "6"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_for_the_process_that_it_names(environ: dict[str, str], seconds: float | None) -> None:
    """sd_watchdog_enabled(3)."""
    assert watchdog_s(environ, 5) == seconds


@pytest.mark.parametrize("environ", [{}, {"LISTEN_PID": "6", "LISTEN_FDS": "1"}, {"LISTEN_PID": "5"}])
def test_a_socket_for_another_process_is_not_taken(environ: dict[str, str]) -> None:
    """sd_listen_fds(3): the variables may be a parent's."""
    assert take_listening_socket(environ, 5) is None
