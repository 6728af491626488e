"""How XAPI misbehaves, and what each caller gets (wire.md sections 4 and 8, DESIGN.md section 5, F21)."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from xsagent.errors import Retry, XapiError, XapiUnavailableError, XsagentError
from xsagent.model.snapshot import Snapshot
from xsagent.sandbox.xapi_pool import ref_for, uuid_for
from xsagent.sandbox.xapi_standin import XapiStandin
from xsagent.sources.xapi import XapiSession, open_session, read_snapshot

Opener = Callable[..., contextlib.AbstractContextManager[XapiSession]]
HOST_UUID = uuid_for("host 1")
SHORT_S = 0.6
"""A deadline that is over soon; no test measures it."""


def read(opened: Opener, deadline_s: float = 10.0, *, wait: bool = True) -> Snapshot:
    """The Snapshot of this host."""
    with opened(deadline_s, wait=wait) as session:
        return read_snapshot(session, HOST_UUID)


@pytest.mark.parametrize("method", ["session.login_with_password", "PIF.get_all_records_where", "pool.get_all_records"])
@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("close", {}),
        ("reset", {}),
        ("truncate", {}),
        ("garbage", {}),
        ("http", {"seconds": 500}),
        ("error", {"error": ["HOST_STILL_BOOTING"]}),
        ("error", {"error": ["CANNOT_CONTACT_HOST", "OpaqueRef:h0"]}),
        ("error", {"error": ["INTERNAL_ERROR", "Not_found"]}),
    ],
)
def test_a_failure_that_passes_is_outlived(
    standin: XapiStandin, opened: Opener, method: str, kind: str, rule: dict[str, object]
) -> None:
    """While XAPI restarts or boots, the same call is made again until it answers."""
    right = read(opened)
    standin.fault(kind, method, times=1, **rule)

    assert read(opened) == right
    assert standin.methods().count(method) == 3, "once before the fault, once into it, once after it"


@pytest.mark.parametrize(
    ("kind", "rule"),
    [
        ("close", {}),
        ("reset", {}),
        ("truncate", {}),
        ("garbage", {}),
        ("http", {"seconds": 503}),
        ("error", {"error": ["HOST_STILL_BOOTING"]}),
        ("error", {"error": ["HOST_OFFLINE", "OpaqueRef:h0"]}),
        ("error", {"error": ["HOST_HAS_NO_MANAGEMENT_IP", "OpaqueRef:h0"]}),
        ("error", {"error": ["CANNOT_CONTACT_HOST", "OpaqueRef:h0"]}),
    ],
)
class TestAFailureThatLasts:
    """One sentence and a kind that says that later may work."""

    def test_ends_with_the_deadline(
        self, standin: XapiStandin, opened: Opener, kind: str, rule: dict[str, object]
    ) -> None:
        """Nobody waits for XAPI for ever."""
        standin.fault(kind, "PIF.*", **rule)

        with pytest.raises(XapiUnavailableError, match="nothing was changed") as caught:
            read(opened, SHORT_S)

        assert caught.value.retry is Retry.LATER
        assert len(standin.methods()) > 4, "it was tried again"
        assert standin.sessions() == {}

    def test_ends_at_once_for_a_caller_that_does_not_wait(
        self, standin: XapiStandin, opened: Opener, kind: str, rule: dict[str, object]
    ) -> None:
        """The quiet path of rewrite asks once."""
        standin.fault(kind, "PIF.*", **rule)

        with pytest.raises(XapiUnavailableError):
            read(opened, wait=False)

        assert standin.methods().count("PIF.get_all_records_where") == 1
        assert standin.sessions() == {}


@pytest.mark.parametrize("method", ["session.login_with_password", "host.get_by_uuid", "network.get_all_records"])
@pytest.mark.parametrize(("kind", "seconds"), [("hang", 0.0), ("drip", 0.1)])
def test_a_server_that_hangs_or_crawls_costs_the_deadline(
    standin: XapiStandin, opened: Opener, method: str, kind: str, seconds: float
) -> None:
    """No answer, and an answer of a byte a tick whose single waits are all short, both end in a named error."""
    standin.fault(kind, method, seconds=seconds)

    with pytest.raises(XapiUnavailableError, match=rf"did not answer {method} within 0\.6 s"):
        read(opened, SHORT_S)


def test_a_logout_that_hangs_hides_neither_the_result_nor_the_error(standin: XapiStandin, opened: Opener) -> None:
    """The work's outcome counts; the session ages out in XAPI."""
    standin.fault("hang", "session.logout")

    assert read(opened).pifs
    with pytest.raises(ZeroDivisionError), opened():
        raise ZeroDivisionError


def test_f21_an_absent_socket_is_a_named_error(opened: Opener) -> None:
    """F21: XAPI that was never started is one sentence, not a traceback."""
    for wait in (True, False):
        with pytest.raises(XapiUnavailableError, match="No such file or directory"):
            read(opened, SHORT_S, wait=wait)


def test_f21_a_refused_connection_is_a_named_error(standin: XapiStandin, opened: Opener) -> None:
    """F21: a socket that a killed XAPI left behind is one sentence, whatever the alias looks like."""
    standin.kill()

    with pytest.raises(XapiUnavailableError, match="Connection refused"):
        read(opened, SHORT_S)
    sockets = [standin.socket_path, standin.socket_path.with_name("no_alias")]
    with pytest.raises(XapiUnavailableError, match="Connection refused"), open_session(sockets, SHORT_S):
        pass


@pytest.mark.parametrize("leftover", ["nothing", "a dead socket"])
def test_an_xapi_that_comes_back_is_met(standin: XapiStandin, opened: Opener, leftover: str) -> None:
    """A start in the middle of the wait, over nothing or over a dead socket, ends it."""
    (standin.stop if leftover == "nothing" else standin.kill)()
    results: list[Snapshot | XsagentError] = []

    def read_in_thread() -> None:
        try:
            results.append(read(opened, 30.0))
        except XsagentError as error:
            results.append(error)

    reader = threading.Thread(target=read_in_thread)
    reader.start()
    standin.start()
    reader.join()

    assert [type(result) for result in results] == [Snapshot]


@contextlib.contextmanager
def deaf_listener(path: Path) -> Iterator[None]:
    """A socket that somebody listens on without ever accepting, its queue full."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        server.bind(str(path))
        server.listen(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                client = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
                client.setblocking(False)
                client.connect(str(path))
        yield


def test_a_server_whose_queue_stays_full_costs_the_deadline(tmp_path: Path) -> None:
    """A connect that cannot even wait in the queue is bounded too."""
    path = tmp_path / "xapi"
    with (
        deaf_listener(path),
        pytest.raises(XapiUnavailableError, match=r"did not answer session\.login_with_password"),
        open_session([path], SHORT_S),
    ):
        pass


def test_a_coordinator_elsewhere_is_not_followed(standin: XapiStandin, opened: Opener) -> None:
    """HOST_IS_SLAVE ends at once: no credential goes to the address it names."""
    standin.fault("error", "session.login_with_password", error=["HOST_IS_SLAVE", "192.0.2.10"])

    with pytest.raises(XapiUnavailableError, match="HOST_IS_SLAVE"):
        read(opened)

    assert standin.methods() == ["session.login_with_password"]


def test_an_object_that_vanishes_between_two_calls_means_reading_again(standin: XapiStandin, opened: Opener) -> None:
    """HANDLE_INVALID in the middle is outlived; the second read sees the pool as it is then."""
    gone = ref_for("PIF 1 eth1.2")
    vanish = {"do": "delete", "name": "PIF", "ref": gone}
    error = ["HANDLE_INVALID", "PIF", gone]
    standin.fault("error", "network.get_all_records", times=1, command=vanish, error=error)

    snapshot = read(opened)

    assert gone not in snapshot.pifs
    assert standin.methods().count("PIF.get_all_records_where") == 2


def test_a_read_that_never_comes_to_rest_is_an_error(standin: XapiStandin, opened: Opener) -> None:
    """HANDLE_INVALID again and again ends after a few whole reads, with XAPI's code."""
    standin.fault("error", "network.get_all_records", error=["HANDLE_INVALID", "network", "OpaqueRef:n"])

    with pytest.raises(XapiError, match="HANDLE_INVALID") as caught:
        read(opened)

    assert caught.value.code == "HANDLE_INVALID"
    assert standin.methods().count("network.get_all_records") == 3


def test_a_pif_that_vanished_is_named_when_it_is_asked_for(standin: XapiStandin, opened: Opener) -> None:
    """For the PIF asked for, gone is an error for people."""
    gone = ref_for("PIF 1 eth1.2")
    standin.control("delete", name="PIF", ref=gone)
    snapshot = read(opened)

    with pytest.raises(XsagentError, match=gone):
        snapshot.pif(gone)


@pytest.mark.parametrize(
    "error",
    [
        ["SESSION_AUTHENTICATION_FAILED", "root", "no"],
        ["RBAC_PERMISSION_DENIED", "x", "y"],
        ["INTERNAL_ERROR", "always"],
        [],
    ],
)
def test_an_error_that_no_retry_mends_is_final(standin: XapiStandin, opened: Opener, error: list[str]) -> None:
    """It carries XAPI's code; an internal error was tried twice; our session is closed."""
    code = error[0] if error else "MESSAGE_METHOD_UNKNOWN"
    standin.fault("error", "PIF.get*", error=error or [code, "PIF"])

    with pytest.raises(XapiError, match=code) as caught:
        read(opened)

    assert caught.value.code == code
    assert caught.value.retry is Retry.NEVER
    assert standin.sessions() == {}
    tries = standin.methods().count("PIF.get_all_records_where")
    assert tries == (2 if code == "INTERNAL_ERROR" else 1)


@pytest.mark.parametrize(("kind", "tries"), [("close", 1), ("reset", 1), ("truncate", 1)])
def test_a_call_that_may_not_run_twice_is_sent_once(
    standin: XapiStandin, opened: Opener, kind: str, tries: int
) -> None:
    """The standard library would repeat it on a dropped connection without telling."""
    ref = ref_for("pool")
    standin.fault(kind, "pool.add_to_other_config", times=1)

    with opened() as session, pytest.raises(XapiUnavailableError):
        session.call("pool.add_to_other_config", ref, "key", "value", repeatable=False)

    assert standin.methods().count("pool.add_to_other_config") == tries
