"""The stand-in behaves as XAPI does towards any client of the XenAPI package."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from xsagent.errors import XapiError
from xsagent.sandbox.xapi_pool import ref_for, uuid_for
from xsagent.sandbox.xapi_standin import XapiStandin
from xsagent.sources.xapi import XapiSession

Opener = Callable[..., AbstractContextManager[XapiSession]]
NIC = ref_for("PIF 1 eth0")


@pytest.mark.usefixtures("standin")
def test_records_are_got_set_and_changed_as_in_xapi(opened: Opener) -> None:
    """Getters, setters and the map operations work on one record and show in the bulk calls."""
    with opened() as session:
        assert session.call("PIF.get_by_uuid", uuid_for("PIF 1 eth0")) == NIC
        assert session.call("PIF.get_device", NIC) == "eth0"
        session.call("PIF.set_other_config", NIC, {"a": "1"})
        session.call("PIF.add_to_other_config", NIC, "b", '<&">')
        session.call("PIF.remove_from_other_config", NIC, "a")
        session.call("PIF.remove_from_other_config", NIC, "absent")
        record = session.call("PIF.get_record", NIC)
        found = session.call("PIF.get_all_records_where", f'field "uuid"="{uuid_for("PIF 1 eth0")}"')

        assert isinstance(record, dict)
        assert record["other_config"] == {"b": '<&">'}
        assert (record["VLAN"], record["physical"], record["IPv6"]) == ("-1", True, [""])
        assert found == {NIC: record}
        assert NIC in session.records("PIF")


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("PIF.get_record", ["OpaqueRef:NULL"], "HANDLE_INVALID"),
        ("PIF.get_by_uuid", ["0"], "UUID_INVALID"),
        ("PIF.get_colour", [NIC], "MESSAGE_METHOD_UNKNOWN"),
        ("PIF.forge", [NIC], "MESSAGE_METHOD_UNKNOWN"),
        ("Gadget.get_all", [], "MESSAGE_METHOD_UNKNOWN"),
        ("PIF.get_record", [], "MESSAGE_PARAMETER_COUNT_MISMATCH"),
        ("PIF.get_all_records_where", ['field "nonsense"="1"'], "INTERNAL_ERROR"),
        ("PIF.get_all_records_where", ["uuid = 1"], "INTERNAL_ERROR"),
    ],
)
@pytest.mark.usefixtures("standin")
def test_wrong_calls_get_xapis_codes(opened: Opener, method: str, params: list[str], code: str) -> None:
    """A client meets the codes that XAPI would send."""
    with opened() as session, pytest.raises(XapiError) as caught:
        session.call(method, *params)

    assert caught.value.code == code


@pytest.mark.usefixtures("standin")
def test_a_key_cannot_be_added_twice(opened: Opener) -> None:
    """As in XAPI: MAP_DUPLICATE_KEY."""
    with opened() as session:
        session.call("PIF.add_to_other_config", NIC, "a", "1")
        with pytest.raises(XapiError, match="MAP_DUPLICATE_KEY"):
            session.call("PIF.add_to_other_config", NIC, "a", "2")


def test_the_log_tells_method_session_and_outcome(standin: XapiStandin, opened: Opener) -> None:
    """Tests read from it what was asked, under which session, and what it came to."""
    with opened() as session, pytest.raises(XapiError):
        session.call("PIF.get_record", "OpaqueRef:gone")
    calls = standin.log()

    assert [call["method"] for call in calls] == ["session.login_with_password", "PIF.get_record", "session.logout"]
    assert calls[1]["params"] == [calls[2]["params"][0], "OpaqueRef:gone"]
    assert [call["failed"] for call in calls] == ["", "HANDLE_INVALID", ""]


def test_an_unknown_kind_of_fault_is_refused(standin: XapiStandin) -> None:
    """A misspelt fault would make a test prove nothing."""
    with pytest.raises(ValueError, match="unknown kind of fault"):
        standin.fault("hagn")


def test_a_restarted_standin_has_forgotten_its_sessions(standin: XapiStandin, opened: Opener) -> None:
    """A restart ends sessions and connections, and a session of ours is renewed over it."""
    with opened() as session:
        first = session.records("pool")
        standin.stop()
        standin.start()

        assert session.records("pool") == first
        assert len(standin.sessions()) == 1
