"""Clients of the daemon where many wait to be accepted: they wait too, instead of doing it beside the daemon."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from runpy import run_path

import pytest

from xsagent.cli.ask_daemon import CONNECT_DEADLINE_S, NoAnswerError, ask

HOOK = run_path(str(Path(__file__).parents[3] / "udev/hotplug-hook"), run_name="hotplug_hook")
ANSWER = b'{"version":1,"status":7,"stdout":"","stderr":""}\n'


def ask_as_hook(root: Path) -> int | None:
    """The status that the hook gets; None when it is to do it itself."""
    answer = HOOK["ask_daemon"]("vif", ["online", f"--root-prefix={root}"])
    assert answer is None or isinstance(answer["status"], int)
    return None if answer is None else answer["status"]


def ask_as_command(root: Path) -> int | None:
    """The same for our commands."""
    try:
        return ask(str(root), "vif", ["online"], {})[0]
    except NoAnswerError:
        return None


ASKS = pytest.mark.parametrize("asks", [ask_as_hook, ask_as_command])


@contextlib.contextmanager
def full_listener(root: Path) -> Iterator[socket.socket]:
    """The daemon's socket, where one more waits than its queue should hold."""
    path = root / "run/xsagent/xsagentd.sock"
    path.parent.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(str(path))
        listener.listen(0)
        first.connect(str(path))
        yield listener


@ASKS
def test_a_client_waits_for_its_place_in_the_queue(asks: Callable[[Path], int | None], tmp_path: Path) -> None:
    """As soon as one is accepted its request comes, and is answered."""
    answers = list[int | None]()
    with full_listener(tmp_path) as listener:
        thread = threading.Thread(target=lambda: answers.append(asks(tmp_path)))
        thread.start()
        time.sleep(0.3)
        listener.settimeout(30)
        listener.accept()[0].close()
        served, _ = listener.accept()
        with served:
            served.recv(65536)
            served.sendall(ANSWER)
        thread.join(30)

    assert answers == [7]


@ASKS
def test_a_client_does_it_itself_when_nobody_is_accepted(
    asks: Callable[[Path], int | None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its deadline; the hook's handler then does not wait for the daemon once more."""
    monkeypatch.setenv("XSAGENT_USE_DAEMON", "auto")
    with full_listener(tmp_path):
        began = time.monotonic()

        assert asks(tmp_path) is None

        assert time.monotonic() - began >= CONNECT_DEADLINE_S
        assert os.environ.get("XSAGENT_USE_DAEMON") == ("never" if asks is ask_as_hook else "auto")
