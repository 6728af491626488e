"""Signs of life for systemd: given while the hotplug thread works, not by a daemon in which it ended."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from pathlib import Path

import pytest

from xsagent.config import Paths, Settings
from xsagent.daemon.hotplug import HotplugThread
from xsagent.daemon.life import show_life


def signs(root: Path, hotplug: HotplugThread) -> int:
    """How many systemd hears in a while, at most 3."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(root / "notify"))
        systemd.setblocking(False)
        environ = {"NOTIFY_SOCKET": str(root / "notify"), "WATCHDOG_USEC": "100000"}

        async def listen() -> int:
            alive, heard = asyncio.create_task(show_life(environ, hotplug)), 0
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(2):
                    while heard < 3:
                        await asyncio.get_running_loop().sock_recv(systemd, 100)
                        heard += 1
            alive.cancel()
            return heard

        return asyncio.run(listen())


def test_a_hotplug_thread_that_waits_or_works_lives(tmp_path: Path) -> None:
    """Here it finds neither xenstored nor a switch, and waits for them."""
    hotplug = HotplugThread(Paths(root=tmp_path), Settings())
    hotplug.start()

    assert signs(tmp_path, hotplug) == 3
    hotplug.stop(30)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_daemon_whose_hotplug_thread_ended_is_not_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours where nothing catches it: systemd is to start us anew, for nobody listens to guests any more."""
    monkeypatch.setattr("xsagent.daemon.hotplug.MOST_AT_ONCE", "many")
    hotplug = HotplugThread(Paths(root=tmp_path), Settings())
    hotplug.start()
    hotplug.thread.join(30)

    assert signs(tmp_path, hotplug) == 0
