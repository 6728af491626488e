"""A watch of one peer: what it tells when the peer is lost, however that shows."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from xsagent.config import Paths
from xsagent.daemon.peer_watch import PeerWatch, Tell
from xsagent.errors import XenstoreError


def test_a_peer_that_broke_off_with_an_error_is_told_when_it_comes_back() -> None:
    """The service fails and runs again: what was lost meanwhile is to be looked at."""
    told, stop = list[str](), threading.Event()

    def follow(_paths: Paths, found: Callable[[], None], _tell: Tell) -> None:
        found()
        if told:
            stop.set()
            return
        raise XenstoreError("it sent bytes that are no text")

    watch = PeerWatch(name="xenstored", paths=Paths(), follow=follow, tell=lambda reason, **_: told.append(reason))
    with pytest.raises(XenstoreError):
        watch.run(stop)
    assert watch.status() == {"connected": False, "losses": 1}

    watch.run(stop)

    assert told == ["xenstored came back"]
