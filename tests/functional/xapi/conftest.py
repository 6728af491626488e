"""A small pool served on a unix socket whose path has the `_` that XenAPI's own transport would turn into `/`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from xsagent.model.records import Ref
from xsagent.sandbox.xapi_pool import PoolShape, build_pool
from xsagent.sandbox.xapi_standin import XapiStandin
from xsagent.sources.xapi import XapiSession, open_session

Opener = Callable[..., AbstractContextManager[XapiSession]]


@pytest.fixture
def socket_path(tmp_path: Path) -> Path:
    """Where XAPI's socket is to be."""
    folder = tmp_path / "with_under_scores"
    folder.mkdir()
    return folder / "xapi_socket"


@pytest.fixture
def shape() -> PoolShape:
    """A pool with one of everything; the tests are on its second host, so that nothing works for the first only."""
    return PoolShape(hosts=3, nics=2, vlans=2, bonds=1, tunnels=1, sriovs=1)


@pytest.fixture
def standin(socket_path: Path, shape: PoolShape) -> Iterator[XapiStandin]:
    """The pool, answering."""
    with XapiStandin(build_pool(shape), socket_path) as running:
        yield running


@pytest.fixture
def opened(socket_path: Path) -> Opener:
    """Opens a session on the socket: `opened(deadline_s, session_ref, wait=...)`; ten seconds by default."""

    def opener(
        deadline_s: float = 10.0, session_ref: Ref | None = None, *, wait: bool = True
    ) -> AbstractContextManager[XapiSession]:
        return open_session([socket_path], deadline_s, session_ref, wait=wait)

    return opener
