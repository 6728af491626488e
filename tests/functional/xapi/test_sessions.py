"""Sessions: ours is logged out whatever happens, one that was given never is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from xsagent.errors import XapiError, XapiUnavailableError
from xsagent.model.records import Ref
from xsagent.sandbox.xapi_pool import uuid_for
from xsagent.sandbox.xapi_standin import XapiStandin
from xsagent.sources.xapi import XapiSession, open_session, read_snapshot

Opener = Callable[..., AbstractContextManager[XapiSession]]
HOST_UUID = uuid_for("host 1")


def test_our_session_names_us_and_is_logged_out(standin: XapiStandin, opened: Opener) -> None:
    """The login carries an originator, and after the block no session is left."""
    with opened():
        assert list(standin.sessions().values()) == ["xsagent"]

    assert standin.sessions() == {}


def test_our_session_is_logged_out_after_an_error(standin: XapiStandin, opened: Opener) -> None:
    """An error of the work inside leaves no session."""
    with pytest.raises(ZeroDivisionError), opened():
        raise ZeroDivisionError

    assert standin.sessions() == {}


def test_our_session_is_logged_out_after_a_call_that_hung(standin: XapiStandin, opened: Opener) -> None:
    """When the deadline passed in a call, the logout still has time of its own."""
    standin.fault("hang", "PIF.*")

    with pytest.raises(XapiUnavailableError, match="did not answer PIF"), opened(0.5) as session:
        read_snapshot(session, HOST_UUID)

    assert standin.sessions() == {}


def test_a_given_session_is_used_and_kept(standin: XapiStandin, opened: Opener) -> None:
    """`--session`: no login, no logout, each call under that session."""
    given = Ref(standin.control("open_session", originator="xapi"))

    with opened(10.0, given) as session:
        assert read_snapshot(session, HOST_UUID).pifs

    assert standin.sessions() == {given: "xapi"}
    assert not [method for method in standin.methods() if method.startswith("session.")]
    assert {call["params"][0] for call in standin.log()} == {given}


def test_a_given_session_is_kept_after_an_error(standin: XapiStandin, opened: Opener) -> None:
    """An error does not make the caller's session ours."""
    given = Ref(standin.control("open_session"))
    standin.fault("error", "PIF.*", error=["INTERNAL_ERROR", "x"])

    with pytest.raises(XapiError), opened(10.0, given) as session:
        read_snapshot(session, HOST_UUID)

    assert list(standin.sessions()) == [given]


def test_an_invalid_given_session_is_an_error_that_does_not_show_it(standin: XapiStandin, opened: Opener) -> None:
    """The session is a secret; nobody logs in in its place."""
    with opened(10.0, Ref("OpaqueRef:secret")) as session, pytest.raises(XapiError, match="SESSION_INVALID") as caught:
        read_snapshot(session, HOST_UUID)

    assert caught.value.code == "SESSION_INVALID"
    assert "secret" not in str(caught.value)
    assert standin.methods() == ["host.get_by_uuid"]


def test_our_session_that_expired_is_replaced_once(standin: XapiStandin, opened: Opener) -> None:
    """A restarted XAPI has forgotten our session: one more login, and the new session is logged out."""
    standin.fault("command", "network.get_all_records", times=1, command={"do": "expire"})

    with opened() as session:
        snapshot = read_snapshot(session, HOST_UUID)

    assert snapshot.networks
    assert standin.methods().count("session.login_with_password") == 2
    assert standin.methods().count("PIF.get_all_records_where") == 1, "what was read is not read again"
    assert standin.sessions() == {}


def test_a_session_that_expires_again_and_again_is_an_error(standin: XapiStandin, opened: Opener) -> None:
    """One new login a call, no more."""
    standin.fault("error", "PIF.*", error=["SESSION_INVALID", "OpaqueRef:x"])

    with pytest.raises(XapiError, match="SESSION_INVALID"), opened() as session:
        read_snapshot(session, HOST_UUID)

    assert standin.methods().count("session.login_with_password") == 2


def test_a_server_that_knows_no_originator_is_logged_into_without(standin: XapiStandin, opened: Opener) -> None:
    """The oldest servers take user and password only."""
    mismatch = ["MESSAGE_PARAMETER_COUNT_MISMATCH", "session.login_with_password", "2", "4"]
    standin.fault("error", "session.login_with_password", times=1, error=mismatch)

    with opened():
        logins = [call["params"] for call in standin.log()]

    assert [len(params) for params in logins] == [4, 2]
    assert standin.sessions() == {}


def test_a_local_session_needs_no_coordinator_and_is_ended_as_one(standin: XapiStandin, socket_path: Path) -> None:
    """A member in emergency mode takes this login and a few calls (wire.md section 4)."""
    standin.fault("error", "session.login_with_password", error=["HOST_OFFLINE", "OpaqueRef:coordinator"])

    with open_session([socket_path], 10.0, local=True) as session:
        session.call("host.signal_networking_change")

    told = ["session.slave_local_login_with_password", "host.signal_networking_change", "session.local_logout"]
    assert standin.methods() == told
    assert standin.sessions() == {}


def test_a_local_emergency_session_cannot_read_records(standin: XapiStandin, opened: Opener) -> None:
    """As on a real member whose coordinator is away: SESSION_INVALID."""
    with opened() as session:
        local = Ref(str(session.call("session.slave_local_login")))
    with opened(10.0, local) as session, pytest.raises(XapiError, match="SESSION_INVALID"):
        read_snapshot(session, HOST_UUID)

    assert list(standin.sessions()) == [local]
